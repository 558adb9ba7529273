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

with more dimensions c and \(c_{min}\), \(c_{max}\) are eigenvalues as in C22, and the
first term is the least eigenvalue of \(A^T (G - vAA^T)^{-1} A\). Measured: integrals on
the line; in space means over draws of b_v.

Source: Bruna and Han 2024 (arXiv:2407.00745).
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ..divergences import line_rule
from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, computed, outside
from .tools.assumptions import equal_covariances
from .tools.measured_gaussian import has_inverse

_SLOPE, _NOISE, _Y = 1.3, 0.9, 0.3
_MEANS, _VARIANCE = (-1.0, 1.5), 0.2
_DIGITS = 1e-9
_POINTS, _BEYOND = 7, 0.2  # of a density, and how far beyond the means
_NODES, _REACH = 2001, 4.0  # of curvatures
_SAMPLES = 20000
_PARTS = "mean", "squares", "density"  # in space


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
        """Two modes, one measurement, and a noise level v."""
        means = jnp.asarray(_MEANS)[:, None]
        return {
            "prior": GaussianMixture.isotropic([0.4, 0.6], means, _VARIANCE),
            "A": jnp.full((1, 1), _SLOPE),
            "R": jnp.full((1, 1), _NOISE**2),
            "y": jnp.full(1, _Y),
            "v": case["share"] * (_NOISE / _SLOPE) ** 2,
        }

    def sides(self, key, prior, A, R, y, v):
        """The law of x_0 by way of x_v beside the posterior, and the curvature of b_v.

        Args:
            key: of the draws of b_v in space.
            prior: components of one covariance.
            A: (m, d).
            R: (m, m) covariance of the noise.
            y: (m,).
            v: noise level of the detour, sigma^2 / alpha^2.
        """
        definite = has_inverse(R) and bool(np.any(np.asarray(A) != 0.0))
        fine = definite and 0.0 < v < largest_level(A, R) * (1.0 - _DIGITS)
        kept = (fine, equal_covariances(prior))
        if not all(kept):
            return outside(kept)
        given = prior, A, R, y, jnp.asarray(v)
        pull, certified = _certified(prior, A, R, v)
        if A.shape == (1, 1):
            claims = [
                computed(*sides, equal=True, tolerance=_DIGITS)
                for sides in _moments(*given)
            ]
            least = pull[0, 0] - _steepest(prior, given[-1])
            claims.append(computed("curvature", certified, least))
        else:
            samples, exact, slopes = _drawn(key, *given)
            claims = [
                Claim(label, Estimate.mean_of(values), Estimate(side), True)
                for label, values, side in zip(_PARTS, samples, exact, strict=True)
            ]
            least = np.linalg.eigvalsh(pull[None] - np.asarray(slopes))[:, 0].min()
            claims.append(computed("curvature", certified, least))
        return [claim._replace(assumptions=kept) for claim in claims]


def largest_level(A: ArrayLike, G: ArrayLike) -> float:
    """v* of a measurement (m, d) and its noise (m, m)."""
    A, G = np.asarray(A), np.asarray(G)
    return float(1.0 / np.linalg.eigvalsh(A.T @ np.linalg.solve(G, A))[-1])


def _certified(prior, A, R, v):
    """A^T (R - v A A^T)^-1 A, and the least that -hess log b_v can be."""
    A, R, means = np.asarray(A), np.asarray(R), np.asarray(prior.means)
    pull = A.T @ np.linalg.solve(R - v * A @ A.T, A)
    values = np.linalg.eigvalsh(np.asarray(prior.covariances()[0])) + v
    square = np.max(np.sum((means[:, None] - means[None]) ** 2, axis=-1))
    least = np.linalg.eigvalsh(pull)[0]
    return pull, least + 1.0 / values[-1] - 0.25 * square / values[0] ** 2


@eqx.filter_jit
def _moments(prior, A, R, y, v):
    """On the line, by integrals over b_v: each beside that of the posterior."""
    one, scale = jnp.ones_like(v), jnp.sqrt(v)
    posterior = prior.denoised(y, A[0, 0], jnp.sqrt(R[0, 0]))
    left_over = jnp.sqrt(R[0, 0] - v * A[0, 0] ** 2)
    points, weights = line_rule(
        prior.noised(one, scale).denoised(y, A[0, 0], left_over)
    )
    low, high = jnp.min(prior.means), jnp.max(prior.means)
    beyond = jnp.sqrt(prior.covariances()[0, 0, 0])
    beyond = jnp.where(high > low, _BEYOND * (high - low), beyond)
    x = jnp.linspace(low - beyond, high + beyond, _POINTS)

    def parts(point):
        law = prior.denoised(point, one, scale)
        first = law.mean()[0]
        density = jax.vmap(lambda x: jnp.exp(law.log_prob(x[None])))(x)
        return first, law.total_variance() + first**2, density

    first, second, density = jax.tree.map(
        lambda leaf: jnp.tensordot(weights, leaf, 1), jax.vmap(parts)(points)
    )
    exact = jax.vmap(lambda x: jnp.exp(posterior.log_prob(x[None])))(x)
    largest = jnp.argmax(jnp.abs(density - exact))
    return [
        ("mean", first, posterior.mean()[0]),
        ("variance", second - first**2, posterior.total_variance()),
        ("density", density[largest], exact[largest]),
    ]


@eqx.filter_jit
def _steepest(prior, v):
    """The largest second derivative of log p_v on the line, ()."""
    noised = prior.noised(jnp.ones_like(v), jnp.sqrt(v))
    scale = jnp.sqrt(prior.covariances()[0, 0, 0] + v)
    reach = jnp.maximum(_REACH, jnp.max(jnp.abs(prior.means)) + 2.0 * scale)
    grid = reach * jnp.linspace(-1.0, 1.0, _NODES)
    return jnp.max(jax.vmap(jax.grad(lambda x: noised.score(x[None])[0]))(grid))


@eqx.filter_jit
def _drawn(key, prior, A, R, y, v):
    """Three expectations given a draw of b_v (n,), theirs, and Hessians of log p_v.

    A sum of coordinates, |x_0|^2, and the density at the heaviest mode of the posterior.
    """
    one, scale = jnp.ones_like(v), jnp.sqrt(v)
    posterior, noised = prior.conditioned(A, R, y), prior.noised(one, scale)
    x = noised.conditioned(A, R - v * A @ A.T, y).sample(key, _SAMPLES)
    heaviest = posterior.means[jnp.argmax(posterior.log_weights)]

    def parts(law):
        mean = law.mean()
        square = law.total_variance() + mean @ mean
        return jnp.sum(mean), square, jnp.exp(law.log_prob(heaviest))

    def given(point):
        return parts(prior.denoised(point, one, scale))

    between = 0.5 * (x[:_NODES] + prior.means[:1])
    hessians = jax.vmap(jax.jacfwd(noised.score))(
        jnp.concatenate([x[:_NODES], between])
    )
    return jax.lax.map(given, x, batch_size=1024), parts(posterior), hessians
