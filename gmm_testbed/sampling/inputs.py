"""What is asked of the arguments of a run, and the form in which a run has them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from .._arguments import KEY, check_kinds, described
from .._checks import concrete, floating, promoted, require
from .._types import Key, Scalar, Times
from ..method import AbstractDescribed, AbstractMethod, check_needs
from ..mixture import GaussianMixture
from ..paths.grids import check_times
from ..problem import Target

_CAPACITY = 1024  # times a compiled program holds; longer grids double it


def checked_times(times: Times) -> Times:
    """The grid as an array (N + 1,), once it is known to decrease within [0, 1]."""
    check_times(times)
    return floating(times)


def check_run(
    call: str, method: AbstractMethod, target: Target, times: Times, **keys: Key
) -> tuple[Target, Times]:
    """The target and the grid (N + 1,) as a method may use them, once it serves both.

    Args:
        call: how what asks is called, for the message if an argument is of another kind.
        method: any.
        target: the problem along its path.
        times: (N + 1,).
        keys: key=..., if there is one.
    """
    check_kinds(
        call,
        **{name: (value, *KEY) for name, value in keys.items()},
        sampler=(method, AbstractDescribed, "a method, as gt.Guided(...)"),
        target=(target, Target, "a gt.Target"),
    )
    target, times = promoted(target), checked_times(times)
    check_needs(method, target, times)
    return target, times


def counted(times: Times, *others: Any) -> int | Int[Array, ""]:
    """Steps of a grid (N + 1,): data, or a number where JAX traces any of the arguments.

    As data, one program serves every N. A loop over a number of steps has a gradient in
    reverse mode.
    """
    steps = times.shape[0] - 1
    known = concrete(*jax.tree.leaves((times, others)))
    return jnp.asarray(steps) if known else steps


def initial_law(
    method: AbstractMethod,
    target: Target,
    t: Scalar,
    initial: GaussianMixture | None = None,
) -> GaussianMixture:
    """The given initial law, or the start of the method at time t, as a mixture."""
    if initial is None:
        return method.start(target, t).mixture()
    return checked_initial(initial, target)


def checked_initial(initial: GaussianMixture, target: Target) -> GaussianMixture:
    """An initial law in the precision in use.

    Raises:
        InputError: unless it is a mixture in the dimension of the target.
    """
    dim = target.problem.prior.dim
    require(
        isinstance(initial, GaussianMixture) and initial.dim == dim,
        "the initial law is no mixture over x at times[0]",
        got=f"dimension {initial.dim}"
        if isinstance(initial, GaussianMixture)
        else described(initial),
        expected=f"a gt.GaussianMixture in dimension {dim}",
        hint="pass target.marginal(times[0]), say",
    )
    return promoted(initial)


def padded(times: Times) -> Array:
    """The grid, padded with its last time to a length that few grids share."""
    capacity = _CAPACITY
    while capacity < times.shape[0]:
        capacity *= 2
    spare = 0, capacity - times.shape[0]
    if concrete(times):  # compiles nothing for each length
        return jnp.asarray(np.pad(np.asarray(times), spare, mode="edge"))
    return jnp.pad(times, spare, mode="edge")
