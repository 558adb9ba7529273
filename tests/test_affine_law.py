"""Affine laws: against samples, closed forms, and refusals with the reason."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

import gmm_testbed as gt
from gmm_testbed.method import standard_start
from tests.oracles import problems
from tests.oracles.library import to_target

A, K = gt.approximations, gt.kernels


@pytest.fixture(scope="module")
def gaussian():
    return to_target(problems.one_gaussian(dim=4, dim_y=2), gt.VP())


@pytest.mark.slow
@pytest.mark.parametrize(
    "approximation,kernel",
    [
        (A.DPS(), K.DDPM("matched")),
        (A.PiGDM(), K.DDIM(0.3)),
        (A.TMPD(), K.EulerMaruyama()),
        (A.DDNM(), K.Heun()),
    ],
)
def test_affine_law_agrees_with_samples(gaussian, key, approximation, kernel):
    times = gt.time_grid(gaussian.path, 40, kind="log_snr", t_min=1e-2)
    sampler = gt.Guided(approximation, kernel)
    law = gt.laws.affine(sampler, gaussian, times)
    num = 100_000
    x = np.asarray(gt.sample(key, sampler, gaussian, times, num).x)
    covariance = np.asarray(law.covariance())
    z = (x.mean(axis=0) - law.mean()) / np.sqrt(np.diag(covariance) / num)
    assert np.abs(z).max() < 4.5
    products = (x - x.mean(axis=0))[:, :, None] * (x - x.mean(axis=0))[:, None, :]
    stderr = products.std(axis=0) / np.sqrt(num)
    assert (np.abs(products.mean(axis=0) - covariance) < 4.5 * stderr).all()


@pytest.mark.slow
def test_matched_ddpm_with_the_exact_field_is_exact_in_any_dimension(gaussian):
    times = gt.time_grid(gaussian.path, 3, t_min=1e-2)
    start = gaussian.posterior(times[0])
    exact = gaussian.posterior(times[-1])
    for approximation in (A.Exact(), A.TMPD()):
        sampler = gt.Guided(approximation, K.DDPM("matched"))
        law = gt.laws.affine(sampler, gaussian, times, initial=start)
        assert float(law.kl(exact)) < 1e-12
        assert float(law.w2(exact)) < 1e-6
    biased = gt.Guided(A.DPS(), K.DDPM("matched"))
    assert float(gt.laws.affine(biased, gaussian, times, initial=start).kl(exact)) > 0.1


@pytest.mark.slow
def test_dps_variance_tends_to_its_closed_form():
    """The reverse SDE under DPS ends with variance (g^2/2)(1 - exp(-2 s^2/g^2))."""
    prior = gt.GaussianMixture.isotropic([1.0], [[0.0]], 0.8)
    problem = gt.InverseProblem(prior, gt.Linear([[1.0]], 0.5), [1.3])
    target = gt.Target(problem, gt.VE(1e-4, 1e5))
    ratio = 0.8 / 0.5
    variances, means = [], []
    for steps in (4000, 8000):
        times = gt.time_grid(target.path, steps, kind="log_snr", t_min=0.0)
        law = gt.laws.affine(gt.Guided(A.DPS(), K.DDPM()), target, times)
        variances.append(float(law.covariance()[0, 0]))
        means.append(float(law.mean()[0]))
    extrapolated = 2 * variances[1] - variances[0], 2 * means[1] - means[0]
    assert abs(extrapolated[0] - 0.25 * (1 - np.exp(-2 * ratio))) < 1e-5
    assert abs(extrapolated[1] - 1.3 * (1 - np.exp(-ratio))) < 1e-5


def test_refusals_name_the_reason(gaussian):
    times = gt.time_grid(gaussian.path, 5)
    mixture = gt.problems.get("two-modes")
    cases = [
        (mixture, gt.Guided(A.Exact(), K.DDPM()), "2 components"),
        (gaussian, gt.Guided(A.ZetaDPS(0.3), K.DDPM()), "ZetaDPS"),
        (gaussian, gt.Published(A.ZetaDPS(0.3)), "Published"),
    ]
    for target, sampler, word in cases:
        with pytest.raises(gt.UnsupportedError, match=word) as caught:
            gt.laws.affine(sampler, target, times)
        assert "hint" in str(caught.value)
    start = gt.GaussianMixture.isotropic([0.5, 0.5], jnp.eye(4)[:2], 1.0)
    with pytest.raises(gt.UnsupportedError, match="initial law of 2 components"):
        sampler = gt.Guided(A.Exact(), K.DDPM())
        gt.laws.affine(sampler, gaussian, times, initial=start)


@pytest.mark.slow
def test_closed_forms_refuse_a_mixture(gaussian):
    law = gt.laws.affine(
        gt.Guided(A.Exact(), K.DDPM()), gaussian, gt.time_grid(gaussian.path, 5)
    )
    two = gt.GaussianMixture.isotropic([0.5, 0.5], jnp.eye(4)[:2], 1.0)
    with pytest.raises(gt.InputError, match="one Gaussian"):
        law.kl(two)


class Halving(gt.AbstractMarkov):
    """N(F x + bend sin(x), (0.2 + spread x_1^2) I), which says that it is affine."""

    bend: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    spread: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    facts: ClassVar[gt.Facts] = gt.Facts("halves", "test", affine=True)

    start = standard_start

    def transition(self, target, x, t, s):
        mean = 0.5 * x + 0.3 * jnp.pad(x[:-1], (1, 0)) + self.bend * jnp.sin(x)
        return gt.gaussian.isotropic(mean, 0.2 + self.spread * x[0] ** 2)


def test_a_step_that_is_not_affine_is_found_out(gaussian):
    """By a mean that bends, or a covariance that varies; the straight one is exact."""
    times = gt.time_grid(gaussian.path, 2, t_max=0.9, t_min=0.1)
    law = gt.laws.affine(Halving(0.0, 0.0), gaussian, times)
    F = 0.5 * np.eye(4) + 0.3 * np.eye(4, k=-1)
    covariance = float(gaussian.path.sigma(times[0])) ** 2 * np.eye(4)
    for _ in range(2):
        covariance = F @ covariance @ F.T + 0.2 * np.eye(4)
    np.testing.assert_allclose(law.covariance(), covariance, rtol=1e-12, atol=1e-14)
    for bend, spread in ((1e-3, 0.0), (0.0, 1e-3)):
        with pytest.raises(gt.InputError, match="not affine"):
            gt.laws.affine(Halving(bend, spread), gaussian, times)
