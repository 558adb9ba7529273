r"""T37: the density of classifier-free guidance without noise, against the tilted law.

Along \(v = \sigma^2/\alpha^2\) the probability flow of the guided score
\(s_g = g s_p + (1 - g) s_q\) (of \(z = x/\alpha\)) is \(dz/dv = -\tfrac12 s_g\). On its
trajectories the density \(\rho\) of the output obeys
\(d \log\rho/dv = \tfrac12 \nabla\cdot s_g\), and
\(d \log p_v/dv = \tfrac12 (\nabla\cdot s_p + |s_p|^2 - s_p\cdot s_g)\), \(q_v\) likewise.
In the sum the divergences cancel; of the squares \(\tfrac12 g(1-g)|s_p - s_q|^2\) stays:

\[ \Big[\log\rho - g \log p - (1-g) \log q\Big]_{v_0}
   = \Big[\log\rho - g \log p - (1-g) \log q\Big]_{V}
   - \tfrac{g (g-1)}2 \int_{v_0}^V |s_p - s_q|^2 dv . \]

The first bracket is the output against the tilt \(p^g q^{1-g}\); the second tends to a
constant for V to infinity. So guidance without noise is the tilt with a price on the way:
what was told from q early weighs less. On the Gaussians of Bradley & Nakkiran
(arXiv:2408.09000) it gives the variance \(2^{1-g}\).
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, Limit
from .tools.guided_flow import guided_flow

_STEPS = 600
_TOLERANCE = 1e-7  # nats, what the steps leave
_LAWS = ("mixtures", "gaussians")


class GuidedDensity(AbstractBound):
    """Log-densities of the output at a few points, by the map and by the formula."""

    facts: ClassVar[Facts] = Facts(
        statement="log rho_0 = g log p_0 + (1-g) log q_0 - g(g-1)/2 int |s_p - s_q|^2 dv "
        "along the guided flow, and what the start leaves",
        assumptions=("noise at the last level, or densities",),
        source="here, proof in the docstring (also Jiang & Ma 2026, Thm 4.2, as quoted)",
        status="proved",
        limits=(Limit("scale", -10.0, 30.0),),
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"laws": laws, "scale": scale} for laws in _LAWS for scale in (0.4, 3.0, 8.0)
    )

    def setting(self, case):
        prior, conditional = (mixtures if case["laws"] == _LAWS[0] else gaussians)()
        start = np.linspace(-1.5, 1.8, 4)[:, None] * np.linspace(1.0, -0.4, prior.dim)
        levels = np.geomspace(30.0, 0.05, _STEPS + 1)
        return {
            "prior": prior,
            "conditional": conditional,
            "scale": case["scale"],
            "levels": levels,
            "start": levels[0] * start,
        }

    def sides(self, key, prior, conditional, scale, levels, start):
        levels, start = jnp.asarray(levels), jnp.asarray(start)
        kept = (bool(np.all(np.asarray(levels) > 0.0)),)
        given = prior, conditional, jnp.asarray(scale), levels, start
        by_map, by_formula, energy = map(np.asarray, _log_densities(*given))
        far = int(np.argmax(energy))
        claims = []
        for label, of in (("mean", np.mean), ("where the price is highest", None)):
            pair = [of(x) if of else x[far] for x in (by_map, by_formula)]
            sides = [Estimate(float(x), how=f"{len(levels) - 1} steps") for x in pair]
            claims.append(Claim(label, *sides, True, _TOLERANCE, kept))
        return claims


def mixtures() -> tuple[GaussianMixture, GaussianMixture]:
    """A law in the plane, and that of a class of it, none symmetric."""
    means = jnp.asarray([[1.2, -0.4], [-0.8, 0.9], [0.3, 1.6]])
    covariances = jnp.asarray(
        [[[0.5, 0.2], [0.2, 0.4]], [[0.3, -0.1], [-0.1, 0.7]], [[0.2, 0.0], [0.0, 0.3]]]
    )
    prior = GaussianMixture.full([0.3, 0.5, 0.2], means, covariances)
    return prior, GaussianMixture.full([0.7, 0.3], means[::2], covariances[::2])


def gaussians() -> tuple[GaussianMixture, GaussianMixture]:
    """N(0, 2) and N(0.7, 1)."""
    prior = GaussianMixture.isotropic([1.0], [[0.0]], 2.0)
    return prior, GaussianMixture.isotropic([1.0], [[0.7]], 1.0)


@eqx.filter_jit
def _log_densities(prior, conditional, scale, levels, start):
    """Of the output at the images of `start`, both ways, and the energy; (n,) each."""
    ends = guided_flow(prior, conditional, scale, levels, start)

    def tilt(z, sigma):
        one = jnp.ones_like(sigma)
        p, q = (law.noised(one, sigma) for law in (conditional, prior))
        return scale * p.log_prob(z) + (1.0 - scale) * q.log_prob(z)

    def begun(z):
        return jnp.sum(jax.scipy.stats.norm.logpdf(z, scale=levels[0]))

    log_start = jax.vmap(begun)(start)
    first = jax.vmap(lambda z: tilt(z, levels[0]))(start)
    last = jax.vmap(lambda z: tilt(z, levels[-1]))(ends.z)
    price = 0.5 * scale * (scale - 1.0) * ends.energy
    return log_start - ends.log_jacobian, log_start - first + last - price, ends.energy
