"""Problems and points at which methods are asked, built once."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..mixture import GaussianMixture
from ..paths import Rectified
from ..problem import InverseProblem, Linear, Nonlinear, Target

PATH = Rectified()  # alpha = 0 at t = 1, sigma = 0 at t = 0
_MEANS = np.array([[1.7, -1.2, 0.8], [-2.1, 0.9, -0.5], [0.3, 2.3, -2.0]])
_COVARIANCES = np.array(
    [
        [[0.25, 0.10, -0.05], [0.10, 0.45, 0.08], [-0.05, 0.08, 0.18]],
        [[0.15, -0.03, 0.06], [-0.03, 0.13, 0.02], [0.06, 0.02, 0.30]],
        [[0.35, 0.05, 0.03], [0.05, 0.20, -0.10], [0.03, -0.10, 0.25]],
    ]
)
_A = np.array([[1.0, 0.6, -0.2], [0.3, -0.8, 1.1]])
_R = np.array([[0.35, 0.10], [0.10, 0.60]])


class Numbers(NamedTuple):
    """A linear problem in d = 3 with m = 2 and three components, as arrays."""

    means: Any
    covariances: Any
    A: Any
    R: Any
    y: Any


_MIXTURE = Numbers(_MEANS, _COVARIANCES, _A, _R, np.array([0.7, -0.5]))


def _one_gaussian(covariance) -> Numbers:
    """Three equal components: one Gaussian, in the shapes of the mixture."""
    means = np.broadcast_to([0.8, -0.5, 1.7], (3, 3))
    return _MIXTURE._replace(
        means=means, covariances=np.broadcast_to(covariance, (3, 3, 3))
    )


KINDS = {
    "any": _MIXTURE,
    "one gaussian": _one_gaussian(3.0 * _COVARIANCES[0]),
    "isotropic gaussian": _one_gaussian(0.3 * np.eye(3)),
    "unit gaussian": _one_gaussian(np.eye(3)),
}
"""The problems that `ExactWhen.problem` may name; each holds the next."""

VARIANTS = {
    "other observation": _MIXTURE._replace(y=_MIXTURE.y + 0.5),
    "twice the noise": _MIXTURE._replace(R=2 * _R),
    "no information": _MIXTURE._replace(R=1e12 * _R),
    "dependent rows": _MIXTURE._replace(A=np.stack([_A[0], 2 * _A[0]])),
    "zero row": _MIXTURE._replace(A=np.stack([_A[0], 0 * _A[0]])),
}
LINEAR = KINDS | VARIANTS


def tolerance() -> float:
    """Relative error of an identity in the precision of the session."""
    return 1e-9 if jnp.zeros(()).dtype == jnp.float64 else 5e-4


@functools.cache
def target(kind: str, dtype: str | None = None) -> Target:
    """A problem of `LINEAR` along the path, built once for each precision."""
    if dtype is None:
        return target(kind, jnp.zeros(()).dtype.name)
    return build(LINEAR[kind])


def build(numbers: Numbers) -> Target:
    """The target of a linear problem; one program serves all."""
    return _build(jax.tree.map(lambda part: jnp.asarray(part, float), numbers))


@eqx.filter_jit
def _build(numbers):
    weights = jnp.asarray([0.5, 0.3, 0.2])
    prior = GaussianMixture.full(weights, numbers.means, numbers.covariances)
    problem = InverseProblem(prior, Linear(numbers.A, numbers.R), numbers.y)
    return Target(problem, PATH)


def _range_and_product(x):
    return jnp.stack([jnp.sqrt(1.0 + x[0] ** 2 + x[1] ** 2), x[1] * x[2]])


def atoms(measurement=None) -> Target:
    """Twelve atoms, seen through a nonlinear measurement or a given one."""
    points = np.random.default_rng(9).normal(size=(12, 3))
    prior = GaussianMixture.empirical(jnp.asarray(points, float))
    if measurement is None:
        measurement = Nonlinear(_range_and_product, jnp.asarray(_R, float), 2)
    observed = jnp.asarray([0.7, 0.4], float)
    return Target(InverseProblem(prior, measurement, observed), PATH)


def linear_atoms() -> Target:
    """Twelve atoms seen through a linear measurement: no density without noise."""
    return atoms(Linear(jnp.asarray(_A, float), jnp.asarray(_R, float)))


def without_posterior() -> Target:
    """A curved measurement in the plane: the posterior is not a mixture."""
    prior = GaussianMixture.isotropic(
        jnp.asarray([0.6, 0.4]), jnp.asarray(_MEANS[:2, :2], float), jnp.asarray(0.4)
    )
    curved = Nonlinear(lambda x: x[:1] * x[1:], jnp.asarray(0.3), 1)
    observed = jnp.asarray([0.4], float)
    return Target(InverseProblem(prior, curved, observed), PATH, nodes=12)


class Program:
    """A function that is compiled once, and counts how often it is traced.

    Args:
        fn: of trees of arrays.
    """

    def __init__(self, fn: Callable):
        self.traces = 0

        def counted(*arguments):
            self.traces += 1
            return fn(*arguments)

        self._run = eqx.filter_jit(counted)

    def __call__(self, *arguments):
        """Values as NumPy arrays."""
        return jax.tree.map(np.asarray, self._run(*arguments))


class Memo:
    """Values that are computed when first asked for, exceptions too."""

    def __init__(self):
        self._known = {}

    def __call__(self, name, fn: Callable):
        """The value of fn() under its name."""
        if name not in self._known:
            try:
                self._known[name] = fn(), None
            except Exception as error:  # raised again for each question that needs it
                self._known[name] = None, error
        value, error = self._known[name]
        if error is not None:
            raise error
        return value


def gap(value, truth) -> float:
    """Relative distance over all points."""
    return float(np.linalg.norm(value - truth) / np.linalg.norm(truth))


def moved(one, other) -> float:
    """Largest relative distance of two dictionaries of values, where both are finite."""
    sizes = [0.0]
    for key, value in one.items():
        known = np.isfinite(value) & np.isfinite(other[key])
        here, there = (np.where(known, each, 0.0) for each in (value, other[key]))
        sizes.append(np.abs(there - here).max() / max(np.abs(here).max(), 1e-12))
    return float(max(sizes))


def points(seed: int, *shape: int):
    """Standard normal numbers, the same in every run."""
    return np.random.default_rng(seed).normal(size=shape)
