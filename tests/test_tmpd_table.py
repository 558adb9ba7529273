"""The fast samplers and the metric of the TMPD table are the library's, in d dimensions."""

import importlib
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import gmm_testbed as gt

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
DIM, ROWS, NOISE, SEED, NUM = 80, 2, 0.3, 3, 5


@pytest.fixture(scope="module")
def fast():
    sys.path.insert(0, str(EXPERIMENTS))
    yield importlib.import_module("tmpd_sampler")
    sys.path.remove(str(EXPERIMENTS))


@pytest.fixture(scope="module")
def table(fast):
    return importlib.import_module("tmpd_table")


def test_the_problem_is_the_published_one():
    target = gt.problems.grid25(80, 4, 0.1, 7)
    problem = target.problem
    norms = np.linalg.norm(np.asarray(problem.prior.means), axis=1)
    assert np.isclose(norms.max(), 16.0 * np.sqrt(80), rtol=1e-12)  # 143
    assert np.isclose(norms.min(), 0.0)
    assert problem.prior.means.shape == (25, 80)
    values = np.linalg.svd(np.asarray(problem.measurement.A), compute_uv=False)
    assert values.max() < 1.0 and values.min() > 0.0 and len(values) == 4
    louder = gt.problems.grid25(80, 4, 1.0, 7).problem
    assert np.array_equal(louder.measurement.A, problem.measurement.A)
    frame = gt.problems.grid25_frame(80, 4, 7)
    assert frame.shape == (80, 6)
    for rows in (problem.prior.means, problem.measurement.A):
        assert np.abs(rows - rows @ frame @ frame.T).max() < 1e-12 * 143


@pytest.mark.parametrize("dim, rows", [(7, 1), (8, 0), (8, 9)])
def test_other_problems_are_refused(dim, rows):
    with pytest.raises(gt.InputError, match="25-mode"):
        gt.problems.grid25(dim, rows, 0.1, 0)


def test_the_observations_have_their_law(tolerance):
    """The distribution function of p(y) at y is uniform."""
    levels = []
    for seed in range(60):
        problem = gt.problems.grid25(8, 1, 0.5, seed).problem
        A = np.asarray(problem.measurement.A)[0]
        means = np.asarray(problem.prior.means) @ A
        z = (float(problem.y[0]) - means) / np.sqrt(A @ A + 0.25)
        levels.append(norm.cdf(z).mean())
    error = np.sqrt(1.0 / 12.0 / len(levels))
    assert abs(np.mean(levels) - 0.5) < tolerance.z * error


@pytest.mark.parametrize("final", [False, True])
def test_steps_are_those_of_the_library_in_all_dimensions(fast, final, tolerance):
    """Along the frame the fast step; beyond it a factor and noise, the same everywhere."""
    frame = gt.problems.grid25_frame(DIM, ROWS, SEED)
    whole = gt.problems.grid25(DIM, ROWS, NOISE, SEED)
    small = fast.problem_of(gt.problems.grid25(DIM, ROWS, NOISE, SEED, frame=frame))
    times = jnp.asarray([0.9, 0.62, 0.3, 0.1, 0.02, 0.01])
    steps = fast.steps_of(whole.path, times)
    rng = np.random.default_rng(11)
    noise = rng.standard_normal((NUM, DIM))

    @eqx.filter_jit
    def step(sampler, x, t, s):
        law = jax.vmap(lambda x: sampler.transition(whole, x, t, s))(x)
        return law.mean + (0.0 if final else law.scale[:, None] * noise)

    for i, (t, s) in enumerate(zip(times[:-1], times[1:], strict=True)):
        x = np.asarray(whole.posterior(t).sample(jax.random.key(i), NUM))
        x = x + 2.0 * float(whole.path.sigma(t)) * rng.standard_normal(x.shape)
        now = jax.tree.map(lambda leaf, i=i: leaf[i], steps)
        inside = dict.fromkeys(fast.SAMPLERS, frame.T @ x.T)
        moved = fast.advance(inside, frame.T @ noise.T, small, now, final)
        for name, sampler in fast.SAMPLERS.items():
            there = np.asarray(step(sampler, jnp.asarray(x), t, s))
            size = np.abs(there).max()
            along = there @ frame
            assert np.abs(along - moved[name].T).max() < tolerance.identity * size, name
            kernel = now.ddpm if name == "DPS" else now.euler
            gain = 1.0 / (now.alpha**2 + now.sigma**2)  # of M, for N(0, 1)
            keep = kernel[0] + kernel[1] * now.alpha * gain
            beyond = keep * x + (0.0 if final else kernel[2] * noise)
            beyond = beyond - beyond @ frame @ frame.T
            assert np.abs(there - along @ frame.T - beyond).max() < 1e-9 * size, name


def test_the_spread_beyond_follows_its_recursion(fast):
    """By NumPy: N(0, 1) under the reverse steps of both kernels."""
    path = gt.problems.grid25(8, 1, 1.0, 0).path
    times = gt.time_grid(path, 40, t_min=1e-3)
    t = np.asarray(times)
    found = fast.spread_beyond(path, times)

    def beta(t):
        return 0.1 + 24.9 * t

    def alpha2(t):
        return np.exp(-0.5 * 24.9 * t**2 - 0.1 * t)

    euler = ddpm = 1.0 - alpha2(1.0)
    for a, b in zip(t[:-1], t[1:], strict=True):
        keep = 1.0 - 0.5 * beta(a) * (a - b)  # f x - g^2 s = (-beta/2 + beta) x
        euler = keep**2 * euler + (beta(a) * (a - b) if b > t[-1] else 0.0)
        ratio = alpha2(a) / alpha2(b)
        keep = np.sqrt(ratio) * (1 - alpha2(b)) + np.sqrt(alpha2(b)) * (
            1 - ratio
        ) * np.sqrt(alpha2(a))
        keep, fresh = keep / (1 - alpha2(a)), (1 - ratio) * (1 - alpha2(b))
        ddpm = keep**2 * ddpm + (fresh / (1 - alpha2(a)) if b > t[-1] else 0.0)
    assert np.isclose(found["TMPD"], np.sqrt(euler), rtol=1e-9)
    assert np.isclose(found["DPS"], np.sqrt(ddpm), rtol=1e-9)


def test_the_distance_is_the_sliced_one_of_all_dimensions(table, key, tolerance):
    """Shifted, wide samples in d = 8; exact ones are the floor of the table."""
    dim, num, count = 8, 60, 12
    frame = gt.problems.grid25_frame(dim, 1, SEED)
    small = gt.problems.grid25(dim, 1, NOISE, SEED, frame=frame).exact_posterior
    whole = gt.problems.grid25(dim, 1, NOISE, SEED).exact_posterior
    rng = np.random.default_rng(5)
    samples = {"one": 6.0 * rng.standard_normal((3, num)) + 2.0}
    rest = rng.standard_normal((num, dim))
    theta = np.asarray(jax.random.normal(key, (count, dim)))
    theta = theta / np.linalg.norm(theta, axis=1, keepdims=True)
    found = table.distances(small, frame, theta, samples, rest, {"one": 1.3})[0]
    x = samples["one"].T @ frame.T + 1.3 * (rest - rest @ frame @ frame.T)
    expected = gt.divergences.sliced_wasserstein(
        key, jnp.asarray(x), whole, p=1, directions=count, kind="gaussian"
    )
    assert np.isclose(found, float(expected.value), rtol=tolerance.identity)
    assert found > 1.0
