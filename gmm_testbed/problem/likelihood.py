r"""The exact likelihood \(p(y \mid x_t)\) at every time, and what it moves.

The law of \(x_0\) given \(x_t\) is a mixture with weights \(r_k\), means \(m_k\) and
covariances \(S_k\) (`GaussianMixture.denoised`). Three cases are exact or certified:

- linear measurement, any mixture: \(p(y|x_t) = \sum_k r_k N(y; A m_k + b, A S_k A^T + R)\);
- atoms, any measurement: \(p(y|x_t) = \sum_k r_k\, p(y|a_k)\), the finite-sample reference
  (Burns & Fridovich-Keil, arXiv:2605.30330);
- any measurement in d <= 2: quadrature over each component.

Each gives the log-likelihood and the *correction* \(E[x_0|x_t,y] - E[x_0|x_t]\), written
without the difference of the two means. So it keeps its digits where it is small beside
them: as \(\sigma_t \to 0\), where it is \(O(\sigma_t^2)\), and for a measurement with
little to say. With \(d_k\) the log-likelihood of component k minus that of a reference,
had as a sum of small terms and not as a difference, the new weights exceed the old by
\(q_k - r_k = r_k\,(e^{d_k - \lambda} - 1)\), \(\lambda = \log \sum_k r_k e^{d_k}\).
"""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .. import _linalg
from .._types import Matrix, Observation, Scalar, Vector
from ..mixture import GaussianMixture, components
from ..mixture.conditioning import Whitened, log_normal_whitened
from .atoms import log_factors, log_ratios, log_ratios_of_atoms
from .measurements import AbstractMeasurement, Linear


class AbstractLikelihood(eqx.Module):
    """p(y | x_t) as a functional of the law of x0 given x_t."""

    @abstractmethod
    def log_likelihood(self, denoised: GaussianMixture) -> Scalar:
        """log p(y | x_t)."""

    @abstractmethod
    def correction(self, denoised: GaussianMixture) -> Vector:
        """E[x0 | x_t, y] - E[x0 | x_t], (d,)."""

    @abstractmethod
    def posterior_moments(self, denoised: GaussianMixture) -> tuple[Vector, Matrix]:
        """Mean (d,) and covariance (d, d) of x0 given x_t and y."""


class LinearLikelihood(AbstractLikelihood):
    """Linear measurement of any mixture, in closed form (C6, C7).

    Args:
        prior: its component bases are those of every denoised law.
        seen: the whitened measurement.
    """

    seen: Whitened
    inside: Float[Array, "J m r"]
    outside: Float[Array, "J m m"]

    def __init__(self, prior: GaussianMixture, seen: Whitened):
        self.seen = seen
        self.inside = jnp.einsum("md,jdr->jmr", seen.A, prior.basis)
        beyond = seen.A[None] - jnp.einsum("jmr,jdr->jmd", self.inside, prior.basis)
        self.outside = jnp.einsum("jmd,jnd->jmn", beyond, beyond)

    def log_likelihood(self, denoised: GaussianMixture) -> Scalar:
        """Log-sum-exp over components of log r_k + log N(y; A m_k, R_k)."""
        log_terms, _ = self._pulls(denoised, self._factors(denoised)[1])
        return components.log_total(denoised.log_weights + log_terms)

    def correction(self, denoised: GaussianMixture) -> Vector:
        r"""\(\sum_k (q_k - r_k) m_k + \sum_k q_k S_k A^T R_k^{-1} (y - A m_k)\)."""
        excess, factors = self._factors(denoised)
        log_terms, duals = self._pulls(denoised, factors)
        top = jnp.argmax(denoised.log_weights + log_terms)
        ratios = self._ratios(denoised, excess, factors, duals, top)
        shifts = _apply_components(denoised, duals @ self.seen.A)
        return _reweighting(denoised.log_weights, ratios, denoised.means, shifts)

    def posterior_moments(self, denoised: GaussianMixture) -> tuple[Vector, Matrix]:
        """By conditioning every component: for reference, not for loops (LAPACK)."""
        posterior, _ = denoised.condition_on(self.seen)
        return posterior.mean(), posterior.covariance()

    def _factors(self, denoised):
        """Per component R_k - I, in units of the noise, and the factor of R_k."""
        rank, dim = denoised.spectrum.shape[1], denoised.dim
        eye = jnp.eye(self.seen.A.shape[0], dtype=self.seen.A.dtype)

        def factor(mean, base, projection, spectrum):
            inside, outside = projection
            excess = (inside * spectrum[None, :]) @ inside.T
            if rank < dim:
                excess = excess + base * outside
            return excess, _linalg.cholesky(eye + excess)

        projections = self.inside, self.outside
        form = denoised.means, denoised.base, projections, denoised.spectrum
        return components.each(factor, *form)

    def _pulls(self, denoised, factors):
        """Per component: log N(y; A m_k, R_k) and the dual R_k^{-1}(y - A m_k)."""

        def pull(mean, factor):
            half = _linalg.solve_lower(factor, self.seen.y - self.seen.A @ mean)
            log_det = self.seen.log_det + 0.5 * _linalg.log_det(factor)
            return log_normal_whitened(half, log_det), _linalg.solve_upper(factor, half)

        return jax.vmap(pull)(denoised.means, factors)

    def _ratios(self, denoised, excess, factors, duals, top):
        r"""log N(y; A m_k, R_k) minus that of the component `top`, (K,).

        With residuals r: the quadratic forms differ by
        \((r_k - r_0)^T R_0^{-1} (r_k + r_0) - (R_0^{-1} r_k)^T (R_k - R_0) R_k^{-1} r_k\).
        """
        volumes = jax.vmap(_linalg.log_det_of_one_plus)(excess)

        def ratio(mean, excess_k, dual, volume):
            own = self.seen.y - self.seen.A @ mean
            moved = self.seen.A @ (denoised.means[top] - mean)
            turned = _linalg.solve(factors[top], own)
            square = moved @ (turned + duals[top])
            square = square - turned @ ((excess_k - excess[top]) @ dual)
            return -0.5 * (square + volume - volumes[top])

        return jax.vmap(ratio)(denoised.means, excess, duals, volumes)


