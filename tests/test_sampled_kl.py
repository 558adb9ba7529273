"""KL from samples: against grids, and refusals.

Against the closed forms of one Gaussian in d = 3: T19 and T25 of the catalogue of bounds.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

import gmm_testbed as gt
from gmm_testbed._linalg import sign_and_log_det
from gmm_testbed.divergences import closed_form
from gmm_testbed.method import standard_start

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


@pytest.mark.slow
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
    assert found.lower.distance(known) < 4.5 and found.upper.distance(known) > -4.5
    assert max(float(s.stderr) for s in found) < 0.2 * known
    reverse = float(law.kl_from(exact))
    assert -4.5 < found.upper_from.distance(reverse)
    assert (found.upper_from - 0.02).distance(reverse) < 4.5


def test_sandwich_refuses_what_it_cannot_bound(two_modes, key):
    times = times_of(two_modes, 5)
    with pytest.raises(gt.UnsupportedError, match="flow_kl"):
        sampler = gt.Guided(A.Exact(), K.DDIM(0.0))
        gt.laws.sandwich_kl(key, sampler, two_modes, times[:2], 64)
    with pytest.raises(gt.InputError, match="multiple of batches"):
        gt.laws.sandwich_kl(key, gt.Guided(A.TMPD(), K.DDPM()), two_modes, times, 50)


# --- steps that are given -------------------------------------------------------------


class Straight(gt.AbstractMarkov):
    """N(slope x + 0.3, variance), not defined beyond x = end."""

    slope: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    variance: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    end: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    facts: ClassVar[gt.Facts] = gt.Facts("a line", "test", affine=True)

    start = standard_start

    def transition(self, target, x, t, s):
        inside = 1.0 + 0.0 * jnp.sqrt(self.end - x)  # NaN, with its derivative
        return gt.gaussian.isotropic(self.slope * x * inside + 0.3, self.variance)


SHIFTED = gt.GaussianMixture.isotropic([1.0], [[0.7]], 0.4)


@pytest.mark.slow
@pytest.mark.parametrize("variance, error", [(0.5, 0.05), (0.005, 8.0)])
def test_the_sandwich_closes_where_the_last_step_forgets(
    variance, error, two_modes, key
):
    """Then q is the step itself, and both sides are log q - log p, at any M."""
    times, sampler = times_of(two_modes, 2), Straight(0.0, variance, 1e6)
    case = key, sampler, two_modes, times, 256
    options = {"states": 3, "batches": 16, "mixture": SHIFTED}
    found = gt.laws.sandwich_kl(*case, **options)
    np.testing.assert_allclose(found.lower.value, found.upper.value, rtol=1e-9)
    law = jnp.asarray([0.3]), jnp.asarray([[variance]])
    other = SHIFTED.mean(), SHIFTED.covariance()
    assert abs(found.lower.distance(closed_form.kl(*law, *other))) < 4.5
    assert abs(found.upper_from.distance(closed_form.kl(*other, *law))) < 4.5
    assert float(found.upper_from.stderr) < error


@pytest.mark.slow
def test_a_straight_flow_has_closed_forms_and_a_broken_one_is_refused(two_modes, key):
    """N(0, s^2) becomes N(0.3, s^2 / 4); a map that ends somewhere has no density."""
    times = times_of(two_modes, 1)
    case = key, two_modes, times, 2000
    spread = 0.25 * two_modes.path.sigma(times[0]) ** 2
    law = jnp.asarray([0.3]), spread.reshape(1, 1)
    other = SHIFTED.mean(), SHIFTED.covariance()
    for measure, exact in (
        (gt.laws.flow_kl, closed_form.kl(*law, *other)),
        (gt.laws.flow_tv, closed_form.tv(*law, *other)),
    ):
        sampler = Straight(0.5, 0.0, 1e6)
        found = measure(case[0], sampler, *case[1:], mixture=SHIFTED)
        assert abs(found.distance(exact)) < 4.5 and float(exact) > 0.1
        assert 0.0 < float(found.stderr) < 0.1 * float(exact)
    with pytest.raises(gt.UnsupportedError, match="folds space"):
        gt.laws.flow_samples(case[0], Straight(0.5, 0.0, 1.0), *case[1:])
