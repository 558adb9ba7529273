r"""T22: when the training set is memorised.

At noise level t the responsibilities w of N training points at a point of their noised law
have entropy H(w): \(e^{H}\) atoms are in play. By T20

\[ E H(w) = \log N - I(x_0; x_t) + E\, KL(\hat p_t \| p_t) , \]

so \(E H \ge \max(0, \log N - I)\), and from above by the bounds of that KL. Collapse, H
near 0, is where \(I(x_0; x_t)\) exceeds \(\log N\): at one time in high dimension, as in
Biroli, Bonnaire, de Bortoli & Mézard (arXiv:2402.18491). For a Gaussian prior
\(I = \frac d2 \log(1 + s^2/\sigma^2)\) and the chi-square information is
\((1 + s^2/\sigma^2)^d - 1\).

That the excess over \(\max(0, \log N - I)\) is a smaller share of \(\log N\) for more
points, so that the curve over \(I / \log N\) sharpens, is asymptotic.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ..estimate import Estimate
from .base import AbstractBound, Case, Claim, Facts, Limit

_FEW, _MANY = 64, 512  # points
_SETS, _MOST = 6144, 16  # data sets, dimensions


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
        return case

    def sides(self, key, dim, information):
        found = []
        keys = jax.random.split(key)
        for drawn, points in zip(keys, (_FEW, _MANY), strict=True):
            log_size = jnp.log(float(points))
            known = information * log_size  # I, in nats
            number, size = (jnp.asarray(float(n)) for n in (dim, points))
            entropy = Estimate.mean_of(_entropies(drawn, number, size, known))
            divergence = jnp.log1p(jnp.expm1(2.0 * known) / points)
            lower = jnp.maximum(0.0, log_size - known)
            upper = log_size - known + jnp.minimum(known, divergence)
            found.append((lower, entropy, upper, (entropy - lower) / log_size))
        (lower, entropy, upper, few), (_, _, _, many) = found
        return [
            Claim("from below", Estimate(lower), entropy),
            Claim("from above", entropy, Estimate(upper)),
            Claim(f"sharper for {_MANY} points", many, few, status="asymptotic"),
        ]


@eqx.filter_jit
def _entropies(key, dim, size, information):
    """Entropy of the responsibilities at a noised training point, (sets,)."""
    used = (jnp.arange(_MOST, dtype=dim.dtype) < dim).astype(dim.dtype)
    beyond = jnp.arange(_MANY, dtype=dim.dtype) >= size
    sigma = 1.0 / jnp.sqrt(jnp.expm1(2.0 * information / dim))

    def one(key):
        key_atoms, key_noise = jax.random.split(key)
        atoms = used[None] * jax.random.normal(key_atoms, (_MANY, _MOST), dim.dtype)
        noise = used * jax.random.normal(key_noise, (_MOST,), dim.dtype)
        gaps = (atoms[:1] - atoms) / sigma + noise[None]  # the point is at atoms[0]
        logits = jnp.where(beyond, -jnp.inf, -0.5 * jnp.sum(gaps**2, axis=1))
        log_shares = jax.nn.log_softmax(logits)
        shares = jnp.exp(log_shares)  # 0 log 0 = 0 where there is no point
        return -jnp.sum(shares * jnp.where(shares > 0, log_shares, 0.0))

    return jax.lax.map(one, jax.random.split(key, _SETS), batch_size=64)
