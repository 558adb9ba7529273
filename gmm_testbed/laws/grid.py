r"""`gt.laws.grid`: the law of any explicit method on the line or in the plane."""

import jax.numpy as jnp
import numpy as np

from .._checks import check_count, unsupported
from .._types import Times
from ..method import AbstractComposed, AbstractDescribed, AbstractMarkov, name_of
from ..mixture import GaussianMixture
from ..problem import Target
from ..sampling import check_run, initial_law
from .base import AbstractLaw
from .explicit import (
    Stage,
    require_explicit,
    require_flow_on_the_line,
    stages,
)
from .line.law import flow_law, line_law
from .line.programs import TILE_WIDTH, fixed, parts
from .plane.law import plane_law


def grid(
    sampler: AbstractDescribed,
    target: Target,
    times: Times,
    *,
    initial: GaussianMixture | None = None,
    refine: int = 1,
) -> AbstractLaw:
    r"""The law of the sampler's output after every step, by quadrature.

    Args:
        sampler: a method whose steps are explicit: Gaussian, mixtures, or several of
            these in turn, as `Guided(approximation, kernel)`, `Published`, `Jump`,
            `DAPS("mean")` and `SplitGibbs` are.
        target: a problem in d = 1 or 2 along its path.
        times: (N + 1,), decreasing.
        initial: law at times[0], a mixture with a density; \(N(0, \sigma^2 I)\) by default.
        refine: how many times finer than usual the grids are. The change of a result
            from 1 to 2 certifies it.

    Returns:
        A law; `law.at(i)` is the density at times[i].

    Raises:
        UnsupportedError: if d > 2, if a part of the step is not explicit (an implicit
            law, memory and noise, a random field), if a deterministic sampler folds the
            line or lives in the plane, or if the sampler cannot serve the problem.
        InputError: if the grid of times does not decrease within [0, 1], or a step cannot
            be resolved.
    """
    call = "gt.laws.grid(sampler, target, times)"
    target, times = check_run(call, sampler, target, times)
    refine = check_count(refine, "refine")
    require_explicit(sampler)
    begin = jnp.asarray(np.asarray(times)[0])  # compiles nothing
    initial = initial_law(sampler, target, begin, initial)
    dim = target.problem.prior.dim
    if dim > 2:
        unsupported(
            "no grid law in this dimension",
            got=f"d = {dim}",
            expected="d = 1 or 2",
            hint="use gt.laws.affine for one Gaussian, gt.laws.reduced for a problem "
            "within a plane, or gt.sample",
        )
    require_flow_on_the_line(sampler, target, times, initial)
    found = _stages(sampler, target, times, initial)
    _check_jumps(sampler, target, found)
    if dim == 1:
        if found:
            return line_law(sampler, found, target, times, initial, refine)
        if isinstance(sampler, AbstractComposed):
            unsupported(
                "no grid law for a composed step without noise",
                got=f"{name_of(sampler)}, whose legs are all deterministic",
                expected="a leg with noise, or a method of one leg",
                hint="put a kernel with noise last, DDIM(eta=0.1) say, or use gt.sample",
            )
        return flow_law(sampler, target, times, initial, refine)
    if not found:
        unsupported(
            "no grid law for a deterministic sampler in the plane",
            got=f"{name_of(sampler)} in d = 2",
            expected="a kernel with noise, or d = 1",
            hint="use gt.laws.flow_kl, or gt.sample",
        )
    return plane_law(found, target, times, initial, refine)


def _stages(sampler, target, times, initial) -> tuple[Stage, ...]:
    """The stages of a step; none if it has no noise."""
    point = initial.mean()
    if not isinstance(sampler, AbstractMarkov | AbstractComposed):
        return ()  # with memory: deterministic
    if point.size == 1 and isinstance(sampler, AbstractMarkov):
        # The program that the law needs anyway.
        stage, window = Stage(sampler), np.asarray(times)[:2]
        points = np.full((1, TILE_WIDTH), np.asarray(point))
        scale = parts(fixed(stage, target), points, window[:1], window[1:])[2]
        return (stage,) if np.any(scale != 0.0) else ()
    return stages(sampler, target, times, point)


def _check_jumps(sampler, target, found) -> None:
    """Refuses a field that jumps where the grids cannot follow it."""
    if sampler.facts.smooth or target.problem.measurement.dim_y > 1:
        return
    for refused, where in (
        (target.problem.prior.dim == 2, "in the plane"),
        (sampler.facts.law != "gaussian", "in a step that is not one Gaussian"),
        (not found, "with a deterministic kernel"),
    ):
        if refused:
            unsupported(
                "the field of this sampler jumps where the residual vanishes",
                got=f"a step over the norm of a single residual, {where}",
                expected="a smooth field, or d = 1 and a kernel with noise",
                hint="use gt.sample",
            )
