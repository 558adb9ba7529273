"""Windowed sums of Gaussians against plain ones."""

import numpy as np
import pytest
from scipy.special import logsumexp

from gmm_testbed.laws import resolution
from gmm_testbed.laws.line import bands, programs


def plain(mass, mean, scale, points):
    z = (points[:, None] - mean) / scale
    return (np.exp(-0.5 * z**2) / (scale * np.sqrt(2 * np.pi))) @ mass


@pytest.fixture(params=[1 << 19, 1 << 12], ids=["whole", "in pieces"])
def at_once(request, monkeypatch):
    """All exponentials at a time, and a few."""
    monkeypatch.setattr(bands, "_AT_ONCE", request.param)


@pytest.mark.parametrize("count", [1, 77, 640])
def test_density_is_the_sum_over_all_sources(count, at_once):
    rng = np.random.default_rng(5)
    mass = rng.exponential(size=300) * (rng.uniform(size=300) > 0.3)
    mean, scale = rng.normal(size=300) * 3.0, rng.uniform(0.02, 0.4, 300)
    points = rng.uniform(-9.0, 9.0, count)  # in no order
    found = bands.density((mass, mean, scale), points)
    exact = plain(mass, mean, scale, points)
    np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-15 * exact.max())


def test_density_is_zero_where_nothing_reaches():
    one = np.ones(1)
    far = np.array([100.0, 0.0, -100.0])
    found = bands.density((one, 0.0 * one, one), far)
    assert found[0] == found[2] == 0.0
    np.testing.assert_allclose(found[1], 1 / np.sqrt(2 * np.pi), rtol=1e-14)
    assert not bands.density((0.0 * one, one, one), far).any()


def test_steps_are_repeated_sums_also_where_means_cross(at_once):
    rng = np.random.default_rng(6)
    rows, count = 5, 96
    points = np.sort(rng.uniform(-3.0, 3.0, (rows, count)), axis=1)
    points[:, -32:] = rng.uniform(-0.1, 0.1, (rows, 32))  # nodes about a jump
    mean = 0.9 * points + 0.4 * np.sign(points)
    mean[2] = -points[2]
    scale, weight = rng.uniform(0.1, 0.5, (rows, count)), rng.uniform(0.0, 0.1, (5, 96))
    density = rng.exponential(size=count)
    found = bands.steps(density, weight, mean, scale, points)
    for row in range(rows):
        targets = points[min(row + 1, rows - 1)]
        density = plain(density * weight[row], mean[row], scale[row], targets)
        np.testing.assert_allclose(found[row], density, rtol=1e-12)


def crowded(rng):
    """Sources that are crowded near zero, and points in equal steps and others."""
    mean = np.concatenate([np.linspace(-4.0, 4.0, 600), 0.05 * rng.normal(size=600)])
    points = np.concatenate([np.linspace(-4.0, 4.0, 640), rng.uniform(-0.1, 0.1, 160)])
    return mean, np.full(1200, 0.05), points


def test_windows_are_in_groups_where_sources_crowd_in_one_place(at_once):
    rng = np.random.default_rng(9)
    mean, scale, points = crowded(rng)
    found = bands._windows(mean[None], scale[None], points[None])
    groups = bands._groups(found.width)
    assert len(groups) > 1
    assert sorted(np.concatenate([runs for runs, _ in groups])) == list(range(50))
    mass = rng.exponential(size=1200)
    exact = plain(mass, mean, scale, points)
    found = bands.density((mass, mean, scale), points, 640)
    np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-15 * exact.max())


def test_steps_are_in_groups_where_sources_crowd_in_one_place(at_once):
    rng = np.random.default_rng(10)
    points = np.stack([crowded(rng)[2]] * 3)
    mean, scale = 0.9 * points, np.full(points.shape, 0.05)
    weight, density = rng.uniform(0.0, 0.1, points.shape), rng.exponential(size=800)
    assert len(bands._groups(bands._windows(mean, scale, points).width)) > 1
    found = bands.steps(density, weight, mean, scale, points, 640)
    for row in range(3):
        density = plain(density * weight[row], mean[row], scale[row], points[row])
        atol = 1e-15 * density.max()
        np.testing.assert_allclose(found[row], density, rtol=2e-12, atol=atol)


@pytest.mark.parametrize("least", [0.05, 0.5], ids=["of many scales", "of one scale"])
@pytest.mark.parametrize("coarse", [1.0, 40.0], ids=["fine", "too coarse to step"])
def test_equal_steps_give_the_same_sums(coarse, least, at_once):
    rng = np.random.default_rng(7)
    points = np.concatenate([np.linspace(-3.0, 3.0, 128), rng.uniform(-1, 1, 32)])
    mean, weight = 0.9 * points + 0.1, rng.uniform(0.0, 0.1, 160)
    scale = rng.uniform(least, 0.5, 160) / coarse
    density = rng.exponential(size=160)
    exact = plain(density * weight, mean, scale, points)
    found = bands.density((density * weight, mean, scale), points, 128)
    np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-15 * exact.max())
    rows = [np.stack([part] * 3) for part in (weight, mean, scale, points)]
    found = bands.steps(density, *rows, 128)
    for row in found:
        density = plain(density * weight, mean, scale, points)
        atol = 1e-15 * density.max()
        np.testing.assert_allclose(row, density, rtol=2e-12, atol=atol)


@pytest.mark.parametrize("ratio", [1.5, 2.0, 2.5])
def test_aliasing_is_the_ripple_of_equal_gaussians(ratio):
    """Equal Gaussians whose means are `ratio` scales apart: a constant and a ripple."""
    means = ratio * np.arange(-20, 21)
    points = np.linspace(-0.5 * ratio, 0.5 * ratio, 101)
    law = plain(np.full(41, ratio), means, np.ones(41), points)
    found = resolution.aliasing(np.full(5, 0.2), np.full(5, ratio))
    np.testing.assert_allclose(found, np.abs(law - 1.0).max(), rtol=1e-3)
    room = resolution.allowance(np.full(5, 0.2), np.full(5, ratio))
    largest = ratio * room, ratio * room * 2**0.25
    errors = [2.0 * np.exp(-2.0 * (np.pi / each) ** 2) for each in largest]
    assert errors[0] <= resolution.TOLERANCE < errors[1]


@pytest.mark.parametrize("count", [1, 33, 1000])
def test_log_density_is_the_sum_over_all_sources_in_the_tails_too(count):
    """Against SciPy's sum of all of them, down to where the density is e^-5000."""
    rng = np.random.default_rng(8)
    mass = rng.exponential(size=300) * (rng.uniform(size=300) > 0.3)
    mean, scale = rng.normal(size=300) * 3.0, rng.uniform(0.02, 0.4, 300)
    points = np.linspace(-50.0, 40.0, count)
    found = programs.log_density((mass, mean, scale), points)
    z = (points[:, None] - mean) / scale
    with np.errstate(divide="ignore"):
        terms = np.log(mass) - np.log(scale) - 0.5 * z**2 - 0.5 * np.log(2 * np.pi)
    exact = logsumexp(terms, axis=1)
    assert exact.min() < -5000.0
    np.testing.assert_allclose(found, exact, rtol=1e-13, atol=1e-13)


def test_log_density_of_nothing_is_minus_infinity():
    nothing, points = np.zeros(3), np.linspace(-1.0, 1.0, 5)
    found = programs.log_density((nothing, nothing, nothing + 1.0), points)
    assert (found == -np.inf).all()
