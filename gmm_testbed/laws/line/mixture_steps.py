r"""A step of a law on the line whose transitions are mixtures.

The sources are the nodes times the components, of mass density x weight x spacing. The
weights \(w_k(x)\) may be sharper than the density (between atoms they are steps as the
noise vanishes), so nothing that is known of the density says how fine the nodes must be.
It is measured: a trapezoidal sum of an analytic function errs by the square, or a higher
power, of what it errs on every second node, and the two sums are at hand as the halves
over even and over odd nodes. Until they agree the last step is evaluated again on a finer
grid; nothing is interpolated.
"""

import numpy as np

from .gaussian_steps import Run
from .state import (
    NEGLIGIBLE,
    Sources,
    State,
    check_count,
    evaluate,
    fitting,
    rounded,
    spanning,
)

_HALVES = 1e-6  # total variation between a sum and its half: squared, below 1e-11
_UNSEEN = 1e-40  # mass of a source that no logarithm of the law will show
_CONSTANT = 1e-12  # in scales


def advance(run: Run, window, state: State) -> State:
    """One step, from every node to every node of the grid that follows.

    Raises:
        InputError: if nodes or target grid are more than 131072.
    """
    while True:
        even, odd = _halves(run, window, state)
        pairs = zip(even, odd, strict=True)
        whole = Sources(*(np.concatenate(pair) for pair in pairs))
        whole = whole._replace(mass=0.5 * whole.mass)
        grid = fitting(whole, run.refine, NEGLIGIBLE / max(whole.mass.size, 1))
        nodes = grid.nodes(state.density.dtype)
        first, second = (_heavy(half, nodes, grid.count) for half in (even, odd))
        apart = 0.25 * float(np.abs(first - second).sum()) * grid.spacing
        if apart * run.refine <= _HALVES:
            kept = whole.mass > _UNSEEN
            sources = _merged(Sources(*(part[kept] for part in whole)))
            return State(grid, 0.5 * (first + second), sources)
        state = _finer(state)


def _halves(run: Run, window, state: State) -> tuple[Sources, Sources]:
    """The sources at even and at odd nodes, each with the whole mass."""
    nodes = state.grid.nodes(state.density.dtype)
    made = run.parts(nodes[None], window[:1], window[1:])
    log_weight, mean, scale = (part[0] for part in made)
    mass = (2.0 * state.grid.spacing * state.density)[:, None] * np.exp(log_weight)
    still = np.ptp(mean, axis=0) <= _CONSTANT * scale.min(axis=0)
    still &= np.ptp(scale, axis=0) <= _CONSTANT * scale.min(axis=0)
    return tuple(
        Sources(
            np.append(mass[half][:, ~still].ravel(), mass[half][:, still].sum(axis=0)),
            np.append(mean[half][:, ~still].ravel(), mean[0, still]),
            np.append(scale[half][:, ~still].ravel(), scale[0, still]),
        )
        for half in (slice(0, None, 2), slice(1, None, 2))
    )


def _heavy(sources: Sources, nodes, count):
    """Density at the nodes of the sources that count in one."""
    kept = sources.mass > 1e-20
    return evaluate(Sources(*(part[kept] for part in sources)), nodes, count)


def _merged(sources: Sources) -> Sources:
    """Sources that are equal as one."""
    kinds = np.stack([sources.mean, sources.scale], axis=1)
    kinds, place = np.unique(kinds, axis=0, return_inverse=True)
    mass = np.bincount(place.ravel(), sources.mass, len(kinds))
    return Sources(mass.astype(sources.mass.dtype), *kinds.T)


def _finer(state: State) -> State:
    """The same law on a grid half as coarse again, or finer."""
    grid = state.grid
    count = rounded(1.5 * grid.count)
    check_count(count)
    upper = grid.lower + grid.spacing * (grid.count - 1)
    grid = spanning(grid.lower, upper, count)
    nodes = grid.nodes(state.density.dtype)
    return State(grid, evaluate(state.sources, nodes, count), state.sources)
