"""`gt.time_grid`: the grids of a path, and those that are best for a target."""

from jaxtyping import ArrayLike, Real

from .._arguments import check_kinds
from .._checks import check_count, choose, require
from .._types import Key, Times
from ..paths import AbstractPath
from ..paths import grids as time_grids
from ..problem import Target
from . import optimal_grid
from .tan_grid import tan_grid

OF_TARGETS = ("optimal", "tan")
KINDS = (*time_grids.KINDS, *OF_TARGETS)


def time_grid(
    path: AbstractPath | Target,
    num_steps: int,
    kind: str = "uniform",
    t_max: Real[ArrayLike, ""] = 1.0,
    t_min: Real[ArrayLike, ""] = 1e-3,
    *,
    key: Key | None = None,
) -> Times:
    """A strictly decreasing grid of times, from exactly `t_max` to exactly `t_min`.

    Args:
        path: a path, or a target, which has one; "optimal" and "tan" need a target.
        num_steps: N, at least 1.
        kind: "uniform", "quadratic", "log_snr" or "karras" (`gmm_testbed.paths.grids` has
            their formulas); "optimal": the grid of `gt.optimal_grid`, with the least
            discretisation error of the path for this target to leading order; or "tan"
            (`gmm_testbed.budget.tan_grid`): equal steps of arctan(sigma / (alpha c)), c^2
            the mean variance of the posterior, best for the output of deterministic DDIM.
        t_max: (), first time.
        t_min: (), last time, below `t_max`.
        key: of samples, for "optimal" if d > 1 and there are several components.

    Returns:
        (num_steps + 1,).

    Raises:
        InputError: if `kind` is unknown or needs a target, `num_steps` is not a whole
            number from 1, the ends are not 0 <= t_min < t_max <= 1, `log_snr`, `karras`
            or `optimal` meet an infinite log-SNR at an end, or two times are equal in the
            precision in use.
        UnsupportedError: for "optimal" and "tan", if the posterior is not a mixture; for
            "optimal", if samples need a key.
    """
    choose(kind, dict.fromkeys(KINDS), "kind of time grid")
    num_steps = check_count(num_steps, "num_steps")
    check_kinds(
        "gt.time_grid(path, num_steps, kind, t_max, t_min)",
        path=(path, AbstractPath | Target, "a path, as gt.VP()"),
    )
    if kind not in OF_TARGETS:
        path = path.path if isinstance(path, Target) else path
        return time_grids.time_grid(path, num_steps, kind, t_max, t_min)
    require(
        isinstance(path, Target),
        "the best grid depends on the posterior, not on the path alone",
        got=type(path).__name__,
        expected="a Target",
        hint=f'write time_grid(target, N, "{kind}")'
        + (", or optimal_grid(target, N)" if kind == "optimal" else ""),
    )
    if kind == "tan":
        return tan_grid(path, num_steps, t_max, t_min)
    return optimal_grid(path, num_steps, t_max, t_min, key=key)
