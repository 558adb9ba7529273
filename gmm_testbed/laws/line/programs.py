r"""Transitions and log-densities on the line, in compiled programs of one shape.

A law is the sum \(p_s(x') = \sum_j q_j\, N(x'; \mu_j, S_j^2)\) over the nodes of a grid
with masses \(q_j\): the trapezoidal rule, spectrally accurate once a standard deviation
\(S_j\) spans about 1.2 nodes of the target grid and 1.2 source means.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...mixture.components import log_total

TILE_ROWS, TILE_WIDTH = 16, 128
_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


class Fixed(NamedTuple):
    """Arguments that a program is called with again and again, taken apart once.

    Attributes:
        arrays: the leaves that are data.
        rest: the others, with the structure; hashable.
    """

    arrays: list
    rest: tuple


def fixed(*arguments) -> Fixed:
    """Arguments for `in_tiles`."""
    leaves, structure = jax.tree.flatten(arguments)
    is_data = [isinstance(leaf, jax.Array | np.ndarray) for leaf in leaves]
    arrays = [leaf for leaf, data in zip(leaves, is_data, strict=True) if data]
    others = tuple(
        None if data else leaf for leaf, data in zip(leaves, is_data, strict=True)
    )
    return Fixed(arrays, (structure, tuple(is_data), others))


def arguments(arrays, rest) -> tuple:
    """What `fixed` was given."""
    structure, is_data, others = rest
    data = iter(arrays)
    leaves = [
        next(data) if here else leaf for here, leaf in zip(is_data, others, strict=True)
    ]
    return jax.tree.unflatten(structure, leaves)


def compiled(program: Callable) -> Callable:
    """Compiles program(arrays, rest, ...) of the parts of a `Fixed`, at its first call."""

    @functools.cache
    def made():
        return jax.jit(program, static_argnums=1, compiler_options=_options())

    @functools.wraps(program)
    def called(*given):
        return made()(*given)

    return called


@functools.cache
def _options() -> dict[str, int]:
    """Options of XLA with which these programs compile in half of the time.

    They run as fast without fusion emitters and in one piece. A jaxlib that does not know
    the options refuses them, and gets none.
    """
    if jax.default_backend() != "cpu":
        return {}
    options = {
        "xla_cpu_use_fusion_emitters": False,
        "xla_cpu_parallel_codegen_split_count": 1,
    }
    try:
        jax.jit(lambda x: x, compiler_options=options).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return options


@compiled
def _moves(arrays, rest, points, t, s):
    stage, target = arguments(arrays, rest)

    def one(x, t, s):
        parts = stage.parts(target, x[None], t, s)
        scale = jnp.sqrt(parts.covariance[:, 0, 0])
        return parts.log_weight, parts.mean[:, 0], scale

    return jax.vmap(jax.vmap(one, in_axes=(0, None, None)))(points, t, s)


def parts(stage_and_target: Fixed, points, t, s):
    """Log-weights, means and scales of K Gaussians at every point.

    Args:
        stage_and_target: `fixed(stage, target)`, an `explicit.Stage` and a problem with
            d = 1.
        points: (rows, n), n a multiple of the tile width; NumPy, like the results.
        t: (rows,) times before the step.
        s: (rows,) times after it.

    Returns:
        Three arrays (rows, n, K).
    """
    return in_tiles(_moves, stage_and_target, points, t, s)


def in_tiles(program, known: Fixed, points, *of_rows) -> tuple:
    """A program over points (rows, n) and values (rows,): one tile after another.

    The tiles have one shape, so a compiled program serves every number of rows and nodes.

    Args:
        program: from the parts of `known`, points (tiles, width) and values (tiles,) to a
            tuple of arrays (tiles, width) or (tiles, width, ...).
        known: its other arguments.
        points: (rows, n), n a multiple of the tile width.
        *of_rows: (rows,) each.
    """
    rows, count = points.shape
    parts = count // TILE_WIDTH
    used = rows * parts
    tiles = filled(points.reshape(-1, TILE_WIDTH), TILE_ROWS)
    values = [filled(np.repeat(value, parts), TILE_ROWS) for value in of_rows]
    slices = [slice(k, k + TILE_ROWS) for k in range(0, len(tiles), TILE_ROWS)]
    done = [
        program(*known, tiles[part], *(value[part] for value in values))
        for part in slices
    ]
    outputs = zip(*done, strict=True)
    whole = (np.concatenate([np.asarray(x) for x in each]) for each in outputs)
    return tuple(x[:used].reshape(rows, count, *x.shape[2:]) for x in whole)


def filled(values: np.ndarray, multiple: int) -> np.ndarray:
    """Values (n, ...) with the last again and again, to a multiple in number."""
    spare = -len(values) % multiple
    return np.concatenate([values, np.repeat(values[-1:], spare, axis=0)])


def log_density(sources, points: np.ndarray) -> np.ndarray:
    """Logarithm of the sum of Gaussians, right also where the sum underflows.

    Args:
        sources: mass, mean and scale (n,); NumPy, like the points and the result.
        points: (k,).
    """
    rows = _in_runs(points)
    found = np.full(rows.shape, -np.inf, rows.dtype)
    for column in _columns(sources):
        some = np.stack([_log_density(*column, row) for row in rows])
        found = np.logaddexp(found, some)
    return found.reshape(-1)[: points.size]


_TILE = 256


def _in_runs(values: np.ndarray) -> np.ndarray:
    """(runs, tile), the last run filled up with the last value."""
    return filled(values, _TILE).reshape(-1, _TILE)


def _columns(sources) -> list:
    """Mass, mean and scale (tile,) of the sources that have mass, a tile at a time."""
    mass, means, scales = (_in_runs(part) for part in sources)
    mass.reshape(-1)[sources[0].size :] = 0.0
    return [
        column for column in zip(mass, means, scales, strict=True) if column[0].any()
    ]


@jax.jit
def _log_density(mass, mean, scale, points):
    log_height = jnp.log(mass) - jnp.log(scale) - _LOG_ROOT_2PI

    def at(x):
        return log_total(log_height - 0.5 * ((x - mean) / scale) ** 2)

    return jax.vmap(at)(points)


@eqx.filter_jit
def mixture_log_prob(mixture, points: Float[Array, "n d"]) -> Float[Array, " n"]:
    """Log-density of a mixture at points (n, d), compiled once a shape."""
    return jax.lax.map(mixture.log_prob, points, batch_size=4096)
