r"""`gt.laws.grid`: the law of any guided sampler on the line or in the plane."""

import numpy as np

from .._checks import unsupported
from .._types import Times
from ..method import AbstractMarkov, AbstractMethod, first_law, name_of
from ..mixture import GaussianMixture
from ..problem import Target
from ..sampling import check_run, initial_law
from .base import AbstractLaw
from .line_law import flow_law, line_law
from .line_steps import TILE_WIDTH, fixed, transitions
from .plane_law import plane_law
from .tangents import require_flow


def grid(
    sampler: AbstractMethod,
    target: Target,
    times: Times,
    *,
    initial: GaussianMixture | None = None,
    refine: int = 1,
) -> AbstractLaw:
    r"""The law of the sampler's output after every step, by quadrature.

    Args:
        sampler: `Guided(approximation, kernel)`, or a deterministic method with memory.
        target: a problem in d = 1 or 2 along its path.
        times: (N + 1,), decreasing.
        initial: law at times[0], a mixture with a density; \(N(0, \sigma^2 I)\) by default.
        refine: how many times finer than usual the grids are. The change of a result
            from 1 to 2 certifies it.

    Returns:
        A law; `law.at(i)` is the density at times[i].

    Raises:
        UnsupportedError: if d > 2, if a deterministic sampler folds the line or lives in
            the plane, or if the sampler cannot serve the problem.
        InputError: if the grid of times does not decrease within [0, 1], or a step cannot
            be resolved.
    """
    times = check_run(sampler, target, times)
    initial = initial_law(sampler, target, times[0], initial)
    dim = target.problem.prior.dim
    if dim > 2:
        unsupported(
            "no grid law in this dimension",
            got=f"d = {dim}",
            expected="d = 1 or 2",
            hint="use gt.laws.affine for one Gaussian, or gt.sample",
        )
    noisy = _has_noise(sampler, target, times, initial)
    jumps = not sampler.facts.smooth and target.problem.measurement.dim_y == 1
    if jumps and (dim == 2 or not noisy):
        unsupported(
            "the field of this sampler jumps where the residual vanishes",
            got="a step over the norm of a single residual, "
            + ("in the plane" if dim == 2 else "with a deterministic kernel"),
            expected="a smooth field, or d = 1 and a kernel with noise",
            hint="use gt.sample",
        )
    if dim == 1:
        make = line_law if noisy else flow_law
        return make(sampler, target, times, initial, refine)
    if not noisy:
        unsupported(
            "no grid law for a deterministic sampler in the plane",
            got=f"{name_of(sampler)} in d = 2",
            expected="a kernel with noise, or d = 1",
            hint="use gt.sample",
        )
    return plane_law(sampler, target, times, initial, refine)


def _has_noise(sampler, target, times, initial) -> bool:
    point = np.asarray(initial.mean())
    if not isinstance(sampler, AbstractMarkov):
        require_flow(sampler, target, times, initial.mean())
        return False
    if point.size > 1:
        scale = first_law(sampler, target, times, point).root.most()
    else:  # the program that the law needs anyway
        points, window = np.full((1, TILE_WIDTH), point), np.asarray(times[:2])
        scale = transitions(fixed(sampler, target), points, window[:1], window[1:])[1]
    return bool(np.any(np.asarray(scale) != 0.0))
