r"""T20: how far the marginal of a finite training set is from the true one.

With \(\hat p_t = \frac1N \sum_i N(x_i, \sigma^2)\) of independent \(x_i \sim p_0\), I the
mutual information of \(x_0\) and \(x_t\), \(I_{\chi^2}\) its chi-square analogue, and
\(\tilde p\) the prior noised with variance \(\sigma^2 / 2\):

\[ E \chi^2(\hat p_t \| p_t) = I_{\chi^2} / N , \qquad
   E\, KL(\hat p_t \| p_t) = I - \log N + E H(w) , \]
\[ \max(0, I - \log N) \le E\, KL(\hat p_t \| p_t) \le \min(I, \log(1 + I_{\chi^2}/N)) , \]
\[ E\, TV(\hat p_t, p_t) \le \frac{1}{2\sqrt N} \int
   \sqrt{(4\pi\sigma^2)^{-1/2}\, \tilde p(x) - p_t(x)^2}\, dx , \]

H(w) the entropy of the responsibilities of the atoms at \(x \sim \hat p_t\). The first two
are one line each: \(\hat p_t\) is a mean of N independent kernels, and \(\log\hat p_t\) is
\(\log K_i - \log N - \log w_i\). The bounds are Jensen's, and
\(0 \le H \le \log N\). By the central limit theorem E TV tends to \(\sqrt{2/\pi}\) times
its bound. The chi-square of a data set has no variance unless \(\sigma^2\) exceeds twice
the prior's variance: below that the first identity is not measured.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax.tree_util import Partial

from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..mixture.components import LOG_2PI
from .base import AbstractBound, Case, Claim, Facts, Limit
from .tools import space
from .tools import training_sets as sets

_SETS, _MOST = 512, 128
_LIMIT = 0.03  # of the central limit at N = 128


class TrainingPrior(AbstractBound):
    """Chi-square, KL and total variation of the noised training set, over N and noise."""

    facts: ClassVar[Facts] = Facts(
        statement="E chi2 = chi2-information / N, max(0, I - log N) <= E KL(p_N || p) "
        "<= min(I, log(1 + chi2-information / N)), E TV <= C / sqrt(N) with C closed",
        assumptions=("independent training points",),
        source="here; chi-square information: Goldfeld et al., IEEE Trans. Inf. Theory "
        "66 (2020)",
        status="proved",
        limits=(Limit("points", 1, _MOST), Limit("sigma", sets.SMALLEST)),
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"points": n, "sigma": s} for s in (0.3, 0.6, 2.0, 3.0) for n in (2, 16, _MOST)
    )

    def setting(self, case):
        return {"prior": sets.two_modes()} | case

    def sides(self, key, prior, points, sigma):
        size, sigma = float(points), jnp.asarray(sigma)
        space.on_the_line(prior)
        grid, density, information, chi2, bound = _exact(prior, sigma)
        measure = Partial(_distances, grid, density, sigma)
        found = sets.over_sets(key, prior, size, measure, sets=_SETS, most=_MOST)
        kl, tv = (Estimate.mean_of(found[name]) for name in ("kl", "tv"))
        log_size = jnp.log(size)
        lower = jnp.maximum(0.0, information - log_size)
        upper = jnp.minimum(information, jnp.log1p(chi2 / size))
        bound = bound / jnp.sqrt(size)
        claims = [
            (
                "(ii) KL less entropy",
                Estimate.mean_of(found["kl"] - found["entropy"]),
                information - log_size,
                True,
            ),
            ("(ii) KL from below", lower, kl, False),
            ("(ii) KL from above", kl, upper, False),
            ("(iii) total variation", tv, bound, False),
        ]
        if size >= _MOST:
            limit = jnp.sqrt(2.0 / jnp.pi) * bound
            claims.append(("(iii) central limit", tv, limit, True))
        if sigma**2 > 2.0 * prior.total_variance():
            mean = Estimate.mean_of(found["chi2"])
            claims.append(("(i) chi-square", mean, chi2 / size, True))
        return [
            Claim(
                label,
                _estimate(left),
                _estimate(right),
                equal,
                _LIMIT * float(limit) if label.endswith("limit") else 0.0,
                status="asymptotic" if label.endswith("limit") else "",
            )
            for label, left, right, equal in claims
        ]


def _estimate(value):
    return value if isinstance(value, Estimate) else Estimate(value, how="quadrature")


@eqx.filter_jit
def _exact(prior: GaussianMixture, sigma):
    """The grid, p_t on it, both informations, and the constant of the total variation."""
    one = jnp.ones_like(sigma)
    marginal = prior.noised(one, sigma)
    grid = sets.grid_of(marginal)
    density = grid.density(marginal)
    entropy = -grid.integral(density * jnp.log(density))
    information = entropy - 0.5 * (LOG_2PI + 1.0) - jnp.log(sigma)
    chi2, spread = _kernels(prior, sigma)
    return grid, density, information, chi2, spread


@eqx.filter_jit
def chi_square_information(prior: GaussianMixture, sigma):
    """Chi-square analogue of the mutual information of x_0 and x_0 + sigma eps, ().

    Args:
        prior: on the line.
        sigma: () noise level.
    """
    return _kernels(prior, sigma)[0]


def _kernels(prior, sigma):
    """The chi-square information, and the constant of the total variation."""
    one, far = jnp.ones_like(sigma), sets.far_grid(prior, sigma)
    log_p = far.log_density(prior.noised(one, sigma))
    log_square = far.log_density(prior.noised(one, sigma / jnp.sqrt(2.0)))
    log_square = log_square + jnp.log(sets.kernel_square(sigma))
    chi2 = far.integral(jnp.exp(log_square - log_p)) - 1.0
    variance = jnp.exp(log_square) - jnp.exp(2.0 * log_p)
    # The variance of K, which is not negative up to rounding.
    return chi2, 0.5 * far.integral(jnp.sqrt(jnp.maximum(variance, 0.0)))


def _distances(grid, density, sigma, atoms, log_weights):
    """Of one data set: KL, chi-square and TV from the truth, and the entropy."""
    found = sets.noised_set(grid, atoms, log_weights, sigma)
    hat = jnp.exp(found.log_density)
    shares = jnp.exp(found.log_shares)
    # An atom beyond N has no share, and 0 log 0 = 0.
    logs = jnp.where(shares > 0, found.log_shares, 0.0)
    return {
        "kl": grid.integral(hat * (found.log_density - jnp.log(density))),
        "chi2": grid.integral(hat**2 / density) - 1.0,
        "tv": 0.5 * grid.integral(jnp.abs(hat - density)),
        "entropy": grid.integral(hat * -jnp.sum(shares * logs, axis=1)),
    }
