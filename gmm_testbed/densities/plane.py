r"""A law in the plane, known on a rectangular grid."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import check_shape, concrete, floating, require
from .._types import Scalar
from . import curves, spectral
from .base import AbstractDensity, Amplitude, over_points
from .line_mixture import normal_log_outside

_AMPLITUDE = 2  # parts of a cell, each way, in the Fisher divergence
_ROWS = 8  # rows in a cell for the total variation
_PARTS = 4  # parts of a cell along a row


class PlaneDensity(AbstractDensity):
    r"""A law in the plane by its log-density at the nodes \((x_i, y_j)\), both uniform.

    Three nodes a standard deviation of the narrowest feature, each way, are plenty.

    Attributes:
        x: (n1,), increasing, equally spaced, n1 >= 8.
        y: (n2,), likewise.
        log_density: (n1, n2), minus infinity where the density is zero.
        escaped_mass: (), mass that is not on the grid.

    Raises:
        InputError: if shapes disagree or a coordinate is not equally spaced.
    """

    x: Float[Array, " n1"] = eqx.field(converter=floating)
    y: Float[Array, " n2"] = eqx.field(converter=floating)
    log_density: Float[Array, "n1 n2"] = eqx.field(converter=floating)
    escaped_mass: Scalar = eqx.field(converter=floating)

    def __check_init__(self):
        shapes = self.x.shape + self.y.shape
        require(
            self.x.ndim == self.y.ndim == 1
            and self.log_density.shape == shapes
            and min(shapes) >= curves.STENCIL,
            "the arrays of a plane density do not fit",
            got=f"x {self.x.shape}, y {self.y.shape}, "
            f"log_density {self.log_density.shape}",
            expected=f"(n1,), (n2,), (n1, n2), each n at least {curves.STENCIL}",
            hint="first index x, second y: jnp.meshgrid(x, y, indexing='ij')",
        )
        hint = "it is one number for the grid"
        check_shape(self.escaped_mass, (), "escaped_mass", hint)
        for name, nodes in (("x", self.x), ("y", self.y)):
            if concrete(nodes):
                steps = jnp.diff(nodes)
                slack = jnp.sqrt(jnp.finfo(nodes.dtype).eps) * jnp.max(jnp.abs(steps))
                require(
                    jnp.min(steps) > 0 and jnp.ptp(steps) <= slack,
                    f"{name} is not a uniform grid",
                    got=f"steps from {jnp.min(steps):.6g} to {jnp.max(steps):.6g}",
                    expected="equal positive steps",
                    hint="use jnp.linspace",
                )

    def points(self):
        x, y = jnp.meshgrid(self.x, self.y, indexing="ij")
        return jnp.stack([x.ravel(), y.ravel()], axis=1)

    def volumes(self):
        cell = (self.x[1] - self.x[0]) * (self.y[1] - self.y[0])
        return jnp.broadcast_to(cell, (self.log_density.size,))

    def log_densities(self):
        return self.log_density.ravel()

    def amplitude(self):
        root = jnp.exp(0.5 * self.log_density)
        x, y = _parts(self.x, _AMPLITUDE), _parts(self.y, _AMPLITUDE)
        finer = _along_x(spectral.upsampled, root, _AMPLITUDE)
        steep = _along_x(spectral.derivative, root, _AMPLITUDE)
        step_x, step_y = self.x[1] - self.x[0], self.y[1] - self.y[0]
        down_x = _along_y(spectral.upsampled, steep, _AMPLITUDE) / step_x
        down_y = _along_y(spectral.derivative, finer, _AMPLITUDE) / step_y
        at = jnp.stack(jnp.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
        return Amplitude(
            points=at,
            volumes=jnp.broadcast_to(step_x * step_y / _AMPLITUDE**2, at.shape[:1]),
            root=_along_y(spectral.upsampled, finer, _AMPLITUDE).ravel(),
            gradient=jnp.stack([down_x.ravel(), down_y.ravel()], axis=1),
        )

    def log_outside(self, mixture):
        """Sum over the four half-planes, at most four times the mass itself."""
        variances = mixture.covariances()
        sides = [
            normal_log_outside(
                mixture.log_weights,
                mixture.means[:, axis],
                jnp.sqrt(variances[:, axis, axis]),
                nodes[0],
                nodes[-1],
            )
            for axis, nodes in enumerate((self.x, self.y))
        ]
        return jnp.logaddexp(*sides)

    def total_variation_inside(self, mixture):
        """Row by row, as on the line, on rows eight times as dense as the nodes.

        A row is exact to 1e-7 of the density. Where the curve q = p touches a row, the
        integral over rows has a square-root cusp in its derivative, which leaves 1e-6.
        """
        log_p = over_points(mixture.log_prob, self.points(), mixture.num_components)
        difference = jnp.exp(self.log_density) - jnp.exp(log_p).reshape(
            self.log_density.shape
        )
        rows = _along_y(spectral.upsampled, difference, _ROWS)

        def along_row(row):
            curve = curves.curve(spectral.running_integral(row), row)
            values, slopes = curves.on_parts(curve, _PARTS)
            return jnp.sum(curves.variation(values, slopes / _PARTS))

        total = jnp.sum(jax.lax.map(along_row, rows.T, batch_size=64))
        return total * self.volumes()[0] / _ROWS


def _along_x(fn, values, factor):
    return jax.vmap(lambda column: fn(column, factor), in_axes=1, out_axes=1)(values)


def _along_y(fn, values, factor):
    return jax.vmap(lambda row: fn(row, factor))(values)


def _parts(nodes, factor):
    count = (nodes.shape[0] - 1) * factor + 1
    return jnp.linspace(nodes[0], nodes[-1], count)
