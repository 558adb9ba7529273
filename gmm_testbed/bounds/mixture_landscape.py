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

from .._checks import require
from ..densities.line_parts import Parts
from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, Limit, outside
from .spaces import Mixtures
from .tools.assumptions import has_density

_POINTS, _REACH = 4096, 4.0  # points, standard deviations
_CELLS, _TAIL = 12_000, 9.0
_HIGH, _UNLIKE = 36.0, 16.0  # R^2 and L over l, beyond which a gap is rounding


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
        limits=(
            Limit("half", 0.05, 3.0),
            Limit("least", 0.25, 4.0),
            Limit("most", 0.25, 4.0),
        ),
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"half": half, "least": least, "most": 1.0}
        for half, least in ((1.0, 1.0), (2.0, 0.25), (2.0, 1.0), (3.0, 1.0))
    )

    def setting(self, case):
        """Two modes of weight 1/2: N(R, L) and N(-R, l)."""
        half, most, least = case["half"], case["most"], case["least"]
        variances = jnp.asarray([most, least], float)
        means = jnp.asarray([[half], [-half]])
        return {"mixture": GaussianMixture.isotropic([0.5, 0.5], means, variances)}

    def sides(self, key, mixture):
        """The right side as printed, and the constant.

        Args:
            key: not used.
            mixture: two modes of weight 1/2 on the line, wherever its middle is.
        """
        kept = (_halves(mixture),)
        if not all(kept):
            return outside(kept)
        variances = np.asarray(mixture.covariances())[:, 0, 0]
        half = 0.5 * float(np.ptp(np.asarray(mixture.means)))
        _require_gap(half, variances)
        constant = poincare(mixture)
        printed = 0.5 * half**2 * np.exp(0.5 * half**2 / variances.max())
        right = Estimate(constant, how="spectral gap by differences")
        return [Claim("", Estimate(printed), right, assumptions=kept)]


def _halves(mixture) -> bool:
    """Whether a mixture is two modes of weight 1/2 on the line, apart."""
    if mixture.dim != 1 or mixture.num_components != 2 or not has_density(mixture):
        return False
    even = np.allclose(np.asarray(mixture.log_weights), -np.log(2.0))
    return bool(even and np.ptp(np.asarray(mixture.means)) > 0.0)


def _require_gap(half, variances) -> None:
    least, most = variances.min(), variances.max()
    require(
        half**2 <= _HIGH * least and most <= _UNLIKE * least,
        "T48 is not computed for these modes",
        got=f"half distance {half:g}, variances {least:g} and {most:g}",
        expected=f"R^2 at most {_HIGH:g} l, L at most {_UNLIKE:g} l",
        hint="the limit is that of the spectral gap in floating point",
    )


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


def _extremes(mixture, points, most):
    """The largest curvature, and the most that the pull lacks of |x|^2/(2L)."""
    hessians, lacks = _at(mixture, points, most)
    return -np.linalg.eigvalsh(np.asarray(hessians)).min(), jnp.max(lacks)


@eqx.filter_jit
def _at(mixture, points, most):
    def at(x):
        return jax.jacfwd(mixture.score)(x), 0.5 * x @ x / most + mixture.score(x) @ x

    return jax.lax.map(at, points, batch_size=256)
