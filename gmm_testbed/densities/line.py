r"""A law on the line, known on a grid."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import check_real, check_shape, concrete, floating, require, vector
from .._types import Scalar
from . import curves, spectral
from .base import AbstractDensity, Amplitude
from .line_cdf import cdf_at_nodes
from .line_mixture import mixture_cdf, mixture_log_outside

FINE = 16  # parts of a cell; a cubic on one errs by 1e-9 at three nodes a deviation


class LineDensity(AbstractDensity):
    r"""A law on the line by its log-density at positions \(x(u_j)\), \(u_j\) uniform.

    Integrals are \(\sum_j h\, x'(u_j)\, q(x_j) f(x_j)\), h the spacing. The map x(u)
    must be smooth on the scale of a cell, and three nodes a standard deviation of the
    narrowest feature are plenty.

    Attributes:
        position: (n,), increasing, n >= 8.
        jacobian: (n,), dx/du, positive; ones on an ordinary grid.
        spacing: (), of u.
        log_density: (n,), log q(x_j), minus infinity where q is zero.
        escaped_mass: (), mass that is not on the grid; for `w1` and `w2` half of it is
            taken to sit at each end.

    Raises:
        InputError: if shapes disagree, positions do not increase, or the jacobian or
            the spacing is not positive.
    """

    position: Float[Array, " n"] = eqx.field(converter=floating)
    jacobian: Float[Array, " n"] = eqx.field(converter=floating)
    spacing: Scalar = eqx.field(converter=floating)
    log_density: Float[Array, " n"] = eqx.field(converter=floating)
    escaped_mass: Scalar = eqx.field(converter=floating)

    def __check_init__(self):
        count = self.position.shape
        require(
            len(count) == 1
            and count[0] >= curves.STENCIL
            and self.jacobian.shape == count
            and self.log_density.shape == count,
            "the arrays of a line density do not fit",
            got=f"position {count}, jacobian {self.jacobian.shape}, "
            f"log_density {self.log_density.shape}",
            expected=f"(n,) each, n at least {curves.STENCIL}",
            hint="one entry a node",
        )
        hint = "it is one number for the grid"
        check_shape(self.spacing, (), "spacing", hint)
        check_shape(self.escaped_mass, (), "escaped_mass", hint)
        if concrete(self.position, self.jacobian, self.spacing):
            step = np.diff(np.asarray(self.position)).min()
            jacobian, spacing = np.asarray(self.jacobian).min(), float(self.spacing)
            require(
                step > 0 and jacobian > 0 and spacing > 0,
                "this is no grid on the line",
                got=f"least step {step:.3g}, least jacobian {jacobian:.3g}, "
                f"spacing {spacing:.3g}",
                expected="increasing positions, positive jacobian and spacing",
                hint="sort the positions together with the log-densities",
            )

    @classmethod
    def uniform(cls, lower, upper, log_density, escaped_mass=0.0) -> "LineDensity":
        """On n equally spaced positions from `lower` to `upper`; log_density (n,)."""
        log_density = vector(log_density, "log_density")
        for end in (lower, upper):
            check_real(end, "an end of the line")
        dtype, count = log_density.dtype, log_density.shape[0]
        require(
            count >= curves.STENCIL,
            "too few nodes on the line",
            got=f"log_density {log_density.shape}",
            expected=f"(n,), n at least {curves.STENCIL}",
            hint="a density of one dimension; some hundreds of nodes are usual",
        )
        # NumPy where it can: nothing to compile for each number of nodes.
        xp = np if concrete(lower, upper) else jnp
        return cls(
            position=xp.linspace(lower, upper, count, dtype=dtype),
            jacobian=xp.ones(count, dtype),
            spacing=xp.asarray((upper - lower) / (count - 1), dtype),
            log_density=log_density,
            escaped_mass=jnp.asarray(escaped_mass, dtype),
        )

    def points(self):
        return self.position[:, None]

    def volumes(self):
        return self.spacing * self.jacobian

    def log_densities(self):
        return self.log_density

    def amplitude(self):
        factor = 4
        x, cell = curves.on_parts(self.place(), factor)
        root = jnp.exp(0.5 * self.log_density)
        return Amplitude(
            points=x[:, None],
            volumes=cell / factor,
            root=spectral.upsampled(root, factor),
            gradient=(spectral.derivative(root, factor) / cell)[:, None],
        )

    def log_outside(self, mixture):
        return mixture_log_outside(mixture, self.position[0], self.position[-1])

    def total_variation_inside(self, mixture):
        x, cell = curves.on_parts(self.place(), FINE)
        law_below, weight = curves.on_parts(self.below(), FINE)
        below = jax.vmap(lambda x: mixture_cdf(mixture, x))(x)
        p = jax.vmap(lambda x: jnp.exp(mixture.log_prob(x[None])))(x)
        # int |q - p| is the total variation of the difference of the two integrals, and
        # in no cell more than both masses, which matters where a cell hides a mode.
        cells = curves.variation(law_below - below, (weight - p * cell) / FINE)
        most = jnp.abs(jnp.diff(law_below)) + jnp.diff(below)
        return jnp.sum(jnp.minimum(cells, most))

    # --- between the nodes ----------------------------------------------------------

    def place(self) -> curves.Curve:
        """x as a function of the cell, u in [0, n - 1]."""
        return curves.curve(self.position, self.volumes())

    def below(self) -> curves.Curve:
        """Mass of the law to the left, as a function of the cell."""
        return curves.curve(self._below_at_nodes(), self.weights())

    def partial_moments(self, centre: Scalar) -> tuple[curves.Curve, ...]:
        """Integrals of 1, x - centre and (x - centre)^2 from the left."""
        offset, weights = self.position - centre, self.weights()
        below, (first, second) = self._below_at_nodes(), self._integrals(centre)
        return (
            curves.curve(below, weights),
            curves.curve(offset * below - first, weights * offset),
            curves.curve(offset**2 * below - 2.0 * second, weights * offset**2),
        )

    def cdf_integral(self, lift: Scalar) -> curves.Curve:
        """Integral of F + lift from the lower end, F the distribution function."""
        integral = self._integrals(self.position[0])[0]
        integral = integral + lift * (self.position - self.position[0])
        slope = (self._below_at_nodes() + lift) * self.volumes()
        return curves.curve(integral, slope)

    def _below_at_nodes(self):
        return cdf_at_nodes(self.log_density + jnp.log(self.volumes()))

    def _integrals(self, centre):
        """Integrals of F and of (x - centre) F from the lower end, at the nodes."""
        x, cell = curves.on_parts(self.place(), FINE)
        below, weight = curves.on_parts(self.below(), FINE)
        offset, slope = x - centre, weight / cell
        first = curves.accumulated(x, below, slope)
        second = curves.accumulated(x, offset * below, below + offset * slope)
        return first[::FINE], second[::FINE]
