"""A deterministic method, its memory included, and how both depend on the start.

A step of a method with memory is a map of (x, memory); the law of x alone follows from the
derivative of the whole map so far, so tangents of the memory are carried with those of x.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._checks import unsupported
from ..._types import Scalar, Times, Vector
from ...gaussian import Gaussian
from ...method import AbstractMethod, first_law, name_of
from ...problem import Target
from ...random import no_draws


class State(NamedTuple):
    """Where a particle is, what it remembers, and the derivatives by its start.

    Attributes:
        x: (d,).
        memory: of the method.
        slopes: (d, d), row i the derivative of x by coordinate i of the start.
        memory_slopes: the same of every array of the memory, (d, ...); None for integers.
    """

    x: Vector
    memory: Any
    slopes: Float[Array, "d d"]
    memory_slopes: Any

    @property
    def forgets(self) -> bool:
        """Whether there is nothing but x whose derivatives matter."""
        return not jax.tree.leaves(self.memory_slopes)


def started(method: AbstractMethod, target: Target, x: Vector, t: Scalar) -> State:
    """The state at a start x (d,)."""

    def start(x):
        return x, method.memory(target, x, t)

    eye = jnp.eye(x.shape[0], dtype=x.dtype)
    (x, memory), (slopes, memory_slopes) = _pushed(start, (x,), (eye,))
    return State(x, memory, slopes, memory_slopes)


def moved(
    method: AbstractMethod, target: Target, state: State, t: Scalar, s: Scalar
) -> State:
    """The state after the step from t to s."""

    def step(x, memory):
        made = method.step(target, memory, x, t, s, no_draws())
        return made.law.mean, made.memory

    here = state.x, state.memory
    along = state.slopes, state.memory_slopes
    (x, memory), (slopes, memory_slopes) = _pushed(step, here, along)
    return State(x, memory, slopes, memory_slopes)


def require_flow(
    method: AbstractMethod, target: Target, times: Times, x: Vector
) -> None:
    """Refuses a method that is not a deterministic map of its start.

    Args:
        method: any.
        target: the problem along its path.
        times: (N + 1,).
        x: (d,), where the first step is asked for its noise.

    Raises:
        UnsupportedError: with what is random.
    """
    facts = method.facts
    if facts.random_field or facts.law != "gaussian":
        random = f"whose steps are {facts.law}" if facts.law != "gaussian" else ""
        noise = random or "whose field is random"
    elif has_noise(first_law(method, target, times, x)):
        noise = "which adds noise"
    else:
        return
    unsupported(
        "the change of variables needs a deterministic sampler",
        got=f"{name_of(method)}, {noise}",
        expected="ProbabilityFlow, DDIM(0.0), Heun or DPMSolver",
        hint="use gt.laws.sandwich_kl, or gt.laws.grid in d <= 2",
    )


def has_noise(law: Gaussian) -> bool:
    """Whether a step draws anything."""
    return float(law.root.most()) != 0.0


def _pushed(fn, primals, tangents):
    """Values of fn, and derivatives along the first axis of all tangents.

    Integers among the arrays have no derivative: there the tangents are None.
    """
    real, rest = eqx.partition(primals, eqx.is_inexact_array)

    def along(tangents):
        def split(real):
            return eqx.partition(fn(*eqx.combine(real, rest)), eqx.is_inexact_array)

        value, slope, other = jax.jvp(split, (real,), (tangents,), has_aux=True)
        return eqx.combine(value, other), slope

    return jax.vmap(along, out_axes=(None, 0))(tangents)
