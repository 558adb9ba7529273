"""Diagnostics that know a denoiser, a measurement and y, and no posterior."""

import re
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.spatial import distance

import gmm_testbed as gt
from gmm_testbed.diagnostics import agreement, from_the_model, judge
from gmm_testbed.diagnostics import path_weights as weigh
from gmm_testbed.diagnostics.path_weights import narrowest, summary

DOCS = Path(__file__).parents[1] / "docs" / "without-truth.md"
VARIANCE, NOISE, Y = 0.7, 0.25, 0.9


def gaussian() -> gt.Target:
    """N(0, 0.7) on the line, seen through its denoiser as a network, and no prior."""
    shrink = lambda x, a, s: a * VARIANCE / (a**2 * VARIANCE + s**2) * x  # noqa: E731
    return gt.diagnostics.without_prior(
        gt.denoisers.Network(shrink),
        gt.Linear([[1.0]], NOISE),
        jnp.asarray([Y]),
        gt.VP(),
        1,
    )


@pytest.mark.slow
def test_weights_of_paths_give_the_evidence_of_the_model(key, tolerance):
    """log p(y) = log N(0.9; 0, 0.7 + 0.25), up to the steps of the model's chain."""
    target = gaussian()
    times = gt.time_grid(target.path, 60, t_min=1e-2)
    dps = gt.Guided(gt.approximations.TMPD(), gt.kernels.DDPM("matched"))
    model = from_the_model.model_of(dps, target, times)
    found = weigh(key, dps, model, target, times, 400)
    truth = stats.norm.logpdf(Y, scale=np.sqrt(VARIANCE + NOISE))
    error = float(found.log_evidence.stderr)
    assert abs(float(found.log_evidence.value) - truth) < tolerance.z * error + 0.01
    assert float(found.effective) > 300 and 0.0 < error < 0.1
    assert_allclose(float(jnp.sum(found.shares)), 1.0, rtol=1e-4)
    assert found.noise_levels.shape == found.shares.shape == (61,)
    mean = np.average(np.asarray(found.x)[:, 0], weights=np.asarray(found.normalised))
    scaled = float(target.path.alpha(times[-1])) * Y * VARIANCE / (VARIANCE + NOISE)
    assert abs(mean - scaled) < 0.1  # four standard errors


@pytest.mark.slow
def test_numbers_of_log_weights():
    """S normal with variance v: both divergences v / 2, ESS n exp(-v), log E W = v / 2."""
    n, v = 200_001, 0.5
    S = np.sqrt(v) * stats.norm.ppf((np.arange(n) + 0.5) / n)
    effective, evidence, reverse, forward = summary(jnp.asarray(S))
    assert_allclose(float(effective) / n, np.exp(-v), rtol=2e-3)
    for each in (evidence, reverse, forward):
        assert_allclose(float(each.value), v / 2, rtol=2e-3)
    _, few, *_ = summary(jnp.asarray(np.r_[np.zeros(40), 50.0]))
    assert np.isnan(float(few.stderr))  # one path counts


def test_where_the_variance_arises():
    levels, shares = np.asarray([9.0, 4.0, 2.0, 1.0]), np.asarray([0.1, 0.0, 0.5, 0.4])
    assert narrowest(levels, shares) == (1.0, 4.0, pytest.approx(0.9))
    assert narrowest(levels, np.asarray([0.9, 0.0, 0.1, 0.0]))[:2] == (9.0, 9.0)


def test_energy_test_sees_a_shift_and_no_copy(key, tolerance):
    x, z = jax.random.normal(key, (2, 200, 3))
    assert agreement.same_law(key, x, z).p_value > 0.01
    moved = agreement.same_law(key, x, z + 0.5)
    within, across = (distance.cdist(x, b).mean() for b in (x, z + 0.5))
    energy = 2.0 * across - within - distance.cdist(z, z).mean()
    assert_allclose(moved.share, energy / (2.0 * across), rtol=tolerance.identity)
    assert moved.p_value == 1 / 1000 and 0.01 < moved.share < 0.5


@pytest.mark.slow
def test_a_shift_of_means_by_hand():
    """Weights 3:1 on 0 and 1: the mean goes from 1/2 to 1/4, the spread is sqrt(3)/4."""
    x = jnp.tile(jnp.asarray([[0.0], [1.0]]), (500, 1))
    weights = jnp.tile(jnp.asarray([3.0, 1.0]), 500)
    case = x, x, weights / jnp.sum(weights)
    found = agreement.largest_shift(*case, 0.1, paired=True)
    assert_allclose(float(found.difference.value), 0.25 / np.sqrt(3 / 16), rtol=1e-6)
    assert found.p_value < 1e-10
    assert agreement.largest_shift(*case, 0.6, paired=True).p_value == 1.0


