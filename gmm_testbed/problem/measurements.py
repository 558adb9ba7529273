r"""Measurements \(y = f(x_0) + N(0, R)\), linear or not, and builders of linear ones."""

import functools
from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import _decompositions, _linalg
from .._arguments import described
from .._checks import (
    check_count,
    check_finite,
    check_indices,
    check_real,
    fail,
    floating,
    require,
    scalar,
    vector,
)
from .._types import Function, Key, Matrix, Observation, Scalar, Vector
from ..mixture.checks import check_noise, offset
from ..mixture.conditioning import Whitened, log_normal_whitened, noise_factor


class AbstractMeasurement(eqx.Module):
    """A forward map with Gaussian noise.

    Attributes:
        R: (m, m) noise covariance.
        whitener: (m, m), the inverse of R's lower Cholesky factor.
    """

    R: eqx.AbstractVar[Float[Array, "m m"]]
    whitener: eqx.AbstractVar[Float[Array, "m m"]]

    @abstractmethod
    def apply(self, x0: Vector) -> Observation:
        """The noise-free measurement f(x0), (m,)."""

    @abstractmethod
    def jacobian(self, x0: Vector) -> Float[Array, "m d"]:
        """df/dx at x0, (m, d)."""

    @abstractmethod
    def pullback(self, x0: Vector, v: Observation) -> Vector:
        """(df/dx)^T v at x0, (d,)."""

    @abstractmethod
    def ridge(
        self, x0: Vector, residual: Observation, tension: Scalar, variance: Scalar
    ) -> Vector:
        r"""\(H^T (\tau I + v H H^T)^{-1} r\), (d,), a ridge regression on the residual.

        Args:
            x0: where H = df/dx is taken, in units of the noise.
            residual: r = y - f(x0), (m,), not yet in units of the noise.
            tension: \(\tau\), (). For a linear measurement it may be 0: the limit is the
                pseudo-inverse. Else it is positive.
            variance: v, ().
        """

    @property
    def dim_y(self) -> int:
        """m."""
        return self.R.shape[0]

    def log_prob(self, y: Observation, x0: Vector) -> Scalar:
        """log p(y | x0)."""
        y = vector(y, "y", self.dim_y)
        log_det = -jnp.sum(jnp.log(jnp.diagonal(self.whitener)))
        return log_normal_whitened(self.whitener @ (y - self.apply(x0)), log_det)

    def misfit_gradient(self, y: Observation, x0: Vector) -> Vector:
        """H^T R^{-1} (y - f(x0)): the gradient of log p(y | x0), (d,)."""
        y = vector(y, "y", self.dim_y)
        residual = self.whitener @ (y - self.apply(x0))
        return self.pullback(x0, self.whitener.T @ residual)

    def sample(self, key: Key, x0: Vector) -> Observation:
        """One observation y of x0, (m,)."""
        x0, factor = floating(x0), noise_factor(self.R, self.dim_y)
        return self.apply(x0) + factor @ jax.random.normal(key, (self.dim_y,), x0.dtype)


