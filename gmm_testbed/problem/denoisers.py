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

from .._checks import check_range, concrete, floating, require, unsupported
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


def _as_denoiser(given: AbstractDenoiser | GaussianMixture) -> AbstractDenoiser:
    return Prior(given) if isinstance(given, GaussianMixture) else given


class ClassGuidance(AbstractDenoiser):
    r"""Moves a denoiser away from another one: classifier-free guidance, autoguidance.

    With the means \(m\) of `denoiser` and \(m_c\) of `conditional`, and their scores,

    \[ M = m_c + (\gamma - 1)\, \|s_c - s\|^p\, (m_c - m) , \qquad
       s_c - s = \frac{\alpha}{\sigma^2} (m_c - m) . \]

    \(\gamma = 1\) is the conditional denoiser and, with p = 0, \(\gamma = 0\) the other; a
    larger \(\gamma\) gives in general the denoiser of no law. Where `denoiser` is a bad
    version of `conditional` it is autoguidance. Every method takes it, so that guidance by
    a class and by a measurement compose: DPS, say, differentiates M.

    Source: Ho & Salimans 2022 (arXiv:2207.12598), equation 6, \(\gamma = 1 + w\); Karras et
    al. 2024 (arXiv:2406.02507), equation 3, \(\gamma = w\); Lehman Pavasovic et al. 2025
    (arXiv:2502.07849) for p > 0, \(\gamma = 1 + \omega\).

    Attributes:
        denoiser: that is left behind: without a class, or a bad version. Here and below a
            mixture stands for its exact denoiser.
        conditional: that is gone to: of the class.
        scale: \(\gamma\), ().
        power: p >= 0 of the length of the guidance, ().

    Raises:
        InputError: if scale or power is no finite number of its range, or two mixtures
            differ in dimension.
    """

    denoiser: AbstractDenoiser = eqx.field(converter=_as_denoiser)
    conditional: AbstractDenoiser = eqx.field(converter=_as_denoiser)
    scale: Scalar = eqx.field(converter=floating)
    power: Scalar = eqx.field(converter=floating, default=0.0)

    def __check_init__(self):
        check_range("power", self.power, least=0.0)
        require(
            self.scale.ndim == 0
            and not (concrete(self.scale) and not np.isfinite(float(self.scale))),
            "scale is not a finite number",
            got=f"{self.scale!r}",
            expected="(), finite",
            hint="0 is the denoiser, 1 the conditional one, and guidance is above 1",
        )
        both = self.denoiser, self.conditional
        dims = [each.prior.dim for each in both if isinstance(each, Prior)]
        require(
            len(set(dims)) < 2,
            "two denoisers of points of different dimensions",
            got=" and ".join(f"dimension {dim}" for dim in dims),
            expected="denoisers of the same x0",
            hint="the conditional is a law of the whole x0, not of its class",
        )

    def __call__(self, x: Vector, alpha: Scalar, sigma: Scalar) -> Linearised:
        x, alpha, sigma = floating(x), floating(alpha), floating(sigma)
        free, bound = (
            each(x, alpha, sigma) for each in (self.denoiser, self.conditional)
        )
        gap = bound.mean - free.mean
        square, gain = jnp.sum(gap**2), alpha / sigma**2
        apart = (square > 0.0) & (gain > 0.0)
        square, gain = (jnp.where(apart, each, 1.0) for each in (square, gain))
        length = jnp.power(square * gain**2, 0.5 * self.power)
        length = jnp.where(apart | (self.power == 0.0), length, 0.0)
        strength = (self.scale - 1.0) * length

        def pullback(vector):
            along = vector + self.power * gap * (gap @ vector) / square
            own = bound.times_covariance(vector)
            return own + strength * (
                bound.times_covariance(along) - free.times_covariance(along)
            )

        return Linearised(bound.mean + strength * gap, pullback)
