r"""Gaussian mixtures, closed under noising, denoising, affine maps and conditioning.

Every component has the covariance

\[ \Sigma_k = b_k (I - U_k U_k^T) + U_k \operatorname{diag}(\lambda_k) U_k^T , \]

with orthonormal \(U_k\) of rank \(r\): rank 0 is isotropic, rank \(d\) is full. Noising
\(\alpha x + \sigma \varepsilon\) and denoising act on \(b\) and \(\lambda\) alone, so after
construction nothing is ever factorised again and a score costs \(O(K d r)\).
A finite training set is the mixture with zero covariances.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _display
from .._checks import concrete, floating
from .._checks import vector as given
from .._types import Key, Matrix, Scalar, Vector
from . import checks as inputs
from . import components, conditioning, moments, words
from .moments import Moments


class GaussianMixture(eqx.Module):
    r"""A mixture \(\sum_k w_k N(\mu_k, \Sigma_k)\); build it with the class methods.

    Attributes:
        log_weights: (K,), normalised.
        means: (K, d).
        base: (K,), variance outside the span of the basis.
        basis: (K, d, r) orthonormal columns, or (1, d, r) when all components share it.
        spectrum: (K, r), variances along the columns of the basis.
        atomic: whether every component is a point mass (no density).
    """

    log_weights: Float[Array, " K"]
    means: Float[Array, "K d"]
    base: Float[Array, " K"]
    basis: Float[Array, "J d r"]
    spectrum: Float[Array, "K r"]
    atomic: bool = eqx.field(static=True, default=False)

    # --- construction ---------------------------------------------------------------

    @classmethod
    def isotropic(cls, weights, means, var) -> "GaussianMixture":
        """Components N(mu_k, var_k I).

        Args:
            weights: (K,), non-negative, summing to one.
            means: (K, d).
            var: () or (K,) variances, positive.

        Raises:
            InputError: if shapes disagree, a weight is negative, the weights do not sum
                to one, or a variance is not positive.
        """
        log_weights, means = inputs.weights_and_means(weights, means)
        var = inputs.variances(var, ((), log_weights.shape), "var")
        base = jnp.broadcast_to(var, log_weights.shape)
        return cls(log_weights, means, base, *components.no_basis(means))

    @classmethod
    def diagonal(cls, weights, means, variances) -> "GaussianMixture":
        """Components N(mu_k, diag(variances_k)); variances (K, d), positive.

        Raises:
            InputError: as `isotropic`.
        """
        log_weights, means = inputs.weights_and_means(weights, means)
        variances = inputs.variances(variances, (means.shape,), "variances")
        basis = jnp.eye(means.shape[1], dtype=means.dtype)[None]
        zero = jnp.zeros_like(log_weights)
        form = components.spectral_form(means, zero, basis, variances)
        return cls(log_weights, means, *form)

    @classmethod
    def full(cls, weights, means, covariances) -> "GaussianMixture":
        """Components N(mu_k, Sigma_k); covariances (K, d, d), positive semi-definite.

        Eigenvalues below d eps times the largest count as 0: no density without noise.

        Raises:
            InputError: if shapes disagree, the weights are not a distribution, or a
                covariance is not symmetric positive semi-definite.
        """
        log_weights, means = inputs.weights_and_means(weights, means)
        covariances = inputs.covariances(covariances, means.shape)
        return cls(log_weights, means, *conditioning.factorised(covariances))

    @classmethod
    def empirical(cls, atoms, weights=None) -> "GaussianMixture":
        """The atoms (N, d) themselves: zero covariances. Equal atoms are merged.

        Args:
            atoms: (N, d).
            weights: (N,), uniform by default.

        Raises:
            InputError: if shapes disagree or the weights are not a distribution.
        """
        atoms = floating(atoms)
        if weights is None:
            count = atoms.shape[0]
            weights = jnp.full(count, 1.0 / max(count, 1), atoms.dtype)
        log_weights, atoms = inputs.weights_and_means(weights, atoms)
        if concrete(log_weights, atoms):
            log_weights, atoms = inputs.merged(log_weights, atoms)
        return cls(
            log_weights,
            atoms,
            jnp.zeros_like(log_weights),
            *components.no_basis(atoms),
            atomic=True,
        )

    # --- what it is -----------------------------------------------------------------

    _shown, words = words.shown, words.words
    __repr__, _repr_html_ = _display.one_line, _display.html

    @property
    def num_components(self) -> int:
        """K."""
        return self.means.shape[0]

    @property
    def dim(self) -> int:
        """d."""
        return self.means.shape[1]

    @eqx.filter_jit
    def covariances(self) -> Float[Array, "K d d"]:
        """Component covariances (K, d, d)."""
        return self._over_components(components.matrix)

    def mean(self) -> Vector:
        """E[X], (d,)."""
        offsets = self.means - self.means[:1]
        return self.means[0] + components.weighted(jnp.exp(self.log_weights), offsets)

    def covariance(self) -> Matrix:
        """Cov[X], (d, d)."""
        eye = jnp.eye(self.dim, dtype=self.means.dtype)
        return jax.vmap(self.covariance_product)(eye)

    def covariance_product(self, vector: Vector) -> Vector:
        """Cov[X] v without forming the matrix: O(K d r)."""
        vector = inputs.point(vector, self.dim)
        weights = jnp.exp(self.log_weights)
        centred = self.means - self.mean()[None]
        within = self._over_components(lambda _, *form: components.apply(vector, *form))
        along = weights * jnp.sum(centred * vector[None], axis=1)
        between = components.weighted(along, centred)
        return components.weighted(weights, within) + between

    def total_variance(self) -> Scalar:
        """tr Cov[X]."""
        beyond = self.dim - self.spectrum.shape[1]
        within = beyond * self.base + jnp.sum(self.spectrum, axis=1)
        spread = jnp.sum((self.means - self.mean()[None]) ** 2, axis=1)
        return jnp.exp(self.log_weights) @ (within + spread)

    # --- density and samples --------------------------------------------------------

    def log_prob(self, x: Vector) -> Scalar:
        """log density at x (d,).

        Raises:
            InputError: if a component is an atom or (where known) has a singular
                covariance: it has no density.
        """
        return components.log_total(self._log_joint(x))

    def responsibilities(self, x: Vector) -> Float[Array, " K"]:
        """P(component k | x), (K,)."""
        return components.shares(self._log_joint(x))

    def score(self, x: Vector) -> Vector:
        r"""\(\nabla \log p(x) = \sum_k r_k \Sigma_k^{-1} (\mu_k - x)\), (d,)."""
        x = inputs.point(x, self.dim)
        form = self.means, 1.0 / self.base, self.basis, 1.0 / self.spectrum
        return components.pull(self.responsibilities(x), x, *form)

    @eqx.filter_jit
    def sample(self, key: Key, num: int) -> Float[Array, "num d"]:
        """Independent samples (num, d); sample i depends on the key and i alone."""
        draw = components.sampler(
            self.log_weights, self.means, self.base, self.basis, self.spectrum
        )
        return jax.lax.map(
            lambda index: draw(jax.random.fold_in(key, index)),
            jnp.arange(num),
            batch_size=min(num, 4096),
        )

    # --- closed operations ----------------------------------------------------------

    def noised(self, alpha: Scalar, sigma: Scalar) -> "GaussianMixture":
        r"""Law of \(\alpha X + \sigma \varepsilon\) (C1)."""
        alpha, sigma = inputs.scales(alpha, sigma)
        clean = self.atomic and concrete(sigma) and float(sigma) == 0.0
        return GaussianMixture(
            self.log_weights,
            alpha * self.means,
            alpha**2 * self.base + sigma**2,
            self.basis,
            alpha**2 * self.spectrum + sigma**2,
            atomic=clean,
        )

    def denoised(self, x: Vector, alpha: Scalar, sigma: Scalar) -> "GaussianMixture":
        r"""Law of \(X\) given \(\alpha X + \sigma\varepsilon = x\) (C2, C4), sigma > 0.

        Component covariances \(\sigma^2 \Sigma_k (\alpha^2\Sigma_k + \sigma^2 I)^{-1}\)
        keep the basis; only the weights and the means depend on x.
        """
        x = inputs.point(x, self.dim)
        log_joint = self.noised(alpha, sigma)._log_joint(x)

        def shrink(variance):
            return sigma**2 * variance / (alpha**2 * variance + sigma**2)

        return GaussianMixture(
            log_joint - components.log_total(log_joint),
            self._denoised_means(x, alpha, sigma),
            shrink(self.base),
            self.basis,
            shrink(self.spectrum),
            atomic=self.atomic,
        )

    def denoised_mean(self, x: Vector, alpha: Scalar, sigma: Scalar) -> Vector:
        """`denoised(x, alpha, sigma).mean()`, (d,), at a fraction of its cost."""
        return self.denoised_moments(x, alpha, sigma).mean

    def denoised_moments(self, x: Vector, alpha: Scalar, sigma: Scalar) -> Moments:
        """Mean of `denoised(x, alpha, sigma)`, and products with its covariance.

        Both follow from one evaluation of the weights, at a fraction of the cost.
        """
        x = inputs.point(x, self.dim)
        log_joint = self.noised(alpha, sigma)._log_joint(x)
        if self.basis.shape[0] == 1:
            form = self.means, self.base, self.basis[0], self.spectrum
            return moments.shared_basis(x, log_joint, alpha, sigma, *form)
        middle = components.middle(self.means)  # far out, means would be rounded
        near = eqx.tree_at(lambda gm: gm.means, self, self.means - middle[None])
        law = near.denoised(x - alpha * middle, alpha, sigma)
        mean = middle + components.average(log_joint, law.means)
        return Moments(mean, law.covariance_product)

    def _denoised_means(self, x, alpha, sigma):
        def moved(mean, base, basis, spectrum):
            both = base, spectrum
            gain, gains = (alpha * v / (alpha**2 * v + sigma**2) for v in both)
            return mean + components.apply(x - alpha * mean, gain, basis, gains)

        return self.means if self.atomic else self._over_components(moved)

    def affine(self, A, b=None, R=None) -> "GaussianMixture":
        """Law of A X + b + N(0, R).

        Args:
            A: (m, d).
            b: (m,), zero by default.
            R: noise as variance (), variances (m,) or covariance (m, m), positive
                semi-definite; none by default.

        Raises:
            InputError: if shapes disagree or R is not a covariance.
        """
        A = floating(A)
        inputs.require_columns(A, self.dim)
        rows = A.shape[0]
        means = self.means @ A.T
        if b is not None:
            means = means + inputs.offset(b, rows)[None]
        if self.atomic and R is None:
            zero = jnp.zeros_like(self.log_weights)
            return GaussianMixture(
                self.log_weights, means, zero, *components.no_basis(means), atomic=True
            )
        covariances = A[None] @ self.covariances() @ A.T[None]
        if R is not None:
            R = floating(R)
            inputs.check_noise(R, rows, definite=False)
            covariances = covariances + conditioning.noise_covariance(R, rows)[None]
        form = conditioning.factorised(covariances)
        return GaussianMixture(self.log_weights, means, *form)

    def conditioned(self, A, R, y) -> "GaussianMixture":
        """Law of X given A X + N(0, R) = y (C8).

        Args:
            A: (m, d).
            R: variance (), variances (m,) or covariance (m, m), positive definite.
            y: (m,).

        Raises:
            InputError: if shapes disagree or R is not positive definite.
        """
        return self.condition_on(conditioning.whiten(A, R, y, self.dim))[0]

    def log_evidence(self, A, R, y) -> Scalar:
        """log p(y) for y = A X + N(0, R); arguments as `conditioned`."""
        return self.condition_on(conditioning.whiten(A, R, y, self.dim))[1]

    def condition_on(
        self, seen: conditioning.Whitened
    ) -> tuple["GaussianMixture", Scalar]:
        """The conditioned mixture and the log-evidence of a whitened measurement."""
        if self.atomic:

            def log_factor(atom):
                gap = seen.y - seen.A @ atom
                return conditioning.log_normal_whitened(gap, seen.log_det)

            return self.reweighted(jax.vmap(log_factor)(self.means))
        evidence, means, basis, spectrum = conditioning.components(
            self.means, self.base, self.basis, self.spectrum, seen
        )
        log_joint = self.log_weights + evidence
        total = components.log_total(log_joint)
        form = components.spectral_form(means, self.base, basis, spectrum)
        return GaussianMixture(log_joint - total, means, *form), total

    def reweighted(
        self, log_factors: Float[Array, " K"]
    ) -> tuple["GaussianMixture", Scalar]:
        """The mixture with weights times exp(log_factors), and the log normaliser."""
        log_factors = given(log_factors, "log_factors", self.num_components)
        log_joint = self.log_weights + log_factors
        total = components.log_total(log_joint)
        return eqx.tree_at(lambda gm: gm.log_weights, self, log_joint - total), total

    # --- components -----------------------------------------------------------------

    def _over_components(self, fn):
        """vmap of fn(mean, base, basis, spectrum) over components."""
        return components.each(fn, self.means, self.base, self.basis, self.spectrum)

    def _log_joint(self, x: Vector) -> Float[Array, " K"]:
        inputs.check_density(self.atomic, self.base, self.spectrum, self.dim)
        x = inputs.point(x, self.dim)
        form = self.means, self.base, self.basis, self.spectrum
        return components.log_joint(x, self.log_weights, *form)
