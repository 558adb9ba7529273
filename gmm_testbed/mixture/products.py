r"""Squared distances from many places in many dimensions, by products of matrices.

\(\|x\|^2 - 2 x^T \mu_k + \|\mu_k\|^2\) is a matrix product when vmapped over particles,
many times faster than differences, but cancels where x is near a place. There a number is
split into a whole multiple of a unit, a power of 2, and a small rest. Products of the
multiples, and their sums, are whole numbers of units below 2^53, so that they cancel
without any rounding; what has the rest in it is small. Far beyond all places, rounding is
that of the square written out, which does no harm there.
Source: Ozaki, Ogita, Oishi & Rump, Numer. Algorithms 59 (2012), 95-118.
"""

import math

import jax
import jax.numpy as jnp

LOST = 1e-11  # of a logarithm, at most, to the rounding of a square written out
_BITS = 50  # of a sum of products that has no rounding


def squares(where, places, variances):
    """|where - place_k|^2 / variance_k of every place, (K,).

    Args:
        where: (d,), from amid the places.
        places: (K, d), from there too.
        variances: (K,).
    """
    sizes = jnp.sum(places**2, axis=1)
    harmless = jnp.max(sizes / variances) * jnp.finfo(sizes.dtype).eps <= LOST

    def whole(where, places):
        return sizes - 2.0 * (places @ where) + where @ where

    found = jax.lax.cond(harmless, whole, split_squares, where, places)
    return found / variances


def split_squares(where, places):
    """|where - place_k|^2 of every place, (K,), wherever it is."""
    bits = (_BITS - math.ceil(math.log2(places.shape[1]))) // 2
    top = jnp.max(jnp.abs(places))
    power = top / jnp.where(top > 0, jnp.frexp(top)[0], 1.0)  # of 2: no rounding
    unit = 2.0**-bits * jnp.where(top > 0, power, 1.0)

    def parts(values):
        high = jnp.round(values / unit) * unit
        return high, values - high

    (own, fine), (others, rest) = parts(where), parts(places)
    exact = own @ own - 2.0 * (others @ own) + jnp.sum(others**2, axis=1)
    small = 2.0 * (own @ fine) + fine @ fine
    small = small + jnp.sum((2.0 * others + rest) * rest, axis=1)
    return exact + (small - 2.0 * (others @ fine + rest @ where))
