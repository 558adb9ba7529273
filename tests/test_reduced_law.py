"""Laws in many dimensions by reduction: samples, closed forms, SciPy, and refusals."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import gmm_testbed as gt
from gmm_testbed.laws.reduction.law import _tv_centred
from gmm_testbed.laws.reduction.split import frame_of, split

A, K = gt.approximations, gt.kernels
SAMPLER = gt.Guided(A.TMPD(), K.DDPM())
VARIANCE = 0.15


def gaussian(dim):
    """One mode."""
    return problem(dim, [1.0], [-1.5])


def problem(dim, weights=(0.5, 0.3, 0.2), modes=(-1.5, 1.2, 0.4)):
    """Modes along an oblique line beside the origin, one measurement along it."""
    rng = np.random.default_rng([7, dim])
    line = rng.normal(size=dim)
    line /= np.sqrt((line**2).sum())
    offset = 2.0 * rng.normal(size=dim) / np.sqrt(dim)
    offset -= offset @ line * line
    means = np.asarray(modes)[:, None] * line + offset
    return built(np.asarray(weights), means, np.full((), VARIANCE), 1.3 * line[None])


@eqx.filter_jit
def built(weights, means, variance, A):
    prior = gt.GaussianMixture.isotropic(weights, means, variance)
    size = len(A)
    seen = gt.Linear(A, 0.09, b=np.full(size, 0.2))
    return gt.Target(
        gt.InverseProblem(prior, seen, np.full(size, -0.5)), gt.VP(0.01, 20.0)
    )


def law_of(target, sampler=SAMPLER, **options):
    times = gt.time_grid(target.path, 12, kind="log_snr", t_min=3e-2)
    return gt.laws.reduced(sampler, target, times, **options)


@pytest.mark.slow
def test_law_in_fifty_dimensions_agrees_with_samples(key):
    target = problem(50)
    start = target.posterior(jnp.asarray(0.8))
    times = gt.time_grid(target.path, 12, kind="log_snr", t_max=0.8, t_min=3e-2)
    law = gt.laws.reduced(SAMPLER, target, times, initial=start)
    num = 40_000
    x = np.asarray(gt.sample(key, SAMPLER, target, times, num, initial=start).x)
    covariance = np.asarray(law.covariance())
    z = (x.mean(axis=0) - law.mean()) / np.sqrt(np.diag(covariance) / num)
    assert np.abs(z).max() < 4.5
    directions = np.random.default_rng(0).normal(size=(50, 8))
    directions = np.concatenate([np.asarray(law.frame), directions], axis=1)
    centred = (x - np.asarray(law.mean())) @ directions
    for column, spread in zip(directions.T, (centred**2).T, strict=True):
        product = float(column @ law.covariance_product(jnp.asarray(column)))
        np.testing.assert_allclose(product, column @ covariance @ column, rtol=1e-12)
        assert abs(spread.mean() - product) < 4.5 * spread.std() / np.sqrt(num)
    inside = law.inside.native(-1)
    below = np.cumsum(np.asarray(inside.weights()))
    cell = np.searchsorted(below, 0.35)
    edge = float(inside.position[cell] + 0.5 * inside.spacing)
    found = (x @ np.asarray(law.frame)[:, 0] < edge).mean()
    assert abs(found - below[cell]) < 4.5 * np.sqrt(0.25 / num)


@pytest.mark.slow
def test_one_gaussian_is_the_affine_law():
    target = gaussian(5)
    law = law_of(target)
    affine = gt.laws.affine(SAMPLER, target, law.times)
    exact = target.posterior(law.times[-1])
    np.testing.assert_allclose(law.mean(), affine.mean(), rtol=1e-9)
    np.testing.assert_allclose(law.covariance(), affine.covariance(), atol=1e-9)
    for name in ("kl", "fisher", "w2"):
        value, expected = getattr(law, name)(exact), getattr(affine, name)(exact)
        assert float(expected) > 1e-3
        np.testing.assert_allclose(value, expected, rtol=1e-7)


@pytest.mark.slow
def test_one_gaussian_seen_twice_reduces_to_the_plane():
    """Two measurements span a plane in d = 4: the affine law again, in closed form."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(2, 4))
    target = built(np.ones(1), rng.normal(size=(1, 4)), np.full((), 0.4), rows)
    times = gt.time_grid(target.path, 6, kind="log_snr", t_max=0.7, t_min=0.1)
    law = gt.laws.reduced(SAMPLER, target, times)
    affine = gt.laws.affine(SAMPLER, target, times)
    exact = target.posterior(times[-1])
    assert law.frame.shape == (4, 2)
    np.testing.assert_allclose(law.mean(), affine.mean(), atol=1e-8)
    np.testing.assert_allclose(law.covariance(), affine.covariance(), atol=1e-8)
    assert float(affine.kl(exact)) > 1e-3
    np.testing.assert_allclose(law.kl(exact), affine.kl(exact), rtol=1e-6)
    found = law.w2_between(exact)
    np.testing.assert_allclose(found.lower, affine.w2(exact), rtol=1e-6)
    assert float(found.lower) < float(found.upper) < 1.1 * float(found.lower)
    with pytest.raises(gt.UnsupportedError, match="w2_between"):
        law.w2(exact)


