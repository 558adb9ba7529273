r"""Whether a sampler respects a split, asked of its transitions.

Between the frame's r dimensions and the other d - r a transition must be a product. That
is asked where it costs nothing, in r + 2 dimensions at every step: the transition of the
problem with two dimensions added must be the one along the frame times twice the one on a
line without information. A scale that averages over dimensions fails there. That nothing
depends on the axes is asked in all d dimensions, of the means. A mixture is a product if
its weights and Gaussians along the frame are those of the problem there, and all its
Gaussians are the same beyond it. Composed steps are asked leg by leg.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..._checks import unsupported
from ...method import name_of
from ...mixture import GaussianMixture
from ...mixture.components import no_basis
from ...mixture.conditioning import factorised
from ...problem import InverseProblem, Linear, Target
from ..explicit import Stage

_ROUNDINGS = 1e5  # relative, in units of the dtype's rounding
_ADDED = 2  # dimensions
_CENTRES = (1.0, 0.0)  # of the prior along them


class StepsBeyond(NamedTuple):
    """Steps on a line without information, with a prior centred at 1: (N,) each.

    Attributes:
        keep: factor of x.
        drift: what is added of the prior's centre.
        scale: standard deviation of the noise.
        deviation: how far a third point is off the line through two others, relative.
    """

    keep: Array
    drift: Array
    scale: Array
    deviation: Array


@eqx.filter_jit
def steps_beyond(leg: Stage, outside, times) -> StepsBeyond:
    """Every step of a leg on the line beyond the frame."""
    points = jnp.asarray([[0.0], [1.0], [-2.3]], times.dtype)

    def one(t, s):
        move = jax.vmap(lambda x: leg.parts(outside, x, t, s))(points)
        drift, moved, third = move.mean[:, 0, 0]
        keep = moved - drift
        error = jnp.abs(drift - 2.3 * keep - third) / (1.0 + jnp.abs(third))
        scales = jnp.sqrt(move.covariance[:, 0, 0, 0])
        return StepsBeyond(keep, drift, scales[0], error + jnp.ptp(scales))

    return jax.vmap(one)(times[:-1], times[1:])


def require_split(leg: Stage, target, inside, beyond, times, frame, prior) -> None:
    """Refuses a method whose transitions are not products.

    Args:
        leg: of its steps.
        target: the problem in d dimensions.
        inside: the problem along the frame.
        beyond: `StepsBeyond` the frame.
        times: (N + 1,).
        frame: (d, r).
        prior: `Split` of the target's prior.

    Raises:
        UnsupportedError: with what couples the dimensions.
    """
    slack = _ROUNDINGS * float(jnp.finfo(times.dtype).eps)
    name = name_of(leg.method)
    few = _errors_in_few(leg, inside, prior.variance, beyond, times)
    errors = np.asarray(few).max(axis=1, initial=0.0)
    for error, what in zip(errors, ("weight", "mean", "covariance"), strict=True):
        if not error <= slack:
            unsupported(
                "this sampler couples directions that are independent",
                got=f"{name}: the {what} of a step is off a product by {error:.3g}",
                expected="steps that are products, beyond the span of means and rows of A",
                hint="a scale averaged over all dimensions couples them: take "
                'DDPM("small"), "large" or "matched", PiGDM("snr") or "flat"; or gt.sample',
            )
    steps = len(times) - 1
    some = np.asarray([0, steps // 2, steps - 1])
    windows = times[some], times[some + 1]
    chosen = jax.tree.map(lambda leaf: leaf[some], beyond)
    error = _error_in_all(leg, target, inside, frame, prior.centre, chosen, windows)
    if not float(error) <= slack:
        unsupported(
            "this sampler depends on the axes",
            got=f"{name}: its steps are off by {float(error):.3g} when they are turned",
            expected="a field that turns with the problem",
            hint="use gt.sample",
        )


def _widened(inside, variance):
    """The problem along the frame with two more dimensions."""
    prior, measurement = inside.problem.prior, inside.problem.measurement
    count, dtype = prior.num_components, prior.means.dtype
    more = jnp.broadcast_to(jnp.asarray(_CENTRES, dtype)[None], (count, _ADDED))
    means = jnp.concatenate([prior.means, more], axis=1)
    if prior.atomic:
        form = (jnp.zeros(count, dtype), *no_basis(means))
    else:
        rest = variance * jnp.eye(_ADDED, dtype=dtype)
        form = factorised(
            jax.vmap(lambda covariance: _block(covariance, rest))(prior.covariances())
        )
    wide = GaussianMixture(prior.log_weights, means, *form, atomic=prior.atomic)
    blind = jnp.zeros((measurement.dim_y, _ADDED), dtype)
    A = jnp.concatenate([measurement.A, blind], axis=1)
    seen = Linear(A, measurement.R, measurement.b)
    return Target(InverseProblem(wide, seen, inside.problem.y), inside.path)


@eqx.filter_jit
def _errors_in_few(leg, inside, variance, beyond, times):
    """Relative errors of weights, means and covariances, (3, N), each at two points."""
    wide = _widened(inside, variance)
    dim = wide.problem.prior.dim
    rank = dim - _ADDED
    size = 1.0 + jnp.max(jnp.abs(wide.problem.prior.means))
    wave = jnp.cos(3.0 * jnp.arange(dim, dtype=times.dtype))
    points = jnp.stack([wave, -2.3 * wave])

    def one(t, s, step, point):
        x = point * (wide.path.sigma(t) + wide.path.alpha(t) * size)
        whole = leg.parts(wide, x, t, s)
        part = leg.parts(inside, x[:rank], t, s)
        rest = step.keep * x[rank:] + step.drift * jnp.asarray(_CENTRES, x.dtype)
        noise = step.scale**2 * jnp.eye(_ADDED, dtype=x.dtype)

        def product(mean, covariance):
            return jnp.concatenate([mean, rest]), _block(covariance, noise)

        mean, covariance = jax.vmap(product)(part.mean, part.covariance)
        tiny = jnp.finfo(x.dtype).tiny  # a deterministic step has no covariance
        sizes = 1.0 + jnp.max(jnp.abs(mean)), jnp.max(covariance) + tiny
        errors = [
            jnp.max(jnp.abs(jnp.exp(whole.log_weight) - jnp.exp(part.log_weight))),
            jnp.max(jnp.abs(whole.mean - mean)) / sizes[0],
            jnp.max(jnp.abs(whole.covariance - covariance)) / sizes[1],
        ]
        return jnp.stack(errors)

    def at(t, s, step):
        return jnp.max(jax.vmap(lambda point: one(t, s, step, point))(points), axis=0)

    return jax.vmap(at)(times[:-1], times[1:], beyond).T


@eqx.filter_jit
def _error_in_all(leg, target, inside, frame, centre, beyond, windows):
    """Largest relative error of the means in d dimensions; no scale is computed."""

    def one(pair):
        step, (t, s) = pair
        x = jnp.cos(3.0 * jnp.arange(frame.shape[0], dtype=t.dtype))
        x = x * (target.path.sigma(t) + target.path.alpha(t))
        along = frame.T @ x
        rest = step.keep * (x - frame @ along) + step.drift * centre
        mean = leg.means(inside, along, t, s) @ frame.T + rest[None]
        gap = leg.means(target, x, t, s) - mean
        return jnp.max(jnp.abs(gap)) / (1.0 + jnp.max(jnp.abs(mean)))

    return jnp.max(jax.lax.map(one, (beyond, windows)))


def _block(first, second):
    zero = jnp.zeros((first.shape[0], second.shape[0]), first.dtype)
    return jnp.block([[first, zero], [zero.T, second]])
