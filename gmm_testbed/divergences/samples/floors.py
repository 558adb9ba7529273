"""What a metric shows of perfect samples: the floor under which nothing can be told."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._checks import check_count, require
from ..._types import Key
from ...estimate import Estimate
from ...mixture import GaussianMixture
from .checks import check_truth
from .max_sliced import MaxSliced


class Floor(NamedTuple):
    """Values of a metric between exact samples and their own mixture.

    Attributes:
        mean: `Estimate` of the mean, over repetitions, of the shape of the metric.
        spread: the same shape, standard deviation of a single value.
        values: (repeats, ...), in increasing order.
    """

    mean: Estimate
    spread: Array
    values: Float[Array, "repeats *shape"]

    def quantile(self, level: float = 0.95) -> Array:
        """Value that exact samples exceed in a share 1 - level, interpolated."""
        return jnp.quantile(self.values, jnp.asarray(level, self.values.dtype), axis=0)


def floor(
    metric: Callable[..., Estimate],
    key: Key,
    mixture: GaussianMixture,
    num: int,
    repeats: int = 20,
    *,
    log_weights=None,
) -> Floor:
    """The metric of `num` samples drawn from the mixture itself, `repeats` times.

    Args:
        metric: called as metric(samples, mixture) with samples (num, d), for example
            `mmd_squared`, or `functools.partial(sliced_wasserstein, key)`; it returns
            an `Estimate` of any shape, whose standard error is not used here, or what
            `max_sliced_wasserstein` does.
        key: for the samples.
        mixture: the truth.
        num: number of samples; take as many as the sampler gave.
        repeats: sets of samples, at least three.
        log_weights: (num,), if the samples to compare with are weighted: the metric is
            then called with `log_weights` too, so that the exact samples count alike.

    Raises:
        InputError: if there are fewer than three repetitions, or there is no estimate.
    """
    check_truth("floor(metric, key, mixture, num)", mixture)
    num = check_count(num, "num")
    require(
        repeats >= 3,
        "so few values have no spread to speak of",
        got=f"repeats={repeats}",
        expected="at least 3",
        hint="20 give the floor to a quarter of its spread",
    )
    weighted = {} if log_weights is None else {"log_weights": log_weights}
    values = []
    for each in jax.random.split(key, repeats):
        found = metric(mixture.sample(each, num), mixture, **weighted)
        values.append(estimate_of(found).value)
    values = jnp.sort(jnp.stack(values), axis=0)
    how = f"{repeats} exact sets of {num} samples"
    spread = jnp.std(values, axis=0, ddof=1)
    return Floor(Estimate.mean_of(values, how=how), spread, values)


def estimate_of(found) -> Estimate:
    """What a metric found, as an `Estimate`.

    Raises:
        InputError: unless it is one, or a `MaxSliced`.
    """
    if isinstance(found, MaxSliced):
        return found.distance
    require(
        isinstance(found, Estimate),
        "the metric does not give an estimate",
        got=type(found).__name__,
        expected="an Estimate",
        hint="wrap it in a lambda that picks what to compare",
    )
    return found
