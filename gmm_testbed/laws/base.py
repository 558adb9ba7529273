r"""The law of a sampler's output after every step, computed and not sampled."""

from abc import abstractmethod

import equinox as eqx

from .._types import Matrix, Scalar, Times, Vector
from ..densities.base import AbstractDensity
from ..divergences import grid as quadrature
from ..divergences import line_transport
from ..estimate import Between
from ..mixture import GaussianMixture
from ..problem import Target


class AbstractLaw(eqx.Module):
    """A density at each time of the grid.

    The measures without a time are those of the last one. All are exact up to quadrature;
    `escaped_mass` is what left the grid, and it is never renormalised away.

    Attributes:
        target: the problem along its path.
        times: (N + 1,).
    """

    target: eqx.AbstractVar[Target]
    times: eqx.AbstractVar[Times]

    @abstractmethod
    def at(self, index: int, cover: GaussianMixture | None = None) -> AbstractDensity:
        """The law at times[index], on a grid that covers it and the mixture `cover`.

        By default it covers the exact posterior marginal, where that is a mixture.
        """

    def __repr__(self) -> str:  # the states of every step would fill the screen
        return f"{type(self).__name__}(num_steps={self.num_steps})"

    @property
    def num_steps(self) -> int:
        """N."""
        return self.times.shape[0] - 1

    @property
    def escaped_mass(self) -> Scalar:
        """Mass that is not on the last grid, ()."""
        return 1.0 - quadrature.mass(self.at(-1))

    def mean(self) -> Vector:
        """Mean of the output, (d,)."""
        return quadrature.mean(self.at(-1))

    def covariance(self) -> Matrix:
        """Covariance of the output, (d, d)."""
        return quadrature.covariance(self.at(-1))

    def kl(self, mixture: GaussianMixture) -> Scalar:
        """KL(law || mixture) in nats."""
        return quadrature.kl_to(self.at(-1, mixture), mixture)

    def kl_from(self, mixture: GaussianMixture) -> Scalar:
        """KL(mixture || law) in nats."""
        return quadrature.kl_from(self.at(-1, mixture), mixture)

    def tv(self, mixture: GaussianMixture) -> Scalar:
        """Total variation distance, in [0, 1]."""
        return quadrature.tv(self.at(-1, mixture), mixture)

    def kl_between(self, mixture: GaussianMixture) -> Between:
        """KL(law || mixture) in nats, wherever the mass is that left the grid."""
        return quadrature.kl_between(self.at(-1, mixture), mixture)

    def tv_between(self, mixture: GaussianMixture) -> Between:
        """Total variation distance, wherever the mass is that left the grid."""
        return quadrature.tv_between(self.at(-1, mixture), mixture)

    def fisher(self, mixture: GaussianMixture) -> Scalar:
        r"""\\(E_q \\|\\nabla\\log(q/p)\\|^2\\) of the law q from the mixture p."""
        return quadrature.fisher(self.at(-1, mixture), mixture)

    def w1(self, mixture: GaussianMixture) -> Scalar:
        """Wasserstein-1 distance, in units of x; d = 1."""
        return line_transport.w1(self.at(-1, mixture), mixture)

    def w2(self, mixture: GaussianMixture) -> Scalar:
        """Wasserstein-2 distance, in units of x; d = 1."""
        return line_transport.w2(self.at(-1, mixture), mixture)


def covered(target: Target, t: Scalar, cover: GaussianMixture | None):
    """The mixture a grid must cover besides the law, or None."""
    if cover is None and target.problem.has_posterior():
        return _posterior(target, t)
    return cover


@eqx.filter_jit
def _posterior(target, t):
    return target.posterior(t)