class Linear(AbstractMeasurement):
    """y = A x0 + b + N(0, R).

    Args:
        A: (m, d).
        R: variance (), variances (m,) or covariance (m, m); positive definite.
        b: offset (m,), zero by default.

    Attributes:
        A: (m, d).
        R: (m, m).
        b: (m,).
        pseudo_inverse: (d, m), A^+.
        singular: (k,), k = min(m, d), singular values of A in units of the noise; those
            that are rounding are 0.
        left: (m, k), and right: (k, d), their vectors; left acts on y in its own units.

    Raises:
        InputError: if shapes disagree or R is not positive definite.
    """

    A: Float[Array, "m d"]
    R: Float[Array, "m m"]
    b: Float[Array, " m"]
    whitener: Float[Array, "m m"]
    pseudo_inverse: Float[Array, "d m"]
    singular: Float[Array, " k"]
    left: Float[Array, "m k"]
    right: Float[Array, "k d"]

    def __init__(self, A, R, b=None):
        self.A = floating(A)
        require(
            self.A.ndim == 2,
            "A is not a matrix",
            got=f"A {self.A.shape}",
            expected="(m, d)",
            hint="write a single measurement as a row: A[None]",
        )
        check_finite(self.A, "A")
        rows = self.A.shape[0]
        self.b = jnp.zeros(rows, self.A.dtype) if b is None else offset(b, rows)
        self.R, self.whitener = _noise(R, rows)
        factored = _factored(self.A, self.whitener)
        self.pseudo_inverse, self.singular, self.left, self.right = factored

    def apply(self, x0: Vector) -> Observation:
        """A x0 + b."""
        return self.A @ self._point(x0) + self.b

    def jacobian(self, x0: Vector) -> Float[Array, "m d"]:
        """A."""
        self._point(x0)
        return self.A

    def pullback(self, x0: Vector, v: Observation) -> Vector:
        """A^T v."""
        self._point(x0)
        return self.A.T @ vector(v, "v", self.dim_y)

    def ridge(
        self, x0: Vector, residual: Observation, tension: Scalar, variance: Scalar
    ) -> Vector:
        r"""In singular vectors, \(s / (\tau + v s^2)\): what A does not see stays 0."""
        self._point(x0)
        residual = vector(residual, "residual", self.dim_y)
        tension, variance = scalar(tension, "tension"), scalar(variance, "variance")
        seen = self.singular > 0
        stiffness = jnp.where(seen, tension + variance * self.singular**2, 1.0)
        return self.right.T @ (self.singular / stiffness * (self.left.T @ residual))

    def whitened(self, y: Observation) -> Whitened:
        """The measurement of y in units of its noise."""
        y = vector(y, "y", self.dim_y)
        log_det = -jnp.sum(jnp.log(jnp.diagonal(self.whitener)))
        return Whitened(self.whitener @ self.A, self.whitener @ (y - self.b), log_det)

    def _point(self, x0):
        return vector(x0, "x0", self.A.shape[1])


class Nonlinear(AbstractMeasurement):
    """y = fn(x0) + N(0, R).

    Args:
        fn: from one point (d,) to (m,), differentiable by JAX.
        R: variance (), variances (m,) or covariance (m, m); positive definite.
        dim_y: m.

    Raises:
        InputError: if R has the wrong shape or is not positive definite.
    """

    fn: Function = eqx.field(static=True)
    R: Float[Array, "m m"]
    whitener: Float[Array, "m m"]

    def __init__(self, fn, R, dim_y: int):
        self.fn = fn
        self.R, self.whitener = _noise(R, dim_y)

    def apply(self, x0: Vector) -> Observation:
        """fn(x0).

        Raises:
            InputError: if fn does not return (m,) numbers, or JAX cannot trace it.
        """
        return _vector(_traced(self.fn, vector(x0, "x0")), self.dim_y)

    def jacobian(self, x0: Vector) -> Float[Array, "m d"]:
        """df/dx by forward mode."""
        return jax.jacfwd(self.apply)(floating(x0))

    def pullback(self, x0: Vector, v: Observation) -> Vector:
        """(df/dx)^T v by reverse mode."""
        return jax.vjp(self.apply, floating(x0))[1](vector(v, "v", self.dim_y))[0]

    def ridge(
        self, x0: Vector, residual: Observation, tension: Scalar, variance: Scalar
    ) -> Vector:
        """By a Cholesky factor, as H changes with x0."""
        H = self.whitener @ self.jacobian(x0)
        residual = vector(residual, "residual", self.dim_y)
        tension, variance = scalar(tension, "tension"), scalar(variance, "variance")
        eye = jnp.eye(H.shape[0], dtype=H.dtype)
        factor = _linalg.cholesky(tension * eye + variance * (H @ H.T))
        return H.T @ _linalg.solve(factor, self.whitener @ residual)


