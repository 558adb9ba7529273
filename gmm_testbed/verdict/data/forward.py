r"""Forward models: by name, with options in brackets, or as a function that is brought.

    inpainting(keep=0.5)      a random share of the pixels is seen
    blur(width=1)             a Gaussian of this width in pixels, circular
    downsampling(factor=2)    means of squares of pixels
    fourier(keep=0.25)        a random share of the frequencies, real and imaginary parts
                              stacked
    projection(rows)          random directions, entries N(0, 1/d)

Of pictures the axes are height and width; of other points there is one axis.
"""

import ast
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..._arguments import described
from ..._checks import check_real, choose, fail, require
from ...problem import Linear, Nonlinear
from ...problem.measurements import AbstractMeasurement

_LARGEST = 2**24  # numbers of a matrix: 128 MB, and its factors in seconds
_MOST = 2**12  # numbers measured: a covariance of 128 MB
_SAME = 1e-9  # relative, of an affine function
_SEED = 0  # of the pixels, frequencies and directions that are chosen
_NOISE_HINT = "0.1 for pixels from -1 to 1 is some 5 % of their range"


class Forward(NamedTuple):
    """A forward model with its noise.

    Attributes:
        measurement: that the testbed takes.
        words: what it is.
    """

    measurement: AbstractMeasurement
    words: str


def build(
    given: Any, noise: Any, points: np.ndarray, shape: tuple[int, ...]
) -> Forward:
    """The measurement of a forward model and the standard deviation of its noise.

    Args:
        given: a name with options; a matrix (m, d); a function of JAX, of one point (d,)
            or of one in its shape; or a `gt.Linear` or `gt.Nonlinear`, which has its
            noise.
        noise: standard deviation () or (m,); None for a measurement.
        points: (N, d), on some of which a function is tried.
        shape: of one point.

    Raises:
        InputError: if there is no such model, a function does not return real numbers of
            one shape, or the noise does not fit.
    """
    dim = points.shape[1]
    if isinstance(given, AbstractMeasurement):
        require(
            noise is None,
            "the noise is given twice",
            got=f"a {type(given).__name__} with its R, and noise={noise}",
            expected="noise=None with a measurement",
            hint="leave out noise",
        )
        if isinstance(given, Linear):
            _check_columns(np.asarray(given.A), dim)
        return Forward(given, f"a {type(given).__name__}, {given.dim_y} numbers")
    if isinstance(given, str):
        A, words = named(given, shape)
        return Forward(Linear(A, _variances(noise, len(A))), words)
    if not callable(given):
        check_real(given, "the matrix of the forward model")
        A = np.asarray(given)
        require(
            A.ndim == 2 and A.dtype.kind in "fiub",
            "this is no forward model",
            got=described(given),
            expected=f"a name ({', '.join(_NAMED)}), a function, or a matrix (m, d)",
            hint='write forward="downsampling(2)", or forward=my_function',
        )
        _check_columns(A, dim)
        _check_size(A.size, len(A))
        words = f"a matrix {A.shape}"
        return Forward(Linear(A.astype(float), _variances(noise, len(A))), words)
    return _function(given, noise, points, shape)


