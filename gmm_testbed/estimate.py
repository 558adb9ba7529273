"""A number and its standard error.

Anything estimated carries its error; anything exact has the error 0 and says how it was
had. Errors of two estimates are taken to be independent.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Float

from ._checks import floating
from ._types import Scalar


class Between(NamedTuple):
    """Two exact numbers that have a quantity between them."""

    lower: Scalar
    upper: Scalar


class Estimate(eqx.Module):
    """A value, or an array of them, with standard errors and where they come from.

    Sums, differences, products and quotients propagate the errors to first order, as if
    the two sides were independent. A number stands for an exact value.

    Attributes:
        value: any shape.
        stderr: the same shape, not negative; 0 where the value is exact.
        how: what it rests on, in a few words: "quadrature", "1000 samples".
        growth: the same shape; by how much the square of the error grows with the true
            value, for `interval`. Arithmetic drops it.
    """

    value: Float[Array, "*shape"]
    stderr: Float[Array, "*shape"]
    how: str = eqx.field(static=True)
    growth: Float[Array, "*shape"]

    def __init__(self, value, stderr=0.0, how: str = "exact", growth=0.0):
        self.value = floating(value)
        self.stderr = _like(self.value, stderr)
        self.how = how
        self.growth = _like(self.value, growth)

    @classmethod
    def mean_of(cls, terms, weights=None, how: str = "") -> "Estimate":
        r"""Mean of terms (n, ...) over the first axis, and its standard error.

        Args:
            terms: (n, ...), independent.
            weights: (n,) normalised; with them the mean is self-normalised and its
                variance \(\sum_i w_i^2 (x_i - \bar x)^2 / (1 - \sum_i w_i^2)\); with
                equal weights this is the usual \(s^2/n\).
            how: "n samples" by default.
        """
        terms = floating(terms)
        count = terms.shape[0]
        if weights is None:
            weights = jnp.full(count, 1.0 / count, terms.dtype)
        value = jnp.tensordot(weights, terms, 1)
        squares = jnp.tensordot(weights**2, (terms - value[None]) ** 2, 1)
        squares = squares / (1.0 - jnp.sum(weights**2))
        return cls(value, jnp.sqrt(squares), how or f"{count} samples")

    def map(self, function: Callable[[Array], Array]) -> "Estimate":
        """`function` of every value, to first order: for roots and logarithms."""
        value, slope = jax.jvp(function, (self.value,), (jnp.ones_like(self.value),))
        return Estimate(value, jnp.abs(slope) * self.stderr, self.how)

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        r"""Lower and upper end of the confidence interval.

        The true values \(\theta\) for which the value v is within z errors *there*,
        \((\theta - v)^2 \le z^2 (\mathrm{stderr}^2 + \mathrm{growth}\,(\theta - v))\):
        the normal interval where the growth is zero.
        """
        z = ndtri(jnp.asarray(0.5 + 0.5 * level, self.value.dtype))
        shift = 0.5 * z**2 * self.growth
        reach = jnp.hypot(shift, z * self.stderr)
        return self.value + shift - reach, self.value + shift + reach

    def distance(self, other) -> Array:
        """(self - other) in standard errors; infinite if both are exact and differ."""
        gap = self - other
        certain = jnp.where(gap.value == 0, 0.0, jnp.sign(gap.value) * jnp.inf)
        error = jnp.where(gap.stderr > 0, gap.stderr, 1.0)
        return jnp.where(gap.stderr > 0, gap.value / error, certain)

    def __add__(self, other) -> "Estimate":
        other = _estimate(other)
        error = jnp.hypot(self.stderr, other.stderr)
        return Estimate(self.value + other.value, error, _both(self, other))

    def __mul__(self, other) -> "Estimate":
        other = _estimate(other)
        error = jnp.hypot(self.stderr * other.value, other.stderr * self.value)
        return Estimate(self.value * other.value, error, _both(self, other))

    def __truediv__(self, other) -> "Estimate":
        return self * _estimate(other).map(jnp.reciprocal)

    def __neg__(self) -> "Estimate":
        return Estimate(-self.value, self.stderr, self.how)

    def __sub__(self, other) -> "Estimate":
        return self + (-_estimate(other))

    def __radd__(self, other) -> "Estimate":
        return self + other

    def __rmul__(self, other) -> "Estimate":
        return self * other

    def __rsub__(self, other) -> "Estimate":
        return (-self) + other

    def __rtruediv__(self, other) -> "Estimate":
        return _estimate(other) / self

    def __str__(self) -> str:
        if self.value.ndim:
            rows = zip(self.value.ravel(), self.stderr.ravel(), strict=True)
            return f"[{', '.join(_text(*row) for row in rows)}] ({self.how})"
        return f"{_text(self.value, self.stderr)} ({self.how})"


def _estimate(value) -> Estimate:
    return value if isinstance(value, Estimate) else Estimate(value)


def _like(value, error) -> Array:
    """An error in the shape and precision of the values; exact ones share one zero."""
    if isinstance(error, float) and error == 0.0:
        return _none(value.shape, value.dtype)
    return jnp.broadcast_to(jnp.asarray(error, value.dtype), value.shape)


@functools.lru_cache(maxsize=64)
def _none(shape, dtype) -> Array:
    with jax.ensure_compile_time_eval():
        return jnp.zeros(shape, dtype)


def _both(left: Estimate, right: Estimate) -> str:
    names = dict.fromkeys(e.how for e in (left, right) if e.how != "exact")
    return ", ".join(names) or "exact"


def _text(value, stderr) -> str:
    """The value to the second digit of its error; six digits if it is exact."""
    value, stderr = float(value), float(stderr)
    if not stderr > 0 or stderr == float("inf"):
        return f"{value:.6g}"
    digits = max(2, 2 + _exponent(value) - _exponent(stderr))
    return f"{value:.{min(digits, 12)}g} ± {stderr:.2g}"


def _exponent(value: float) -> int:
    return int(f"{value:e}".split("e")[1]) if value == value else 0
