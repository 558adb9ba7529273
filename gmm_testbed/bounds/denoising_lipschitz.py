r"""T47: a step along the score contracts as long as there is more noise than data.

Let X lie in a ball of radius R, and \(p_t\) be the law of \(X + \sqrt t\,\xi\). For
\(0 \le h \le t\) the map \(x \mapsto x + h \nabla\log p_t(x)\) has the Jacobian
\((1 - h/t) I + (h/t^2) Cov[X | x]\), and \(0 \preceq Cov \preceq R^2 I\), so that it is
Lipschitz with the constant

\[ 1 + h \left(\frac{R^2}{t^2} - \frac1t\right) , \]

and no direction shrinks by more than 1 - h/t. It contracts while \(t > R^2\). Equality:
two antipodal atoms, where both are as likely. Measured: extreme eigenvalues on
lines along every two atoms.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, outside
from .tools.chords import chords

_NODES, _ROUNDS = 201, 2000


class DenoisingLipschitz(AbstractBound):
    """Four atoms in the plane, over the noise and the size of the step."""

    facts: ClassVar[Facts] = Facts(
        statement="X in a ball of radius R, h <= t: Lip(x + h grad log p_t) <= "
        "1 + h (R^2/t^2 - 1/t)",
        assumptions=("bounded support", "0 <= h <= t"),
        source="Beyler and Bach, arXiv:2508.03210, Lemma 3, second hand; proof in the "
        "docstring",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"variance": variance, "share": share}
        for variance in (0.1, 0.8, 3.0)
        for share in (0.3, 1.0)
    )

    def setting(self, case):
        """Atoms, the variance t of the noise, and the step h, a share of t."""
        atoms = jnp.asarray([[-1.0, 0.2], [0.9, 0.6], [0.3, -0.8], [0.1, 0.4]])
        weights = jnp.asarray([0.4, 0.3, 0.2, 0.1])
        return {
            "atoms": GaussianMixture.empirical(atoms, weights),
            "variance": case["variance"],
            "step": case["share"] * case["variance"],
        }

    def sides(self, key, atoms, variance, step):
        """Extreme eigenvalues of the Jacobian and their bounds.

        Args:
            key: not used.
            atoms: an empirical mixture.
            variance: t, of the noise.
            step: h.
        """
        kept = bool(atoms.atomic), bool(0.0 <= step <= variance and variance > 0.0)
        if not all(kept):
            return outside(kept)
        points = chords(atoms, np.sqrt(variance), _NODES)
        known = jnp.asarray(float(variance)), jnp.asarray(float(step))
        least, most = map(float, _extremes(atoms, points, *known))
        bound = 1.0 + step * (radius(atoms) ** 2 / variance**2 - 1.0 / variance)
        # As what is lost, of order one: at h = t what is left is rounding.
        lost = Estimate(step / variance)
        return [
            Claim("Lipschitz", _exact(most), Estimate(bound), assumptions=kept),
            Claim("lost in a direction", _exact(1.0 - least), lost, assumptions=kept),
        ]


def _exact(value):
    return Estimate(value, how=f"{_NODES} points a line")


def radius(atoms: GaussianMixture) -> float:
    """The radius of a ball that holds all atoms, nearly the smallest.

    The middle of the two that are farthest apart, or what Badoiu and Clarkson (2003) make
    of it: any centre gives a ball, so the number is never too small.
    """
    weights = np.asarray(atoms.log_weights)
    places = np.asarray(atoms.means)[weights > -np.inf]
    gaps = np.linalg.norm(places[:, None] - places[None], axis=-1)
    ends = np.unravel_index(np.argmax(gaps), gaps.shape)
    centre = places[list(ends)].mean(axis=0)
    best = _reach(places, centre)
    for i in range(1, _ROUNDS):
        far = places[np.argmax(np.linalg.norm(places - centre, axis=1))]
        centre = centre + (far - centre) / (i + 1)
        best = min(best, _reach(places, centre))
    return best


def _reach(places, centre) -> float:
    return float(np.linalg.norm(places - centre, axis=1).max())


def _extremes(atoms, points, variance, step):
    """The least and the largest eigenvalue of the Jacobian of the step."""
    values = np.linalg.eigvalsh(np.asarray(_jacobians(atoms, points, variance, step)))
    return values.min(), values.max()


@eqx.filter_jit
def _jacobians(atoms, points, variance, step):
    law = atoms.noised(jnp.ones_like(variance), jnp.sqrt(variance))
    map_to = jax.jacfwd(lambda x: x + step * law.score(x))
    return jax.lax.map(map_to, points, batch_size=256)
