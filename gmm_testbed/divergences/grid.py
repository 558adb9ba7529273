r"""A law known on a grid, and its divergences from a Gaussian mixture.

On a uniform grid the trapezoidal sum of a smooth function that dies out at both ends
errs by \(2 e^{-2\pi^2\rho^2}\) with \(\rho\) nodes a standard deviation, 1e-19 at 1.5.
What limits these divergences is the logarithm, singular in the complex plane between
two modes: 1e-5 at worst at 1.5 nodes a standard deviation, 1e-8 at 3, 1e-12 at 5.

Mass that has left the grid is never renormalised away (up to 500 roundings count as
none), nor is the mixture's own mass there, `log_outside`:

- `kl_to`: the masses outside add their divergence, a lower bound (log-sum inequality);
- `kl_from`: infinite if the mixture has over 1e-12 outside, where the law is unknown;
- `tv`: half of both masses outside, exact if they are apart;
- `fisher`: of the part on the grid.
"""

import equinox as eqx
import jax.numpy as jnp

from .._arguments import check_kinds
from .._types import Matrix, Scalar, Vector
from ..densities.base import AbstractDensity, over_points
from ..estimate import Between
from ..mixture import GaussianMixture

_LOG_OUTSIDE = -27.631021115928547  # log 1e-12


def escaped(density: AbstractDensity) -> Scalar:
    """The escaped mass; up to 500 roundings, or less than none, count as none."""
    mass = density.escaped_mass
    return jnp.where(mass > 500 * jnp.finfo(mass.dtype).eps, mass, 0.0)


# --- moments --------------------------------------------------------------------------


@eqx.filter_jit
def mass(density: AbstractDensity) -> Scalar:
    """Mass of the law on the grid; with `escaped_mass` it makes one."""
    return jnp.sum(density.weights())


@eqx.filter_jit
def mean(density: AbstractDensity) -> Vector:
    """E[X] given that X is on the grid, (d,)."""
    return density.weights() @ density.points() / mass(density)


@eqx.filter_jit
def covariance(density: AbstractDensity) -> Matrix:
    """Cov[X] given that X is on the grid, (d, d)."""
    offset = density.points() - mean(density)[None]
    return (density.weights()[None] * offset.T) @ offset / mass(density)


def variance(density: AbstractDensity) -> Scalar:
    """Trace of the covariance; on the line the variance."""
    return jnp.trace(covariance(density))


@eqx.filter_jit
def resolution_error(density: AbstractDensity, mixture: GaussianMixture) -> Scalar:
    """|mass of the mixture on the grid and outside - 1|: whether the grid resolves it.

    Rounding if it does. If not, `kl_from` is not to be trusted, nor `tv` in the plane;
    on the line `tv`, `w1` and `w2` lose accuracy slowly, as they use the distribution
    function of the mixture. In the plane it includes the slack of the mass outside.
    """
    inside = density.expectation_under(mixture, lambda x: jnp.ones((), x.dtype))
    return jnp.abs(inside + jnp.exp(density.log_outside(mixture)) - 1.0)


# --- divergences ----------------------------------------------------------------------


def _check(call: str, density, mixture, between: str) -> None:
    check_kinds(
        f"{call}(density, mixture)",
        density=(
            density,
            AbstractDensity,
            f"a law on a grid, as law.at(-1) ({between} is for two mixtures)",
        ),
        mixture=(mixture, GaussianMixture, "a gt.GaussianMixture"),
    )


@eqx.filter_jit
def kl_to(density: AbstractDensity, mixture: GaussianMixture) -> Scalar:
    r"""\(KL(\text{law} \| \text{mixture})\) in nats.

    A lower bound if mass escaped, exact otherwise; infinite for a mixture of atoms. Of
    two mixtures see `mixture_kl`.
    """
    _check("kl_to", density, mixture, "mixture_kl")
    if mixture.atomic:
        return jnp.full((), jnp.inf, mixture.means.dtype)
    log_q = density.log_densities()
    log_p = over_points(mixture.log_prob, density.points(), mixture.num_components)
    # 0 log 0 = 0, where the law has no density at all.
    ratio = jnp.where(log_q > -jnp.inf, log_q - log_p, 0.0)
    away = escaped(density)
    log_away = jnp.log(jnp.where(away > 0, away, 1.0))
    outside = jnp.where(away > 0, away * (log_away - density.log_outside(mixture)), 0.0)
    return jnp.sum(density.weights() * ratio) + outside


@eqx.filter_jit
def kl_from(density: AbstractDensity, mixture: GaussianMixture) -> Scalar:
    r"""\(KL(\text{mixture} \| \text{law})\) in nats.

    Uses the law's log-density itself, so tails of log-density -2000 count in full.
    Infinite for a mixture of atoms, where the law has no density, and where the mixture
    has mass outside the grid.
    """
    _check("kl_from", density, mixture, "mixture_kl")
    if mixture.atomic:
        return jnp.full((), jnp.inf, mixture.means.dtype)
    log_q = density.log_densities()
    log_p = over_points(mixture.log_prob, density.points(), mixture.num_components)
    p = jnp.exp(log_p)
    inside = jnp.sum(density.volumes() * jnp.where(p > 0, p * (log_p - log_q), 0.0))
    return jnp.where(density.log_outside(mixture) > _LOG_OUTSIDE, jnp.inf, inside)


@eqx.filter_jit
def tv(density: AbstractDensity, mixture: GaussianMixture) -> Scalar:
    r"""Total variation \(\tfrac12 \int |q - p|\), in [0, 1]; 1 from atoms.

    Of two mixtures see `mixture_tv`.
    """
    _check("tv", density, mixture, "mixture_tv")
    if mixture.atomic:
        return jnp.ones((), mixture.means.dtype)
    outside = jnp.exp(density.log_outside(mixture)) + escaped(density)
    return 0.5 * (density.total_variation_inside(mixture) + outside)


def tv_between(density: AbstractDensity, mixture: GaussianMixture) -> Between:
    """Total variation, wherever the escaped mass is: it moves half of itself either way."""
    most = tv(density, mixture)
    return Between(jnp.maximum(most - escaped(density), 0.0), most)


def kl_between(density: AbstractDensity, mixture: GaussianMixture) -> Between:
    r"""\(KL(\text{law} \| \text{mixture})\), wherever the escaped mass e is.

    At least \(\int q \log(q/p) + e \log e\), q the density on the grid, as which part x
    belongs to tells at most the entropy of (e, 1 - e); infinite at most, unless e is 0.
    """
    away, found = escaped(density), kl_to(density, mixture)
    if mixture.atomic:
        return Between(found, found)
    known = jnp.where(away > 0, away * density.log_outside(mixture), 0.0)
    return Between(found + known, jnp.where(away > 0, jnp.inf, found))


@eqx.filter_jit
def fisher(density: AbstractDensity, mixture: GaussianMixture) -> Scalar:
    r"""Fisher divergence \(E_q \|\nabla\log(q/p)\|^2\), one over length squared.

    Written for the root \(\psi = \sqrt q\), which is smoother than the density, and
    without division by a density that vanishes:

    \[ 4 \int \|\nabla\psi - \tfrac12 \psi \nabla\log p\|^2 . \]

    The gradient is spectral (of infinite order); the law must die out at the ends.

    Raises:
        InputError: for a mixture of atoms, which has no score.
    """
    amplitude = density.amplitude()
    score = over_points(mixture.score, amplitude.points, mixture.num_components)
    rest = amplitude.gradient - 0.5 * amplitude.root[:, None] * score
    return 4.0 * jnp.sum(amplitude.volumes * jnp.sum(rest**2, axis=1))