def _traced(fn, x0):
    """fn(x0), or an error that says that it is no function of JAX arrays."""
    try:
        return fn(x0)
    except jax.errors.JAXTypeError as error:
        fail(
            "JAX cannot trace fn",
            got=f"{type(error).__name__}, as of NumPy or Python operations on x0",
            expected="a function of jax.numpy operations, which has a Jacobian",
            hint="write it with jax.numpy (jnp.sin for np.sin, jnp.where for if); what "
            "runs on the host needs jax.pure_callback in a jax.custom_jvp, and a sampler "
            "of another program gt.External",
        )


def _vector(value, rows: int) -> Observation:
    """What fn returned, numbers or a list of them, as an array (m,)."""
    hint = "return a vector (m,), also for a single measurement"
    try:
        value = jnp.asarray(value)
    except (TypeError, ValueError):
        fail(
            "fn returns no vector",
            got=described(value),
            expected=f"({rows},) numbers",
            hint=hint,
        )
    check_real(value, "what fn returns")
    require(
        value.shape == (rows,),
        "fn returns the wrong shape",
        got=value.shape,
        expected=f"({rows},)",
        hint=hint,
    )
    return floating(value)


def inpainting(observed, dim: int, R) -> Linear:
    """Some of the coordinates of x0 (d,), in the order given.

    Args:
        observed: indices (m,) from 0 to d - 1, each once, or a mask (d,) of booleans.
        dim: d.
        R: as in `Linear`.

    Raises:
        InputError: for other indices, or for what may be either, a 0 or 1 for each
            coordinate.
    """
    check_count(dim, "dim")
    return Linear(jnp.eye(dim)[check_indices(observed, dim, "coordinate")], R)


def blur(kernel, dim: int, R) -> Linear:
    """Circular convolution with `kernel` (odd length, centred): m = d = `dim`."""
    check_count(dim, "dim")
    check_real(kernel, "the blur kernel")
    kernel = np.asarray(kernel, dtype=float)
    require(
        kernel.ndim == 1 and kernel.size % 2 == 1 and kernel.size <= dim,
        "the blur kernel does not fit",
        got=f"kernel {kernel.shape} for dimension {dim}",
        expected="a vector of odd length, at most the dimension",
        hint="pad the kernel with a zero to make its length odd",
    )
    half = kernel.size // 2
    A = sum(
        weight * np.roll(np.eye(dim), -offset, axis=1)
        for offset, weight in zip(range(-half, half + 1), kernel, strict=True)
    )
    return Linear(A, R)


def downsampling(factor: int, dim: int, R) -> Linear:
    """Means of consecutive blocks of `factor` coordinates: m = d / factor."""
    check_count(dim, "dim")
    check_count(factor, "factor")
    require(
        dim % factor == 0,
        "the factor does not divide the dimension",
        got=f"factor {factor}, dimension {dim}",
        expected="a divisor of the dimension",
        hint="choose a factor that divides the dimension",
    )
    return Linear(np.kron(np.eye(dim // factor), np.ones((1, factor)) / factor), R)


def random_projection(key: Key, dim_y: int, dim: int, R) -> Linear:
    """Independent N(0, 1/d) entries, (m, d): compressed sensing."""
    check_count(dim_y, "dim_y")
    check_count(dim, "dim")
    return Linear(jax.random.normal(key, (dim_y, dim)) / np.sqrt(dim), R)


def _noise(R, rows: int) -> tuple[Matrix, Matrix]:
    R = floating(R)
    check_noise(R, rows)
    return _whitening(R, rows)


# One program for each of these in place of ten: an instance is made from them once.


@functools.partial(jax.jit, static_argnums=1)
def _whitening(R, rows: int):
    """R as a matrix, and the inverse of its Cholesky factor."""
    factor = noise_factor(R, rows)
    eye = jnp.eye(rows, dtype=factor.dtype)
    whitener = jax.scipy.linalg.solve_triangular(factor, eye, lower=True)
    return factor @ factor.T, whitener


@jax.jit
def _factored(A, whitener):
    """A^+; singular values of A in units of the noise, and their vectors."""
    left, singular, right = _decompositions.svd(whitener @ A)
    return jnp.linalg.pinv(A), singular, whitener.T @ left, right