def named(text: str, shape: tuple[int, ...]) -> tuple[Float[np.ndarray, "m d"], str]:
    """The matrix of a model by name, and what it is in words."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        call = tree if isinstance(tree, ast.Call) else ast.Call(tree, [], [])
        name = ast.unparse(call.func)
        given = [ast.literal_eval(node) for node in call.args]
        options = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError):
        fail(
            "this is not the name of a forward model",
            got=repr(text),
            expected=f"one of {', '.join(_NAMED)}, with options in brackets, or "
            "my_module:my_function",
            hint='write "downsampling(2)"',
        )
    option, default, make = choose(name, _NAMED, "forward model")
    require(
        len(given) + len(options) <= 1 and set(options) <= {option},
        f"{name} takes one option, {option}",
        got=text,
        expected=f"{name}({option}={default})",
        hint=f"write {name}({default})",
    )
    value = given[0] if given else options.get(option, default)
    require(
        isinstance(value, int | float) and np.isfinite(value) and value > 0,
        f"{option} of {name} is a positive number",
        got=repr(value),
        expected=f"a number, such as {default}",
        hint=f"write {name}({default})",
    )
    dim = int(np.prod(shape))
    _check_size(dim * dim if name in ("blur", "inpainting", "fourier") else dim, 1)
    A = make(float(value), shape)
    _check_size(A.size, len(A))
    return A, f"{name} with {option} {value:g}: {len(A)} numbers of {dim}"


def _inpainting(keep: float, shape) -> np.ndarray:
    dim, pixels = int(np.prod(shape)), int(np.prod(_axes(shape)))
    _share("inpainting", "keep", keep)
    count = max(round(keep * pixels), 1)
    chosen = np.sort(np.random.default_rng(_SEED).permutation(pixels)[:count])
    return np.eye(dim).reshape(pixels, -1, dim)[chosen].reshape(-1, dim)


def _blur(width: float, shape) -> np.ndarray:
    def line(size):
        away = np.minimum(np.arange(size), size - np.arange(size))
        weights = np.exp(-0.5 * (away / width) ** 2)
        weights /= weights.sum()
        return np.stack([np.roll(weights, k) for k in range(size)])

    return _along_axes([line(size) for size in _axes(shape)], shape)


def _downsampling(factor: float, shape) -> np.ndarray:
    sizes = _axes(shape)
    require(
        factor == int(factor) and all(size % int(factor) == 0 for size in sizes),
        "the factor does not divide the picture",
        got=f"factor {factor:g}, {'x'.join(map(str, sizes))}",
        expected="a whole number that divides every side",
        hint="crop the pictures, or choose another factor",
    )
    by = int(factor)
    lines = [np.kron(np.eye(size // by), np.full((1, by), 1.0 / by)) for size in sizes]
    return _along_axes(lines, shape)


def _fourier(keep: float, shape) -> np.ndarray:
    """Rows of the unitary transform: of every pair of conjugate frequencies one."""
    _share("fourier", "keep", keep)
    sizes, channels = _axes(shape), int(np.prod(shape)) // int(np.prod(_axes(shape)))
    pixels = int(np.prod(sizes))
    waves = []
    places = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), -1)
    places = places.reshape(pixels, -1) / np.asarray(sizes)
    for k in itertools.product(*map(range, sizes)):
        mirror = tuple(-np.asarray(k) % np.asarray(sizes))
        if k <= mirror:
            waves.append((k, k == mirror))
    count = max(round(keep * len(waves)), 1)
    others = 1 + np.random.default_rng(_SEED).permutation(len(waves) - 1)
    rows = []
    for index in np.sort(np.concatenate([[0], others[: count - 1]])).astype(int):
        k, real = waves[index]
        angle = 2.0 * np.pi * places @ np.asarray(k, float)
        parts = (np.cos(angle),) if real else (np.cos(angle), -np.sin(angle))
        rows += [part / np.sqrt(pixels) for part in parts]
    return np.kron(np.stack(rows), np.eye(channels))


def _projection(rows: float, shape) -> np.ndarray:
    dim = int(np.prod(shape))
    require(
        rows == int(rows) and rows <= dim,
        "more is measured than a point has numbers",
        got=f"{rows:g} rows for {dim} numbers",
        expected=f"a whole number, at most {dim}",
        hint="with as many rows as pixels there is nothing left to infer: take fewer",
    )
    draw = np.random.default_rng(_SEED).standard_normal((int(rows), dim))
    return draw / np.sqrt(dim)


_NAMED: dict[str, tuple[str, float, Callable]] = {
    "inpainting": ("keep", 0.5, _inpainting),
    "blur": ("width", 1.0, _blur),
    "downsampling": ("factor", 2, _downsampling),
    "fourier": ("keep", 0.25, _fourier),
    "projection": ("rows", 16, _projection),
}


def _axes(shape) -> tuple[int, ...]:
    """Height and width of a picture, else the one axis."""
    return tuple(shape[:2]) if len(shape) > 1 else tuple(shape)


def _along_axes(lines, shape) -> np.ndarray:
    """The same along every axis, and for every channel alone."""
    whole = np.eye(1)
    for line in lines:
        whole = np.kron(whole, line)
    return np.kron(whole, np.eye(int(np.prod(shape)) // whole.shape[1]))


def _share(name: str, option: str, value: float) -> None:
    require(
        value <= 1,
        "more is measured than a picture has pixels",
        got=f"{name}({option}={value:g})",
        expected="a share from 0 to 1",
        hint=f"write {name}({option}=0.5) for half of them",
    )


def _check_columns(A: np.ndarray, dim: int) -> None:
    require(
        A.ndim == 2 and A.shape[1] == dim,
        "the matrix does not fit the points",
        got=f"a matrix {A.shape}, points of {dim} numbers",
        expected=f"(m, {dim})",
        hint="a picture is a vector, row by row; transpose the matrix if it is (d, m)",
    )


def _check_size(numbers: int, rows: int) -> None:
    require(
        numbers <= _LARGEST and rows <= _MOST,
        "the matrix of this forward model is too large",
        got=f"{rows} rows, {numbers:,} numbers",
        expected=f"{_MOST} rows and {_LARGEST:,} numbers at most",
        hint="make the pictures smaller, or measure less",
    )


def _variances(noise: Any, rows: int) -> np.ndarray:
    """R from a standard deviation () or (m,)."""
    if noise is not None:
        check_real(noise, "the noise")
    given = np.asarray(np.nan if noise is None else noise, dtype=object)
    try:
        scale = given.astype(float)
    except (TypeError, ValueError):
        scale = np.asarray(np.nan)
    require(
        scale.shape in ((), (rows,)) and np.isfinite(scale).all() and (scale > 0).all(),
        "the noise is no standard deviation",
        got=f"noise {described(noise)}",
        expected=f"a positive number, or ({rows},) of them",
        hint="without noise the posterior has no density: give a small one; "
        + _NOISE_HINT,
    )
    return np.asarray(scale**2)


def _function(fn: Callable, noise, points: np.ndarray, shape) -> Forward:
    """A function as a measurement: `Linear` if it is affine."""
    name, dim = getattr(fn, "__name__", type(fn).__name__), points.shape[1]
    flat, rows = _flattened(fn, name, shape)
    variances = _variances(noise, rows)
    words = f"{name}: {rows} numbers of {dim}"
    if rows * dim <= _LARGEST:
        A, b, affine = _affine(flat, points[:: max(len(points) // 8, 1)][:8], rows)
        if affine:
            return Forward(Linear(A, variances, b), f"{words}, affine")
    return Forward(Nonlinear(flat, variances, rows), f"{words}, not affine")


def _flattened(fn: Callable, name: str, shape) -> tuple[Callable, int]:
    """fn of a vector (d,) to a vector (m,), and m; it may take the shape of the points."""
    shapes = dict.fromkeys([tuple(shape), (int(np.prod(shape)),)])
    errors = []
    for own in shapes:

        def flat(x, own=own):
            return jnp.ravel(jnp.asarray(fn(x.reshape(own))))

        try:
            found = jax.eval_shape(flat, jnp.zeros(int(np.prod(shape)), float))
        except Exception as error:  # whatever another person's function raises
            first = " ".join(str(error).split())[:160]
            errors.append(f"{type(error).__name__} at {own}: {first}")
            continue
        if jnp.issubdtype(found.dtype, jnp.complexfloating):
            check_real(jnp.zeros(found.shape, found.dtype), f"what {name} returns")
        _check_size(found.shape[0], found.shape[0])
        require(
            found.shape[0] > 0,
            f"{name} returns nothing",
            got="an empty array",
            expected="the numbers that are measured",
            hint="return a vector (m,)",
        )
        return flat, found.shape[0]
    torch = any("torch" in each.lower() or "tensor" in each.lower() for each in errors)
    fail(
        f"{name} cannot be run as a forward model",
        got="; ".join(errors),
        expected=f"a function of one point {' or '.join(map(str, shapes))}, in JAX",
        hint="of a function of PyTorch give gt.torch.nonlinear(fn, R, shape) or "
        "gt.torch.linear(...), which need PyTorch (pip install 'gmm-testbed[torch]')"
        if torch
        else "write it with jax.numpy, of one argument, without if or float() of values",
    )


def _affine(fn, points: np.ndarray, rows: int):
    """What fn would be if it were affine, (m, d) and (m,), and whether it is.

    Judged at training points, where it is used: between two of them too.
    """
    at = jnp.asarray(points)
    A = np.asarray(jax.jacfwd(fn)(at[0]))
    values = np.asarray(jax.vmap(fn)(at))
    b = values[0] - A @ points[0]
    middle = 0.5 * (at + jnp.roll(at, 1, axis=0))
    told = np.asarray(jax.vmap(fn)(middle))
    size = _SAME * (1.0 + np.abs(values).max())
    far = max(
        np.abs(values - points @ A.T - b).max(),
        np.abs(told - np.asarray(middle) @ A.T - b).max(),
    )
    finite = np.isfinite(A).all() and np.isfinite(values).all()
    return A, b, bool(finite and far <= size)
