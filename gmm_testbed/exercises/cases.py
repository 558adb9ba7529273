"""Problems at which answers are checked: nothing in them is 1, 0 or equal to another.

A third of all wrong formulas is right where scales are 1 and means 0. Times are chosen so
that alpha and sigma are different too.
"""

from functools import cache

import jax.numpy as jnp

import gmm_testbed as gt

ONE, TWO, SPACE = "one component", "two components", "three dimensions"


def targets() -> dict[str, list[tuple[gt.Target, float]]]:
    """Targets with a time each, by group: K = 1 and 2 on the line; K = 3, d = 3, m = 2."""
    return {
        ONE: [(one_component(), 0.35), (one_component(), 0.62)],
        TWO: [(two_components(), 0.4), (two_components(), 0.27)],
        SPACE: [(space(), 0.57)],
    }


def probes() -> dict[str, list[tuple]]:
    """Arguments (target, x, t), by group: a point where all components have a say."""
    return {
        group: [(target, _point(target, t), t) for target, t in several]
        for group, several in targets().items()
    }


def probes_of_mixtures() -> dict[str, list[tuple]]:
    """The same without K = 1, where weights say nothing."""
    return {group: several for group, several in probes().items() if group != ONE}


def probes_of_one_gaussian() -> list[tuple]:
    """Arguments (target, x, t) with K = 1, in d = 1 and 3."""
    one, several = one_component(), alone(space())
    pairs = (one, 0.35), (one, 0.62), (several, 0.55), (several, 0.3)
    return [(target, _point(target, t), t) for target, t in pairs]


def alone(target: gt.Target) -> gt.Target:
    """The same problem with the first component for its prior."""
    problem, prior = target.problem, target.problem.prior
    first = gt.GaussianMixture.full([1.0], prior.means[:1], prior.covariances()[:1])
    return gt.Target(
        gt.InverseProblem(first, problem.measurement, problem.y), target.path
    )


def problems() -> dict[str, list[tuple]]:
    """Arguments (problem,) of several components, by group."""
    return {
        group: [(several[0][0].problem,)]
        for group, several in probes_of_mixtures().items()
    }


def _point(target, t):
    offsets = jnp.array([0.35, -0.25, 0.15])[: target.problem.prior.dim]
    return target.path.alpha(t) * target.problem.prior.mean() + offsets


@cache
def one_component() -> gt.Target:
    """One Gaussian on the line, straight path."""
    prior = gt.GaussianMixture.isotropic([1.0], [[0.4]], 0.7)
    problem = gt.InverseProblem(prior, gt.Linear([[1.3]], 0.3), [1.1])
    return gt.Target(problem, gt.Rectified())


@cache
def two_components() -> gt.Target:
    """Two Gaussians on the line, VP."""
    prior = gt.GaussianMixture.isotropic([0.35, 0.65], [[-0.9], [1.4]], [0.25, 0.55])
    problem = gt.InverseProblem(prior, gt.Linear([[0.8]], 0.2), [0.6])
    return gt.Target(problem, gt.VP(0.1, 12.0))


@cache
def space() -> gt.Target:
    """Three Gaussians with full covariances in d = 3, two measurements, straight path."""
    roots = jnp.array(
        [
            [[0.7, 0.2, -0.1], [0.1, 0.5, 0.3], [-0.2, 0.15, 0.6]],
            [[0.4, -0.3, 0.2], [0.25, 0.8, -0.15], [0.1, 0.35, 0.45]],
            [[0.65, 0.1, 0.3], [-0.35, 0.55, 0.2], [0.15, -0.2, 0.75]],
        ]
    )
    means = [[0.6, -0.4, 0.3], [-0.5, 0.8, -0.2], [0.2, 0.35, -0.9]]
    prior = gt.GaussianMixture.full(
        [0.25, 0.3, 0.45], means, jnp.einsum("kij,klj->kil", roots, roots)
    )
    A = [[0.9, -0.35, 0.6], [0.15, 1.1, -0.7]]
    noise = [[0.3, 0.1], [0.1, 0.22]]
    problem = gt.InverseProblem(prior, gt.Linear(A, jnp.array(noise)), [0.5, -0.8])
    return gt.Target(problem, gt.Rectified())