class AtomicLikelihood(AbstractLikelihood):
    """Any measurement of atoms.

    Attributes:
        log_factors: (K,) log p(y | a_k), computed once.
        ratios: (K,) the same minus the largest, without a difference.
    """

    log_factors: Float[Array, " K"]
    ratios: Float[Array, " K"]

    def log_likelihood(self, denoised: GaussianMixture) -> Scalar:
        """Log-sum-exp over atoms."""
        return components.log_total(denoised.log_weights + self.log_factors)

    def correction(self, denoised: GaussianMixture) -> Vector:
        """The atoms reweighted, minus the atoms."""
        return _reweighting(denoised.log_weights, self.ratios, denoised.means)

    def posterior_moments(self, denoised: GaussianMixture) -> tuple[Vector, Matrix]:
        """Of the reweighted atoms."""
        posterior, _ = denoised.reweighted(self.log_factors)
        return posterior.mean(), posterior.covariance()


class QuadratureLikelihood(AbstractLikelihood):
    """Any measurement of any mixture in d <= 2, by quadrature over each component.

    It is the trapezoidal rule, in the coordinates in which the component is standard
    normal. Gauss-Hermite's rule needs more nodes for the same accuracy, as its own reach
    out to sqrt(4 n), where there is no mass: at the centre 256 of them are as far apart
    as 103 of these (Trefethen, SIAM Review 64 (2022), 132-150).

    Args:
        measurement: the forward map.
        y: (m,).
        dim: d, 1 or 2.
        nodes: nodes a dimension and component, from -reach to reach.
        reach: in standard deviations.
    """

    measurement: AbstractMeasurement
    y: Observation
    nodes: Float[Array, "q d"]
    log_node_weights: Float[Array, " q"]

    def __init__(self, measurement, y, dim: int, nodes: int, reach: float):
        self.measurement = measurement
        self.y = y
        # symmetric to the last bit, so that odd moments are zero
        points = (np.arange(nodes) - 0.5 * (nodes - 1)) * (2.0 * reach / (nodes - 1))
        weights = np.exp(-0.5 * points**2)
        grid = np.meshgrid(*[points] * dim, indexing="ij")
        log_weights = -0.5 * points**2 - np.log(weights.sum())
        log_grid = np.meshgrid(*[log_weights] * dim, indexing="ij")
        self.nodes = jnp.asarray(np.stack(grid, axis=-1).reshape(-1, dim), y.dtype)
        self.log_node_weights = jnp.asarray(sum(log_grid).reshape(-1), y.dtype)

    def log_likelihood(self, denoised: GaussianMixture) -> Scalar:
        """Log-sum-exp over components and nodes."""
        return components.log_total(self._log_joint(denoised)[1])

    def correction(self, denoised: GaussianMixture) -> Vector:
        """The nodes reweighted, minus the nodes."""
        points, log_weights = self._points(denoised)
        seen = jax.vmap(self.measurement.apply)(points)
        ratios = log_ratios(self.measurement, self.y, seen)
        return _reweighting(log_weights, ratios, points)

    def posterior_moments(self, denoised: GaussianMixture) -> tuple[Vector, Matrix]:
        """Of the weighted nodes."""
        points, log_joint = self._log_joint(denoised)
        share = components.shares(log_joint)
        mean = share @ points
        centred = points - mean[None]
        return mean, (share[:, None] * centred).T @ centred

    def undefined(self, denoised: GaussianMixture) -> Int[Array, ""]:
        """Number of nodes of this law where the forward model is NaN, ()."""
        return jnp.sum(jnp.isnan(self._log_joint(denoised)[1]))

    def _points(self, denoised):
        def place(mean, base, basis, spectrum):
            root = jax.vmap(
                lambda z: components.apply(z, jnp.sqrt(base), basis, jnp.sqrt(spectrum))
            )
            return mean[None] + root(self.nodes)

        points = components.each(
            place, denoised.means, denoised.base, denoised.basis, denoised.spectrum
        )
        log_weights = denoised.log_weights[:, None] + self.log_node_weights[None, :]
        return points.reshape(-1, denoised.dim), log_weights.reshape(-1)

    def _log_joint(self, denoised):
        points, log_weights = self._points(denoised)
        log_y = jax.vmap(lambda point: self.measurement.log_prob(self.y, point))(points)
        return points, log_weights + log_y


