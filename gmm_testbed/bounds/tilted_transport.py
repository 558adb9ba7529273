r"""T29: a posterior as an easier posterior at noise v, and the unguided reverse process.

For y = A x_0 + N(0, G) and \(v < v^* = 1/\lambda_{max}(A^T G^{-1} A)\), the noise of y
splits: there is \(x_v = x_0 + N(0, vI)\) with \(y = A x_v\) + independent
N(0, G - v A A^T). Given x_v, y says nothing more of x_0. So if x_v is drawn from the
boosted posterior

\[ b_v(x) \propto p_v(x)\, N(y; Ax, G - vAA^T) , \]

a mixture, and x_0 given x_v from the prior's own reverse process, x_0 has exactly the law
p(x_0|y). On the line with A = a and G = g^2, \(v^* = g^2/a^2\).

What is gained: \(-\nabla^2 \log b_v = a^2/(g^2 - va^2) - \nabla^2 \log p_v\) grows without
bound as v tends to v*, so b_v is log-concave near v*. With components of one variance and
means D apart, `score_lipschitz` certifies it where

\[ \frac{a^2}{g^2 - va^2} + \frac1c - \frac{D^2}{4c^2} > 0, \qquad c = s^2 + v . \]

Source: Bruna and Han 2024 (arXiv:2407.00745).
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ..divergences import line_rule
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Facts, computed, outside
from .tools.assumptions import equal_covariances

_SLOPE, _NOISE, _Y = 1.3, 0.9, 0.3
_MEANS, _VARIANCE = (-1.0, 1.5), 0.2
_DIGITS = 1e-9
_OPERATOR, _COVARIANCE = np.asarray([[_SLOPE]]), np.asarray([[_NOISE**2]])


class TiltedTransport(AbstractBound):
    """Exactness and the certified curvature, over v as a share of v*."""

    facts: ClassVar[Facts] = Facts(
        statement="x_v from p_v N(y; A x, G - v A A^T), then unguided: exact for v < v*",
        assumptions=("0 < v < v*", "components of equal covariance"),
        source="Bruna and Han 2024, arXiv:2407.00745; proof in the docstring",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"share": share} for share in (0.1, 0.5, 0.9, 1.1)
    )

    def setting(self, case):
        return case

    def sides(self, key, share):
        v = share * (_NOISE / _SLOPE) ** 2
        most = largest_level(_OPERATOR, _COVARIANCE) * (1.0 - _DIGITS)
        kept = (0.0 < v < most, equal_covariances(_prior()))
        if not kept[0]:
            return outside(kept)
        sides = _sides(jnp.asarray(share))
        return [
            computed(
                label,
                left,
                right,
                equal=equal,
                tolerance=_DIGITS if equal else 0.0,
                assumptions=kept,
            )
            for label, left, right, equal in sides
        ]


def largest_level(A: ArrayLike, G: ArrayLike) -> float:
    """v* of a measurement (m, d) and its noise (m, m)."""
    A, G = np.asarray(A), np.asarray(G)
    return float(1.0 / np.linalg.eigvalsh(A.T @ np.linalg.solve(G, A))[-1])


def _prior():
    means = jnp.asarray(_MEANS)[:, None]
    return GaussianMixture.isotropic([0.4, 0.6], means, _VARIANCE)


@eqx.filter_jit
def _sides(share):
    v = share * (_NOISE / _SLOPE) ** 2
    prior = _prior()
    y, scale = jnp.full(1, _Y, v.dtype), jnp.sqrt(v)
    one, slope = jnp.ones_like(v), jnp.full_like(v, _SLOPE)
    posterior = prior.denoised(y, slope, jnp.full_like(v, _NOISE))
    left_over = _NOISE**2 - v * _SLOPE**2
    noised = prior.noised(one, scale)
    boosted = noised.denoised(y, slope, jnp.sqrt(left_over))
    points, weights = line_rule(boosted)
    x = jnp.linspace(-1.5, 2.0, 7)

    def parts(point):
        law = prior.denoised(point, one, scale)
        first = law.mean()[0]
        density = jax.vmap(lambda x: jnp.exp(law.log_prob(x[None])))(x)
        return first, law.total_variance() + first**2, density

    first, second, density = jax.tree.map(
        lambda leaf: jnp.tensordot(weights, leaf, 1), jax.vmap(parts)(points)
    )
    exact = jax.vmap(lambda x: jnp.exp(posterior.log_prob(x[None])))(x)
    gap = _MEANS[1] - _MEANS[0]
    c, pull = _VARIANCE + v, _SLOPE**2 / left_over
    certified = pull + 1.0 / c - 0.25 * (gap / c) ** 2
    grid = jnp.linspace(-4.0, 4.0, 2001)
    slopes = jax.vmap(jax.grad(lambda x: noised.score(x[None])[0]))(grid)
    largest = jnp.argmax(jnp.abs(density - exact))
    return [
        ("mean", first, posterior.mean()[0], True),
        ("variance", second - first**2, posterior.total_variance(), True),
        ("density", density[largest], exact[largest], True),
        ("curvature", certified, pull - jnp.max(slopes), False),
    ]
