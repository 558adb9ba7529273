r"""Deterministic samplers on the line: the density moves with the points.

With \(\Phi\) the composition of the steps, \(q(\Phi(x)) = \pi(x) / \Phi'(x)\) as long as
\(\Phi' > 0\). Where guidance is stiff a step can fold the line; then several points share
an image, and the law is refused with the place of the fold. A method with memory is a map
of more than the point: its \(\Phi\) is the whole map so far, not a product of steps. The
starting points are equally spaced if that will do, and else as `starts` has them.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._checks import unsupported
from ..._types import Scalar
from ...densities.line_parts import Parts
from ...sampling import padded
from ..line import programs as line_steps
from ..line import propagate as line
from ..line.state import rounded
from . import tangents
from .starts import PARTS, Cells, Starts, adapted

_FEWEST = 2048
_NEGLIGIBLE = 1e-14
_SMOOTH = 0.3  # largest change of log jacobian between equally spaced neighbours,
_CLOSE = 0.1  # and between others: integrals to 1e-9
_SIZES = 128, 2048  # points at a time: two programs serve all grids
_NEVER = 2**30


class Moved(NamedTuple):
    """Points x(u) that move, and the law that moves with them.

    Attributes:
        spacing: () of u.
        log_start: (n,) log-density of u at the beginning.
        positions: (N + 1, n).
        jacobians: (N + 1, n), their derivatives by u.
    """

    spacing: Scalar
    log_start: Float[Array, " n"]
    positions: Float[Array, "N+1 n"]
    jacobians: Float[Array, "N+1 n"]


def transport(sampler, target, times, initial, refine: int) -> Moved:
    """Moves a grid of starting points through every step.

    Raises:
        UnsupportedError: if a step folds the line where the law has mass, or the map is
            too steep for 65536 points.
    """
    count = refine * _FEWEST
    grid = line._start(initial, count, np.dtype(times.dtype)).grid
    nodes = grid.nodes(times.dtype)
    equal = _heavy(initial, Starts(nodes, nodes, np.ones_like(nodes)), grid.spacing)
    moved = _carried(sampler, target, times, initial, equal, grid.spacing)
    change = np.abs(np.diff(np.log(np.asarray(moved.jacobians[-1]))))
    if change.max() < _SMOOTH / refine:
        return moved
    padding = padded(times), jnp.asarray(times.shape[0] - 1)

    def rough(points):
        flat = points.ravel().astype(times.dtype)
        ends, folds = _ends(sampler, target, flat, *padding)
        density = _density(initial, flat).reshape(points.shape)
        mass = 0.5 * (density[:, 1:] + density[:, :-1]) * np.diff(points)
        heavy = np.pad(mass > _NEGLIGIBLE, ((0, 0), (0, 1)))
        heavy[:, 1:] |= heavy[:, :-1]
        folds = np.where(heavy, folds.reshape(points.shape), _NEVER)
        _refuse_folds(folds[:, :-1], mass, np.asarray(times))
        with np.errstate(invalid="ignore", divide="ignore"):
            change = np.abs(np.diff(np.log(ends.reshape(points.shape))))
        return (mass > _NEGLIGIBLE) & ~(change < _CLOSE / refine)

    cells = Cells.equal(float(nodes[0]), float(nodes[-1]), count // PARTS)
    cells = adapted(cells, rough)
    u = _heavy(initial, cells.starts(), 1.0).u
    u = np.linspace(u[0], u[-1], rounded(float(len(u))))
    return _carried(sampler, target, times, initial, cells.starts(u), u[1] - u[0])


def _heavy(initial, starts: Starts, spacing: float) -> Starts:
    """The starts from the first that has mass to the last."""
    mass = _density(initial, starts.position) * starts.slope * spacing
    used = np.flatnonzero(mass > _NEGLIGIBLE)
    return Starts(*(part[used[0] : used[-1] + 1] for part in starts))


def _carried(sampler, target, times, initial, starts: Starts, spacing) -> Moved:
    """The starts, and the law, through every step."""
    points = jnp.asarray(starts.position, times.dtype)
    log_start = np.asarray(line_steps.mixture_log_prob(initial, points[:, None]))
    log_start = log_start + np.log(starts.slope).astype(times.dtype)
    slopes = jnp.asarray(starts.slope, times.dtype)
    positions, jacobians = _moved(sampler, target, points, slopes, times)
    folded = _folded(np.asarray(jacobians))
    first = np.where(folded.any(axis=0), folded.argmax(axis=0), _NEVER)
    _refuse_folds(first, np.exp(log_start) * spacing, np.asarray(times))
    spacing = jnp.asarray(spacing, times.dtype)
    return Moved(spacing, jnp.asarray(log_start), positions, jacobians)


def _density(initial, points):
    """Of the initial law at points (n,), which compiles nothing."""
    return np.exp(Parts.of(initial).log_density(np.asarray(points, float)))


def _ends(sampler, target, points, times, count):
    """Derivatives at the end, (n,), and the first step that folds, (n,)."""
    return _in_few_sizes(lambda x: _at_end(sampler, target, x, times, count), points)


def _in_few_sizes(program, points):
    """Results of a program of points (n,), some at a time."""
    size = next((size for size in _SIZES if size >= points.size), _SIZES[-1])
    padding = (0, -points.size % size)
    pieces = np.pad(points, padding, mode="edge").reshape(-1, size)
    found = [program(jnp.asarray(piece)) for piece in pieces]
    columns = (map(np.asarray, part) for part in zip(*found, strict=True))
    return tuple(np.concatenate([*part])[: points.size] for part in columns)


@eqx.filter_jit
def _at_end(sampler, target, points, times, count):
    def particle(x):
        def body(j, carry):
            state, first = carry
            state = tangents.moved(sampler, target, state, times[j], times[j + 1])
            here = _folded(state.slopes[0, 0]) & (first == _NEVER)
            return state, jnp.where(here, j + 1, first)

        state = tangents.started(sampler, target, x[None], times[0])
        first = jnp.asarray(_NEVER)
        state, first = jax.lax.fori_loop(0, count, body, (state, first))
        return state.slopes[0, 0], first

    return jax.vmap(particle)(points)


@eqx.filter_jit
def _moved(sampler, target, points, slopes, times):
    def step(states, window):
        def move(state):
            return tangents.moved(sampler, target, state, window[0], window[1])

        states = jax.vmap(move)(states)
        return states, (states.x[:, 0], slopes * states.slopes[:, 0, 0])

    def start(x):
        return tangents.started(sampler, target, x[None], times[0])

    windows = jnp.stack([times[:-1], times[1:]], axis=1)
    _, (positions, jacobians) = jax.lax.scan(step, jax.vmap(start)(points), windows)
    return (
        jnp.concatenate([points[None], positions]),
        jnp.concatenate([slopes[None], jacobians]),
    )


def _folded(jacobians):
    """Whether derivatives are those of no increasing map."""
    return ~((jacobians > 0) & (jacobians < np.inf))


def _refuse_folds(first, mass, times) -> None:
    """Refuses steps that fold: of points (n,) the first that does, and their masses."""
    step = int(first.min(initial=_NEVER))
    if step < _NEVER:
        share = float(mass[first == step].sum())
        unsupported(
            "a deterministic step folds the line",
            got=f"step {step}, to t = {times[step]:.4g}, reverses a mass of {share:.2g}",
            expected="an increasing map",
            hint="the guidance is too stiff for steps this long: take more steps, or a "
            "kernel with noise, or gt.sample",
        )
