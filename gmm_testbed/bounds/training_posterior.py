r"""T21: how far the posterior of a finite training set is from the true one.

The finite-sample reference weighs the atoms by \(N(y; A x_i, \Gamma)\) and noises them
(Burns & Fridovich-Keil, arXiv:2605.30330). Let \(\rho_y = 1 + \chi^2\) of posterior from
prior, \(p^h\) the posterior under half the noise, \(\Gamma/2\), and \(\tilde p^h\) that
posterior noised by half the variance, \(\sigma^2/2\). With
\(\kappa = (4\pi\sigma^2)^{-1/2}\),

\[ E\, TV(\hat p_t(\cdot|y), p_t(\cdot|y)) \le \frac{1}{2\sqrt N} \Big\{ \int
   \sqrt{\rho_y \kappa\, \tilde p^h - p_t(x|y)^2}\, dx + \sqrt{\rho_y - 1} \Big\} , \]
\[ \sqrt N\, E\, TV \to \frac{1}{\sqrt{2\pi}} \int
   \sqrt{\rho_y [\kappa\, \tilde p^h - 2 p_t(x|y)\, p^h_t(x) + p_t(x|y)^2]}\, dx . \]

Proof: \(\hat p - p = (\hat n/Z - p) + \hat n (1/\hat Z - 1/Z)\) with \(\hat n\) the mean
of \(N(y; A x_i, \Gamma)\, K_i\) and \(\hat Z\) its mass; Jensen bounds both parts, as
\(\int \hat n |1/\hat Z - 1/Z| = |\hat Z/Z - 1|\). The limit is the delta method. In effect
there are \(N / \rho_y\) atoms.
"""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from .._checks import require
from .._types import Matrix, Observation, Scalar
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..mixture.components import LOG_2PI
from .base import BUILT, AbstractBound, Case, Claim, Facts, Limit, outside
from .tools import space
from .tools import training_sets as sets
from .tools.measured_gaussian import has_inverse

_SETS, _MOST = 256, 512
_OPERATOR, _NOISE, _SEEN = 1.2, 0.5, 0.7  # y = 1.2 x + N(0, 0.5^2) = 0.7
_LIMIT = 0.05  # of the central limit at N = 512


class Rates(NamedTuple):
    r"""What T21 says of one problem at one noise level.

    Attributes:
        density: (n,) of the exact posterior marginal at the nodes.
        rho: (), \(1 + \chi^2\) of posterior from prior; N points do the work of N / rho.
        bound: (), on \(\sqrt N\, E\, TV\) for every N.
        limit: (), of \(\sqrt N\, E\, TV\).
    """

    density: Float[Array, " n"]
    rho: Scalar
    bound: Scalar
    limit: Scalar


class TrainingPosterior(AbstractBound):
    """Total variation of the finite-sample posterior, over N and noise."""

    facts: ClassVar[Facts] = Facts(
        statement="E TV(p_N(.|y), p(.|y)) <= C / sqrt(N), with C and the limit of "
        "sqrt(N) E TV closed up to one integral",
        assumptions=("independent training points", "noise with a density"),
        source="here, with the proof in the docstring",
        status="proved",
        limits=(Limit("points", 1, _MOST), Limit("sigma", sets.SMALLEST)),
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"points": n, "sigma": s} for s in (0.15, 0.5) for n in (16, 64, _MOST)
    )

    def setting(self, case):
        """Two modes, one measurement, a number of points and a noise level."""
        measurement = {
            "A": jnp.full((1, 1), _OPERATOR),
            "R": jnp.full((1, 1), _NOISE**2),
            "y": jnp.full(1, _SEEN),
        }
        return {"prior": sets.two_modes()} | measurement | case

    def sides(self, key, prior, A, R, y, points, sigma):
        """E TV of the finite-sample posterior, its bound and its limit.

        Args:
            key: of the training sets.
            prior: on the line.
            A: (1, 1).
            R: (1, 1), positive.
            y: (1,).
            points: N.
            sigma: noise beside a signal of 1.
        """
        size, sigma = float(points), jnp.asarray(sigma)
        space.on_the_line(prior)
        kept = BUILT, has_inverse(R)
        if not all(kept):
            return outside(kept)
        A, R, y = (jnp.asarray(part, sigma.dtype) for part in (A, R, y))
        require(
            A.shape == R.shape == (1, 1),
            "T21 is computed for one measurement",
            got=f"A {A.shape}, R {R.shape}",
            expected="(1, 1) and (1, 1)",
            hint="the statement holds for any number",
        )
        grid = sets.grid_of(prior.noised(jnp.ones_like(sigma), sigma))
        density, _, bound, limit = rates(prior, A, R[0, 0], y, sigma, grid)
        seen = y[0], A[0, 0], jnp.sqrt(R[0, 0])
        measure = Partial(_distance, grid, density, sigma, seen)
        found = sets.over_sets(key, prior, size, measure, sets=_SETS, most=_MOST)
        tv, root = Estimate.mean_of(found), jnp.sqrt(size)
        bound = Estimate(bound / root, how="quadrature")
        claims = [Claim("bound", tv, bound)]
        if size >= _MOST:
            limit = Estimate(limit / root, how="quadrature")
            slack = _LIMIT * float(limit.value)
            found = Claim("central limit", tv, limit, True, slack)
            claims.append(found._replace(status="asymptotic"))
        return [claim._replace(assumptions=kept) for claim in claims]


@eqx.filter_jit
def rates(
    prior: GaussianMixture,
    A: Matrix,
    R: Scalar,
    y: Observation,
    sigma: Scalar,
    grid: sets.Grid,
) -> Rates:
    r"""Both constants of T21, for y = A x0 + N(0, R) on the line.

    Args:
        prior: with densities.
        A: (1, 1).
        R: () variance.
        y: (1,).
        sigma: () noise beside a signal of 1: \(\sigma_t / \alpha_t\) on a path, where
            total variations of \(x_t\) and of \(x_t / \alpha_t\) are the same.
        grid: that covers the posterior, with two nodes a sigma or more.
    """
    one = jnp.ones_like(sigma)
    posterior = prior.conditioned(A, R, y)
    narrow = prior.conditioned(A, 0.5 * R, y)
    # N(y; u, R)^2 = (4 pi R)^{-1/2} N(y; u, R / 2)
    log_rho = -0.5 * (jnp.log(2.0 * R) + LOG_2PI) + prior.log_evidence(A, 0.5 * R, y)
    rho = jnp.exp(log_rho - 2.0 * prior.log_evidence(A, R, y))
    p, p_narrow = (
        grid.density(part.noised(one, sigma)) for part in (posterior, narrow)
    )
    square = sets.kernel_square(sigma) * grid.density(
        narrow.noised(one, sigma / jnp.sqrt(2.0))
    )
    # Both are variances, up to rounding.
    first = jnp.sqrt(jnp.maximum(rho * square - p**2, 0.0))
    second = jnp.sqrt(rho * jnp.maximum(square - 2.0 * p * p_narrow + p**2, 0.0))
    bound = 0.5 * (grid.integral(first) + jnp.sqrt(rho - 1.0))
    return Rates(p, rho, bound, grid.integral(second) / jnp.sqrt(2.0 * jnp.pi))


def _distance(grid, density, sigma, seen, atoms, log_weights):
    y, slope, noise = seen
    joint = log_weights + sets.log_kernel(y, slope * atoms, noise)
    total = jnp.log(jnp.sum(jnp.exp(joint)))
    found = sets.noised_set(grid, atoms, joint - total, sigma)
    return 0.5 * grid.integral(jnp.abs(jnp.exp(found.log_density) - density))
