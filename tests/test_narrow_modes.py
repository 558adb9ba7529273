"""Laws of deterministic samplers whose map is steep between narrow modes."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.laws.flow.starts import Cells, adapted

A, K = gt.approximations, gt.kernels
CENTRES = 0.270293958 * np.array([-3.0, -1.0, 1.0, 3.0])


def four_modes(sd=0.04, shift=0.0):
    """Gaps of thirteen standard deviations (arXiv:2610.10190, appendix G.1)."""
    prior = gt.GaussianMixture.isotropic(
        [0.15, 0.35, 0.35, 0.15], CENTRES[:, None] + shift, sd**2
    )
    problem = gt.InverseProblem(prior, gt.Linear([[1.0]], 1.0), [0.0])
    return gt.Target(problem, gt.VE(0.002, 80.0))


def law_of(target, steps):
    times = gt.time_grid(target.path, steps, "karras", t_max=1.0, t_min=0.0)
    sampler = gt.Guided(A.Unguided(), K.DDIM(0.0))
    return gt.laws.grid(sampler, target, times, initial=target.marginal(times[0]))


@pytest.mark.slow
@pytest.mark.parametrize("steps, w2", [(17, 0.1130103), (272, 0.0221972)])
def test_distance_of_ddim_from_narrow_modes(steps, w2):
    """By adaptive quadrature in the quantile, with SciPy alone, to seven digits."""
    target = four_modes()
    law = law_of(target, steps)
    assert abs(float(law.w2(target.marginal(law.times[-1]))) - w2) < 6e-8
    assert abs(float(law.escaped_mass)) < 1e-9


def test_cells_follow_a_steep_place():
    """Where J is that of 1 / ((x - c)^2 + e^2), cells shrink with the distance to c."""
    c, e = 0.37213, 1e-6

    def rough(points):
        change = np.abs(np.diff(np.log((points - c) ** 2 + e**2)))
        return change > 0.1

    cells = adapted(Cells.equal(-8.0, 8.0, 256), rough)
    starts = cells.starts()
    assert len(starts.position) < 16384 and (np.diff(starts.position) > 0).all()
    assert cells.width.min() < e
    ratio = cells.width[1:] / cells.width[:-1]
    assert ratio.max() < 2.1 and ratio.min() > 0.45
    # A sum over u of a peak a millionth wide: the difference of two arctangents.
    x = starts.position
    rule = starts.slope * np.where((x == x[0]) | (x == x[-1]), 0.5, 1.0)
    exact = (np.arctan((x[-1] - c) / e) - np.arctan((x[0] - c) / e)) / e
    assert abs(rule @ (1.0 / ((x - c) ** 2 + e**2)) / exact - 1.0) < 1e-9


def test_a_jump_is_refused():
    """No digits tell the starts on its sides apart after 45 halvings of 1/16."""
    asked = itertools.count()

    def rough(points):
        assert next(asked) < 50, "cells are halved for ever"
        return (points[:, :-1] < 1.0 / 3.0) & (points[:, 1:] > 1.0 / 3.0)

    with pytest.raises(gt.UnsupportedError, match="end of the digits"):
        adapted(Cells.equal(-8.0, 8.0, 256), rough)


@pytest.mark.slow
def test_programs_do_not_grow_with_refinement():
    """Each grid is asked by programs of two sizes, whatever its number of points."""
    traces = []

    class Counted(A.AbstractCorrection):
        facts = A.Unguided.facts

        def correction(self, target, x, t):
            traces.append(1)
            return jnp.zeros_like(x)

        def covariance(self, target, x, t):
            return target.prior_covariance(x, t)

    target = four_modes()
    times = gt.time_grid(target.path, 12, "karras", t_max=1.0, t_min=0.0)
    law = gt.laws.grid(gt.Guided(Counted(), K.DDIM(0.0)), target, times)
    spacing = np.diff(np.asarray(law.positions[0]))
    assert spacing.max() / spacing.min() > 100.0  # seven levels of cells or more
    assert len(traces) <= 12


def test_equal_starts_stay_where_they_are_enough():
    target = gt.problems.get("two-modes")
    times = gt.time_grid(target.path, 5, "log_snr", t_min=0.1)
    law = gt.laws.grid(gt.Guided(A.Exact(), K.DDIM(0.0)), target, times)
    x = np.asarray(law.positions[0])
    np.testing.assert_allclose(np.diff(x), float(law.spacing), rtol=1e-9)
