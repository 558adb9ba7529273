"""Langevin steps: against recursions, and transition matrices in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.interpolate import CubicSpline
from scipy.stats import norm

import gmm_testbed as gt
from gmm_testbed import study

from .oracles import line_sampler as oracle
from .test_experiments import FOLDER

Langevin, ladder = gt.algorithms.Langevin, gt.algorithms.ladder
MEAN, WEIGHTS = 5.0 * np.sqrt(2.0), np.array([0.8, 0.2])
SIGMAS = np.exp(np.linspace(np.log(20.0), 0.0, 10))
X = np.linspace(-120.0, 120.0, 1601)


def annealed(repeats, epsilon, sigmas=SIGMAS):
    """Mass (N,) at the nodes X after every level, from the triangle of a square.

    Along the diagonal, by one matrix of transitions a level.
    """
    mass = np.maximum(0.0, 1.0 - np.abs(X) / (8.0 * np.sqrt(2.0)))
    mass, found = mass / mass.sum(), []
    for sigma in sigmas:
        logits = np.log(WEIGHTS) - 0.5 * (X[:, None] - [MEAN, -MEAN]) ** 2 / sigma**2
        shares = np.exp(logits - logits.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        size = epsilon * sigma**2
        mean = X + 0.5 * size * (shares @ [MEAN, -MEAN] - X) / sigma**2
        moves = norm.pdf(X, mean[:, None], np.sqrt(size)) * (X[1] - X[0])
        for _ in range(repeats):
            mass = mass @ moves
        found.append(mass)
    return found


def right_of_zero(mass):
    return mass[X > 0].sum() + 0.5 * mass[X == 0].sum()


def test_one_gaussian_tends_to_a_wider_one():
    """v' = (1 - h/(2V))^2 v + h, whose fixed point is V / (1 - h/(4V)); so for the mean."""
    target, t = gt.problems.get("one-gaussian"), 0.3
    _, (mean,), (V,) = oracle.noised(
        oracle.posterior(oracle.PROBLEMS["one-gaussian"]), t
    )
    _, sigma, *_ = oracle.path(t)
    times = jnp.linspace(1.0, t, 41)
    law = gt.laws.affine(Langevin(epsilon=0.7, levels=[t]), target, times)
    h, v, m = 0.7 * sigma**2, float(target.path.sigma(1.0)) ** 2, 0.0
    found = []
    for _ in range(40):
        shrunk = 1.0 - 0.5 * h / V
        m, v = mean + shrunk * (m - mean), shrunk**2 * v + h
        found.append((m, v))
    assert_allclose(law.at(7).mean()[0], found[6][0], rtol=1e-9)
    assert_allclose(law.at(7).covariance()[0, 0], found[6][1], rtol=1e-9)
    assert_allclose(law.covariance()[0, 0], V / (1.0 - 0.25 * h / V), rtol=1e-6)


def test_a_ladder_has_as_many_steps_at_every_level_but_the_first():
    levels = np.array([0.9, 0.35, 0.1, 0.0])
    times = ladder(levels, 3)
    assert_allclose(times[1:4], [0.9 - 0.55 / 3, 0.9 - 1.1 / 3, 0.35], rtol=1e-12)
    rungs = [float(Langevin(levels=levels).rung(s)) for s in times[1:]]
    assert rungs == [0.35] * 3 + [0.1] * 3 + [0.0] * 3


def test_without_levels_every_time_is_one():
    target, x = gt.problems.get("two-modes"), jnp.asarray([0.4])
    t, s = jnp.asarray(0.6), jnp.asarray(0.5)
    moved = Langevin(epsilon=0.2).transition(target, x, t, s)
    same = Langevin(epsilon=0.2, levels=[0.5, 0.1]).transition(target, x, t, s)
    other = Langevin(epsilon=0.2, levels=[0.55, 0.1]).transition(target, x, t, s)
    assert_allclose(moved.mean, same.mean, rtol=1e-12)
    assert abs(float(other.mean[0] - moved.mean[0])) > 1e-3


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Langevin(epsilon=0.0), "epsilon > 0"),
        (lambda: Langevin(levels=[0.1, 0.5]), "decreasing times"),
        (lambda: Langevin(levels=[1.2, 0.5]), "decreasing times"),
        (lambda: ladder([0.5], 3), "L >= 2"),
        (lambda: ladder([0.5, 0.1], 0), "repeats"),
    ],
)
def test_what_is_no_ladder_is_refused(make, words):
    with pytest.raises(gt.InputError) as caught:
        make()
    assert words in str(caught.value)


def test_weights_after_levels_are_those_of_transition_matrices():
    """The experiment with ten steps a level; its start is a triangle of narrow modes."""
    file = study.read(FOLDER / "annealed_langevin.py").inside
    found = file.after_levels(0.1, 10)
    wanted = annealed(10, 0.1)
    weights = [right_of_zero(mass) for mass in wanted]
    assert_allclose(found.arrays["weights"], weights, atol=2e-5)
    assert_allclose(found.metrics["weight"].value, 0.678, atol=5e-4)
    x, step = np.linspace(-16.0, 16.0, 16_001, retstep=True)
    gap = CubicSpline(X, wanted[-1] / (X[1] - X[0]))(x)
    gap -= norm.pdf(x[:, None], [MEAN, -MEAN]) @ WEIGHTS
    tv, w1 = 0.5 * np.abs(gap).sum() * step, np.abs(np.cumsum(gap)).sum() * step**2
    assert_allclose(found.metrics["tv"].value, tv, atol=2e-5)
    assert_allclose(found.metrics["W1"].value, w1, rtol=1e-4)
