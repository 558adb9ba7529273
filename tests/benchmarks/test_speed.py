"""Speed, with compilation apart: `pytest tests/benchmarks --benchmark-only -q`.

The comparison of samplers is that of Burns & Fridovich-Keil (arXiv:2605.30330): the line,
4096 particles, 500 Euler-Maruyama steps, double precision.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt

A, K = gt.approximations, gt.kernels
PARTICLES, STEPS = 4096, 500


@pytest.fixture(scope="module")
def two_modes():
    return gt.problems.get("two-modes")


def timed(benchmark, run, rounds=3):
    """Benchmarks `run` after one call that compiles; reports the compilation apart."""
    start = time.perf_counter()
    jax.block_until_ready(run())
    first = time.perf_counter() - start
    benchmark.pedantic(lambda: jax.block_until_ready(run()), rounds=rounds)
    if benchmark.stats is not None:
        benchmark.extra_info["compile_s"] = first - benchmark.stats.stats.min


@pytest.mark.parametrize(
    "approximation",
    [A.DPS(), A.ZetaDPS(0.3), A.PiGDM("flat"), A.TMPD()],
    ids=lambda approximation: type(approximation).__name__,
)
def test_moment_methods(benchmark, two_modes, approximation):
    sampler = gt.Guided(approximation, K.EulerMaruyama())
    times = gt.time_grid(two_modes.path, STEPS, t_min=1e-2)
    key = jax.random.key(1)
    timed(benchmark, lambda: gt.sample(key, sampler, two_modes, times, PARTICLES).x)


def test_finite_sample_reference_with_1024_distinct_atoms(benchmark, two_modes):
    atoms = gt.GaussianMixture.empirical(
        two_modes.problem.prior.sample(jax.random.key(5), 1024)
    )
    assert atoms.num_components == 1024
    problem = gt.InverseProblem(
        atoms, two_modes.problem.measurement, two_modes.problem.y
    )
    target = gt.Target(problem, two_modes.path)
    sampler = gt.Guided(A.Exact(), K.EulerMaruyama())
    times = gt.time_grid(target.path, STEPS, t_min=1e-2)
    key = jax.random.key(2)
    timed(
        benchmark,
        lambda: gt.sample(key, sampler, target, times, PARTICLES).x,
        rounds=1,
    )


@pytest.fixture(scope="module")
def large():
    rng = np.random.default_rng(3)
    means = jnp.asarray(8.0 * rng.integers(-2, 3, (25, 800)).astype(float))
    gm = gt.GaussianMixture.isotropic(np.full(25, 1 / 25), means, 1.0)
    x = jnp.asarray(rng.standard_normal((1000, 800))) + means[rng.integers(0, 25, 1000)]
    return gm, x


def test_score_in_800_dimensions(benchmark, large):
    gm, x = large
    score = jax.jit(lambda gm, x: jax.vmap(gm.score)(x))
    timed(benchmark, lambda: score(gm, x), rounds=10)


def test_matrix_products_of_that_score(benchmark, large):
    """What it must do at least: inner products with 25 means, and a sum of 25 means."""
    gm, x = large
    product = jax.jit(lambda means, x: (x @ means.T) @ means)
    timed(benchmark, lambda: product(gm.means, x), rounds=10)


@pytest.mark.parametrize(
    ("components", "dim", "rank"),
    [
        *((components, 20, 0) for components in (50, 100, 200, 400)),
        *((25, dim, 0) for dim in (100, 200, 400, 800)),
        *((25, 200, rank) for rank in (8, 16, 32, 64)),
    ],
)
def test_score_cost(benchmark, components, dim, rank):
    """To read: each of the three sizes doubles, and the time at most with it."""
    rng = np.random.default_rng(4)
    weights = np.full(components, 1 / components)
    means = rng.standard_normal((components, dim))
    gm = gt.GaussianMixture.isotropic(weights, means, 1.0)
    if rank:
        A = rng.standard_normal((rank, dim)) / np.sqrt(dim)
        gm = gm.conditioned(jnp.asarray(A), jnp.asarray(0.1), jnp.zeros(rank))
    assert gm.basis.shape[-1] == rank
    x = jnp.asarray(rng.standard_normal((2000, dim)))
    score = jax.jit(lambda gm, x: jax.vmap(gm.score)(x))
    timed(benchmark, lambda: score(gm, x), rounds=10)


@pytest.mark.parametrize("steps", [100, 1000])
def test_law_on_the_line(benchmark, two_modes, steps):
    sampler = gt.Guided(A.DPS(), K.DDPM())
    times = gt.time_grid(two_modes.path, steps, t_min=1e-2)

    def run():
        return gt.laws.grid(sampler, two_modes, times).states[-1].density

    timed(benchmark, run)
