"""Weights of the modes of a mixture among samples, with multinomial intervals."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Float

from ..._checks import require
from ..._samples import takes_sample_sets
from ...estimate import Estimate
from ...mixture import GaussianMixture
from ..grid import over_points
from .checks import checked, sample_mean, share_error


class ModeWeights(NamedTuple):
    """How many samples belong to each component.

    Attributes:
        weights: `Estimate`, (K,).
        lower: (K,), ends of the intervals: all K hold at once at the level asked for.
        upper: (K,).
        exact: (K,), the weights of the mixture.
    """

    weights: Estimate
    lower: Float[Array, " K"]
    upper: Float[Array, " K"]
    exact: Float[Array, " K"]

    @property
    def missed(self) -> Array:
        """Components whose exact weight is outside its interval, (K,)."""
        return (self.exact < self.lower) | (self.exact > self.upper)


@takes_sample_sets
def mode_weights(
    samples,
    mixture: GaussianMixture,
    *,
    labels: str = "soft",
    level: float = 0.95,
    log_weights=None,
) -> ModeWeights:
    r"""Shares of the samples by component.

    Soft labels are the responsibilities P(component k | x): for samples of the mixture
    their mean is the weight exactly, even where components overlap. Hard labels give a
    sample to its most responsible component; then the exact value is the weight only if
    components do not overlap.

    Intervals are Wilson's for a multinomial of n draws (with weights, of the effective
    number \(1/\sum_i w_i^2\)) at Bonferroni's level (Goodman, Technometrics 7 (1965),
    247-254). They are right for hard labels, and for soft ones conservative, as a
    responsibility varies less than a label. The standard errors are the plain ones, but
    for a component of which fewer than one effective sample was seen: half a sample.

    Args:
        samples: (n, d).
        mixture: of dimension d, with a density.
        labels: "soft" or "hard".
        level: of all intervals together.
        log_weights: (n,), need not be normalised; uniform by default.

    Raises:
        InputError: for unknown labels, a level outside (0, 1), a mixture of atoms, or
            samples or weights that do not fit.
    """
    points, weights = checked(samples, mixture, log_weights)
    require(
        labels in ("soft", "hard"),
        "unknown labels",
        got=repr(labels),
        expected="'soft' or 'hard'",
        hint="soft labels have the mixture's weights as their exact mean",
    )
    require(
        0 < level < 1,
        "no such level",
        got=f"level={level}",
        expected="between 0 and 1",
        hint="0.95 is usual",
    )
    shares = _shares(points, mixture, labels == "hard")
    found = sample_mean(shares, weights, log_weights)
    error = share_error(shares, weights)
    found = Estimate(found.value, error, found.how, freedom=found.freedom)
    tail = jnp.asarray((1.0 - level) / (2 * mixture.num_components), points.dtype)
    square = ndtri(tail) ** 2 * jnp.sum(weights**2)
    middle = (found.value + 0.5 * square) / (1.0 + square)
    spread = found.value * (1.0 - found.value) * square + 0.25 * square**2
    reach = jnp.sqrt(spread) / (1.0 + square)
    exact = jnp.exp(mixture.log_weights)
    return ModeWeights(found, middle - reach, middle + reach, exact)


@eqx.filter_jit
def _shares(points, mixture, hard: bool):
    shares = over_points(mixture.responsibilities, points, mixture.num_components)
    if hard:
        best = jnp.argmax(shares, axis=1)
        one = jax.nn.one_hot(best, mixture.num_components, dtype=shares.dtype)
        return jnp.where(jnp.isnan(shares), shares, one)  # NaN belongs to no component
    return shares
