r"""Distribution function of a law on the line at the nodes of its grid.

The Fourier formula is exact to rounding from about three nodes a standard deviation.
With fewer, frequencies beyond the grid's limit fold back and leave a ripple (4e-7 at
1.5 nodes) that reaches far into the tails, where nothing else is left. There the law is
integrated cell by cell from its logarithm, which is a parabola in the tail of a
Gaussian. The size of the highest frequencies that are seen decides where that is.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from . import spectral
from .curves import STENCIL, first_node

_TAIL = 30.0  # tails below this many ripples are integrated in logarithms
_QUADRATURE = 8  # Gauss-Legendre points a cell


def cdf_at_nodes(log_weights: Float[Array, " n"]) -> Float[Array, " n"]:
    """Mass to the left of every node, from the log-mass a cell at the nodes (n,).

    Errs by rounding of the total if the law is resolved and has died out at both ends;
    a tail that has not leaves an error of the size of the density at the end.
    """
    weights = jnp.exp(log_weights)
    inner = spectral.running_integral(weights)
    cells = _cells(log_weights)
    zero = jnp.zeros(1, cells.dtype)
    left = jnp.concatenate([zero, jnp.cumsum(cells)])
    right = jnp.concatenate([jnp.cumsum(cells[::-1])[::-1], zero])
    tail = _TAIL * _ripple(weights)
    upper = jnp.where(right < tail, jnp.sum(weights) - right, inner)
    return jnp.where(left < tail, left, upper)


def _cells(log_weights):
    """Mass of every cell (n - 1,): a polynomial of degree 7 through the logarithm."""
    cells = np.arange(log_weights.shape[0] - 1)
    first = first_node(cells, cells.size)
    around = log_weights[first[:, None] + np.arange(STENCIL)[None]]
    places, shares = np.polynomial.legendre.leggauss(_QUADRATURE)
    at = (cells - first)[:, None] + 0.5 * (places + 1.0)[None]
    basis = jnp.asarray(_lagrange(at), log_weights.dtype)
    # An empty node has no logarithm; cells near one get the trapezoidal rule.
    known = jnp.all(around > -jnp.inf, axis=1)
    around = jnp.where(known[:, None], around, 0.0)
    logs = jnp.einsum("cqs,cs->cq", basis, around, precision="highest")
    smooth = jnp.exp(logs) @ jnp.asarray(0.5 * shares, logs.dtype)
    weights = jnp.exp(log_weights)
    return jnp.where(known, smooth, 0.5 * (weights[:-1] + weights[1:]))


def _ripple(weights):
    """Root mean square of the highest twentieth of the frequencies, two at least.

    The highest one is 0 for a law that is symmetric about the middle of a cell.
    """
    spectrum = jnp.abs(jnp.fft.rfft(weights))
    highest = spectrum[-max(spectrum.shape[0] // 20, 2) :]
    return jnp.sqrt(jnp.mean(highest**2))


def _lagrange(at: np.ndarray) -> np.ndarray:
    """Values at `at` (..., q) of the eight Lagrange polynomials, (..., q, 8)."""
    nodes = np.arange(STENCIL)
    columns = []
    for i in nodes:
        others = nodes[nodes != i]
        columns.append(np.prod((at[..., None] - others) / (i - others), axis=-1))
    return np.stack(columns, axis=-1)
