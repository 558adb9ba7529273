"""Lines along every two means of a mixture, where its density bends most."""

import itertools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...mixture import GaussianMixture

_FAR = (0.0, 1.0, 4.0, 16.0, 64.0)  # of a line, where 1 changes a ratio by about e
_NOTHING = 1e-9  # of a distance, which is rounding
_REACH = 1.5  # of a line beyond its two means, in their distance


def _pairs(mixture: GaussianMixture):
    """Means (n, d), weights, and the pairs of those that have a weight and differ."""
    means, weights = np.asarray(mixture.means), np.exp(np.asarray(mixture.log_weights))
    for i, j in itertools.combinations(np.flatnonzero(weights > 0.0), 2):
        if np.any(means[i] != means[j]):
            yield means[i], means[j], weights[i], weights[j]


def diameter(mixture: GaussianMixture) -> float:
    """The largest distance between two means of positive weight."""
    return max(
        (float(np.linalg.norm(a - b)) for a, b, *_ in _pairs(mixture)), default=0.0
    )


def chords(mixture: GaussianMixture, scale: float, nodes: int) -> Float[Array, "n d"]:
    """Points on lines along every two means, one of each where both are as likely.

    The lines are that through the two, and others ever farther from the rest of the
    means, where these count less.

    Args:
        mixture: of components of one isotropic covariance.
        scale: standard deviation of a component where the points are used.
        nodes: points of a line, an odd number.
    """
    means = np.asarray(mixture.means)
    found, share = [means[:1]], np.linspace(-1.0, 1.0, nodes)[:, None]
    for a, b, first, second in _pairs(mixture):
        gap, middle = b - a, 0.5 * (a + b)
        square = float(gap @ gap)
        even = middle + gap * scale**2 / square * np.log(first / second)
        reach = 0.5 + _REACH * max(1.0, scale / np.sqrt(square))
        line = even + reach * share**3 * gap  # denser at its middle
        beside = middle - means.mean(axis=0)
        beside = beside - gap * (beside @ gap) / square
        length = float(np.linalg.norm(beside))
        away = beside * scale**2 / length**2 if length > _NOTHING else 0.0 * beside
        found += [line + far * away for far in _FAR]
    return jnp.asarray(np.concatenate(found))
