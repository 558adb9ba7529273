"""What a thing is that is to be judged, told by its class or by its signature."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import methods
from .._checks import check_real, fail, require
from .._loading import load as load_public
from ..algorithms import Guided
from ..approximations import AbstractApproximation
from ..conformance.ask import made
from ..conformance.probes import target as probe
from ..external import External
from ..kernels import DDPM, AbstractKernel
from ..method import AbstractDescribed, AbstractMethod, name_of
from ..problem import Target
from ..sampling import AbstractSampler
from ..smc import AbstractFeynmanKac, ParticleFilter
from .given import Given

_FORMS = "guidance(target, x, t), or sample(problem, denoiser, num, seed)"
_BATCH = 4


class Subject(NamedTuple):
    """What is judged.

    Attributes:
        name: of it.
        form: in words.
        sampler: what `gt.sample` runs.
        field: its approximation, if it is one or a guidance.
        described: what has facts of its own, or None.
        program: the function of a black box, or None.
    """

    name: str
    form: str
    sampler: AbstractDescribed
    field: AbstractApproximation | None = None
    described: Any = None
    program: Callable | None = None


def load(text: str) -> Any:
    """What "my_module:name" or a name of the catalogue stands for.

    Args:
        text: the module is looked for in the current folder too.

    Raises:
        InputError: if there is no such module or name, or the module cannot be run.
    """
    module, colon, _ = text.partition(":")
    if not colon or module.strip() in methods.CATALOGUE:
        return methods.build(text)
    return load_public(text)


def recognised(thing: Any, target: Target | None = None) -> Subject:
    """The form of a thing.

    Args:
        thing: an approximation, a method, a filter, a sampler, or a class of one; or a
            function: guidance(target, x, t) or sample(problem, denoiser, num, seed).
        target: on which a guidance is tried; a small linear one by default.

    Raises:
        InputError: if it is none of these, or a guidance does not give a vector.
    """
    if inspect.isclass(thing) and issubclass(thing, AbstractDescribed):
        thing = _built(thing)
    if isinstance(thing, External):
        name = getattr(thing.fn, "__name__", "External")
        return Subject(name, "a program on the host", thing, None, None, thing.fn)
    if isinstance(thing, AbstractApproximation):
        sampler = Guided(thing, DDPM())
        return Subject(
            name_of(thing), "an approximation, with DDPM", sampler, thing, thing
        )
    if isinstance(thing, AbstractKernel):
        fail(
            "a kernel alone samples no posterior",
            got=name_of(thing),
            expected="an approximation, a method, or a function",
            hint=f'judge it with an approximation: "Guided(TMPD, {type(thing).__name__})"',
        )
    if isinstance(thing, AbstractFeynmanKac):
        thing = ParticleFilter(thing)
    if isinstance(thing, ParticleFilter):
        return Subject(name_of(thing.model), "a particle filter", thing, None, thing)
    if isinstance(thing, AbstractMethod | AbstractSampler):
        field = thing.approximation if isinstance(thing, Guided) else None
        return Subject(name_of(thing), "a method", thing, field, thing)
    require(
        callable(thing) and not inspect.isclass(thing),
        "this is nothing that samples",
        got=repr(thing)[:80],
        expected=f"a method of this package, or a function {_FORMS}",
        hint="gmm-testbed list prints the names of methods",
    )
    return _function(thing, probe("any") if target is None else target)


def _built(kind: type):
    try:
        return made(kind)
    except Exception as error:
        fail(
            f"{kind.__name__} cannot be built with its defaults",
            got=f"{type(error).__name__}: {error}",
            expected="a class whose options all have defaults",
            hint="give an object instead: mine = MyMethod(...), and then my_module:mine",
        )


def _function(fn: Callable, target: Target) -> Subject:
    name = getattr(fn, "__name__", type(fn).__name__)
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    positional = {"POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD"}
    needed = [
        p.name
        for p in parameters
        if p.kind.name in positional and p.default is inspect.Parameter.empty
    ]
    alone = all(
        p.kind.name in positional or p.default is not inspect.Parameter.empty
        for p in parameters
        if p.kind.name not in ("VAR_KEYWORD", "VAR_POSITIONAL")
    )
    if alone and len(needed) == 4:
        return Subject(name, "a black box", External(fn), None, None, fn)
    swapped = "target" in needed and needed[0] != "target"
    if not alone or len(needed) != 3 or swapped:
        listed = ", ".join(p.name for p in parameters)
        fail(
            f"{name} has neither of the two signatures",
            got=f"{name}({listed})",
            expected=_FORMS,
            hint="write a function of these arguments, in this order, that calls yours; "
            "other options need defaults",
        )
    field = _field(fn, name, target)
    return Subject(name, "a guidance, with DDPM", Guided(field, DDPM()), field)


def _field(fn: Callable, name: str, target: Target) -> Given:
    """The approximation of a guidance, for one point or for batches only."""
    dim, t = target.problem.prior.dim, jnp.asarray(0.5, float)
    alone, first = _shape(fn, target, jnp.zeros(dim, float), t)
    several, _ = _shape(fn, target, jnp.zeros((_BATCH, dim), float), t)
    of_batches = several is not None and several.shape == (_BATCH, dim)
    if alone is not None and alone.shape == (dim,):
        _require_real(alone, name)
        return Given(fn, batched=False, takes_batches=of_batches)
    if of_batches:
        _require_real(several, name)
        return Given(fn, batched=True, takes_batches=True)
    if alone is None:
        fail(
            f"{name}(target, x, t) cannot be run",
            got=f"{type(first).__name__}: {' '.join(str(first).split())[:300]}",
            expected=f"a function that JAX can trace, of x ({dim},) and t () here",
            hint="use jax.numpy inside, no float() or if on values of x and t; a program "
            "in NumPy or PyTorch is a sample(problem, denoiser, num, seed)",
        )
    fail(
        f"{name} does not return a guidance",
        got=f"shape {alone.shape} for x ({dim},), with m = "
        f"{target.problem.measurement.dim_y} measurements",
        expected=f"({dim},): the approximation of grad_x log p(y | x_t = x)",
        hint="the guidance is a vector like x: pull residuals (m,) back with A.T",
    )


def _require_real(found, name: str) -> None:
    if jnp.issubdtype(found.dtype, jnp.floating):
        return
    if jnp.issubdtype(found.dtype, jnp.complexfloating):
        check_real(jnp.zeros(found.shape, found.dtype), f"what {name} returns")
    fail(
        f"{name} returns no real numbers",
        got=str(found.dtype),
        expected="floating-point numbers",
        hint="return the array of the guidance alone",
    )


def _shape(fn, target, x, t) -> tuple[Any, Exception | None]:
    """What a function would return at x, or why it cannot."""
    try:
        found = eqx.filter_eval_shape(fn, target, x, t)
    except Exception as error:  # whatever another person's function raises
        return None, error
    array = isinstance(found, jax.ShapeDtypeStruct)
    return (
        (found, None)
        if array
        else (None, TypeError(f"returned {type(found).__name__}"))
    )
