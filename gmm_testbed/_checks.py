"""Errors that say what was got, what was expected and what to do.

Shapes are always known, so they are always checked. Values are checked when they
are concrete; inside `jit` they are not, and the check is left out.
"""

import difflib
import operator
import sys
import types
import warnings
from collections.abc import Mapping
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

_TYPES = type | types.UnionType
_INSIDE = {"gmm_testbed", "equinox", "jaxtyping", "beartype", "<string>"}


class InputError(ValueError):
    """An argument cannot be used; the message says what to do instead."""


class UnsupportedError(InputError):
    """Two things that are each fine cannot serve together; the message says why."""


class ArgumentError(InputError, TypeError):
    """An argument is of another kind; the message says which got what."""


def fail(what: str, *, got: Any, expected: str, hint: str) -> NoReturn:
    """Raises `InputError` with the three lines every error of this package has."""
    raise InputError(_message(what, got, expected, hint))


def require(ok: Any, what: str, *, got: Any, expected: str, hint: str) -> None:
    """Raises `InputError` unless `ok`."""
    if not ok:
        fail(what, got=got, expected=expected, hint=hint)


def unsupported(what: str, *, got: Any, expected: str, hint: str) -> NoReturn:
    """Raises `UnsupportedError`, which a sweep records as a reason to skip."""
    raise UnsupportedError(_message(what, got, expected, hint))


