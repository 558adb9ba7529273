r"""An inverse problem along a diffusion path: every exact object at every time."""

import equinox as eqx
import jax.numpy as jnp

from .. import _display
from .._arguments import check_kinds
from .._checks import check_count, concrete, floating, require, unsupported, warn
from .._types import Matrix, Scalar, Vector
from ..mixture import GaussianMixture
from ..mixture.checks import point
from ..paths import AbstractPath
from ..paths.grids import check_time
from .denoisers import AbstractDenoised, AbstractDenoiser, Prior
from .inverse import InverseProblem
from .likelihood import (
    AbstractLikelihood,
    QuadratureLikelihood,
    atomic_likelihood,
    linear_likelihood,
)
from .measurements import Linear

_NODES = 256, 64  # a dimension, on the line and in the plane
_REACH = 10.0  # standard deviations that the nodes cover
_RESOLVED = 1e-3  # errors of the posterior that are not worth a warning


class Target(eqx.Module):
    r"""An inverse problem and a path: every exact object at every time t in [0, 1].

    The posterior and every factor are computed here, once; inside a loop there is only
    scaling, products and log-sum-exp.

    Args:
        problem: the inverse problem.
        path: \(\alpha_t, \sigma_t\).
        nodes: of the quadrature, a dimension and component, used only for a nonlinear
            measurement of a prior with densities in d <= 2; 256 on the line and 64 in the
            plane by default. `reference_error` doubles them.

    Raises:
        UnsupportedError: if no exact or quadrature reference exists (nonlinear
            measurement, prior with densities, d > 2).
        InputError: if nodes is not a number of nodes.

    Warns:
        UserWarning: if doubling the nodes moves log p(y), or E[x0 | y] in standard
            deviations, by more than a thousandth.
    """

    problem: InverseProblem
    path: AbstractPath
    exact_posterior: GaussianMixture | None
    likelihood: AbstractLikelihood
    finer: AbstractLikelihood | None
    denoiser: AbstractDenoiser | None

    def __init__(self, problem, path, nodes: int | None = None):
        check_kinds(
            "gt.Target(problem, path)",
            problem=(problem, InverseProblem, "a gt.InverseProblem"),
            path=(path, AbstractPath, "a path, as gt.VP()"),
        )
        self.problem = problem
        self.path = path
        self.denoiser = None
        self.exact_posterior = problem.posterior() if problem.has_posterior() else None
        self.finer = None
        if problem.prior.atomic:
            self.likelihood = atomic_likelihood(
                problem.measurement, problem.y, problem.prior.means
            )
        elif isinstance(problem.measurement, Linear):
            self.likelihood = linear_likelihood(
                problem.prior, problem.measurement, problem.y
            )
        else:
            _require_plane(problem.prior.dim)
            dim = problem.prior.dim
            nodes = _NODES[dim - 1] if nodes is None else nodes
            nodes = check_count(nodes, "nodes", least=2)
            arguments = problem.measurement, problem.y, dim
            self.likelihood = QuadratureLikelihood(*arguments, nodes, _REACH)
            self.finer = QuadratureLikelihood(*arguments, 2 * nodes, 1.25 * _REACH)
            _warn_of_few(nodes, problem.prior, self.likelihood, self.finer)

    __repr__, _repr_html_ = _display.one_line, _display.html

    def _shown(self) -> _display.Shown:
        """The problem, the path, and the posterior where that is a mixture."""
        rows = [*self.problem.words(), ("path", _display.call(self.path))]
        if self.exact_posterior is not None:
            rows.append(("posterior", self.exact_posterior.words()))
        if self.denoiser is not None:
            rows.append(("methods see", _display.skeleton(self.denoiser)))
        seen = "" if self.denoiser is None else ", methods see another denoiser"
        words = [words for _, words in self.problem.words()]
        line = f"Target: {', '.join(words)}, along {_display.call(self.path)}{seen}"
        return _display.Shown(line, (_display.table(("of this target", ""), rows),))

    # --- mixtures -------------------------------------------------------------------

    def marginal(self, t: Scalar) -> GaussianMixture:
        """p_t, the law of x_t.

        Raises:
            InputError: if t is outside [0, 1] (here and below, where t is known).
        """
        return self.problem.prior.noised(*self._scales(t))

    def posterior(self, t: Scalar) -> GaussianMixture:
        """p_t(. | y), the law of x_t given y.

        Raises:
            UnsupportedError: if the posterior is not a mixture.
        """
        if self.exact_posterior is None:
            return self.problem.posterior()  # raises, with the reason
        return self.exact_posterior.noised(*self._scales(t))

    def denoised(self, x: Vector, t: Scalar) -> GaussianMixture:
        """p(x0 | x_t = x), for sigma_t > 0."""
        return self.problem.prior.denoised(x, *self._scales(t))

    # --- what a method sees of the prior --------------------------------------------

    def denoise(self, x: Vector, t: Scalar) -> AbstractDenoised:
        """What the denoiser says of x0 at x (d,): exact unless `seen_through` another."""
        return self.denoise_at(x, *self._scales(t))

    def denoise_at(self, x: Vector, alpha: Scalar, sigma: Scalar) -> AbstractDenoised:
        """The same at x = alpha x0 + sigma noise, (d,), on the path or not."""
        x = floating(x)
        if self.denoiser is None:
            return Prior(self.problem.prior)(x, alpha, sigma)
        return self.denoiser(x, alpha, sigma)

    def seen_through(self, denoiser: AbstractDenoiser | GaussianMixture) -> "Target":
        """The same problem, of whose prior methods see another denoiser.

        Marginals, posterior and likelihood stay the truth; `Exact` adds the exact
        correction to the denoiser's mean.

        Args:
            denoiser: any of `gt.denoisers`, or a mixture, whose exact denoiser it is.

        Raises:
            InputError: if a mixture has the wrong dimension.
        """
        if isinstance(denoiser, GaussianMixture):
            require(
                denoiser.dim == self.problem.prior.dim,
                "the assumed prior has the wrong dimension",
                got=f"dimension {denoiser.dim}",
                expected=f"dimension {self.problem.prior.dim}",
                hint="a denoiser is of the same x0 as the problem",
            )
            denoiser = Prior(denoiser)
        return eqx.tree_at(
            lambda target: target.denoiser, self, denoiser, is_leaf=lambda x: x is None
        )

    @property
    def seen_exactly(self) -> "Target":
        """The same problem with the exact denoiser."""
        if self.denoiser is None:
            return self
        return eqx.tree_at(lambda target: target.denoiser, self, None)

    # --- moments and likelihood -----------------------------------------------------

    def prior_mean(self, x: Vector, t: Scalar) -> Vector:
        """E[x0 | x_t = x], (d,)."""
        return self.problem.prior.denoised_mean(x, *self._scales(t))

    def prior_covariance(self, x: Vector, t: Scalar) -> Matrix:
        """Cov[x0 | x_t = x], (d, d)."""
        return self.denoised(x, t).covariance()

    def posterior_mean(self, x: Vector, t: Scalar) -> Vector:
        """E[x0 | x_t = x, y], (d,)."""
        if self.exact_posterior is None:
            return self.likelihood.posterior_moments(self.denoised(x, t))[0]
        return self.exact_posterior.denoised_mean(x, *self._scales(t))

    def posterior_covariance(self, x: Vector, t: Scalar) -> Matrix:
        """Cov[x0 | x_t = x, y], (d, d)."""
        if self.exact_posterior is None:
            return self.likelihood.posterior_moments(self.denoised(x, t))[1]
        return self.exact_posterior.denoised(x, *self._scales(t)).covariance()

    def log_likelihood(self, x: Vector, t: Scalar) -> Scalar:
        """log p(y | x_t = x)."""
        return self.likelihood.log_likelihood(self.denoised(x, t))

    def correction(self, x: Vector, t: Scalar) -> Vector:
        """E[x0 | x_t = x, y] - E[x0 | x_t = x], (d,), without cancellation."""
        return self.likelihood.correction(self.denoised(x, t))

    def guidance(self, x: Vector, t: Scalar) -> Vector:
        r"""\(\nabla_x \log p(y | x_t = x)\) = (alpha / sigma^2) correction (I3).

        Raises:
            InputError: as `gain`.
        """
        return self.gain(t) * self.correction(x, t)

    def gain(self, t: Scalar) -> Scalar:
        """alpha / sigma^2: a correction of the posterior mean times this is a guidance.

        Raises:
            InputError: if sigma_t is known to be zero: there no mean is corrected.
        """
        alpha, sigma = self._scales(t)
        if concrete(sigma):
            require(
                float(sigma) > 0,
                "no guidance follows from a posterior mean without noise",
                got=f"sigma = 0 at t = {float(t):g}",
                expected="a time with sigma > 0",
                hint="take t = 1e-6, or the gradient of log_likelihood at this time",
            )
        return alpha / sigma**2

    def reference_error(self, x: Vector, t: Scalar) -> Scalar:
        """Error estimate of `posterior_mean` at x: its change when the nodes double.

        Zero where the reference is a closed form.
        """
        x, t = self.state(x, t)
        if self.finer is None:
            return jnp.zeros((), x.dtype)
        law = self.denoised(x, t)
        change = self.finer.correction(law) - self.likelihood.correction(law)
        return jnp.sqrt(jnp.sum(change**2))

    def state(self, x: Vector, t: Scalar) -> tuple[Vector, Scalar]:
        """x (d,) and t () as arrays.

        Raises:
            InputError: unless they are one point of this problem and one time.
        """
        x, t = point(x, self.problem.prior.dim), floating(t)
        check_time(t)
        return x, t

    def _scales(self, t):
        t = floating(t)
        check_time(t)
        return self.path.alpha(t), self.path.sigma(t)


