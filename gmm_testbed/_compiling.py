"""Options of XLA, where it knows them."""

import functools

import jax


@functools.cache
def options(**wanted: bool | int | str) -> dict[str, bool | int | str]:
    """Those of the compiler's options that a CPU takes; none on other devices.

    A jaxlib that does not know an option refuses it.
    """
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda x: x, compiler_options=wanted).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return wanted
