r"""Nonlinear measurements of finite samples, for which every reference is exact.

A prior of atoms has an exact posterior for any measurement, the finite-sample reference of
Burns & Fridovich-Keil (arXiv:2605.30330). The atoms stand at low-discrepancy points: no
draws, no seed.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ..densities.line_mixture import mixture_quantile
from ..mixture import GaussianMixture
from ..paths import VP
from ..problem import InverseProblem, Nonlinear, Target

_ATOMS = 400
_SECOND = 0.6180339887498949  # multiples of the golden ratio, modulo 1


def skewed() -> GaussianMixture:
    """The smooth prior behind `square` and `absolute`."""
    return GaussianMixture.isotropic([0.7, 0.3], [[0.6], [-1.1]], [0.5, 0.15])


def square() -> Target:
    """y = x^2 + N(0, 0.3^2) = 1.5 of 400 equally likely quantiles of a skewed mixture.

    The sign of x is lost: two modes of different mass.
    """
    return _on_vp(_quantiles(), Nonlinear(_squared, 0.3**2, dim_y=1), [1.5])


def absolute() -> Target:
    """y = |x| + N(0, 0.2^2) = 0.9 of the atoms of `square`: no derivative at 0."""
    return _on_vp(_quantiles(), Nonlinear(jnp.abs, 0.2**2, dim_y=1), [0.9])


def ring_radius() -> Target:
    """The radius of a point of a thick, uneven ring, noise 0.1: the posterior is a ring."""
    across, along = _points()
    angle = 2.0 * np.pi * along + 0.8 * np.sin(2.0 * np.pi * along)
    radius = 1.1 + 0.9 * across
    return _on_vp(_polar(radius, angle), Nonlinear(_radius, 0.1**2, dim_y=1), [1.7])


def roll_angle() -> Target:
    """The direction of a point of a Swiss roll, noise 0.15: two turns stay likely."""
    across, along = _points()
    turn = np.pi * (1.2 + 3.3 * along**0.7)
    radius = 0.16 * turn + 0.12 * (across - 0.5)
    seen = [np.cos(0.7), np.sin(0.7)]
    return _on_vp(_polar(radius, turn), Nonlinear(_direction, 0.15**2, dim_y=2), seen)


def _points():
    """Two coordinates in (0, 1), (N,) each."""
    index = np.arange(_ATOMS)
    return (index * _SECOND + 0.5) % 1.0, (index + 0.5) / _ATOMS


def _polar(radius, angle):
    directions = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return GaussianMixture.empirical(radius[:, None] * directions)


def _quantiles():
    levels = jnp.linspace(0.5 / _ATOMS, 1.0 - 0.5 / _ATOMS, _ATOMS)
    smooth = skewed()
    atoms = jax.vmap(lambda level: mixture_quantile(smooth, level))(levels)
    return GaussianMixture.empirical(atoms[:, None])


def _squared(x):
    return x**2


def _radius(x):
    return jnp.sqrt(jnp.sum(x**2))[None]


def _direction(x):
    return x / jnp.sqrt(jnp.sum(x**2))


def _on_vp(prior, measurement, y) -> Target:
    problem = InverseProblem(prior, measurement, jnp.asarray(y))
    return Target(problem, VP(beta_min=0.01, beta_max=20.0))
