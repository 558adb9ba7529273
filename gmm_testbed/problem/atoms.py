"""What atoms say of y: their likelihoods, of many of them some at a time."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import concrete, require
from .._types import Observation
from ..densities.base import over_points
from .measurements import AbstractMeasurement, Linear

_MANY = 2**22  # numbers in all atoms, from which even a function is compiled


def log_factors(
    measurement: AbstractMeasurement, y: Observation, atoms: Float[Array, "K d"]
) -> Float[Array, " K"]:
    """log p(y | atom) for each of the atoms (K, d), (K,).

    Raises:
        InputError: if it is known to be NaN at an atom, or zero at all of them.
    """
    found = _at_atoms(_log_factors, measurement, y, atoms)
    if concrete(found) and not isinstance(measurement, Linear):
        _check_factors(np.asarray(found), atoms)
    return found


def log_ratios_of_atoms(
    measurement: AbstractMeasurement, y: Observation, atoms: Float[Array, "K d"]
) -> Float[Array, " K"]:
    """`log_ratios` of each of the atoms (K, d), (K,)."""
    return _at_atoms(_log_ratios, measurement, y, atoms)


def log_ratios(
    measurement: AbstractMeasurement, y: Observation, seen: Float[Array, "K m"]
) -> Float[Array, " K"]:
    """log p(y | point) minus its largest, from f(point) (K, m), without a difference."""
    residuals = (y[None] - seen) @ measurement.whitener.T
    squares = jnp.sum(residuals**2, axis=1)
    best = jnp.argmin(jnp.where(jnp.isnan(squares), jnp.inf, squares))
    moved = (seen[best][None] - seen) @ measurement.whitener.T
    return -0.5 * jnp.sum(moved * (residuals + residuals[best][None]), axis=1)


def _check_factors(found: np.ndarray, atoms) -> None:
    undefined = np.isnan(found)
    first = int(np.argmax(undefined))
    require(
        not undefined.any(),
        "the forward model is not defined at every atom of the prior",
        got=f"NaN at {undefined.sum()} of {len(found)} atoms, "
        f"first at atom {first}, {np.array2string(np.asarray(atoms[first]))}",
        expected="a finite measurement of each of them: one NaN makes evidence, "
        "posterior and samples NaN",
        hint="give fn a value there, or leave these atoms out of the prior",
    )
    require(
        np.max(found) > -np.inf,
        "no atom of the prior explains y",
        got="p(y | atom) = 0 for all of them",
        expected="a finite measurement of one atom or more",
        hint="the forward model is infinite at every atom: check its units",
    )


def _log_factors(measurement, y, atoms):
    width = atoms.shape[1] + measurement.dim_y
    return over_points(lambda atom: measurement.log_prob(y, atom), atoms, width)


def _log_ratios(measurement, y, atoms):
    width = atoms.shape[1] + measurement.dim_y
    return log_ratios(measurement, y, over_points(measurement.apply, atoms, width))


def _at_atoms(fn, measurement, y, atoms):
    """fn, compiled, unless that would be for a function and a few atoms alone."""
    linear = isinstance(measurement, Linear)
    compiled = linear or atoms.size > _MANY
    return (_COMPILED[fn] if compiled else fn)(measurement, y, atoms)


_COMPILED = {fn: eqx.filter_jit(fn) for fn in (_log_factors, _log_ratios)}