def _reweighting(log_before, ratios, means, shifts=None):
    """sum_k (q_k - r_k) m_k + q_k shift_k, with q_k ~ r_k exp(ratio_k).

    Args:
        log_before: (K,) log r.
        ratios: (K,) logarithms, up to a constant.
        means: (K, d) m.
        shifts: (K, d), none by default.
    """
    before, log_joint = jnp.exp(log_before), log_before + ratios
    ratios = ratios - ratios[jnp.argmax(log_joint)]
    total = components.log_total(log_before + ratios)
    near = jnp.abs(total) < 0.5
    gained = components.weighted(before, jnp.expm1(jnp.minimum(ratios, 1.0)))
    excess = jnp.exp(log_before + ratios) - jnp.exp(
        log_before + jnp.minimum(ratios, 1.0)
    )
    gained = gained + components.weighted(jnp.ones_like(excess), excess)
    total = jnp.where(near, jnp.log1p(jnp.where(near, gained, 0.0)), total)
    small = ratios - total < 1.0
    change = before * jnp.expm1(jnp.where(small, ratios - total, 0.0))
    after = jnp.exp(log_before + ratios - total)
    change = jnp.where(small, change, after - before)
    centred = means - components.weighted(before, means)[None]
    moved = components.weighted(change, centred)
    return moved if shifts is None else moved + components.weighted(after, shifts)


def _apply_components(denoised, vectors):
    """S_k v_k for every component, (K, d)."""
    return components.each(
        components.apply, vectors, denoised.base, denoised.basis, denoised.spectrum
    )


# What a problem is built of: one program for each in place of ten or more.


@eqx.filter_jit
def conditioned(prior: GaussianMixture, measurement: Linear, y: Observation):
    """Posterior and log-evidence of a linear measurement."""
    return prior.condition_on(measurement.whitened(y))


@eqx.filter_jit
def linear_likelihood(prior: GaussianMixture, measurement: Linear, y: Observation):
    """The likelihood of a linear measurement."""
    return LinearLikelihood(prior, measurement.whitened(y))


def atomic_likelihood(
    measurement: AbstractMeasurement, y: Observation, atoms: Float[Array, "K d"]
) -> AtomicLikelihood:
    """The likelihood of any measurement of atoms (K, d)."""
    given = measurement, y, atoms
    return AtomicLikelihood(log_factors(*given), log_ratios_of_atoms(*given))
