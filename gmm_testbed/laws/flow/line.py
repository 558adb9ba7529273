r"""Deterministic samplers on the line: the density moves with the points.

With \(\Phi\) the composition of the steps, \(q(\Phi(x)) = \pi(x) / \Phi'(x)\) as long as
\(\Phi' > 0\). Where guidance is stiff a step can fold the line; then several points share
an image, and the law is refused with the place of the fold. A method with memory is a map
of more than the point: its \(\Phi\) is the whole map so far, not a product of steps.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._checks import unsupported
from ..line import programs as line_steps
from ..line import propagate as line
from . import tangents

_FEWEST, _MOST = 2048, 65536
_NEGLIGIBLE = 1e-14
_SMOOTH = 0.3  # largest change of log jacobian between neighbours


@eqx.filter_jit
def _moved(sampler, target, points, times):
    def step(states, window):
        def move(state):
            return tangents.moved(sampler, target, state, window[0], window[1])

        states = jax.vmap(move)(states)
        return states, (states.x[:, 0], states.slopes[:, 0, 0])

    def start(x):
        return tangents.started(sampler, target, x[None], times[0])

    windows = jnp.stack([times[:-1], times[1:]], axis=1)
    _, (positions, jacobians) = jax.lax.scan(step, jax.vmap(start)(points), windows)
    return (
        jnp.concatenate([points[None], positions]),
        jnp.concatenate([jnp.ones_like(points)[None], jacobians]),
    )


def transport(sampler, target, times, initial, refine: int):
    """Moves a grid of starting points through every step.

    Returns:
        spacing (), log-density (n,) at the starting points, positions (N + 1, n) and
        jacobians (N + 1, n).

    Raises:
        UnsupportedError: if a step folds the line where the law has mass, or the map is
            too steep for 65536 points.
    """
    count = refine * _FEWEST
    while True:
        grid = line._start(initial, count, np.dtype(times.dtype)).grid
        points = jnp.asarray(grid.nodes(times.dtype))
        log_start = line_steps.mixture_log_prob(initial, points[:, None])
        mass = np.exp(np.asarray(log_start)) * grid.spacing
        used = np.flatnonzero(mass > _NEGLIGIBLE)
        used = slice(used[0], used[-1] + 1)
        positions, jacobians = _moved(sampler, target, points[used], times)
        _require_unfolded(np.asarray(jacobians), mass[used], np.asarray(times))
        rough = np.abs(np.diff(np.log(np.asarray(jacobians[-1])))).max()
        if rough < _SMOOTH / refine:
            return (
                jnp.asarray(grid.spacing, times.dtype),
                log_start[used],
                positions,
                jacobians,
            )
        if 2 * count > _MOST:
            unsupported(
                "the map of this sampler is too steep for a grid",
                got=f"log-derivative changes by {rough:.2g} between {count} points",
                expected=f"less than {_SMOOTH / refine:.2g}",
                hint="take more steps, raise t_min, or use gt.sample",
            )
        count *= 2


def _require_unfolded(jacobians, mass, times) -> None:
    folded = (jacobians <= 0) | ~np.isfinite(jacobians)
    if folded.any():
        step = int(np.flatnonzero(folded.any(axis=1))[0])
        share = float(mass[folded[step]].sum())
        unsupported(
            "a deterministic step folds the line",
            got=f"step {step}, to t = {times[step]:.4g}, reverses a mass of {share:.2g}",
            expected="an increasing map",
            hint="the guidance is too stiff for steps this long: take more steps, or a "
            "kernel with noise, or gt.sample",
        )
