"""Arguments of another kind, as those in the wrong order: which one got what."""

import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._checks import InputError, concrete, message, unsupported

_TYPES = type | types.UnionType


class ArgumentError(InputError, TypeError):
    """An argument is of another kind; the message says which got what."""


def is_key(value: Any) -> bool:
    """Whether it is one random key of JAX, of the new kind or the old."""
    if not isinstance(value, jax.Array | np.ndarray):
        return False
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return value.shape == ()
    return value.dtype == np.uint32 and value.shape in ((2,), (4,))


def is_numeric(value: Any) -> bool:
    """Whether it is a number or an array of numbers, or a list of them."""
    if isinstance(value, list | tuple):
        return all(map(is_numeric, value))
    if isinstance(value, jax.Array | np.ndarray):
        return bool(jnp.issubdtype(value.dtype, jnp.number)) or value.dtype == bool
    return isinstance(value, np.number | int | float | complex)


KEY = is_key, "one random key, as jax.random.key(0)"


def check_kinds(call: str, **given: tuple[Any, Any, str]) -> None:
    """Refuses arguments of another kind, as those in the wrong order.

    Args:
        call: how it is written: "gt.sample(key, sampler, target, times, num)".
        given: of every argument its value, its type (or a test of it), and that in words.

    Raises:
        ArgumentError: that says which argument got what.
    """
    wrong = [
        name
        for name, (value, kind, _) in given.items()
        if not (isinstance(value, kind) if isinstance(kind, _TYPES) else kind(value))
    ]
    if wrong:
        got = ", ".join(f"{name} is {described(given[name][0])}" for name in wrong)
        expected = ", ".join(f"{name}: {given[name][2]}" for name in wrong)
        what = f"{' and '.join(wrong)} cannot be used"
        hint = f"the order is {call}"
        raise ArgumentError(message(what, got, expected, hint))


def check_known(what: str, *trees: Any) -> None:
    """Refuses arguments that JAX traces, where numbers are needed on the host.

    Args:
        what: what is called.
        trees: its arguments.

    Raises:
        UnsupportedError: inside jit, vmap or grad with regard to them.
    """
    if not concrete(*jax.tree.leaves(trees)):
        unsupported(
            f"{what} runs on the host, where JAX cannot trace it",
            got="arguments that are traced, by jit, vmap or grad",
            expected="numbers",
            hint="call it outside of them, once for each value",
        )


def described(value: Any) -> str:
    """What kind of thing a value is: "a Target", "an array (64, 2)", "the number 3"."""
    if isinstance(value, bool | int | float | str | None):
        return repr(value)
    if isinstance(value, jax.Array | np.ndarray):
        key = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        return f"{'a random key' if key else 'an array'} {value.shape}"
    if isinstance(value, type):
        return f"the class {value.__name__} (write {value.__name__}())"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
