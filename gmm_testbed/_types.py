"""Shape aliases. Everything acts on one point; callers `jax.vmap`."""

from collections.abc import Callable

from jaxtyping import Array, Float, PRNGKeyArray

Scalar = Float[Array, ""]
Vector = Float[Array, " d"]
Matrix = Float[Array, "d d"]
Observation = Float[Array, " m"]
Times = Float[Array, " n"]
Key = PRNGKeyArray
Function = Callable[[Vector], Observation]
