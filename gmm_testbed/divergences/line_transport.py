r"""Wasserstein distances between a law on the line and a Gaussian mixture.

Mass that escaped is taken to sit at the ends of the grid, half at each: a convention
that keeps it in the distances, which cannot be known when it is more than rounding.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import concrete, require
from .._types import Scalar
from ..densities import curves
from ..densities.line import FINE, LineDensity
from ..densities.line_mixture import (
    mixture_cdf,
    mixture_integrated_cdf,
    mixture_integrated_survival,
    mixture_square_above,
    mixture_square_below,
    mixture_tail,
)
from ..mixture import GaussianMixture
from .grid import escaped

_STEPS = 4  # steps along the coupling for a cell of the law, and for one of the mixture
_REACH = 10.0  # standard deviations of a component that the coupling follows


def w1(density: LineDensity, mixture: GaussianMixture) -> Scalar:
    r"""\(W_1 = \int |F_q - F_p|\, dx\), a length. Mixtures of atoms are welcome.

    The integral is the total variation of a function whose derivative is
    \(F_q - F_p\): the difference of the two integrated distribution functions, of which
    the mixture's is in closed form.

    Raises:
        InputError: if some component of the mixture has zero variance and some has not.
    """
    if mixture.atomic:
        return _w1_atoms(density, mixture)
    _require_spread(mixture)
    return _w1_spread(density, mixture)


@eqx.filter_jit
def _w1_spread(density, mixture):
    x, cell = curves.on_parts(density.place(), FINE)
    law = density.cdf_integral(0.5 * escaped(density))
    law_integral, law_slope = curves.on_parts(law, FINE)
    below = jax.vmap(lambda x: mixture_cdf(mixture, x))(x)
    integral = jax.vmap(lambda x: mixture_integrated_cdf(mixture, x))(x)
    slope = (law_slope - below * cell) / FINE
    left = mixture_integrated_cdf(mixture, density.position[0])
    right = mixture_integrated_survival(mixture, density.position[-1])
    inside = jnp.sum(curves.variation(law_integral - integral, slope))
    return inside + left + right


def w2_squared(density: LineDensity, mixture: GaussianMixture) -> Scalar:
    r"""\(W_2^2 = E (X - Q_p(F_q(X)))^2\), in units of length squared.

    The optimal coupling is the curve of pairs (x, z) with \(F_q(x) = F_p(z) = v\). It
    is followed in the parameter s = (cells of x) + (cells of z), in which both move at
    most one cell a unit. Where the map jumps over a valley of the mixture, and the
    integrand over x is all but discontinuous, this one stays smooth and the trapezoidal
    sum of \((x - z)^2\, dv/ds\) spectrally accurate. Levels v within 500 roundings of
    0 or 1 are left out: there is less than 1e-13 of the mass (in double precision).

    A mixture of atoms is coupled exactly, atom by atom.

    Raises:
        InputError: if some component of the mixture has zero variance and some has not.
    """
    if mixture.atomic:
        inside = _w2_atoms(density, mixture)
    else:
        _require_spread(mixture)
        inside = _w2_along_coupling(density, mixture)
    away = escaped(density)
    if concrete(away) and not away > 0:
        return inside  # nothing to compile for the ends
    return inside + _w2_ends(density, mixture)


def w2(density: LineDensity, mixture: GaussianMixture) -> Scalar:
    """Wasserstein-2 distance, a length: the root of `w2_squared`."""
    return jnp.sqrt(w2_squared(density, mixture))


@eqx.filter_jit
def _w2_ends(density, mixture):
    """Cost of the escaped mass, half at each end."""
    away = escaped(density)
    safe = jnp.where(away > 0, 0.5 * away, 0.5)
    ends = mixture_square_below(mixture, density.position[0], safe)
    ends += mixture_square_above(mixture, density.position[-1], safe)
    return jnp.where(away > 0, ends, 0.0)


@eqx.filter_jit
def _w2_along_coupling(density, mixture):
    place, below = density.place(), density.below()
    scales = jnp.sqrt(mixture.covariances()[:, 0, 0])
    means = mixture.means[:, 0]
    start, stop = means - _REACH * scales, means + _REACH * scales
    cells = density.position.shape[0] - 1
    cell = (jnp.max(stop) - jnp.min(start)) / cells
    lift = 0.5 * escaped(density)
    rounding = 500 * jnp.finfo(cell.dtype).eps

    def step(s):
        def partner(u):
            return jnp.min(start) + cell * (s - u)

        def excess(u):
            level, z = curves.value(below, u) + lift, partner(u)
            lower = level < 0.5  # compare the smaller tails
            tail = mixture_tail(mixture, z, jnp.where(lower, 1.0, -1.0))
            return jnp.where(lower, level - tail, tail - (1.0 - level))

        def rates(u):
            z = partner(u)
            return curves.slope(below, u), cell * jnp.exp(mixture.log_prob(z[None]))

        low, high = jnp.maximum(s - cells, 0.0), jnp.minimum(s, cells)
        u = curves.root(excess, lambda u: sum(rates(u)), low, high)
        z = partner(u)
        q, p = rates(u)
        level = curves.value(below, u) + lift
        inside = (level > lift + rounding) & (level < 1.0 - lift - rounding)
        inside &= q + p > 0
        rate = jnp.where(inside, q * p / jnp.where(inside, q + p, 1.0), 0.0)
        return rate * (curves.value(place, u) - z) ** 2

    steps = jnp.arange(2 * cells * _STEPS + 1, dtype=cell.dtype) / _STEPS
    return jnp.sum(jax.lax.map(step, steps, batch_size=4096)) / _STEPS


@eqx.filter_jit
def _w2_atoms(density, mixture):
    atoms, levels = _sorted_atoms(mixture)
    centre = density.position[density.position.shape[0] // 2]
    moments = density.partial_moments(centre)
    lift = 0.5 * escaped(density)
    cuts = jax.vmap(lambda level: curves.inverse(moments[0], level - lift))(levels)
    first = jnp.zeros(1, cuts.dtype)
    last = jnp.full(1, density.position.shape[0] - 1, cuts.dtype)
    cuts = jnp.concatenate([first, cuts, last])
    masses, firsts, seconds = [
        jnp.diff(jax.vmap(lambda u, m=moment: curves.value(m, u))(cuts))
        for moment in moments
    ]
    offset = atoms - centre
    return jnp.sum(seconds - 2.0 * offset * firsts + offset**2 * masses)


@eqx.filter_jit
def _w1_atoms(density, mixture):
    law = density.cdf_integral(0.5 * escaped(density))
    atoms, levels = _sorted_atoms(mixture)
    place, below = density.place(), density.below()
    lift = 0.5 * escaped(density)
    lower, upper = density.position[0], density.position[-1]

    def integral(x):
        """Integral of the law's distribution function up to x."""
        inside = curves.value(law, curves.inverse(place, x))
        return jnp.where(x < lower, 0.0, inside) + jnp.maximum(x - upper, 0.0)

    def between(left, right, level):
        """|F_q - level| between neighbouring atoms: F_q crosses the level once."""
        u = curves.inverse(below, level - lift)
        crossing = jnp.clip(curves.value(place, u), left, right)
        ends = integral(left) + integral(right) - level * (left + right)
        return ends - 2.0 * (integral(crossing) - level * crossing)

    first, last = integral(atoms[0]), integral(atoms[-1])
    mean = upper - integral(upper)
    middle = jax.vmap(between)(atoms[:-1], atoms[1:], levels)
    return first + jnp.sum(middle) + last - atoms[-1] + mean


def _sorted_atoms(mixture):
    """Atoms (K,) in order, and the mass below each but the first, (K - 1,)."""
    order = jnp.argsort(mixture.means[:, 0])
    levels = jnp.cumsum(jnp.exp(mixture.log_weights)[order])
    return mixture.means[order, 0], levels[:-1]


def _require_spread(mixture):
    scales = mixture.covariances()[:, 0, 0]
    if concrete(scales):
        require(
            jnp.all(scales > 0),
            "a mixture of atoms and densities has no exact distance here",
            got=f"{int(jnp.sum(scales <= 0))} components of zero variance "
            f"of {scales.shape[0]}",
            expected="all atoms (GaussianMixture.empirical) or none",
            hint="noise it a little: mixture.noised(1.0, sigma)",
        )