@pytest.mark.slow
def test_plane_in_fifty_dimensions_agrees_with_samples(key):
    """Three modes off a line: means and variances in fifty dimensions, and a region."""
    rng = np.random.default_rng(11)
    means = np.array([[1.5, 0.2], [-1.0, 1.1], [0.3, -1.4]]) @ rng.normal(size=(2, 50))
    means = 0.3 * means + rng.normal(size=50)
    weights, A_row = np.array([0.5, 0.3, 0.2]), (means[0] - means[1])[None] / 2
    target = built(weights, means, np.full((), VARIANCE), A_row)
    times = gt.time_grid(target.path, 8, kind="log_snr", t_max=0.8, t_min=5e-2)
    start = target.posterior(times[0])
    law = gt.laws.reduced(SAMPLER, target, times, initial=start)
    assert law.frame.shape == (50, 2)
    num = 40_000
    x = np.asarray(gt.sample(key, SAMPLER, target, times, num, initial=start).x)
    covariance, frame = np.asarray(law.covariance()), np.asarray(law.frame)
    z = (x.mean(axis=0) - law.mean()) / np.sqrt(np.diag(covariance) / num)
    assert np.abs(z).max() < 4.5
    directions = np.concatenate([frame, rng.normal(size=(50, 6))], axis=1)
    spread = ((x - np.asarray(law.mean())) @ directions) ** 2
    exact = np.einsum("ij,ik,jk->k", covariance, directions, directions)
    z = (spread.mean(axis=0) - exact) / (spread.std(axis=0) / np.sqrt(num))
    assert np.abs(z).max() < 4.5
    density = law.inside.native(-1)
    weights = np.asarray(density.weights()).reshape(density.log_density.shape)
    i, j = (len(weights) // 2, weights.shape[1] // 2)
    edges = [
        float(0.5 * (a[k] + a[k - 1])) for a, k in ((density.x, i), (density.y, j))
    ]
    share = weights[:i, :j].sum()
    found = ((x @ frame) < edges).all(axis=1).mean()
    assert 0.02 < share < 0.98
    assert abs(found - share) < 4.5 * np.sqrt(share * (1 - share) / num)


@pytest.mark.slow
def test_every_direction_adds_the_same():
    """KL, Fisher and squared W2 are linear in d at fixed offset and frame."""
    dims, values = (5, 20, 100_000), []
    for dim in dims:
        target = gaussian(dim)
        law = law_of(target)
        exact = target.posterior(law.times[-1])
        part = split(exact, law.frame)
        gap = float(jnp.sum((law.mean_beyond() - part.centre) ** 2))
        width = float(part.variance)
        values.append(
            [
                float(law.kl(exact)) - 0.5 * gap / width,
                float(law.fisher(exact)) - gap / width**2,
                float(law.w2(exact)) ** 2 - gap,
            ]
        )
        if dim == 20:
            tv = law.tv(exact)
            pinsker = np.sqrt(0.5 * float(law.kl(exact)))
            assert 0.1 < float(tv.lower) < float(tv.upper) < 1.0
            assert float(tv.lower) < pinsker
    first, second, third = np.array(values)
    slope = (second - first) / (dims[1] - dims[0])
    assert (slope > 1e-3).all()
    np.testing.assert_allclose(third, first + slope * (dims[2] - dims[0]), rtol=1e-7)


@pytest.mark.parametrize("dim", [1, 49, 99_998])
@pytest.mark.parametrize("ratio", [0.3, 0.999, 1.05])
def test_total_variation_of_centred_gaussians(dim, ratio):
    level = dim * np.log(ratio) / (ratio - 1.0)
    exact = abs(stats.chi2.cdf(level, dim) - stats.chi2.cdf(level * ratio, dim))
    found = _tv_centred(jnp.asarray(2.0 * ratio), jnp.asarray(2.0), dim)
    np.testing.assert_allclose(found, exact, rtol=1e-8)
    assert float(_tv_centred(jnp.asarray(2.0), jnp.asarray(2.0), dim)) == 0.0


def test_frames_are_found_in_every_form_of_covariance():
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    V, offset = basis[:, :2], basis[:, 2:] @ rng.normal(size=4)
    inner = np.array([[[0.5, 0.1], [0.1, 0.3]], [[0.2, 0.0], [0.0, 0.7]]])
    beyond = 0.4 * (np.eye(6) - V @ V.T)
    means = np.array([[1.0, -0.5], [-0.3, 0.8]]) @ V.T + offset
    prior = gt.GaussianMixture.full([0.3, 0.7], means, V @ inner @ V.T + beyond)
    frame = frame_of(prior, jnp.asarray(V[:, :1].T))
    np.testing.assert_allclose(frame @ frame.T, V @ V.T, atol=1e-12)
    parts = split(prior, frame)
    turn = np.asarray(frame).T @ V
    np.testing.assert_allclose(parts.inside.covariances(), turn @ inner @ turn.T)
    np.testing.assert_allclose(parts.centre, offset, atol=1e-12)
    np.testing.assert_allclose(parts.variance, 0.4, rtol=1e-12)


@pytest.mark.slow
def test_refusals_name_the_reason():
    rng = np.random.default_rng(2)
    near, A_row = problem(50), rng.normal(size=(1, 20))
    thirds = np.ones(3) / 3
    spread = built(thirds, rng.normal(size=(3, 20)), np.full((), VARIANCE), A_row)
    unequal = built(thirds, np.eye(20)[:3], np.array([0.1, 0.2, 0.1]), A_row)
    cases = [
        (spread, SAMPLER, "dimension 3"),
        (unequal, SAMPLER, "three or more"),
        (near, gt.Guided(A.TMPD(), K.DDPM("matched_scalar")), "covariance of a step"),
        (near, gt.Guided(A.PiGDM("data"), K.DDPM()), "mean of a step"),
    ]
    for target, sampler, words in cases:
        with pytest.raises(gt.UnsupportedError, match=words) as caught:
            law_of(target, sampler)
        assert "hint" in str(caught.value)
    with pytest.raises(gt.UnsupportedError, match="differ beyond"):
        split(spread.problem.prior, jnp.eye(20)[:, :1])
