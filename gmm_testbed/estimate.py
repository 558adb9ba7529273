"""A number and its standard error.

Anything estimated carries its error; anything exact has the error 0 and says how it was
had. Errors of two estimates are taken to be independent.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc, ndtri
from jaxtyping import Array, ArrayLike, Float, Real

from . import _display, _weights
from ._checks import check_real, concrete, floating, vector
from ._types import Scalar

_MANY = 1000.0  # degrees of freedom, from which the expansion is good to 1e-10
_HALVINGS = 60


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
        freedom: the same shape; degrees of freedom of the error, infinite where it is
            known as well as it need be. `interval` takes Student's quantile.
    """

    value: Float[Array, "*shape"]
    stderr: Float[Array, "*shape"]
    how: str = eqx.field(static=True)
    growth: Float[Array, "*shape"]
    freedom: Float[Array, "*shape"]

    def __init__(
        self, value, stderr=0.0, how: str = "exact", growth=0.0, freedom=math.inf
    ):
        self.value, self.how = floating(value), how
        self.stderr = _like(self.value, stderr)
        self.growth = _like(self.value, growth)
        self.freedom = _like(self.value, freedom)

    @classmethod
    def mean_of(cls, terms, weights=None, how: str = "") -> "Estimate":
        r"""Mean of terms (n, ...) over the first axis, and its standard error.

        With equal weights the usual \(s/\sqrt n\), with n - 1 degrees of freedom; with
        others it is self-normalised, and its error that of importance sampling with few
        samples allowed for (`gmm_testbed._weights` has the formula). The error is NaN of
        two effective terms or fewer, and rounding where all terms are the same.

        Args:
            terms: (n, ...), independent.
            weights: (n,) normalised.
            how: "n samples" by default, with the effective number where it is known.
        """
        terms = floating(terms)
        how = how or described(terms.shape[0], weights)
        if weights is None:
            count = terms.shape[0]
            weights = jnp.full(count, 1.0 / count, terms.dtype)
        weights = vector(weights, "weights", terms.shape[0])
        value, variance = _weights.mean_and_variance(terms, weights)
        freedom = _weights.freedom(weights)
        kind = jnp.finfo(terms.dtype)
        rounding = jnp.maximum(kind.eps * jnp.abs(value), kind.tiny)
        error = jnp.where(variance == 0, rounding, jnp.sqrt(variance))
        return cls(value, error, how, freedom=freedom)

    def __getitem__(self, index) -> "Estimate":
        """Some of the values, with all that is known of them.

        Raises:
            IndexError: if an index that is known is out of bounds.
        """
        parts = self.value, self.stderr, self.growth, self.freedom
        if concrete(*jax.tree.leaves((index, parts))):
            parts = tuple(map(np.asarray, parts))  # JAX would take the nearest entry
        value, stderr, growth, freedom = (part[index] for part in parts)
        return Estimate(value, stderr, self.how, growth, freedom)

    def map(self, function: Callable[[Array], Array]) -> "Estimate":
        """`function` of every value, to first order: for roots and logarithms."""
        value, slope = jax.jvp(function, (self.value,), (jnp.ones_like(self.value),))
        error = jnp.abs(slope) * self.stderr
        return Estimate(value, error, self.how, freedom=self.freedom)

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        r"""Lower and upper end of the confidence interval.

        The true values \(\theta\) for which the value v is within z errors *there*,
        \((\theta - v)^2 \le z^2 (\mathrm{stderr}^2 + \mathrm{growth}\,(\theta - v))\),
        z Student's quantile: the normal interval where the growth is zero and the degrees
        of freedom are many.
        """
        z = student_quantile(level, self.freedom)
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
        return self._with(self.value + other.value, self.stderr, other, other.stderr)

    def __mul__(self, other) -> "Estimate":
        other = _estimate(other)
        errors = self.stderr * other.value, other, other.stderr * self.value
        return self._with(self.value * other.value, *errors)

    def __truediv__(self, other) -> "Estimate":
        return self * _estimate(other).map(jnp.reciprocal)

    def __neg__(self) -> "Estimate":
        return Estimate(-self.value, self.stderr, self.how, freedom=self.freedom)

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

    def _with(self, value, error, other, error_of_other) -> "Estimate":
        """A value to which both contribute errors, with Satterthwaite's freedom."""
        whole = jnp.hypot(error, error_of_other)
        share = jnp.where(whole > 0, error / jnp.where(whole > 0, whole, 1.0), 0.0) ** 2
        inverse = share**2 / self.freedom + (1.0 - share) ** 2 / other.freedom
        return Estimate(value, whole, _both(self, other), freedom=1.0 / inverse)

    @_display.guarded
    def __str__(self) -> str:
        if self.value.ndim:
            return f"[{', '.join(self._texts())}] ({self.how})"
        return f"{self._texts()[0]} ({self.how})"

    __repr__, _repr_html_ = _display.one_line, _display.html

    def _texts(self) -> list[str]:
        values, errors = np.ravel(self.value), np.ravel(self.stderr)
        return [_display.with_error(*row) for row in zip(values, errors, strict=True)]

    def _shown(self) -> _display.Shown:
        """The value and its error; of an array the first and last, and a table."""
        texts, shape = self._texts(), self.value.shape
        if not shape:
            return _display.Shown(f"Estimate: {self}")
        few = texts if len(texts) <= 4 else [*texts[:2], "...", texts[-1]]
        indices = (", ".join(map(str, index)) for index in np.ndindex(shape))
        found = _display.table(
            ("index", "value ± standard error"), zip(indices, texts, strict=True)
        )
        line = f"Estimate: [{', '.join(few)}] of shape {shape} ({self.how})"
        return _display.Shown(line, (found,))


