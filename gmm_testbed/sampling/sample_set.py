"""How a sampler makes what it returns."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import concrete
from .._samples import SampleInfo as SampleInfo
from .._samples import SampleSet as SampleSet
from .._types import Scalar
from ..method import Facts


def sample_set(
    x: Float[Array, "num d"],
    log_weights: Float[Array, " num"],
    log_evidence: Scalar,
    steps: int,
    trajectory: Float[Array, "num times d"] | None = None,
    ess: Float[Array, " capacity"] | None = None,
    facts: Facts | None = None,
) -> SampleSet:
    """The result for the user: non-finite samples counted, the padding cut off.

    Args:
        x: (num, d).
        log_weights: (num,), normalised.
        log_evidence: ().
        steps: N.
        trajectory: (num, N + 1, d), or None.
        ess: effective sample sizes at N + 1 times or more, or None.
        facts: of the sampler, for what x are: draws at the last time by default.
    """
    if concrete(x, log_weights):
        x_host, weights = np.asarray(x), np.asarray(log_weights)
        bad = int((~np.isfinite(x_host).all(axis=1) | np.isnan(weights)).sum())
    else:
        bad = jnp.sum(~jnp.isfinite(x).all(axis=1) | jnp.isnan(log_weights))
    ess = None if ess is None else ess[: steps + 1]
    point, clean = facts and facts.output == "point", facts and facts.level == "data"
    info = SampleInfo(bad, steps, trajectory, ess, bool(point), bool(clean))
    return SampleSet(x, log_weights, log_evidence, info)
