r"""The law of a stochastic sampler on the line, after every step, by quadrature.

The grid moves with the law: its range holds all but 1e-13 of the mass, and its spacing
follows the scale of the kernel, so a few hundred nodes are enough. With many steps, blocks
of them share one grid, and the transitions of a block are evaluated in one call. Where a
grid is too coarse for the next step, the last step is evaluated again at the nodes of
finer panels: nothing is interpolated. A step of several stages takes them in turn.
"""

import numpy as np

from . import gaussian_steps as line_gaussian
from . import jumps
from . import mixture_steps as line_mixture
from . import programs as line_steps
from .bands import REACH
from .state import FEWEST, Sources, State, evaluate, spanning

__all__ = ["Sources", "State", "propagate", "spanning"]

_BLOCK = 50


def propagate(stages, target, times, initial, refine: int = 1) -> list[State]:
    """The law at each of the N + 1 times.

    Args:
        stages: of a step, `explicit.stages`, each with noise.
        target: a problem with d = 1.
        times: (N + 1,).
        initial: mixture at times[0].
        refine: how many times finer than usual the grids are.

    Raises:
        InputError: if a step needs a grid of more than 131072 nodes, or more than 4096
            panels, or has no noise.
    """
    counts = [stage.count(target, times) for stage in stages]
    runs = []
    for stage in stages:
        smooth = stage.method.facts.smooth
        jumping = None if smooth else jumps.jumping(target)
        program = line_steps.fixed(stage, target)
        runs.append(line_gaussian.Run(program, jumping, refine))
    times = np.asarray(times)
    start = _start(initial, refine * FEWEST, times.dtype)
    if counts == [1]:
        return _in_blocks(runs[0], times, start)
    states = [start]
    for window in zip(times[:-1], times[1:], strict=True):
        state = states[-1]
        for run, count in zip(runs, counts, strict=True):
            advance = line_gaussian.advance if count == 1 else line_mixture.advance
            state = advance(run, np.asarray(window), state)
        states.append(state)
    return states


def _in_blocks(run, times, start: State) -> list[State]:
    """Steps of one Gaussian each: many at a time where one grid serves them."""
    steps = len(times) - 1
    block = min(_BLOCK, max(2, steps // 20)) if steps > 32 else 1
    states, rows = [start], block
    while len(states) <= steps:
        index = len(states) - 1
        rows, found = min(rows, steps - index), None
        while rows > 1 and found is None:
            window = times[index : index + rows + 1]
            found = line_gaussian.advance_block(run, window, states[-1])
            rows = 2 * rows if found else rows // 4
        if found is None:
            found = [line_gaussian.advance(run, times[index : index + 2], states[-1])]
        states += found
        rows = min(max(rows, 2), block)
    return states


def _start(initial, count, dtype) -> State:
    means = np.asarray(initial.means)[:, 0]
    reach = REACH * np.sqrt(np.asarray(initial.covariances())[:, 0, 0])
    grid = spanning(float((means - reach).min()), float((means + reach).max()), count)
    return State(grid, evaluate(initial, grid.nodes(dtype)), initial)
