r"""Denoisers: what a method sees of the prior.

A method never sees \(p_t\) itself, only \(m(x, t) \approx E[x_0 | x_t = x]\) and products
with its Jacobian J. `Target.denoise` gives both, exactly by default; through
`target.seen_through(denoiser)` every method sees another denoiser (a learned network, that
of another prior, one with an error), while marginals, posterior and likelihood stay the
truth. The covariance that methods speak of is \(C = (\sigma^2/\alpha) J^T\), which is
\(Cov[x_0 | x_t]\) for the exact denoiser, and need not be symmetric for another one.
"""

from abc import abstractmethod
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import concrete, floating, require, unsupported
from .._types import Matrix, Scalar, Vector
from ..mixture import GaussianMixture
from ..mixture.moments import Moments


class AbstractDenoised(eqx.Module):
    """What a denoiser says of x0 at one point."""

    @property
    @abstractmethod
    def mean(self) -> Vector:
        """The denoised point m, (d,)."""

    @abstractmethod
    def times_covariance(self, vector: Vector) -> Vector:
        r"""\((\sigma^2/\alpha) J^T v\), (d,): Cov[x0 | x_t] v if the denoiser is exact."""

    @abstractmethod
    def covariance(self) -> Matrix:
        r"""\((\sigma^2/\alpha) J\), (d, d)."""

    @property
    @abstractmethod
    def law(self) -> GaussianMixture:
        """The law of x0 given x_t.

        Raises:
            UnsupportedError: if the denoiser gives none.
        """


class AbstractDenoiser(eqx.Module):
    """A family of estimates of x0, one for each point and pair of scales."""

    @abstractmethod
    def __call__(self, x: Vector, alpha: Scalar, sigma: Scalar) -> AbstractDenoised:
        """The estimate at x = alpha x0 + sigma noise, (d,)."""


class Denoised(AbstractDenoised):
    """The exact law of x0 for a mixture prior, computed where it is asked for.

    Attributes:
        prior: of x0.
        x: (d,).
        alpha: () scale of x0 in x.
        sigma: () scale of the noise.
        moments: mean and covariance product, from one evaluation of the weights.
    """

    prior: GaussianMixture
    x: Vector
    alpha: Scalar
    sigma: Scalar
    moments: Moments

    @property
    def mean(self) -> Vector:
        return self.moments.mean

    def times_covariance(self, vector: Vector) -> Vector:
        return self.moments.times_covariance(floating(vector))

    def covariance(self) -> Matrix:
        return self.law.covariance()

    @property
    def law(self) -> GaussianMixture:
        return self.prior.denoised(self.x, self.alpha, self.sigma)


class Linearised(AbstractDenoised):
    """A point and the Jacobian product there.

    Attributes:
        value: m, (d,).
        pullback: from v (d,) to (sigma^2 / alpha) J^T v, (d,).
    """

    value: Vector
    pullback: Callable

    @property
    def mean(self) -> Vector:
        return self.value

    def times_covariance(self, vector: Vector) -> Vector:
        return self.pullback(floating(vector))

    def covariance(self) -> Matrix:
        return jax.vmap(self.pullback)(
            jnp.eye(self.value.shape[0], dtype=self.value.dtype)
        )

    @property
    def law(self) -> GaussianMixture:
        unsupported(
            "this denoiser gives a point and no law of x0",
            got="a method that needs the law of x0 given x_t",
            expected="the exact denoiser of a mixture",
            hint="see the target through denoisers.Prior(mixture), or take another method",
        )


class Prior(AbstractDenoiser):
    """The exact denoiser of a mixture: of the wrong prior, if it is another one.

    Attributes:
        prior: the mixture, over the same x0.
    """

    prior: GaussianMixture

    def __call__(self, x: Vector, alpha: Scalar, sigma: Scalar) -> Denoised:
        moments = self.prior.denoised_moments(x, alpha, sigma)
        return Denoised(self.prior, x, alpha, sigma, moments)


class ScoreError(AbstractDenoiser):
    r"""Adds \(\delta s + b\) to the score s of a denoiser; needs alpha > 0.

    \[ \tilde m = m + \delta (m - x/\alpha) + (\sigma^2/\alpha)\, b . \]

    Attributes:
        denoiser: whose score errs.
        offset: b, () or (d,), one over the unit of x.
        relative: \(\delta\), ().

    Raises:
        InputError: if offset is neither () nor (d,), or a value is known not to be finite.
    """

    denoiser: AbstractDenoiser
    offset: Float[Array, "*d"] = eqx.field(converter=floating, default=0.0)
    relative: Scalar = eqx.field(converter=floating, default=0.0)

    def __check_init__(self):
        for name, value in (("offset", self.offset), ("relative", self.relative)):
            require(
                value.ndim <= (name == "offset")
                and not (concrete(value) and not np.all(np.isfinite(value))),
                f"{name} is not a finite error of the score",
                got=f"{value!r}",
                expected="() or (d,), finite" if name == "offset" else "(), finite",
                hint="an offset is added to the score, a relative error multiplies it",
            )

    def __call__(self, x: Vector, alpha: Scalar, sigma: Scalar) -> Linearised:
        x, alpha, sigma = floating(x), floating(alpha), floating(sigma)
        exact = self.denoiser(x, alpha, sigma)
        mean = exact.mean
        moved = self.relative * (mean - x / alpha) + sigma**2 / alpha * self.offset

        def pullback(vector):
            own = (1.0 + self.relative) * exact.times_covariance(vector)
            return own - self.relative * (sigma / alpha) ** 2 * vector

        return Linearised(mean + moved, pullback)


class Network(AbstractDenoiser):
    """A denoiser given as a function, differentiated by JAX.

    Attributes:
        fn: from x (d,), alpha () and sigma () to an estimate of x0, (d,). An
            `eqx.Module` keeps its parameters as data.
    """

    fn: Callable

    def __call__(self, x: Vector, alpha: Scalar, sigma: Scalar) -> Linearised:
        x, alpha, sigma = floating(x), floating(alpha), floating(sigma)
        value, vjp = jax.vjp(lambda point: floating(self.fn(point, alpha, sigma)), x)
        gain = sigma**2 / alpha
        return Linearised(value, lambda vector: gain * vjp(vector)[0])