def warn(what: str, *, got: Any, expected: str, hint: str) -> None:
    """A `UserWarning` of the same three lines, where the caller of the package stands."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(_message(what, got, expected, hint), stacklevel=level)


def concrete(*values: Any) -> bool:
    """Whether every value is known now (none is traced)."""
    return not any(isinstance(value, jax.core.Tracer) for value in values)


def floating(value: Any) -> Array:
    """`value` as an array of the precision in use: single is promoted to double."""
    return jnp.asarray(value, jnp.result_type(float))


def promoted(tree: Any) -> Any:
    """The same tree; its floating-point arrays have the precision in use."""

    def one(leaf):
        real = isinstance(leaf, jax.Array | np.ndarray) and jnp.issubdtype(
            leaf.dtype, jnp.floating
        )
        return floating(leaf) if real else leaf

    return jax.tree.map(one, tree)


def is_key(value: Any) -> bool:
    """Whether it is one random key of JAX, of the new kind or the old."""
    if not isinstance(value, jax.Array | np.ndarray):
        return False
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return value.shape == ()
    return value.dtype == np.uint32 and value.shape in ((2,), (4,))


def is_numeric(value: Any) -> bool:
    """Whether it is a number or an array of numbers, or a list of them."""
    if isinstance(value, list | tuple):
        return all(map(is_numeric, value))
    if isinstance(value, jax.Array | np.ndarray):
        return bool(jnp.issubdtype(value.dtype, jnp.number)) or value.dtype == bool
    return isinstance(value, np.number | int | float | complex)


KEY = is_key, "one random key, as jax.random.key(0)"


def check_kinds(call: str, **given: tuple[Any, Any, str]) -> None:
    """Refuses arguments of another kind, as those in the wrong order.

    Args:
        call: how it is written: "gt.sample(key, sampler, target, times, num)".
        given: of every argument its value, its type (or a test of it), and that in words.

    Raises:
        ArgumentError: that says which argument got what.
    """
    wrong = [
        name
        for name, (value, kind, _) in given.items()
        if not (isinstance(value, kind) if isinstance(kind, _TYPES) else kind(value))
    ]
    if wrong:
        got = ", ".join(f"{name} is {described(given[name][0])}" for name in wrong)
        expected = ", ".join(f"{name}: {given[name][2]}" for name in wrong)
        what = f"{' and '.join(wrong)} cannot be used"
        hint = f"the order is {call}"
        raise ArgumentError(_message(what, got, expected, hint))


def described(value: Any) -> str:
    """What kind of thing a value is: "a Target", "an array (64, 2)", "the number 3"."""
    if isinstance(value, bool | int | float | str | None):
        return repr(value)
    if isinstance(value, jax.Array | np.ndarray):
        key = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        return f"{'a random key' if key else 'an array'} {value.shape}"
    if isinstance(value, type):
        return f"the class {value.__name__} (write {value.__name__}())"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def check_finite(value: Array, what: str) -> None:
    """Refuses NaN and infinity, where concrete."""
    if concrete(value):
        require(
            np.all(np.isfinite(np.asarray(value))),
            f"{what} is not finite",
            got="NaN or infinity",
            expected="finite entries",
            hint="look for a division by zero before this call",
        )


def check_count(value: Any, what: str, least: int = 1) -> int:
    """The whole number, of Python, NumPy or JAX; refuses any below `least`.

    Raises:
        InputError: for anything else, and where JAX traces it.
    """
    require(
        concrete(value),
        f"{what} cannot be traced",
        got=f"{what} as an argument of jit, vmap or grad",
        expected="a number that is known: it is the shape of an array",
        hint=f"close over {what}, or name it in static_argnames of jax.jit",
    )
    try:
        count = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        count = None
    require(
        count is not None and count >= least,
        f"{what} must be a whole number",
        got=f"{what} {value!r}",
        expected=f"a whole number, at least {least}",
        hint="write int(...) around a float that is whole",
    )
    return count


def check_range(
    name: str,
    value: Array,
    *,
    least: float,
    most: float = float("inf"),
    positive: bool = False,
) -> None:
    """Refuses a hyper-parameter that is not one number from `least` to `most`.

    Args:
        name: what the user calls it.
        value: the value, checked where it is concrete.
        least: smallest number allowed.
        most: largest; infinity means any finite number.
        positive: whether `least` itself is refused.
    """
    require(
        value.shape == (),
        f"{name} is not a scalar",
        got=f"shape {value.shape}",
        expected="shape ()",
        hint="build one for each value, with jax.vmap if there are many",
    )
    if not concrete(value):
        return
    number = float(value)
    low = number > least if positive else number >= least
    limits = f"{name} {'>' if positive else '>='} {least:g}"
    require(
        low and number <= most and np.isfinite(number),
        f"{name} is out of range",
        got=f"{number:g}",
        expected=f"{limits}, finite" if np.isinf(most) else f"{limits}, <= {most:g}",
        hint=f"choose another {name}: the formula means nothing there",
    )


def choose(name: str, choices: Mapping[str, Any], what: str) -> Any:
    """`choices[name]`, or an error that names the nearest choice."""
    if name in choices:
        return choices[name]
    lowered = {choice.lower(): choice for choice in choices}
    given = str(name).lower()
    near = [choice for choice in lowered if given and choice.startswith(given)]
    near = near or difflib.get_close_matches(given, lowered, n=1, cutoff=0.4)
    fail(
        f"unknown {what}",
        got=repr(name),
        expected="one of " + ", ".join(choices),
        hint=f"did you mean {lowered[near[0]]!r}?"
        if near
        else "choose one of these names",
    )


def check_covariance(matrix: Array, what: str, *, definite: bool) -> None:
    """Refuses a matrix that is not symmetric positive (semi-)definite, where concrete."""
    if not concrete(matrix):
        return
    check_finite(matrix, what)
    host = np.asarray(matrix, dtype=np.float64)
    size = max(float(np.abs(host).max(initial=0.0)), np.finfo(np.float64).tiny)
    slack = 100 * float(jnp.finfo(jnp.asarray(matrix).dtype).eps) * host.shape[-1]
    skew = float(np.abs(host - np.swapaxes(host, -1, -2)).max(initial=0.0))
    require(
        skew <= slack * size,
        f"{what} is not symmetric",
        got=f"largest difference from its transpose {skew:.3g}",
        expected="a symmetric matrix",
        hint="pass (M + M.T) / 2 if the asymmetry is rounding",
    )
    # Scaled to unit diagonal: a variance of 1e-10 beside one of 1 is legal.
    diagonal = np.diagonal(host, axis1=-2, axis2=-1)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scaled = host * scale[..., :, None] * scale[..., None, :]
    least = float(np.linalg.eigvalsh(scaled).min(initial=np.inf))
    floor = np.finfo(np.float64).eps if definite else -slack
    require(
        least > floor if definite else least >= floor,
        f"{what} is not positive {'definite' if definite else 'semi-definite'}",
        got=f"smallest eigenvalue {least:.3g} (after scaling to unit diagonal)",
        expected="positive eigenvalues" if definite else "non-negative eigenvalues",
        hint="add a small multiple of the identity, or check the sign"
        if definite
        else "check the sign and the units: these are variances, not scales",
    )


def _message(what: str, got: Any, expected: str, hint: str) -> str:
    return f"{what}\n  got:      {got}\n  expected: {expected}\n  hint:     {hint}"
