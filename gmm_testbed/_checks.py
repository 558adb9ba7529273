"""Errors that say what was got, what was expected and what to do.

Shapes are always known, so they are always checked. Values are checked when they
are concrete; inside `jit` they are not, and the check is left out.
"""

import difflib
import numbers
import operator
import sys
import warnings
from collections.abc import Mapping
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

_INSIDE = {"gmm_testbed", "equinox", "jaxtyping", "beartype", "<string>"}


class InputError(ValueError):
    """An argument cannot be used; the message says what to do instead."""


class UnsupportedError(InputError):
    """Two things that are each fine cannot serve together; the message says why."""


def fail(what: str, *, got: Any, expected: str, hint: str) -> NoReturn:
    """Raises `InputError` with the three lines every error of this package has."""
    raise InputError(message(what, got, expected, hint))


def require(ok: Any, what: str, *, got: Any, expected: str, hint: str) -> None:
    """Raises `InputError` unless `ok`."""
    if not ok:
        fail(what, got=got, expected=expected, hint=hint)


def unsupported(what: str, *, got: Any, expected: str, hint: str) -> NoReturn:
    """Raises `UnsupportedError`, which a sweep records as a reason to skip."""
    raise UnsupportedError(message(what, got, expected, hint))


def warn(what: str, *, got: Any, expected: str, hint: str) -> None:
    """A `UserWarning` of the same three lines, where the caller of the package stands."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message(what, got, expected, hint), stacklevel=level)


def concrete(*values: Any) -> bool:
    """Whether every value is known now (none is traced)."""
    return not any(isinstance(value, jax.core.Tracer) for value in values)


def floating(value: Any) -> Array:
    """`value` as an array of the precision in use: single is promoted to double.

    Raises:
        InputError: if it is complex.
    """
    dtype = jax.dtypes.canonicalize_dtype(float)
    of_numpy = isinstance(value, float | np.generic | np.ndarray)
    if of_numpy and np.asarray(value).dtype.kind == "f":
        return jnp.asarray(np.asarray(value, dtype))  # one conversion, and by NumPy
    array = jnp.asarray(value)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        check_real(array)
    same = array.dtype == dtype and not array.weak_type
    return array if same else jnp.asarray(array, dtype)


def promoted(tree: Any) -> Any:
    """The same tree; its floating-point arrays have the precision in use."""

    def one(leaf):
        real = isinstance(leaf, jax.Array | np.ndarray) and jnp.issubdtype(
            leaf.dtype, jnp.floating
        )
        return floating(leaf) if real else leaf

    return jax.tree.map(one, tree)


def check_real(value: Any, what: str = "an array") -> None:
    """Refuses complex numbers (...), of which only the real part would be used."""
    require(
        not np.iscomplexobj(value),
        f"{what} is complex",
        got=f"complex numbers of shape {np.shape(value)}",
        expected="real numbers",
        hint="stack real and imaginary parts: z (d,) becomes [z.real, z.imag] (2 d,), and "
        "a matrix A becomes [[A.real, -A.imag], [A.imag, A.real]]",
    )


def check_shape(value: Any, shape: tuple[int, ...], what: str, hint: str) -> None:
    """Refuses an array of another shape, also one that would broadcast.

    Args:
        value: (...), the array.
        shape: what it must be.
        what: what the user calls it.
        hint: what to do next.
    """
    require(
        np.shape(value) == shape,
        f"{what} has the wrong shape",
        got=f"{what} {np.shape(value)}",
        expected=str(shape),
        hint=hint,
    )


def vector(value: Any, what: str, size: int | None = None) -> Array:
    """One vector (size,) of real numbers as an array; refuses anything else.

    Args:
        value: (size,).
        what: what the user calls it.
        size: its length, any by default.
    """
    array = floating(value)
    expected = "(n,)" if size is None else f"({size},)"
    require(
        array.ndim == 1 and array.shape[0] == (array.size if size is None else size),
        f"{what} has the wrong shape",
        got=f"{what} {array.shape}",
        expected=f"{expected}, one vector",
        hint="everything acts on one point: use jax.vmap for many",
    )
    return array


def scalar(value: Any, what: str) -> Array:
    """One real number () as an array; refuses anything else."""
    array = floating(value)
    check_shape(array, (), what, "use jax.vmap for many values")
    return array


def check_index(index: int, count: int, what: str) -> None:
    """Refuses an index, which may count from the end, of what is not there."""
    require(
        isinstance(index, numbers.Integral) and -count <= index < count,
        f"there is no such {what}",
        got=f"index {index!r} of {count}",
        expected=f"a whole number from {-count} to {count - 1}",
        hint="the first is 0, and the last is -1",
    )


def check_indices(given: Any, count: int, what: str) -> np.ndarray:
    """Indices (k,) in 0, ..., count - 1, of indices or of a mask (count,) of booleans.

    Args:
        given: indices (k,), or a mask.
        count: how many there are to choose from.
        what: what is chosen, in the singular: "coordinate".

    Raises:
        InputError: if an index is out of range (JAX would take the nearest one) or
            stands twice, if it is no whole number, or if it may be a mask of 0 and 1.
    """
    require(
        concrete(given),
        f"the {what}s are chosen where a problem is built",
        got="indices that are traced",
        expected="numbers known now",
        hint="pass a Python list or a NumPy array",
    )
    found = np.asarray(given)
    expected = f"indices from 0 to {count - 1}, or a mask ({count},) of booleans"
    if found.dtype == bool:
        require(
            found.shape == (count,) and found.any(),
            f"the mask of {what}s does not fit",
            got=f"a mask {found.shape} with {int(found.sum())} chosen",
            expected=f"({count},), at least one of them True",
            hint=f"one entry a {what}",
        )
        return np.flatnonzero(found)
    require(
        found.ndim == 1 and found.size > 0 and np.issubdtype(found.dtype, np.integer),
        f"these are not indices of {what}s",
        got=f"{found.dtype} {found.shape}",
        expected=expected,
        hint="write a single index as [i], and a mask of numbers as mask.astype(bool)",
    )
    values, uses = np.unique(found, return_counts=True)
    require(
        found.shape != (count,) or count == 1 or not set(values) <= {0, 1},
        f"these may be indices of {what}s or a mask",
        got=f"{found.tolist()}, only 0 and 1, one for each of {count} {what}s",
        expected=expected,
        hint="write a mask as mask.astype(bool); all of them are np.ones(d, bool)",
    )
    outside = values[(values < 0) | (values >= count)]
    require(
        outside.size == 0,
        f"there is no such {what}",
        got=", ".join(map(str, outside[:3])),
        expected=expected,
        hint=f"they are counted from 0, and the last is {count - 1}, not -1",
    )
    require(
        np.all(uses == 1),
        f"a {what} is chosen twice",
        got=str(values[np.argmax(uses)]),
        expected=expected + ", each once",
        hint="of two measurements of one, give their mean, at half the variance",
    )
    return found


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


def message(what: str, got: Any, expected: str, hint: str) -> str:
    """The lines of an error or a warning."""
    return f"{what}\n  got:      {got}\n  expected: {expected}\n  hint:     {hint}"
