r"""One step of a law on the line: \(p_s(x') = \sum_j q_j\, N(x'; \mu_j, S_j^2)\).

The sources are the nodes of a uniform grid with masses \(q_j\); the sum is the trapezoidal
rule, spectrally accurate once a standard deviation \(S_j\) spans about 1.2 nodes of the
target grid and 1.2 source means. Every pair is summed: with grids that follow the law a
few hundred nodes are enough, and a dense sum of that size is faster than a sparse one.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..components import log_total

REACH = 8.5  # standard deviations; the mass beyond is 2e-17
TILE_ROWS, TILE_WIDTH = 64, 128
_RUN, _NEAR = 64, 128  # targets, and the sources that reach them
_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


@eqx.filter_jit
def _tiles(sampler, target, points, t, s):
    def one(x, t, s):
        move = sampler.transition(target, x[None], t, s)
        return move.mean[0], move.scale.reshape(())

    return jax.vmap(jax.vmap(one, in_axes=(0, None, None)))(points, t, s)


def transitions(sampler, target, points, t, s):
    """Means and scales at every point.

    Args:
        sampler: `Guided`.
        target: a problem with d = 1.
        points: (rows, n), n a multiple of the tile width; NumPy, like the results.
        t: (rows,) times before the step.
        s: (rows,) times after it.

    Returns:
        Means (rows, n) and scales (rows, n).
    """
    return in_tiles(lambda *tiles: _tiles(sampler, target, *tiles), points, t, s)


def in_tiles(program, points, *of_rows) -> tuple:
    """A program over points (rows, n) and values (rows,): one tile after another.

    The tiles have one shape, so a compiled program serves every number of rows and nodes.

    Args:
        program: from points (tiles, width) and values (tiles,) to a tuple of arrays like
            the points.
        points: (rows, n), n a multiple of the tile width.
        *of_rows: (rows,) each.
    """
    rows, count = points.shape
    parts = count // TILE_WIDTH
    spare = -(rows * parts) % TILE_ROWS
    tiles = np.pad(points.reshape(-1, TILE_WIDTH), ((0, spare), (0, 0)), mode="edge")
    values = [
        np.pad(np.repeat(value, parts), (0, spare), mode="edge") for value in of_rows
    ]
    done = [
        program(tiles[k:end], *(value[k:end] for value in values))
        for k in range(0, len(tiles), TILE_ROWS)
        for end in [k + TILE_ROWS]
    ]
    return tuple(
        np.concatenate([np.asarray(part) for part in parts_done])[
            : rows * parts
        ].reshape(rows, count)
        for parts_done in zip(*done, strict=True)
    )


@jax.jit
def dense_step(
    mass: Float[Array, " n"],
    mean: Float[Array, " n"],
    scale: Float[Array, " n"],
    points: Float[Array, " k"],
) -> Float[Array, " k"]:
    """Density at the points (k,) from every source."""
    height = mass / scale * math.exp(-_LOG_ROOT_2PI)
    distance = (points[:, None] - mean[None]) / scale[None]
    return jnp.exp(-0.5 * distance**2) @ height


def density(sources, points: np.ndarray) -> np.ndarray:
    """`dense_step` between any numbers of sources and points, in tiles of one shape.

    Args:
        sources: mass, mean and scale (n,); NumPy, like the points and the result.
        points: (k,).
    """
    rows = _in_runs(points, 0.0)
    columns = zip(
        *(_in_runs(*pair) for pair in zip(sources, _NONE, strict=True)), strict=True
    )
    found = np.zeros(rows.shape, rows.dtype)
    for column in columns:
        if column[0].any():
            found += np.stack([dense_step(*column, row) for row in rows])
    return found.reshape(-1)[: points.size]


def log_density(sources, points: np.ndarray) -> np.ndarray:
    """Its logarithm, right also where it underflows."""
    rows = _in_runs(points, 0.0)
    columns = zip(
        *(_in_runs(*pair) for pair in zip(sources, _NONE, strict=True)), strict=True
    )
    found = np.full(rows.shape, -np.inf, rows.dtype)
    for column in columns:
        if column[0].any():
            some = np.stack([_log_density(*column, row) for row in rows])
            found = np.logaddexp(found, some)
    return found.reshape(-1)[: points.size]


_TILE = 512
_NONE = 0.0, 0.0, 1.0  # mass, mean and scale of a source that is not there


def _in_runs(values: np.ndarray, filling: float) -> np.ndarray:
    """(runs, tile), the last run filled up."""
    spare = -values.size % _TILE
    return np.pad(values, (0, spare), constant_values=filling).reshape(-1, _TILE)


@jax.jit
def _log_density(mass, mean, scale, points):
    log_height = jnp.log(mass) - jnp.log(scale) - _LOG_ROOT_2PI

    def at(x):
        return log_total(log_height - 0.5 * ((x - mean) / scale) ** 2)

    return jax.vmap(at)(points)


@jax.jit(static_argnames="local")
def steps(density, weight, mean, scale, points, count, *, local: bool):
    """Several steps, each from the nodes of one row to those of the next.

    Args:
        density: (n,) at the first row of points, before the first step.
        weight: (rows, n), of the quadrature rule at the nodes before each step.
        mean: (rows, n), of the transitions from there.
        scale: (rows, n).
        points: (rows, n), nodes before each step.
        count: number of rows to use.
        local: sum only sources near each target. Right if the points are a uniform grid,
            the means increase, at a rate near one, and the scale spans few nodes; if not,
            mass is missing. n must be a multiple of 64.

    Returns:
        Densities (rows, n) after each step, at the next row of points (after the last, at
        the last row); rows beyond `count` are zero.
    """
    move = _local_step if local else dense_step

    def body(row, carry):
        density, rows = carry
        following = points[jnp.minimum(row + 1, points.shape[0] - 1)]
        new = move(density * weight[row], mean[row], scale[row], following)
        return new, rows.at[row].set(new)

    empty = jnp.zeros(mean.shape, density.dtype)
    return jax.lax.fori_loop(0, count, body, (density, empty))[1]


def _local_step(mass, mean, scale, points):
    """`dense_step` from `_NEAR` sources to each run of `_RUN` targets."""
    runs = points.reshape(-1, _RUN)
    height = mass / scale * math.exp(-_LOG_ROOT_2PI)
    reach = REACH * jnp.max(jnp.where(mass > 0, scale, 0.0))
    first = jnp.sum(mean[None, :] < (runs[:, 0] - reach)[:, None], axis=1)
    first = jnp.minimum(first, mass.shape[0] - _NEAR)

    def one(x, start):
        def near(values):
            return jax.lax.dynamic_slice(values, (start,), (_NEAR,))

        distance = (x[:, None] - near(mean)[None]) / near(scale)[None]
        return jnp.exp(-0.5 * distance**2) @ near(height)

    return jax.vmap(one)(runs, first).reshape(-1)


@eqx.filter_jit
def mixture_log_prob(mixture, points: Float[Array, "n d"]) -> Float[Array, " n"]:
    """Log-density of a mixture at points (n, d), compiled once a shape."""
    return jax.lax.map(mixture.log_prob, points, batch_size=4096)
