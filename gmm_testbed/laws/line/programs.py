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

from ... import _compiling

TILE_ROWS, TILE_WIDTH = 16, 128
_OPTIONS = {  # compile in half of the time what runs as fast in one piece
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
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
        taken = _compiling.options(**_OPTIONS)
        return jax.jit(program, static_argnums=1, compiler_options=taken)

    @functools.wraps(program)
    def called(*given):
        return made()(*given)

    return called


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

    Of each run of points the Gaussians that are nowhere more than e^-40 of the sum are left
    out: far fewer count at a point than there are, in the tails too.

    Args:
        sources: mass, mean and scale (n,); NumPy, like the points and the result.
        points: (k,), in increasing order.
    """
    mass, mean, scale = (part[sources[0] > 0] for part in sources)
    if not mass.size:
        return np.full_like(points, -np.inf)
    height = np.log(mass) - np.log(scale) - _LOG_ROOT_2PI
    inverse, runs = 1.0 / scale, filled(points, _RUN).reshape(-1, _RUN)
    found = np.empty_like(runs)
    for run, total in zip(runs, found, strict=True):
        below, above = (run[0] - mean) * inverse, (run[-1] - mean) * inverse
        nearest = np.maximum(np.maximum(below, -above), 0.0)
        farthest = np.maximum(np.abs(below), np.abs(above))
        least = (height - 0.5 * farthest**2).max()  # of the logarithm of the sum
        counts = height - 0.5 * nearest**2 > least - _NOTHING - math.log(mass.size)
        terms = (run - mean[counts, None]) * inverse[counts, None]
        np.square(terms, out=terms)
        terms *= -0.5
        terms += height[counts, None]
        top = terms.max(axis=0)
        terms -= top
        total[:] = top + np.log(np.exp(terms, out=terms).sum(axis=0))
    return found.reshape(-1)[: points.size]


_RUN = 32  # points, whose Gaussians are chosen together
_NOTHING = 40.0  # e^-40 is 4e-18


@eqx.filter_jit
def mixture_log_prob(mixture, points: Float[Array, "n d"]) -> Float[Array, " n"]:
    """Log-density of a mixture at points (n, d), compiled once a shape."""
    return jax.lax.map(mixture.log_prob, points, batch_size=4096)
