"""Shape aliases. Everything acts on one point; callers `jax.vmap`."""

from collections.abc import Callable

from jaxtyping import Array, Float, PRNGKeyArray, UInt32
from jaxtyping import Key as KeyOf

Scalar = Float[Array, ""]
Vector = Float[Array, " d"]
Matrix = Float[Array, "d d"]
Observation = Float[Array, " m"]
Times = Float[Array, " n"]
Key = PRNGKeyArray
Keys = KeyOf[Array, " num"] | UInt32[Array, "num 2"]
Function = Callable[[Vector], Observation]
