"""KL from samples: against grids, and refusals.

Against the closed forms of one Gaussian in d = 3: T19 and T25 of the catalogue of bounds.
"""

import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed._linalg import sign_and_log_det

A, K = gt.approximations, gt.kernels


def times_of(target, steps=12, t_min=3e-2):
    return gt.time_grid(target.path, steps, kind="log_snr", t_min=t_min, t_max=0.9)


@pytest.fixture(scope="module")
def two_modes():
    return gt.problems.get("two-modes")


def test_determinants_are_those_of_numpy():
    rng = np.random.default_rng(4)
    for size in (1, 3, 9):
        matrix = rng.normal(size=(size, size))
        matrix[0, 0] = 0.0 if size > 1 else -0.3
        found = sign_and_log_det(jnp.asarray(matrix))
        np.testing.assert_allclose(found, np.linalg.slogdet(matrix), rtol=1e-12)
    assert float(sign_and_log_det(jnp.zeros((2, 2)))[0]) != 1.0


@pytest.mark.slow
def test_flow_on_the_line_agrees_with_the_grid(two_modes, key):
    times = times_of(two_modes)
    sampler = gt.Guided(A.TMPD(), K.DDIM(0.0))
    law = gt.laws.grid(sampler, two_modes, times)
    exact = two_modes.posterior(times[-1])
    for measure, known in (
        (gt.laws.flow_kl, float(law.kl(exact))),
        (gt.laws.flow_tv, float(law.tv(exact))),
    ):
        found = measure(key, sampler, two_modes, times, 20_000)
        assert known > 0.01
        assert abs(found.distance(known)) < 4.5
        assert float(found.stderr) < 0.1 * known


def test_folds_noise_and_jumps_are_refused(two_modes, key):
    cases = [
        (gt.Guided(A.DPS(), K.DDIM(0.0)), "folds space"),
        (gt.Guided(A.DPS(), K.DDPM()), "adds noise"),
        (gt.Guided(A.ZetaDPS(), K.DDIM(0.0)), "jumps"),
    ]
    for sampler, words in cases:
        with pytest.raises(gt.UnsupportedError, match=words) as caught:
            gt.laws.flow_kl(key, sampler, two_modes, times_of(two_modes, 5), 500)
        assert "hint" in str(caught.value)


@pytest.mark.slow
def test_sandwich_closes_on_the_grid_law(two_modes, key):
    times = times_of(two_modes, 6, t_min=0.1)
    sampler = gt.Guided(A.TMPD(), K.DDPM())
    law = gt.laws.grid(sampler, two_modes, times)
    exact = two_modes.posterior(times[-1])
    found = gt.laws.sandwich_kl(key, sampler, two_modes, times, 8192, states=512)
    known, gap = float(law.kl(exact)), float((found.upper - found.lower).value)
    assert 0.0 < gap < 0.02
    assert known > 0.02
    for side in (found.lower, found.upper):
        assert abs(float(side.value) - known) < gap + 4.5 * float(side.stderr)
    assert found.lower.distance(known) < 4.5 < found.upper.distance(known) + 9.0
    reverse = float(law.kl_from(exact))
    assert -4.5 < found.upper_from.distance(reverse)
    assert float(found.upper_from.value) < reverse + 0.02


def test_sandwich_refuses_what_it_cannot_bound(two_modes, key):
    times = times_of(two_modes, 5)
    with pytest.raises(gt.UnsupportedError, match="flow_kl"):
        sampler = gt.Guided(A.Exact(), K.DDIM(0.0))
        gt.laws.sandwich_kl(key, sampler, two_modes, times[:2], 64)
    with pytest.raises(gt.InputError, match="multiple of batches"):
        gt.laws.sandwich_kl(key, gt.Guided(A.TMPD(), K.DDPM()), two_modes, times, 50)
