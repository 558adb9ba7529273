"""Information by samples in the plane: sums over coordinates that are independent."""

import jax
import numpy as np
import pytest

import gmm_testbed as gt

WEIGHTS, MEANS, VARIANCES = [0.35, 0.65], np.array([[-1.0], [1.4]]), [0.2, 0.45]
ALONE = 0.6  # variance of the other coordinate
SNR = np.array([0.4, 3.0, 20.0])
TURN = np.array([[0.8, -0.6], [0.6, 0.8]])
LINE = gt.GaussianMixture.isotropic(WEIGHTS, MEANS, VARIANCES)
OTHER = gt.GaussianMixture.isotropic([1.0], [[0.2]], ALONE)


def turned(second):
    """The law of the line beside a Gaussian of this mean and variance, rotated."""
    mean, variance = second
    means = np.concatenate([MEANS, np.full_like(MEANS, mean)], axis=1) @ TURN.T
    covariances = [TURN @ np.diag([v, variance]) @ TURN.T for v in VARIANCES]
    return gt.GaussianMixture.full(WEIGHTS, means, np.array(covariances))


@pytest.mark.parametrize("name", ["mmse", "mmse_slope", "mutual_information"])
def test_by_samples_it_is_the_sum_over_coordinates(name, key, tolerance):
    function = getattr(gt.information, name)
    known = {
        "mmse": ALONE / (1 + ALONE * SNR),
        "mmse_slope": -((ALONE / (1 + ALONE * SNR)) ** 2),
        "mutual_information": 0.5 * np.log1p(ALONE * SNR),
    }[name]
    exact = np.asarray(function(LINE, SNR).value) + known
    found = function(turned((0.2, ALONE)), SNR, key, 4000)
    assert found.how == "4000 samples" and np.all(found.stderr > 0)
    assert np.all(np.abs(found.distance(exact)) < tolerance.z)
    assert np.all(np.abs(exact - known) > 10 * np.asarray(found.stderr))


@pytest.mark.slow
def test_optimal_grid_in_the_plane_is_that_of_the_line(key, tolerance):
    """The other coordinate is all but known: it spends nothing."""
    sure = turned((0.2, 1e-9))
    measurement = gt.Linear(TURN[:, :1].T, 0.7)
    plane, line = (
        gt.Target(gt.InverseProblem(prior, seen, [0.8]), gt.VP())
        for prior, seen in ((sure, measurement), (LINE, gt.Linear([[1.0]], 0.7)))
    )
    ends = {"t_max": 0.9, "t_min": 0.02}
    lead = gt.leading_order(line, **ends).value
    exact = np.append(gt.optimal_grid(line, 16, **ends)[1:-1], lead)
    found = []
    for each in jax.random.split(key, 10):
        case = {"key": each, "num": 1000, **ends}
        times = gt.optimal_grid(plane, 16, **case)
        found.append(np.append(times[1:-1], gt.leading_order(plane, **case).value))
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    assert np.all(np.abs(np.mean(found, axis=0) - exact) < tolerance.z * error)
    assert np.all(error < 0.02 * exact)
    other = np.asarray(gt.time_grid(line.path, 16, "log_snr", **ends))[1:-1]
    assert np.any(np.abs(other - exact[:-1]) > 20 * error[:-1])
    with pytest.raises(gt.UnsupportedError, match="needs samples"):
        gt.optimal_grid(plane, 16, **ends)
