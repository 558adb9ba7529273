r"""One Gaussian prior and linear measurement in their common basis: d problems on the line.

Where an orthogonal basis U diagonalises the covariance of the prior and
\(A^T R^{-1} A\), coordinate i of \(U^T x_0\) is \(N(m_i, l_i)\), measured as
\(y_i = g_i x_i + N(0, n_i)\) (\(g_i = 0\): not measured), and independent of the others.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from .. import _display
from .._arguments import check_kinds
from .._checks import concrete, floating, require, unsupported
from .._types import Matrix, Scalar, Vector
from ..divergences import closed_form
from ..mixture import GaussianMixture
from ..paths import AbstractPath
from ..problem import InverseProblem, Linear, Target

_COMMUTES = 1e-9  # relative: what is left off the diagonals
_BLEND = 0.6180339887498949  # generic: no two pairs of eigenvalues add up to the same


class EigenGaussian(eqx.Module):
    """N(means, diag(variances)) in a basis that is understood.

    Attributes:
        means: (d,).
        variances: (d,), not negative.
    """

    means: Vector
    variances: Vector

    __repr__, _repr_html_ = _display.one_line, _display.html

    def _shown(self) -> _display.Shown:
        """How many coordinates, and their total variance."""
        total = float(jnp.sum(self.variances))
        dim = self.means.shape[0]
        return _display.Shown(f"EigenGaussian in dimension {dim}, variance {total:.6g}")

    def kl(self, other: "EigenGaussian") -> Scalar:
        """KL(self || other) in nats."""
        return jnp.sum(_each(closed_form.kl, self, other))

    def w2(self, other: "EigenGaussian") -> Scalar:
        """Wasserstein-2 distance, in units of x."""
        return jnp.sqrt(jnp.sum(_each(closed_form.w2_squared, self, other)))

    def fisher(self, other: "EigenGaussian") -> Scalar:
        """Relative Fisher information of this law from the other."""
        return jnp.sum(_each(closed_form.fisher, self, other))


@eqx.filter_jit
def _each(divergence, one, other):
    """A closed form of every coordinate, (d,)."""

    def on_the_line(mean, variance, other_mean, other_variance):
        first = mean[None], variance[None, None]
        return divergence(*first, other_mean[None], other_variance[None, None])

    sides = one.means, one.variances, other.means, other.variances
    return jax.vmap(on_the_line)(*sides)


class EigenProblem(eqx.Module):
    """d problems on the line: a Gaussian prior and a measurement in their eigenbasis.

    Args:
        path: of the noising.
        variances: (d,) eigenvalues of the prior's covariance, positive.
        means: (d,) or (), of the prior.
        gains: (d,) or (), of the measurement y = gains x + noise; 0, without a
            measurement, by default.
        noise: (d,) or () variances of its noise, positive.
        y: (d,) or ().
        basis: (d, d), whose columns are the coordinates; the axes by default.

    Raises:
        InputError: unless shapes agree and variances and noise are positive.
    """

    path: AbstractPath
    variances: Vector
    means: Vector
    gains: Vector
    noise: Vector
    y: Vector
    basis: Matrix | None

    def __init__(
        self, path, variances, means=0.0, gains=0.0, noise=1.0, y=0.0, basis=None
    ):
        check_kinds(
            "gt.laws.EigenProblem(path, variances)",
            path=(path, AbstractPath, "a path, as gt.VP()"),
        )
        self.path, self.variances = path, floating(variances)
        require(
            self.variances.ndim == 1 and self.variances.shape[0] > 0,
            "the eigenvalues are no vector",
            got=f"shape {self.variances.shape}",
            expected="(d,)",
            hint="of a covariance: jnp.linalg.eigvalsh(covariance)",
        )
        self.means = self._along(means, "means")
        self.gains = self._along(gains, "gains")
        self.noise = self._along(noise, "noise")
        self.y = self._along(y, "y")
        self.basis = None if basis is None else floating(basis)
        for name in ("variances", "noise"):
            values = getattr(self, name)
            require(
                not concrete(values) or bool(jnp.all(values > 0)),
                f"{name} are not positive",
                got=f"least {float(jnp.min(values)):g}" if concrete(values) else "",
                expected="positive variances",
                hint="leave out directions without variance: nothing happens there",
            )

    @classmethod
    def of(cls, target: Target) -> "EigenProblem":
        r"""The coordinates of a target in the basis of its prior and measurement.

        One that is shared: eigenvectors of a generic combination of the covariance and of
        \(A^T R^{-1} A\), which must both be diagonal there.

        Raises:
            UnsupportedError: if the prior is not one Gaussian with a density, the
                measurement is not linear, methods see another denoiser, or there is no
                common basis.
        """
        problem = target.problem
        prior, measurement = problem.prior, problem.measurement
        one = prior.num_components == 1 and not prior.atomic
        if not (one and isinstance(measurement, Linear) and target.denoiser is None):
            unsupported(
                "this problem has no eigenvalues",
                got=f"{prior.num_components} components, {type(measurement).__name__}, "
                + ("its own" if target.denoiser is None else "another")
                + " denoiser",
                expected="one Gaussian, a Linear measurement, the exact denoiser",
                hint="use gt.laws.grid in d <= 2, gt.laws.reduced, or gt.sample",
            )
        covariance = np.asarray(prior.covariances()[0])
        seen = measurement.whitened(problem.y)
        A, y = np.asarray(seen.A), np.asarray(seen.y)
        precision = A.T @ A
        sizes = np.abs(covariance).max(), np.abs(precision).max() or 1.0
        blend = covariance / sizes[0] + _BLEND * precision / sizes[1]
        basis = np.linalg.eigh(blend)[1]
        left = [
            np.abs(turned - np.diag(np.diagonal(turned))).max() / size
            for turned, size in zip(
                (basis.T @ covariance @ basis, basis.T @ precision @ basis),
                sizes,
                strict=True,
            )
        ]
        if not max(left) < _COMMUTES:
            unsupported(
                "no basis diagonalises both the prior and the measurement",
                got=f"{max(left):.2g} of the largest entry off the diagonal",
                expected="a covariance that commutes with A^T R^-1 A",
                hint="use gt.laws.affine, which needs no common basis",
            )
        along = A @ basis
        gains = np.sqrt(np.sum(along**2, axis=0))
        gains = np.where(gains > _COMMUTES * gains.max(), gains, 0.0)
        seen_y = along.T @ y / np.where(gains > 0, gains, 1.0)
        return cls(
            target.path,
            np.einsum("ji,jk,ki->i", basis, covariance, basis),
            basis.T @ np.asarray(prior.means[0]),
            gains,
            1.0,
            np.where(gains > 0, seen_y, 0.0),
            basis,
        )

    __repr__, _repr_html_ = _display.one_line, _display.html

    def _shown(self) -> _display.Shown:
        """How many eigenvalues, from which to which, and how many are measured."""
        ends = np.asarray(self.variances).min(), np.asarray(self.variances).max()
        count = int(np.sum(np.asarray(self.gains) != 0))
        line = f"EigenProblem: {self.dim} variances from {ends[0]:.4g} to {ends[1]:.4g}"
        return _display.Shown(f"{line}, {count} measured, along {self.path}")

    @property
    def dim(self) -> int:
        """d."""
        return self.variances.shape[0]

    def prior(self) -> EigenGaussian:
        """The law of x0."""
        return EigenGaussian(self.means, self.variances)

    def exact(self) -> EigenGaussian:
        """The law of x0 given y."""
        growth = self.noise + self.gains**2 * self.variances
        pull = self.variances * self.gains / growth
        means = self.means + pull * (self.y - self.gains * self.means)
        return EigenGaussian(means, self.variances * self.noise / growth)

    def marginal(self, t: Scalar) -> EigenGaussian:
        """The law of x_t."""
        return self._noised(self.prior(), t)

    def posterior(self, t: Scalar) -> EigenGaussian:
        """The law of x_t given y."""
        return self._noised(self.exact(), t)

    def some(self, indices: Int[Array, " k"]) -> Target:
        """Coordinates (k,) together, as one target in dimension k."""
        means, variances, gains, noise, y = (part[indices] for part in self._parts())
        one = jnp.ones(1, means.dtype)
        prior = GaussianMixture.diagonal(one, means[None], variances[None])
        measurement = Linear(jnp.diag(gains), noise)
        return Target(InverseProblem(prior, measurement, y), self.path)

    def lines(self) -> Target:
        """Every coordinate as a target on the line, stacked: leaves (d, ...)."""

        def line(mean, variance, gain, noise, y):
            one = jnp.ones(1, mean.dtype)
            prior = GaussianMixture.isotropic(one, mean[None, None], variance)
            measurement = Linear(gain[None, None], noise)
            return Target(InverseProblem(prior, measurement, y[None]), self.path)

        return eqx.filter_vmap(line)(*self._parts())

    def _parts(self):
        return self.means, self.variances, self.gains, self.noise, self.y

    def _noised(self, law: EigenGaussian, t: Scalar) -> EigenGaussian:
        alpha, sigma = self.path.alpha(t), self.path.sigma(t)
        variances = alpha**2 * law.variances + sigma**2
        return EigenGaussian(alpha * law.means, variances)

    def _along(self, values, name) -> Array:
        values, shape = floating(values), self.variances.shape
        require(
            values.shape in ((), shape),
            f"{name} do not fit the eigenvalues",
            got=f"shape {values.shape}",
            expected=f"() or {shape}",
            hint="one value a coordinate of the common basis",
        )
        return jnp.broadcast_to(values.astype(self.variances.dtype), shape)
