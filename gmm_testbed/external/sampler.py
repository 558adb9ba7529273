"""A sampler that is a program: what it is called with, and what it returns."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._arguments import check_known
from .._checks import check_real, choose, fail, require, unsupported, warn
from .._types import Key, Times
from ..method import Cost, Facts, check_needs
from ..problem import Target
from ..sampling import AbstractSampler, Options
from ..sampling.sample_set import SampleSet, sample_set
from .host import HostDenoiser, host_problem

_LEVELS = {"t": "t", "data": "data"}


def in_numpy(fn: Callable, target: Target, times: Times, num: int, seed: int) -> Any:
    """What a program returns that is shown the target in NumPy."""
    return fn(host_problem(target, times), HostDenoiser(target), num, seed)


class External(AbstractSampler):
    """A sampler of another program, in NumPy, PyTorch or anything that NumPy can read.

    Attributes:
        fn: called as fn(problem, denoiser, num, seed), with a `HostProblem`, a
            `HostDenoiser`, the number of samples and an integer; it returns (num, d).
        level: "t" if it returns samples at the last time of the grid, "data" if they are
            samples of x0.
        needs: of the problem or grid, as in `Facts.needs`: ("linear",).
        reference: of the program.
        views: in what the program sees all this; `gt.torch.Views()` are tensors.

    Raises:
        InputError: if fn is no function, or the level unknown.
    """

    fn: Callable = eqx.field(static=True)
    level: str = eqx.field(static=True, default="t")
    needs: tuple[str, ...] = eqx.field(static=True, default=(), converter=tuple)
    reference: str = eqx.field(static=True, default="the author of the program")
    views: Callable = eqx.field(static=True, default=in_numpy)

    def __check_init__(self):
        choose(self.level, _LEVELS, "level")
        require(
            callable(self.fn),
            "an external sampler is a function",
            got=type(self.fn).__name__,
            expected="fn(problem, denoiser, num, seed) -> (num, d)",
            hint="pass the function itself, not what it returns",
        )
        require(
            callable(self.views) and not isinstance(self.views, type),
            "views is an object that calls the program",
            got=repr(self.views),
            expected="views(fn, target, times, num, seed)",
            hint="leave it out for NumPy; views=gt.torch.Views() for PyTorch",
        )

    @property
    def facts(self) -> Facts:
        """All that is known of it; what it costs is not."""
        return Facts(
            summary=f"the program {getattr(self.fn, '__name__', 'given')}, on the host",
            reference=self.reference,
            needs=frozenset(self.needs),
            law="implicit",
            level=self.level,
            cost=Cost(float("nan"), float("nan"), float("nan")),
        )

    def check(self, target: Target, times: Times) -> None:
        check_needs(self, target, times)

    def run(
        self, key: Key, target: Target, times: Times, num: int, options: Options
    ) -> SampleSet:
        if options.initial is not None or options.trajectory:
            unsupported(
                "an external program starts by itself, and keeps its states to itself",
                got="initial=..." if options.initial is not None else "trajectory=True",
                expected="neither initial nor trajectory",
                hint="write both into the program",
            )
        check_known("gt.sample of an external program", key, target, times)
        seed = int(jax.random.bits(key, dtype=jnp.uint32))
        made = self.views(self.fn, target, times, num, seed)
        x = checked_samples(made, num, target.problem.prior)
        uniform = jnp.full(num, -np.log(num), x.dtype)
        none = jnp.asarray(jnp.nan, x.dtype)
        return sample_set(x, uniform, none, len(times) - 1, facts=self.facts)


def checked_samples(made: Any, num: int, prior) -> jax.Array:
    """The samples (num, d), once they are known to be some."""
    try:
        x = np.asarray(made)
    except Exception as error:  # whatever another program's array raises
        fail(
            "what the external program returned is no array",
            got=f"{type(made).__name__}: {error}",
            expected="an array that NumPy can read",
            hint="for PyTorch pass views=gt.torch.Views(), or return x.detach().cpu()",
        )
    check_real(x, "what the external program returned")
    require(
        np.issubdtype(x.dtype, np.floating),
        "the external program returned no real numbers",
        got=f"{type(made).__name__} of {x.dtype}",
        expected="floating-point numbers",
        hint="return the array of the samples alone",
    )
    require(
        x.shape == (num, prior.dim),
        "the external program returned the wrong shape",
        got=x.shape,
        expected=f"({num}, {prior.dim}): num samples in the dimension of the problem",
        hint="one row for each sample; flatten images",
    )
    bad = int((~np.isfinite(x).all(axis=1)).sum())
    if bad:
        warn(
            "the external program returned samples that are not finite",
            got=f"{bad} of {num}",
            expected="finite samples",
            hint="they are kept, and counted in info.nonfinite",
        )
    return jnp.asarray(x, prior.means.dtype)