def described(count: int, weights=None, few: int = _weights.MEAN) -> str:
    """As "1000 samples", or "1000 weighted samples, 12.3 effective", for `Estimate.how`.

    Args:
        count: how many.
        weights: (n,) normalised, if they are weighted; the effective number is left out
            where they are traced.
        few: effective samples up to which there is no error.
    """
    if weights is None:
        return f"{count} samples" + (", too few for an error" if count <= few else "")
    words = f"{count} weighted samples"
    if not concrete(weights):
        return words
    squares = float(jnp.sum(weights**2))
    known = "" if _weights.enough(squares, few) else ": too few for an error"
    return f"{words}, {1.0 / squares:.3g} effective{known}"


@jax.jit  # else its loop is compiled at every call
def student_quantile(
    level: Real[ArrayLike, ""], freedom: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Half-width of the central interval of Student's law, in standard errors.

    By bisection; for more than 1000 degrees of freedom by the expansion of Fisher and
    Cornish, Technometrics 2 (1960), 209-225.

    Args:
        level: mass of the interval.
        freedom: degrees of freedom, at least 1, of any shape; infinity for a normal law.
    """
    z = ndtri(jnp.asarray(0.5 + 0.5 * level, freedom.dtype))
    g1 = (z**3 + z) / 4.0
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96.0
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384.0
    many = jnp.maximum(freedom, _MANY)
    wide = z + (g1 + (g2 + g3 / many) / many) / many
    few = jnp.minimum(freedom, _MANY)

    def halve(_, ends):
        low, high = ends
        middle = 0.5 * (low + high)
        inside = betainc(0.5, 0.5 * few, jnp.sin(middle) ** 2) < level
        return jnp.where(inside, middle, low), jnp.where(inside, high, middle)

    ends = jnp.zeros_like(few), jnp.full_like(few, 0.5 * jnp.pi)
    low, high = jax.lax.fori_loop(0, _HALVINGS, halve, ends)
    narrow = jnp.sqrt(few) * jnp.tan(0.5 * (low + high))
    found = jnp.where(freedom > _MANY, wide, narrow)
    return jnp.where(jnp.isnan(freedom), jnp.nan, found)


def _estimate(value) -> Estimate:
    return value if isinstance(value, Estimate) else Estimate(value)


def _like(value, error) -> Array:
    """An error in the shape and precision of the values; exact ones share their zero."""
    if isinstance(error, float) and error in (0.0, math.inf):
        return _constant(error, value.shape, value.dtype)
    check_real(error, "an error")
    return jnp.broadcast_to(jnp.asarray(error, value.dtype), value.shape)


@functools.lru_cache(maxsize=64)
def _constant(number, shape, dtype) -> Array:
    with jax.ensure_compile_time_eval():
        return jnp.full(shape, number, dtype)


def _both(left: Estimate, right: Estimate) -> str:
    names = dict.fromkeys(e.how for e in (left, right) if e.how != "exact")
    return ", ".join(names) or "exact"
