r"""Mixtures that split: any law in a line or plane, times one isotropic Gaussian beyond.

With a frame V (d, r) of orthonormal columns, x splits into \(V^T x\) and
\(x - V V^T x\). A mixture is a product of the two laws if every component has

\[ (I - V V^T) \mu_k = c, \qquad \Sigma_k = V S_k V^T + \tau^2 (I - V V^T), \]

with one c and one \(\tau^2\). Then nothing of size d x d is ever needed. LAPACK is NumPy's
here, once a law, on matrices with d columns and a few rows.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._checks import unsupported
from ..._types import Scalar, Vector
from ...mixture import GaussianMixture
from ...mixture.components import no_basis
from ...mixture.conditioning import factorised

_ROUNDINGS = 1e4  # what counts as zero, in units of the dtype's rounding


class Split(NamedTuple):
    """The two factors of a law.

    Attributes:
        inside: the law of V^T x, in dimension r.
        centre: (d,), mean beyond the frame, orthogonal to it.
        variance: () of every direction beyond the frame.
    """

    inside: GaussianMixture
    centre: Vector
    variance: Scalar


def frame_of(prior: GaussianMixture, operator) -> Float[Array, "d r"]:
    """The smallest frame along which the prior splits and that holds the operator's rows.

    Args:
        prior: a mixture in dimension d.
        operator: (m, d).

    Returns:
        Orthonormal columns (d, r), r = 1 or 2.

    Raises:
        UnsupportedError: if more than two dimensions are needed.
    """
    means = np.asarray(prior.means, np.float64)
    rows = np.asarray(operator, np.float64)
    zero = _zero(prior)
    found = []
    for variance in _variances(prior, zero):
        columns = _odd_columns(prior, variance, zero)
        if columns is not None:
            groups = (means[1:] - means[:1], means), (rows, rows), (columns, columns)
            found.append(_span([_units(*group, zero) for group in groups], zero))
    if not found:
        _refuse("covariances that differ in three or more directions of space")
    frame = min(found, key=lambda columns: columns.shape[1])
    if frame.shape[1] > 2:
        _refuse(f"a span of dimension {frame.shape[1]}")
    if frame.shape[1] == 0:
        frame = np.eye(prior.dim, 1)
    return jnp.asarray(frame, prior.means.dtype)


def split(mixture: GaussianMixture, frame: Float[Array, "d r"]) -> Split:
    """The two factors of a mixture along a frame.

    Raises:
        UnsupportedError: if the mixture does not split along it.
    """
    V, zero = np.asarray(frame, np.float64), _zero(mixture)
    means = np.asarray(mixture.means, np.float64)
    inside = means @ V
    beyond = means - inside @ V.T
    if np.abs(beyond - beyond[:1]).max() > zero * (1.0 + np.abs(means).max()):
        _refuse("component means that differ beyond the subspace of the problem")
    variance = next(
        (v for v in _variances(mixture, zero) if _fits(mixture, V, v, zero)), None
    )
    if variance is None:
        _refuse("component covariances that are not isotropic beyond the subspace")
    dtype = mixture.means.dtype
    form = _inside_form(mixture, V, variance, jnp.asarray(inside, dtype))
    return Split(
        GaussianMixture(
            mixture.log_weights,
            jnp.asarray(inside, dtype),
            *form,
            atomic=mixture.atomic,
        ),
        jnp.asarray(beyond[0], dtype),
        jnp.asarray(variance, dtype),
    )


def _zero(mixture) -> float:
    return _ROUNDINGS * float(jnp.finfo(mixture.means.dtype).eps)


def _variances(mixture, zero) -> list[float]:
    """Eigenvalues of the first covariance in all but two directions or fewer."""
    dim, rank = mixture.dim, mixture.spectrum.shape[1]
    values = np.asarray(mixture.spectrum, np.float64)[0]
    times = np.ones(rank)
    if rank < dim:
        values = np.append(np.asarray(mixture.base, np.float64)[0], values)
        times = np.append(dim - rank, times)
    kept = []
    for value in values:
        near = np.abs(values - value) <= zero * value
        if times[near].sum() >= dim - 2 and not np.isclose(kept, value, zero, 0).any():
            kept.append(float(value))
    return kept


def _odd_columns(mixture, variance, zero):
    """Directions (n, d) of another variance, or None if a base is another one."""
    base = np.asarray(mixture.base, np.float64)
    spectrum = np.asarray(mixture.spectrum, np.float64)
    basis = np.asarray(mixture.basis, np.float64)
    if spectrum.shape[1] < mixture.dim:
        if (np.abs(base - variance) > zero * variance).any():
            return None
    odd = np.abs(spectrum - variance) > zero * max(variance, spectrum.max(initial=0.0))
    if basis.shape[0] == 1:
        return basis[0].T[odd.any(axis=0)]
    return np.swapaxes(basis, 1, 2)[odd]


def _fits(mixture, V, variance, zero) -> bool:
    columns = _odd_columns(mixture, variance, zero)
    if columns is None:
        return False
    return bool((np.abs(columns - columns @ V @ V.T) <= zero).all())


def _inside_form(mixture, V, variance, inside):
    """Base, basis and spectrum of the components of V^T x."""
    count, rank = mixture.spectrum.shape
    base = jnp.full(count, variance, inside.dtype)
    if rank == 0:
        return base, *no_basis(inside)
    overlap = np.swapaxes(np.asarray(mixture.basis, np.float64), 1, 2) @ V
    excess = np.asarray(mixture.spectrum, np.float64) - variance
    overlap = np.broadcast_to(overlap, (count, *overlap.shape[1:]))
    covariances = np.einsum("kqi,kq,kqj->kij", overlap, excess, overlap)
    covariances = covariances + variance * np.eye(V.shape[1])
    return factorised(jnp.asarray(covariances, inside.dtype))


def _units(vectors, like, zero):
    """The vectors that are not zero beside `like`, as unit vectors."""
    norms = np.sqrt((vectors**2).sum(axis=1))
    size = np.sqrt((like**2).sum(axis=1)).max(initial=0.0)
    kept = norms > zero * size
    return vectors[kept] / norms[kept][:, None]


def _span(groups, zero):
    """Orthonormal columns that span the unit vectors of all groups."""
    vectors = np.concatenate(groups)
    if not len(vectors):
        return vectors.T
    singular, right = np.linalg.svd(vectors, full_matrices=False)[1:]
    return right[singular > zero * singular[0]].T


def _refuse(got: str):
    unsupported(
        "this problem does not reduce to a line or a plane",
        got=got,
        expected="means, rows of A and unequal variances within one line or plane (up to "
        "a common offset), and one variance beyond it",
        hint="use gt.laws.affine for one Gaussian, gt.laws.sandwich_kl or "
        "gt.laws.flow_kl in a few dimensions, or gt.sample",
    )
