r"""C22: how steep the score of a mixture with equal covariances can be.

With \(C = \alpha^2\Sigma + \sigma^2 I\), its extreme eigenvalues c_min and c_max, and D the
diameter of the means, the Hessian of log p_t is
\(-C^{-1} + C^{-1} Cov_r(\alpha\mu)\, C^{-1}\), r the responsibilities. A distribution on an
interval of length \(\alpha D\) has variance at most \(\alpha^2 D^2/4\) (Popoviciu), so for
all x

\[ -\frac1{c_{min}} \le \lambda(\nabla^2 \log p_t(x))
   \le -\frac1{c_{max}} + \frac{\alpha^2 D^2}{4 c_{min}^2} . \]

The right side is the one-sided Lipschitz constant of the score in bounds on W2, and p_t is
log-concave where it is negative. Measured: extreme eigenvalues over a grid in the plane.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._checks import require
from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, Limit, outside
from .spaces import Between, Mixtures
from .tools.assumptions import equal_covariances

_MEANS = ((-1.2, 0.4), (0.9, 0.8), (0.3, -1.1))
_SPECTRUM = (0.15, 0.4)  # of the covariance
_TILT = 0.6  # radians, of its axes
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
        require(
            prior.dim == 2,
            "both sides of this theorem are computed in the plane",
            got=f"a mixture of dimension {prior.dim}",
            expected="dimension 2",
            hint="the statement holds in any dimension",
        )
        kept = (equal_covariances(prior),)
        if not kept[0]:
            return outside(kept)
        alpha = np.sqrt(1.0 - sigma**2)
        means = np.asarray(prior.means)
        gaps = means[:, None] - means[None]
        square = float(np.max(np.sum(gaps**2, axis=-1)))
        values = np.linalg.eigvalsh(np.asarray(prior.covariances()[0]))
        c_min, c_max = alpha**2 * values + sigma**2
        reach = max(_REACH, alpha * float(np.abs(means).max()) + 2.0 * np.sqrt(c_max))
        given = map(jnp.asarray, (alpha, sigma, reach))
        least, most = _extremes(prior, *given)
        bound = -1.0 / c_max + alpha**2 * square / (4.0 * c_min**2)
        return [
            Claim("from above", _exact(most), _exact(bound), assumptions=kept),
            Claim("from below", _exact(-least), _exact(1 / c_min), assumptions=kept),
        ]


@eqx.filter_jit
def _extremes(prior, alpha, sigma, reach):
    """Extreme eigenvalues of the Hessian of log p_t over a square."""
    mixture = prior.noised(alpha, sigma)
    line = reach * jnp.linspace(-1.0, 1.0, _NODES)
    points = jnp.stack(jnp.meshgrid(line, line), axis=-1).reshape(-1, 2)
    hessians = jax.vmap(jax.jacfwd(mixture.score))(points)
    middle = 0.5 * (hessians[:, 0, 0] + hessians[:, 1, 1])
    half = 0.5 * (hessians[:, 0, 0] - hessians[:, 1, 1])
    radius = jnp.hypot(half, hessians[:, 0, 1])
    return jnp.min(middle - radius), jnp.max(middle + radius)


def _exact(value):
    return Estimate(value, how=f"grid of {_NODES} x {_NODES}")
