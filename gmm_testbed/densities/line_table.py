r"""The distribution function of a mixture on the line by a table: fast for many points.

For sorted points it gives F and \(A(x) = \int_{-\infty}^x F\), for sorted levels the
quantile Q and \(G(v) = \int_0^v Q = v Q(v) - A(Q(v))\). Between nodes A and G are the
quintics through their values, slopes and curvatures at both ends. Every component has
nodes of its own, a tenth of a standard deviation apart, so that disparate scales do no
harm. An atom is two nodes at one place, with F from the left and from the right.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import erfc
from jaxtyping import Array, Float

from .._types import Scalar, Vector
from ..divergences.samples import sorting
from ..mixture import GaussianMixture, components

_REACH = 9.0  # standard deviations; the mass beyond is 2e-19
_NODES = 193  # a component
_RESOLVED = 1e6  # roundings; cells of less mass take a cubic for their quantiles
_INV_SQRT_2PI = 0.3989422804014327
_INV_SQRT_2 = 0.7071067811865476


class LineLaw(NamedTuple):
    """A mixture on the line by its parameters.

    Attributes:
        weights: (K,).
        means: (K,).
        scales: (K,) standard deviations, zero for atoms.
    """

    weights: Float[Array, " K"]
    means: Float[Array, " K"]
    scales: Float[Array, " K"]

    def mean(self) -> Scalar:
        """E X."""
        return self.weights @ self.means

    def second_moment(self) -> Scalar:
        """E X^2."""
        return self.weights @ (self.means**2 + self.scales**2)

    def at(self, x: Scalar, from_left: Array | bool = False) -> tuple[Scalar, ...]:
        """f, F and A at x: closed forms (C13). Atoms count in F alone and in A."""
        offset = x - self.means
        spread = self.scales > 0
        safe = jnp.where(spread, self.scales, 1.0)
        passed = jnp.where(from_left, offset > 0, offset >= 0)
        z = jnp.where(spread, offset / safe, jnp.where(passed, jnp.inf, -jnp.inf))
        below, peak = 0.5 * erfc(_INV_SQRT_2 * -z), _INV_SQRT_2PI * jnp.exp(-0.5 * z**2)
        density = self.weights @ jnp.where(spread, peak / safe, 0.0)
        integral = self.weights @ (offset * below + self.scales * peak)
        return density, self.weights @ below, integral


class Primitive(NamedTuple):
    """An increasing function g and its integral, on cells between sorted nodes.

    On a cell g is a quartic in t from 0 to 1, with the values and slopes of g at both
    ends and the right integral. Beyond the nodes it is constant.

    Attributes:
        nodes: (M,), in order; a cell may be empty.
        integral: (M,), at the nodes.
        quartic: five of (M - 1,), coefficients of g in powers of t.
    """

    nodes: Float[Array, " M"]
    integral: Float[Array, " M"]
    quartic: tuple[Array, Array, Array, Array, Array]

    def at(self, x: Float[Array, " n"]) -> tuple[Array, Array]:
        """g and its integral at points in increasing order, (n,) each."""
        cell = _cells(self.nodes, x)
        width = jnp.diff(self.nodes)
        most = jnp.finfo(width.dtype).max  # an empty cell is passed in no time
        inverse = jnp.where(width > 0, 1.0 / jnp.where(width > 0, width, 1.0), most)
        offset = x - self.nodes[cell]
        t = jnp.clip(offset * inverse[cell], 0.0, 1.0)
        g, a, b, c, d = (part[cell] for part in self.quartic)
        value = g + t * (a + t * (b + t * (c + t * d)))
        rest = t * (a / 2.0 + t * (b / 3.0 + t * (c / 4.0 + t * (d / 5.0))))
        inside = width[cell] * t
        area = self.integral[cell] + inside * (g + rest) + (offset - inside) * value
        return value, area


class LineTable(NamedTuple):
    """Both ways to see a law on the line.

    Attributes:
        cdf: F and A over x.
        quantile: Q and its integral from 0 over levels.
    """

    cdf: Primitive
    quantile: Primitive


def projected(mixture: GaussianMixture, direction: Vector) -> LineLaw:
    """The law of direction . X; differentiable, at atoms too."""
    variances = components.each(
        lambda mean, *form: direction @ components.apply(direction, *form),
        mixture.means,
        mixture.base,
        mixture.basis,
        mixture.spectrum,
    )
    spread = variances > 0
    scales = jnp.where(spread, jnp.sqrt(jnp.where(spread, variances, 1.0)), 0.0)
    return LineLaw(jnp.exp(mixture.log_weights), mixture.means @ direction, scales)


def table(law: LineLaw, atomic: bool) -> LineTable:
    """The table of a law; `atomic` if every scale is zero."""
    return _of_atoms(law) if atomic else _of_densities(law)


def _of_atoms(law):
    order = sorting.order(law.means)
    place, right = law.means[order], jnp.cumsum(law.weights[order])
    left = right - law.weights[order]
    area = jnp.cumsum(right[:-1] * jnp.diff(place))
    area = jnp.concatenate([jnp.zeros(1, area.dtype), area])
    place, area = jnp.repeat(place, 2), jnp.repeat(area, 2)
    below = jnp.stack([left, right], axis=1).ravel()
    return _tables(place, jnp.zeros_like(place), below, area)


def _of_densities(law):
    z = jnp.linspace(-_REACH, _REACH, _NODES, dtype=law.means.dtype)
    place = law.means[:, None] + law.scales[:, None] * z[None]
    place = sorting.ascending(place.ravel())
    first = jnp.diff(place, prepend=-jnp.inf) > 0  # of several nodes on an atom
    density, below, area = jax.vmap(law.at)(place, first)
    return _tables(place, density, below, area)


def _tables(place, density, below, integral):
    """F as a function of x, and Q as one of F, from the same nodes."""
    width, rise = jnp.diff(place), jnp.diff(below)
    wide, steep = width > 0, rise > _RESOLVED * jnp.finfo(rise.dtype).eps
    mean = jnp.diff(integral) / jnp.where(wide, width, 1.0) - below[:-1]
    left, right = width * density[:-1], width * density[1:]
    share = jnp.where(wide, mean, 0.0)  # of F above its start, on average
    cdf = _quartic(below[:-1], rise, left, right, share)
    # dQ/dt = rise / f; where there is no density, on an atom or in a gap, the chord.
    left = jnp.where(left > 0, rise / jnp.where(left > 0, density[:-1], 1.0), width)
    right = jnp.where(right > 0, rise / jnp.where(right > 0, density[1:], 1.0), width)
    cubic = 0.5 * width + (left - right) / 12.0
    share = jnp.where(steep, width * (1.0 - share / jnp.where(steep, rise, 1.0)), cubic)
    quantile = _quartic(place[:-1], width, left, right, share)
    return LineTable(
        Primitive(place, integral, cdf),
        Primitive(below, place * below - integral, quantile),
    )


def _quartic(start, rise, left, right, mean):
    """From the rise, the slopes at both ends, and the mean above the start."""
    rise, turn, mean = rise - left, right - left, mean - 0.5 * left
    d = 30.0 * mean - 15.0 * rise + 2.5 * turn
    return start, left, 3.0 * rise - turn + d, turn - 2.0 * rise - 2.0 * d, d


def _cells(nodes, queries):
    """The cell of each query, both in increasing order: counted, not searched."""
    count = queries.shape[0]
    first = jnp.searchsorted(queries, nodes)
    passed = jnp.zeros(count + 1, first.dtype).at[first].add(1)
    cell = jnp.cumsum(passed)[:count] - 1
    return jnp.clip(cell, 0, nodes.shape[0] - 2)