@pytest.mark.slow
def test_a_network_alone_is_enough(key):
    """TMPD is right for one Gaussian; a sampler without y and one too narrow are not."""
    target = gaussian()
    times = gt.time_grid(target.path, 40, t_min=1e-2)
    kernel = gt.kernels.DDPM("matched")
    found = gt.diagnostics.without_truth(
        key,
        gt.Guided(gt.approximations.TMPD(), kernel),
        target,
        times,
        other=gt.Guided(gt.approximations.TMPD(), gt.kernels.DDPM("matched_scalar")),
    )
    assert found.passed, str(found)
    assert [check.name for check in found.checks] == list(gt.diagnostics.CHECKS)
    assert "KL(output" in found.about("paths").words
    assert_allclose(  # of TMPD on one Gaussian, up to the start and log p(y)
        float(found.bound.value), 0.0, atol=4.5 * float(found.bound.stderr) + 0.01
    )
    flat = judge.bound_of(found.weights, jnp.full(60, -1.0))  # of log p(y) = -1
    S = np.asarray(found.weights.log_weights)
    assert_allclose(float(flat.value), -1.0 - S.mean(), rtol=1e-6)
    few = judge.bound_of(found.weights, jnp.arange(60.0))
    assert np.isnan(float(few.value))  # one or two draws fit y
    assert "<table>" in found._repr_html_()
    blind = gt.diagnostics.without_truth(
        key, gt.Guided(gt.approximations.Unguided(), kernel), target, times
    )
    names = {check.name for check in blind.failures()}
    assert {"misfit", "weighted model", "own weights"} <= names, str(blind)
    with pytest.raises(gt.UnsupportedError, match="uses the prior itself"):
        exact = gt.Guided(gt.approximations.Exact(), kernel)
        gt.diagnostics.without_truth(key, exact, target, times)


@pytest.mark.slow
def test_data_show_that_a_denoiser_is_wrong(key):
    """Data three times as wide as the model's own: the draws are too narrow."""
    target = gaussian()
    times = gt.time_grid(target.path, 40, t_min=1e-2)
    data = 3.0 * np.sqrt(VARIANCE) * np.asarray(jax.random.normal(key, (200, 1)))
    found = gt.diagnostics.without_truth(
        key,
        gt.Guided(gt.approximations.TMPD(), gt.kernels.DDPM("matched")),
        target,
        times,
        data=data,
    )
    assert found.about("misfit").status == "failed", str(found)
    assert found.about("own weights").status == "passed"
    with pytest.raises(gt.InputError, match="too few data"):
        from_the_model._of_data(key, data[:10], target, times[-1], 200)


@pytest.mark.slow
def test_the_examples_of_the_page(capsys):
    """docs/without-truth.md runs as it stands."""
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    known = {}
    text = DOCS.read_text(encoding="utf-8")
    for snippet in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(snippet, DOCS.name, "exec"), known)
    printed = capsys.readouterr().out
    assert "tests failed at level" in printed
    assert known["found"].about("misfit").status == "failed"
    assert known["trained"].about("finite").status == "passed"


@pytest.mark.slow
def test_a_program_is_judged_by_its_samples_alone(key):
    """Draws of the posterior of N(0, 0.7) in NumPy, right and with half the spread."""

    def program(problem, denoiser, num, seed, spread=1.0):
        variance = VARIANCE * NOISE / (VARIANCE + NOISE)
        mean = VARIANCE / (VARIANCE + NOISE) * np.asarray(problem.y)
        noise = np.random.default_rng(seed).standard_normal((num, 1))
        return mean[None] + spread * np.sqrt(variance) * noise

    target = gaussian()
    times = gt.time_grid(target.path, 40, t_min=1e-2)
    right, narrow = (
        gt.diagnostics.without_truth(
            key, gt.External(partial(program, spread=s), level="data"), target, times
        )
        for s in (1.0, 0.5)
    )
    assert right.passed, str(right)
    names = {check.name for check in narrow.failures()}
    assert {"ranks", "weighted model"} <= names, str(narrow)
    assert "too narrow" in narrow.about("ranks").words
    assert narrow.about("own weights").status == "unknown" and narrow.weights is None