def _warn_of_few(nodes, prior, likelihood, finer):
    """Judged by the prior itself, which is wider than every denoised law."""
    undefined = finer.undefined(prior)
    if concrete(undefined) and undefined > 0:
        total = finer.nodes.shape[0] * prior.num_components
        warn(
            "the forward model is not defined wherever the prior has mass",
            got=f"NaN at {undefined} of {total} nodes of the quadrature: so are log p(y), "
            "E[x0 | y], and what follows from x_t whose nodes reach there",
            expected=f"a number within {1.25 * _REACH:g} standard deviations of each mean",
            hint="give fn a value there, with jnp.where around its argument as around its "
            "value, that gradients are numbers too; more nodes do not help",
        )
        return
    mean, covariance = finer.posterior_moments(prior)
    move = likelihood.posterior_moments(prior)[0] - mean
    moved = jnp.sqrt(jnp.sum(move**2) / jnp.trace(covariance))
    change = jnp.abs(likelihood.log_likelihood(prior) - finer.log_likelihood(prior))
    if concrete(moved) and not float(jnp.maximum(moved, change)) <= _RESOLVED:
        warn(
            "the nodes of the quadrature do not resolve the posterior",
            got=f"{nodes} nodes a dimension; twice as many move E[x0 | y] by {moved:.2g} "
            f"standard deviations, and log p(y) by {change:.2g}",
            expected=f"{_RESOLVED:g} or less",
            hint="pass more to Target(..., nodes=...), or use an empirical prior: "
            "GaussianMixture.empirical(prior.sample(key, n)); no number of nodes helps "
            f"more than {_REACH:g} standard deviations from every mean of the prior",
        )


def _require_plane(dim: int) -> None:
    if dim > 2:
        unsupported(
            "no reference exists for this problem",
            got=f"a nonlinear measurement of a prior with densities in dimension {dim}",
            expected="a Linear measurement, an empirical prior, or d <= 2 (quadrature)",
            hint="use GaussianMixture.empirical(prior.sample(key, n)) as the prior: the "
            "finite-sample reference is exact for it",
        )
