r"""T22: when the training set is memorised.

At noise level t the responsibilities w of N training points at a point of their noised law
have entropy H(w): \(e^{H}\) atoms are in play. By T20

\[ E H(w) = \log N - I(x_0; x_t) + E\, KL(\hat p_t \| p_t) , \]

so \(E H \ge \max(0, \log N - I)\), and from above by the bounds of that KL. Collapse, H
near 0, is where \(I(x_0; x_t)\) exceeds \(\log N\): at one time in high dimension, as in
Biroli, Bonnaire, de Bortoli & Mézard (arXiv:2402.18491). For one Gaussian
with eigenvalues \(\lambda_j\) of its covariance
\(I = \frac12 \sum_j \log(1 + \lambda_j/\sigma^2)\), and the chi-square information is
\(e^{2I} - 1\); for a mixture on the line both are integrals (T20). A level of noise is
given by I in units of log N.

That the excess over \(\max(0, \log N - I)\) is a smaller share of \(\log N\) for more
points, so that the curve over \(I / \log N\) sharpens, is asymptotic.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from .._checks import require
from ..budget.information import mutual_information
from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, Limit
from .training_prior import chi_square_information

_FEW, _MANY = 64, 512  # points
_SETS, _MOST = 6144, 16  # data sets, dimensions
_FARTHEST = 40.0  # logarithm of a signal-to-noise ratio, either way


class Collapse(AbstractBound):
    """Entropy of the responsibilities of 64 points of a Gaussian, over dimension and I."""

    facts: ClassVar[Facts] = Facts(
        statement="max(0, log N - I) <= E H(w) <= log N - I + min(I, log(1 + chi2 / N)); "
        "the excess is a smaller share of log N for larger N",
        assumptions=("independent training points",),
        source="here, from T20; Biroli et al., arXiv:2402.18491",
        status="proved",
        limits=(Limit("dim", 1, _MOST), Limit("information", 1e-3, 50.0)),
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"dim": dim, "information": share}  # in units of log N
        for dim in (1, 16)
        for share in (0.3, 1.0, 1.5)
    )

    def setting(self, case):
        """A normal law in these dimensions, and I at the noise level over log N."""
        normal = GaussianMixture.isotropic([1.0], np.zeros((1, case["dim"])), 1.0)
        return {"prior": normal, "information": case["information"]}

    def sides(self, key, prior, information):
        """E H(w) from below and from above, for few points and for many.

        Args:
            key: of the training sets.
            prior: one Gaussian in any dimension, or a mixture on the line.
            information: I(x_0; x_t) in units of log N, which gives the noise.
        """
        _require_informations(prior)
        found = []
        keys = jax.random.split(key)
        for drawn, points in zip(keys, (_FEW, _MANY), strict=True):
            log_size = jnp.log(float(points))
            known = information * log_size  # I, in nats
            sigma = noise_of(prior, float(known))
            size = jnp.asarray(float(points))
            entropy = Estimate.mean_of(_entropies(drawn, *_drawn(prior), size, sigma))
            divergence = jnp.log1p(_chi_square(prior, known, sigma) / points)
            lower = jnp.maximum(0.0, log_size - known)
            upper = log_size - known + jnp.minimum(known, divergence)
            found.append((lower, entropy, upper, (entropy - lower) / log_size))
        (lower, entropy, upper, few), (_, _, _, many) = found
        return [
            Claim("from below", Estimate(lower), entropy),
            Claim("from above", entropy, Estimate(upper)),
            Claim(f"sharper for {_MANY} points", many, few, status="asymptotic"),
        ]


def _require_informations(prior) -> None:
    require(
        prior.num_components == 1 or prior.dim == 1,
        "both informations are known for one Gaussian and on the line",
        got=f"{prior.num_components} components in dimension {prior.dim}",
        expected="1 component or dimension 1",
        hint="the statement holds for any prior; try a marginal",
    )


def noise_of(prior: GaussianMixture, information: float):
    """The noise level sigma, (), at which I(x_0; x_0 + sigma eps) is so many nats.

    Raises:
        InputError: if there is none, as for an atom.
    """
    values = np.linalg.eigvalsh(np.asarray(prior.covariance()))

    def excess(log_snr):
        if prior.num_components == 1:
            return 0.5 * np.sum(np.log1p(values * np.exp(log_snr))) - information
        found = mutual_information(prior, jnp.exp(jnp.asarray(log_snr)))
        return float(found.value) - information

    middle = -np.log(values.max() or 1.0)
    low, high = middle - _FARTHEST, middle + _FARTHEST
    require(
        information > 0.0 and excess(high) > 0.0,
        "no noise level has this mutual information",
        got=f"{information:g} nats",
        expected="a positive number, for a prior with a density",
        hint="it is `information` times the logarithm of the number of points",
    )
    root = brentq(excess, low, high, xtol=1e-15, rtol=1e-15)
    return jnp.asarray(np.exp(-0.5 * root))


def _chi_square(prior, information, sigma):
    """The chi-square information, ()."""
    if prior.num_components == 1:
        return jnp.expm1(2.0 * information)
    return chi_square_information(prior, sigma)


def _drawn(prior):
    """Log-weights (K,), centres and scales (K, d): one Gaussian in its eigenbasis."""
    if prior.dim == 1:
        return prior.log_weights, prior.means, jnp.sqrt(prior.covariances()[:, :, 0])
    values = np.linalg.eigvalsh(np.asarray(prior.covariances()[0]))
    scales = jnp.sqrt(jnp.maximum(jnp.asarray(values)[None], 0.0))
    return prior.log_weights, 0.0 * scales, scales


@eqx.filter_jit
def _entropies(key, log_weights, centres, scales, size, sigma):
    """Entropy of the responsibilities at a noised training point, (sets,)."""
    dim, dtype = scales.shape[1], scales.dtype
    width = max(dim, _MOST)  # the first columns of the same numbers in all dimensions
    beyond = jnp.arange(_MANY, dtype=size.dtype) >= size

    def one(key):
        key_atoms, key_noise = jax.random.split(key)
        parts = jax.random.categorical(
            jax.random.fold_in(key_atoms, 1), log_weights, shape=(_MANY,)
        )
        normal = jax.random.normal(key_atoms, (_MANY, width), dtype)[:, :dim]
        atoms = centres[parts] + scales[parts] * normal
        noise = jax.random.normal(key_noise, (width,), dtype)[:dim]
        gaps = (atoms[:1] - atoms) / sigma + noise[None]  # the point is at atoms[0]
        logits = jnp.where(beyond, -jnp.inf, -0.5 * jnp.sum(gaps**2, axis=1))
        log_shares = jax.nn.log_softmax(logits)
        shares = jnp.exp(log_shares)  # 0 log 0 = 0 where there is no point
        return -jnp.sum(shares * jnp.where(shares > 0, log_shares, 0.0))

    return jax.lax.map(one, jax.random.split(key, _SETS), batch_size=64)
