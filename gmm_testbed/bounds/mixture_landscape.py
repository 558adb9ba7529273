r"""T48: the landscape of a Gaussian mixture, and its Poincare constant.

For components with eigenvalues of their covariances between \(l\) and \(L\),

\[ -\nabla^2\log p \preceq \frac1l I, \qquad
   \langle -\nabla\log p(x), x\rangle \ge \frac{|x|^2}{2L}
   - \frac L2 \max_i \frac{|\mu_i|^2}{l^2} . \]

The first: the Hessian is that of the responsibilities' mean of the components, plus a
variance. The second: each component gives
\((x-\mu_i)^T\Sigma_i^{-1}x \ge |x|^2/L - |\mu_i||x|/l\), and
\(ab \le a^2/2L + L b^2/2\); the paper has twice the last term. With one Gaussian on the
line it is attained at the mean.

As we read appendix B.4, the Poincare constant of
\(\tfrac12 N(R, L) + \tfrac12 N(-R, l)\) is at least
\(\tfrac{R^2}{2} e^{R^2/(2L)}\). At L = l it cannot be for large R: there the constant grows
as \(e^{R^2/2L}/R\), the height of the valley. Measured: the second eigenvalue of a
tridiagonal matrix on the line.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import eigh_tridiagonal

from ..densities.line_parts import Parts
from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, outside
from .spaces import Mixtures
from .tools.assumptions import has_density

_POINTS, _REACH = 4096, 4.0  # points, standard deviations
_CELLS, _TAIL = 12_000, 9.0


class MixtureLandscape(AbstractBound):
    """Curvature and pull of three unlike modes in the plane, over their distance."""

    facts: ClassVar[Facts] = Facts(
        statement="-hess log p <= I/l; <-grad log p, x> >= |x|^2/(2L) - "
        "(L/2) max |mu_i|^2/l^2",
        assumptions=("covariances of full rank",),
        source="Vacher, Chehab and Korba, arXiv:2501.00565, Proposition 2, with half of "
        "its last term; proof in the docstring",
        status="proved",
        search={"mixture": Mixtures(dim=2, full=True)},
    )
    cases: ClassVar[tuple[Case, ...]] = tuple({"distance": d} for d in (0.3, 1.0, 3.0))

    def setting(self, case):
        """A mixture of unlike covariances."""
        means = case["distance"] * jnp.asarray([[-1.0, 0.2], [0.9, 0.6], [0.3, -0.8]])
        covariances = jnp.asarray(
            [
                [[0.5, 0.1], [0.1, 0.3]],
                [[0.2, 0.0], [0.0, 0.9]],
                [[0.6, -0.2], [-0.2, 0.4]],
            ]
        )
        return {"mixture": GaussianMixture.full([0.5, 0.3, 0.2], means, covariances)}

    def sides(self, key, mixture):
        """Both inequalities, each where it is nearest to failing of all points.

        Args:
            key: of the points, which are spread about the components.
            mixture: with a density.
        """
        kept = (has_density(mixture),)
        if not all(kept):
            return outside(kept)
        values = np.linalg.eigvalsh(np.asarray(mixture.covariances()))
        least, most = values.min(), values.max()
        bound = (
            0.5 * most * np.max(np.sum(np.asarray(mixture.means) ** 2, 1)) / least**2
        )
        wide = mixture.noised(jnp.ones(()), jnp.asarray(_REACH * np.sqrt(most)))
        points = jnp.concatenate([mixture.means, wide.sample(key, _POINTS)])
        steepest, lack = map(float, _extremes(mixture, points, jnp.asarray(most)))
        found = Estimate(steepest, how="points"), Estimate(lack, how="points")
        return [
            Claim("curvature", found[0], Estimate(1.0 / least), assumptions=kept),
            Claim("pull", found[1], Estimate(bound), assumptions=kept),
        ]


class PublishedPoincare(AbstractBound):
    """The Poincare constant of two modes on the line, over their half distance."""

    facts: ClassVar[Facts] = Facts(
        statement="Poincare constant of N(R, L)/2 + N(-R, l)/2 >= R^2/2 exp(R^2/(2L)), as "
        "we read it",
        assumptions=("two modes of weight 1/2 on the line, l <= L",),
        source="Vacher, Chehab and Korba, arXiv:2501.00565, appendix B.4",
        status="published",
        refuted=True,
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"half": half, "least": least, "most": 1.0}
        for half, least in ((1.0, 1.0), (2.0, 0.25), (2.0, 1.0), (3.0, 1.0))
    )

    def setting(self, case):
        """R, l and L."""
        return case

    def sides(self, key, half, least, most):
        """The right side as printed, and the constant.

        Args:
            key: not used.
            half: R, half the distance of the means.
            least: l, the smaller variance.
            most: L, the larger one.
        """
        kept = (bool(half > 0.0 and 0.0 < least <= most),)
        if not all(kept):
            return outside(kept)
        means = jnp.asarray([[half], [-half]])
        variances = jnp.asarray([most, least], float)
        constant = poincare(GaussianMixture.isotropic([0.5, 0.5], means, variances))
        printed = 0.5 * half**2 * np.exp(0.5 * half**2 / most)
        right = Estimate(constant, how="spectral gap by differences")
        return [Claim("", Estimate(printed), right, assumptions=kept)]


def poincare(mixture: GaussianMixture) -> float:
    """The Poincare constant of a mixture on the line: 1 over its spectral gap.

    By differences of second order on equal cells, extrapolated from two of them.
    """
    coarse, fine = (_gap(Parts.of(mixture), cells) for cells in (_CELLS, 2 * _CELLS))
    return 1.0 / (fine + (fine - coarse) / 3.0)


def _gap(parts, cells) -> float:
    """The second eigenvalue of -f'' - (log p)' f' between walls far out."""
    low = float((parts.means - _TAIL * parts.scales).min())
    high = float((parts.means + _TAIL * parts.scales).max())
    edges, step = np.linspace(low, high, cells + 1, retstep=True)
    log_p = parts.log_density(edges[:-1] + 0.5 * step)
    between = parts.log_density(edges[1:-1])
    diagonal = np.zeros(cells)
    diagonal[:-1] += np.exp(between - log_p[:-1])
    diagonal[1:] += np.exp(between - log_p[1:])
    beside = -np.exp(between - 0.5 * (log_p[1:] + log_p[:-1]))
    values = eigh_tridiagonal(
        diagonal, beside, eigvals_only=True, select="i", select_range=(0, 1)
    )
    return float(values[1]) / step**2


@eqx.filter_jit
def _extremes(mixture, points, most):
    """The largest curvature, and the most that the pull lacks of |x|^2/(2L)."""

    def at(x):
        hessian = jax.jacfwd(mixture.score)(x)
        lack = 0.5 * x @ x / most + mixture.score(x) @ x
        return -jnp.linalg.eigvalsh(hessian)[0], lack

    curvature, lack = jax.lax.map(at, points, batch_size=256)
    return jnp.max(curvature), jnp.max(lack)
