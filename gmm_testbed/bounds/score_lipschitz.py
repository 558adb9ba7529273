r"""C22: how steep the score of a mixture with equal covariances can be.

With \(C = \alpha^2\Sigma + \sigma^2 I\), its extreme eigenvalues c_min and c_max, and D the
diameter of the means, the Hessian of log p_t is
\(-C^{-1} + C^{-1} Cov_r(\alpha\mu)\, C^{-1}\), r the responsibilities. A distribution on an
interval of length \(\alpha D\) has variance at most \(\alpha^2 D^2/4\) (Popoviciu), so for
all x

\[ -\frac1{c_{min}} \le \lambda(\nabla^2 \log p_t(x))
   \le -\frac1{c_{max}} + \frac{\alpha^2 D^2}{4 c_{min}^2} . \]

The right side is the one-sided Lipschitz constant of the score in bounds on W2, and p_t is
log-concave where it is negative. Measured: extreme eigenvalues over a grid in the plane,
and elsewhere at draws of p_t and on the lines between two means.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, Limit, outside
from .spaces import Between, Mixtures
from .tools.assumptions import equal_covariances

_MEANS = ((-1.2, 0.4), (0.9, 0.8), (0.3, -1.1))
_SPECTRUM = (0.15, 0.4)  # of the covariance
_TILT = 0.6  # radians, of its axes
_DRAWS = 2000
_NODES, _REACH = 61, 3.0  # of the square, each way; it holds the means


class ScoreLipschitz(AbstractBound):
    """Extreme eigenvalues of the Hessian for three modes in the plane, over the noise."""

    facts: ClassVar[Facts] = Facts(
        statement="lambda_max(hess log p_t) <= -1/c_max + alpha^2 D^2 / (4 c_min^2)",
        assumptions=("components of equal covariance",),
        source="Popoviciu (1935); proof in the docstring",
        status="proved",
        limits=(Limit("sigma", 1e-3, 0.999),),
        search={
            "prior": Mixtures(dim=2, full=True, alike=True),
            "sigma": Between(0.05, 0.99),
        },
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"sigma": sigma} for sigma in (0.1, 0.4, 0.7, 0.95)
    )

    def setting(self, case):
        cosine, sine = jnp.cos(_TILT), jnp.sin(_TILT)
        basis = jnp.asarray([[cosine, -sine], [sine, cosine]])
        covariance = basis @ jnp.diag(jnp.asarray(_SPECTRUM)) @ basis.T
        prior = GaussianMixture.full(
            [0.5, 0.3, 0.2], _MEANS, jnp.broadcast_to(covariance, (3, 2, 2))
        )
        return {"prior": prior} | case

    def sides(self, key, prior, sigma):
        """The extreme eigenvalues of the Hessian of log p_t, and their bounds.

        Args:
            key: of the draws, where d is not 2.
            prior: components of one covariance.
            sigma: noise scale of a variance-preserving path, below 1.
        """
        kept = (equal_covariances(prior),)
        if not kept[0]:
            return outside(kept)
        alpha = np.sqrt(1.0 - sigma**2)
        means = np.asarray(prior.means)
        gaps = means[:, None] - means[None]
        square = float(np.max(np.sum(gaps**2, axis=-1)))
        values = np.linalg.eigvalsh(np.asarray(prior.covariances()[0]))
        wide = alpha**2 * values + sigma**2
        c_min, c_max = wide[0], wide[-1]
        reach = max(_REACH, alpha * float(np.abs(means).max()) + 2.0 * np.sqrt(c_max))
        mixture = prior.noised(jnp.asarray(alpha), jnp.asarray(sigma))
        if prior.dim == 2:
            points, how = _square(jnp.asarray(reach)), f"grid of {_NODES} x {_NODES}"
        else:
            points, how = _points(key, mixture), "draws, and points between means"
        extremes = np.linalg.eigvalsh(np.asarray(_hessians(mixture, points)))
        most = Estimate(extremes[:, -1].max(), how=how)
        least = Estimate(-extremes[:, 0].min(), how=how)
        bound = -1.0 / c_max + alpha**2 * square / (4.0 * c_min**2)
        return [
            Claim("from above", most, Estimate(bound), assumptions=kept),
            Claim("from below", least, Estimate(1 / c_min), assumptions=kept),
        ]


def _square(reach):
    """A grid of the square, each way as far, (n, 2)."""
    line = reach * jnp.linspace(-1.0, 1.0, _NODES)
    return jnp.stack(jnp.meshgrid(line, line), axis=-1).reshape(-1, 2)


def _points(key, mixture):
    """Draws of p_t, and points between every two means, (n, d)."""
    means, draws = np.asarray(mixture.means), mixture.sample(key, _DRAWS)
    shares = np.linspace(0.0, 1.0, _NODES)[:, None, None, None]
    between = shares * means + (1.0 - shares) * means[:, None]
    return jnp.concatenate([draws, jnp.asarray(between.reshape(-1, mixture.dim))])


@eqx.filter_jit
def _hessians(mixture, points):
    """Of log p_t, (n, d, d)."""
    return jax.vmap(jax.jacfwd(mixture.score))(points)
