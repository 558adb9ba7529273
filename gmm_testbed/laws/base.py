r"""The law of a sampler's output after every step, computed and not sampled."""

from abc import abstractmethod

import equinox as eqx
import numpy as np

from .. import _display
from .._types import Matrix, Scalar, Times, Vector
from ..densities.base import AbstractDensity
from ..divergences import grid as quadrature
from ..divergences import line_transport
from ..estimate import Between
from ..mixture import GaussianMixture
from ..problem import Target

_MOST = 200  # dimensions in which a covariance is formed to be shown


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

    __repr__, _repr_html_ = _display.one_line, _display.html

    def _shown(self) -> _display.Shown:
        """How many steps, of which problem; the moments where a notebook asks."""
        return shown(self, "by quadrature")

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
        r"""\(E_q \|\nabla\log(q/p)\|^2\) of the law q from the mixture p."""
        return quadrature.fisher(self.at(-1, mixture), mixture)

    def w1(self, mixture: GaussianMixture) -> Scalar:
        """Wasserstein-1 distance, in units of x; d = 1."""
        return line_transport.w1(self.at(-1, mixture), mixture)

    def w2(self, mixture: GaussianMixture) -> Scalar:
        """Wasserstein-2 distance, in units of x; d = 1."""
        return line_transport.w2(self.at(-1, mixture), mixture)


def shown(law: eqx.Module, how: str, grid: bool = True) -> _display.Shown:
    """What any law of a sampler says of itself: nothing is computed for its line.

    Args:
        law: with `target` and `times`.
        how: it is known, in words.
        grid: whether mass can leave a grid.
    """
    first, *_, last = np.asarray(law.times)
    dim = law.target.problem.prior.dim
    steps = _display.counted(law.times.shape[0] - 1, "step")
    span = f"from t = {first:.4g} to {last:.4g}"
    line = f"{type(law).__name__} after {steps} {span}, in dimension {dim}, {how}"
    return _display.Shown(line, lambda: _tables(law, grid))


def _tables(law, grid):
    if not grid:
        return (_moments(law),)
    left = _display.table(["mass that left the grid"], [[f"{law.escaped_mass:.2g}"]])
    return _moments(law), left


def _moments(law):
    """Mean and standard deviation of the output, and of the exact posterior there."""
    problem = law.target.problem
    if problem.prior.dim > _MOST:  # a covariance would have too many entries
        return _display.table(("coordinate", "mean"), enumerate(map(_text, law.mean())))
    heads, columns = ["coordinate", "mean", "sd"], [law]
    if problem.has_posterior():
        heads += ["exact mean", "exact sd"]
        columns.append(_posterior(law.target, law.times[-1]))
    values = [
        part
        for one in columns
        for part in (one.mean(), np.sqrt(np.diagonal(np.asarray(one.covariance()))))
    ]
    rows = zip(*(map(_text, part) for part in values), strict=True)
    return _display.table(heads, [(i, *row) for i, row in enumerate(rows)])


def _text(value) -> str:
    return f"{float(value):.6g}"


def covered(target: Target, t: Scalar, cover: GaussianMixture | None):
    """The mixture a grid must cover besides the law, or None."""
    if cover is None and target.problem.has_posterior():
        return _posterior(target, t)
    return cover


@eqx.filter_jit
def _posterior(target, t):
    return target.posterior(t)
