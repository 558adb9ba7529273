r"""T46: how uncertain x0 can be behind Gaussian noise, whatever is seen.

Let \(X = X_0 + \tau\xi\), where the means \(X_0\) have a diameter D. Then for all z

\[ Cov[X \mid X + s\xi' = z] \preceq \varphi(s) I, \qquad
   \varphi(s) = \frac{\tau^2 s^2}{\tau^2+s^2} + \frac{s^4}{(\tau^2+s^2)^2}\frac{D^2}{4} , \]

since given z the centre has a law on a set of diameter D, of variance at most \(D^2/4\) in
any direction (Popoviciu); the paper has \(D^2\) there. If p is m-strongly log-concave,
\(\varphi(s) = s^2/(1 + m s^2)\) (Brascamp and Lieb). Either gives

\[ \nabla^2\log p_{aX + b\xi} \preceq \frac{a^2\varphi(b/a) - b^2}{b^4} I . \]

Equality: two means and \(z\) where both are as likely, at any weights; a Gaussian for the
second. With more means, far out on the side where the two count that are farthest apart.
A mixture of one covariance \(\tau^2 I\) is log-concave if \(D < 2\tau\), with
\(m = 1/\tau^2 - D^2/(4\tau^4)\). Measured: on lines along every two means.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, outside
from .spaces import Between, Mixtures
from .tools.assumptions import equal_covariances, isotropic
from .tools.chords import chords, diameter

_NODES = 201  # of a line


class PosteriorCovariance(AbstractBound):
    """Three modes in the plane, apart or overlapping, over the noise."""

    facts: ClassVar[Facts] = Facts(
        statement="Cov[X | X + s xi] <= phi(s) I, phi = tau^2 s^2/(tau^2+s^2) + "
        "s^4 D^2/(4 (tau^2+s^2)^2), and s^2/(1 + m s^2); Hess log p_t <= "
        "(a^2 phi(b/a) - b^2)/b^4",
        assumptions=(
            "components of one isotropic covariance",
            "log-concave, in its part",
        ),
        source="Arsenyan, Vardanyan and Dalalyan, arXiv:2506.09681, Assumption 1, with "
        "D^2/4 for D^2; Popoviciu (1935); proof in the docstring",
        status="proved",
        search={
            "prior": Mixtures(dim=2, least=0.01, alike=True),
            "noise": Between(0.05, 10.0),
            "scale": Between(0.1, 3.0),
        },
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"size": size, "noise": noise}
        for size in (0.0, 0.3, 1.5)
        for noise in (0.3, 1.0)
    )

    def setting(self, case):
        """A mixture of components of one size, and the noise."""
        means = jnp.asarray([[-1.0, 0.2], [0.9, 0.6], [0.3, -0.8]])
        weights, square = [0.5, 0.3, 0.2], case["size"] ** 2
        if square == 0.0:
            return {
                "prior": GaussianMixture.empirical(means, jnp.asarray(weights)),
                "noise": case["noise"],
                "scale": 0.8,
            }
        prior = GaussianMixture.isotropic(weights, means, square)
        return {"prior": prior, "noise": case["noise"], "scale": 0.8}

    def sides(self, key, prior, noise, scale):
        """Largest eigenvalues, and what bounds them.

        Args:
            key: not used.
            prior: a mixture of one isotropic covariance, or of atoms.
            noise: s, the level at which X is seen.
            scale: a, of X in a X + a s xi, for the Hessian.
        """
        alike = isotropic(prior) and equal_covariances(prior)
        if not (alike and noise > 0.0 and scale > 0.0):
            return outside((False, True))
        own = float(prior.covariances()[0, 0, 0])
        apart, square = diameter(prior), noise**2
        points = chords(prior, np.sqrt(own + square), _NODES)
        known = jnp.asarray(float(noise)), jnp.asarray(float(scale))
        widest, steepest = map(float, _largest(prior, points, *known))
        total = own + square
        phi = own * square / total + (square / total) ** 2 * 0.25 * apart**2
        found = [
            _claim("covariance", widest, phi, (True, True)),
            _claim("Hessian", steepest, _hessian(phi, noise, scale), (True, True)),
        ]
        convex = own > 0.0 and apart**2 < 4.0 * own
        rate = (1.0 - 0.25 * apart**2 / own) / own if convex else 0.0
        phi = square / (1.0 + rate * square)
        found.append(_claim("covariance, log-concave", widest, phi, (True, convex)))
        return found


def _hessian(phi, noise, scale):
    """(a^2 phi(b/a) - b^2)/b^4 with b = a s."""
    return (phi - noise**2) / (scale**2 * noise**4)


def _claim(label, left, right, kept):
    sides = Estimate(left, how=f"{_NODES} points a line"), Estimate(right)
    return Claim(label, *sides, assumptions=kept)


@eqx.filter_jit
def _largest(prior, points, noise, scale):
    """Largest eigenvalue of Cov[X | z] and of the Hessian at a z, over points z."""
    law = prior.noised(scale, scale * noise)

    def at(z):
        covariance = prior.denoised(z, jnp.ones_like(noise), noise).covariance()
        hessian = jax.jacfwd(law.score)(scale * z)
        return jnp.stack(
            [jnp.linalg.eigvalsh(covariance)[-1], jnp.linalg.eigvalsh(hessian)[-1]]
        )

    return jnp.max(jax.lax.map(at, points, batch_size=256), axis=0)
