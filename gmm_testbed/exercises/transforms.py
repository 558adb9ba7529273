"""Whether an answer survives `jit` and `vmap`, as everything of this package does."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from .exercise import Exercise
from .values import Value, agree, value_of
from .verdict import Failure, Outcome


def check_transforms(
    exercise: Exercise, args: tuple, value: Value, answer: Callable
) -> None:
    """Refuses an answer that is right at a point, but not under `jit` or `vmap`.

    Args:
        exercise: says which of them.
        args: of a probe.
        value: of the answer there.
        answer: a function.

    Raises:
        Failure: if it raises, or gives another number.
    """
    if not exercise.transforms or exercise.measured:
        return
    arrays, static = eqx.partition(args, eqx.is_array)

    def one(arrays):
        return answer(*eqx.combine(arrays, static))

    vmap, jit = "vmap" in exercise.transforms, "jit" in exercise.transforms
    called = jax.vmap(one) if vmap else one
    called = jax.jit(called) if jit else called
    if vmap:
        arrays = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), arrays)
    under = " and ".join(f"jax.{name}" for name in exercise.transforms)
    try:
        found = called(arrays)
        found = jax.tree.map(lambda leaf: leaf[0], found) if vmap else found
        same = agree(value_of(found), value, 1e-6, 1e-12)
    except Exception as error:
        words = (
            f"right at a point, but not under {under} ({type(error).__name__}): "
            "np.exp, math.exp, float() and `if` need known numbers; write jnp.exp "
            "and jnp.where."
        )
        raise Failure(Outcome.WRONG, "transform", words) from error
    if not same:
        words = (
            f"right at a point, but another number under {under}: does it keep state?"
        )
        raise Failure(Outcome.WRONG, "transform", words)
