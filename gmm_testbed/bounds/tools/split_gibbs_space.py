r"""T31 in space: the sampler itself against the posterior with inflated noise.

`gt.algorithms.SplitGibbs` runs sweeps at a fixed coupling r from the noised prior, and its
output is compared to the stationary law as a whole, by the energy distance. That of the
posterior from the stationary law is a closed form up to one integral (`radial`): what the
sampler would show if it were not biased.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import algorithms, divergences
from ..._types import Scalar
from ...estimate import Estimate
from ...mixture import GaussianMixture
from ...paths import Rectified
from ...problem import InverseProblem, Linear, Target
from ...sampling import sample
from ..base import Claim
from ..prior_baseline import expected_log_density
from .radial import energy

_SAMPLES, _SWEEPS = 8000, 40
_SHARE = 0.1  # of the distance from the posterior
_MIXING = 0.08  # r^2 over the largest variance, of which 40 sweeps leave a twentieth


class Posed(NamedTuple):
    """A prior and its linear measurement.

    Attributes:
        prior: a mixture in d dimensions.
        A: (m, d).
        R: (m, m) covariance of the noise.
        y: (m,).
    """

    prior: GaussianMixture
    A: Float[Array, "m d"]
    R: Float[Array, "m m"]
    y: Float[Array, " m"]


def mixes(posed: Posed, coupling) -> bool:
    """Whether the sampler forgets its start, as it does for a Gaussian as wide.

    A coordinate that is not measured contracts by 1 / (1 + r^2 / s^2) in each sweep.
    """
    widest = np.linalg.eigvalsh(np.asarray(posed.prior.covariance()))[-1]
    return float(coupling) ** 2 >= _MIXING * float(widest)


def claims(key, posed: Posed, coupling) -> list[Claim]:
    """Bias by samples of the posterior, and the sampler's output, by energy distances."""
    key_exact, key_run = jax.random.split(key)
    prior, A, R, y = posed
    known = _known(key_exact, posed, coupling)
    target = Target(InverseProblem(prior, Linear(A, R), y), Rectified())
    level = coupling / (1.0 + coupling)  # where the noise is r times the signal
    # A sweep a step, at levels that are the same to 1e-7: a grid has to decrease.
    levels = level * (1.0 - 1e-9 * jnp.arange(_SWEEPS, dtype=level.dtype))
    times, start = jnp.append(levels, 0.0), target.marginal(level)
    sampler = algorithms.SplitGibbs()
    x = sample(key_run, sampler, target, times, _SAMPLES, initial=start).x
    distance, biased = (
        divergences.energy_distance(x, law) for law in (known.law, known.exact)
    )
    apart = Estimate(known.apart, how="quadrature")
    return [
        Claim("bias", known.sampled, Estimate(known.bias), True),
        Claim("sampler and its law", distance, _SHARE * apart),
        Claim("sampler and posterior", biased, apart, True),
    ]


class _Known(NamedTuple):
    exact: GaussianMixture
    law: GaussianMixture
    bias: Scalar
    sampled: Estimate
    apart: Scalar


@eqx.filter_jit
def _known(key, posed, coupling) -> _Known:
    """Both laws, their KL in closed form and by samples, and their energy distance."""
    exact, law = posterior(posed, 0.0 * coupling), posterior(posed, coupling)
    x = exact.sample(key, _SAMPLES)
    logs = jax.vmap(lambda x: exact.log_prob(x) - law.log_prob(x))(x)
    apart = energy(law, exact)
    return _Known(exact, law, bias(posed, coupling), Estimate.mean_of(logs), apart)


@eqx.filter_jit
def order(posed: Posed, coupling):
    """Of the bias, and r^2 |A^T R^-1 A|: how far from small r is."""
    steep = jnp.linalg.eigvalsh(posed.A.T @ jnp.linalg.solve(posed.R, posed.A))[-1]
    once, half = bias(posed, coupling), bias(posed, 0.5 * coupling)
    return jnp.log2(once / half), coupling**2 * steep


def posterior(posed: Posed, coupling) -> GaussianMixture:
    """The stationary law, with noise R + r^2 A A^T; the posterior at 0."""
    prior, A, R, y = posed
    return prior.conditioned(A, R + coupling**2 * A @ A.T, y)


def bias(posed: Posed, coupling) -> Scalar:
    """KL(posterior || stationary law) with matrices, see `prior_baseline`."""
    prior, A, R, y = posed
    exact, wide = posterior(posed, 0.0 * coupling), R + coupling**2 * A @ A.T
    first, second = (
        expected_log_density(exact, A, noise, y) - prior.log_evidence(A, noise, y)
        for noise in (R, wide)
    )
    return first - second
