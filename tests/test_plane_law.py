"""Laws in the plane: against closed forms, samples, and refusals."""

import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.divergences import grid as quadrature
from tests.oracles import problems
from tests.oracles.library import to_target

A, K = gt.approximations, gt.kernels


@pytest.mark.slow
def test_law_of_an_affine_sampler_is_the_affine_law():
    target = to_target(problems.one_gaussian(dim=2, dim_y=1), gt.VP())
    times = gt.time_grid(target.path, 12, kind="log_snr", t_min=3e-2)
    sampler = gt.Guided(A.DPS(), K.DDIM(0.8))
    law = gt.laws.grid(sampler, target, times)
    affine = gt.laws.affine(sampler, target, times)
    assert abs(float(law.escaped_mass)) < 1e-9
    assert float(law.kl(affine.at(-1))) < 1e-7
    np.testing.assert_allclose(law.mean(), affine.mean(), rtol=1e-6)
    np.testing.assert_allclose(law.covariance(), affine.covariance(), rtol=1e-6)


@pytest.mark.slow
def test_law_agrees_with_samples_on_every_cell(key):
    target = gt.problems.get("plane-modes")
    times = gt.time_grid(target.path, 12, kind="log_snr", t_min=3e-2)
    sampler = gt.Guided(A.TMPD(), K.DDPM("matched_scalar"))
    density = gt.laws.grid(sampler, target, times).at(-1)
    num = 300_000
    x = np.asarray(gt.sample(key, sampler, target, times, num).x)
    weights = np.asarray(density.weights()).reshape(density.log_density.shape)
    cells, edges = [], []
    for nodes in (np.asarray(density.x), np.asarray(density.y)):
        width = len(nodes) // 20  # nodes of a cell; the last cell is what remains
        half = 0.5 * (nodes[1] - nodes[0])
        starts = np.arange(0, len(nodes), width)
        cells.append(starts)
        edges.append(np.append(nodes[starts] - half, nodes[-1] + half))
    counts = np.histogram2d(x[:, 0], x[:, 1], edges)[0]
    expected = np.add.reduceat(np.add.reduceat(weights, cells[0]), cells[1], axis=1)
    heavy = expected * num > 50
    z = (counts - num * expected) / np.sqrt(num * expected * (1 - expected))
    assert heavy.sum() > 20
    assert np.abs(z[heavy]).max() < 4.5


def test_a_deterministic_sampler_is_refused():
    target = gt.problems.get("plane-modes")
    times = gt.time_grid(target.path, 8, t_min=1e-2)
    with pytest.raises(gt.UnsupportedError, match="deterministic"):
        gt.laws.grid(gt.Guided(A.Exact(), K.Heun()), target, times)


@pytest.mark.slow
def test_initial_law_is_exact():
    target = gt.problems.get("plane-ring")
    times = gt.time_grid(target.path, 4, kind="log_snr", t_min=0.2)
    start = target.posterior(times[0])
    law = gt.laws.grid(gt.Guided(A.Exact(), K.DDPM()), target, times, initial=start)
    first = law.at(0)
    assert float(quadrature.kl_to(first, start)) < 1e-12
    np.testing.assert_allclose(quadrature.mean(first), start.mean(), atol=1e-9)
    assert float(law.kl(target.posterior(jnp.asarray(0.2)))) > 1e-3
