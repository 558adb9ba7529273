r"""Exact Gaussian laws: one Gaussian prior, affine approximation and kernel, any d.

A transition \(N(F x + b, S S^T)\) maps \(N(\mu, P)\) to \(N(F\mu + b, F P F^T + S S^T)\).
F is the Jacobian of the transition's mean; that it is constant is checked at every step.
The legs of a composed step follow one another.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _display
from .._checks import check_index, require, unsupported
from .._types import Scalar, Times
from ..divergences import closed_form
from ..method import AbstractComposed, AbstractDescribed, AbstractMethod, name_of
from ..mixture import GaussianMixture
from ..problem import Linear, Target
from ..sampling import check_run, initial_law
from .base import shown
from .explicit import (
    Stage,
    legs_of,
    require_count,
    require_explicit,
    require_no_memory,
)

Moments = tuple[Float[Array, " d"], Float[Array, "d d"], Scalar]
TOLERANCE = 1e4  # in units of the dtype's rounding


class AffineLaw(eqx.Module):
    """N(means[i], covariances[i]) at times[i].

    Attributes:
        target: the problem along its path.
        times: (N + 1,).
        means: (N + 1, d).
        covariances: (N + 1, d, d).
    """

    target: Target
    times: Times
    means: Float[Array, "times d"]
    covariances: Float[Array, "times d d"]

    __repr__, _repr_html_ = _display.one_line, _display.html

    def _shown(self) -> _display.Shown:
        """How many steps, of which problem; the moments where a notebook asks."""
        return shown(self, "in closed form", grid=False)

    def at(self, index: int) -> GaussianMixture:
        """The law at times[index], a mixture of one component."""
        check_index(index, self.means.shape[0], "time of this law")
        one = jnp.ones(1, self.means.dtype)
        return GaussianMixture.full(
            one, self.means[index][None], self.covariances[index][None]
        )

    def mean(self) -> Float[Array, " d"]:
        """Mean of the output."""
        return self.means[-1]

    def covariance(self) -> Float[Array, "d d"]:
        """Covariance of the output."""
        return self.covariances[-1]

    def kl(self, gaussian: GaussianMixture) -> Scalar:
        """KL(law || gaussian) in nats, in closed form; here and below K = 1."""
        return closed_form.kl(self.means[-1], self.covariances[-1], *_moments(gaussian))

    def kl_from(self, gaussian: GaussianMixture) -> Scalar:
        """KL(gaussian || law) in nats."""
        return closed_form.kl(*_moments(gaussian), self.means[-1], self.covariances[-1])

    def w2(self, gaussian: GaussianMixture) -> Scalar:
        """Wasserstein-2 distance."""
        return closed_form.w2(self.means[-1], self.covariances[-1], *_moments(gaussian))

    def fisher(self, gaussian: GaussianMixture) -> Scalar:
        """Relative Fisher information of the law from the gaussian."""
        return closed_form.fisher(
            self.means[-1], self.covariances[-1], *_moments(gaussian)
        )


def affine(
    sampler: AbstractDescribed,
    target: Target,
    times: Times,
    *,
    initial: GaussianMixture | None = None,
) -> AffineLaw:
    r"""The exact law of an affine sampler for a one-Gaussian prior.

    Args:
        sampler: a method whose steps, or their legs, are affine (`facts.affine`), or
            mixtures, which for a prior of one Gaussian have one component.
        target: prior with one component, linear measurement; any dimension.
        times: (N + 1,), decreasing.
        initial: one Gaussian at times[0]; \(N(0, \sigma^2 I)\) by default.

    Raises:
        UnsupportedError: if the prior or the initial law has several components, the
            measurement is not linear, or a part of the step is not affine or not explicit.
        InputError: if the grid does not decrease within [0, 1].
    """
    call = "gt.laws.affine(sampler, target, times)"
    target, times = check_run(call, sampler, target, times)
    require_explicit(sampler)
    require_no_memory(sampler)
    stages = legs_of(sampler)
    require_affine(sampler, target, times)
    initial = initial_law(sampler, target, times[0], initial)
    if initial.num_components > 1:
        unsupported(
            "the law of an affine sampler is one Gaussian if that of its start is",
            got=f"an initial law of {initial.num_components} components",
            expected="one component",
            hint="take each by itself: the law is their mixture; or gt.laws.grid, d <= 2",
        )
    require_one(sampler, stages, target, times)
    means, covariances, error = _recursion(
        stages, target, times, initial.mean(), initial.covariance()
    )
    slack = TOLERANCE * jnp.finfo(means.dtype).eps
    require(
        bool(error < slack),
        "a transition is not affine",
        got=f"relative deviation {float(error):.3g} from its linearisation",
        expected=f"at most {float(slack):.3g}",
        hint="correct `affine` in the method's facts, or take more steps if "
        "the numbers overflow",
    )
    return AffineLaw(target, times, means, covariances)


@eqx.filter_jit
def _recursion(legs, target, times, mean, covariance):
    def step(carry, window):
        for leg in legs:
            carry = affine_leg(leg, target, window, carry)
        return carry, carry[:2]

    windows = jnp.stack([times[:-1], times[1:]], axis=1)
    start = (mean, covariance, jnp.zeros((), mean.dtype))
    (_, _, worst), (means, covariances) = jax.lax.scan(step, start, windows)
    means = jnp.concatenate([mean[None], means])
    return means, jnp.concatenate([covariance[None], covariances]), worst


def affine_leg(
    leg: Stage, target: Target, window: Float[Array, "2"], carry: Moments
) -> Moments:
    """Mean (d,) and covariance (d, d) after a leg, and how far it is from affine, ().

    Args:
        leg: of one Gaussian.
        target: the problem along its path.
        window: times at which the whole step begins and ends.
        carry: the same before it; the largest deviation is kept.
    """
    mean, covariance, worst = carry
    probe = jnp.cos(jnp.arange(mean.shape[0], dtype=mean.dtype) + 1.0)

    def moved(x):
        parts = leg.parts(target, x, *window)
        require_count(parts.mean.shape[0], 1)
        return parts.mean[0], parts.covariance[0]

    F = jax.jacfwd(lambda x: moved(x)[0])(mean)
    here, noise = moved(mean)
    there, other = moved(mean + probe)
    predicted = here + F @ probe
    size = 1.0 + jnp.max(jnp.abs(predicted))
    error = jnp.max(jnp.abs(there - predicted)) / size
    error += jnp.max(jnp.abs(other - noise)) / (size + jnp.max(jnp.abs(noise)))
    return here, F @ covariance @ F.T + noise, jnp.maximum(worst, error)


def require_affine(sampler: AbstractMethod, target: Target, times: Times) -> None:
    """Refuses a prior, a measurement or a method whose law is not Gaussian.

    Args:
        sampler: any method.
        target: the problem along its path.
        times: (N + 1,).

    Raises:
        UnsupportedError: with the part that is not.
    """
    problem = target.problem
    linear = isinstance(problem.measurement, Linear)
    moving = [sampler]
    if isinstance(sampler, AbstractComposed):
        moving = [leg.method for leg in sampler.legs(times[0], times[1])]
    curved = [
        name_of(method)
        for method in moving
        if not (method.facts.affine or method.facts.law == "mixture")
    ]
    for ok, got, expected in (
        (
            problem.prior.num_components == 1 and not problem.prior.atomic,
            f"a prior with {problem.prior.num_components} components",
            "a prior with one Gaussian component",
        ),
        (linear, type(problem.measurement).__name__, "a Linear measurement"),
        (
            not curved,
            f"{', '.join(curved)}, not affine in x",
            "a method whose steps are affine for a Gaussian prior",
        ),
    ):
        if not ok:
            unsupported(
                "the law of this sampler is not Gaussian",
                got=got,
                expected=expected,
                hint="use gt.laws.grid in d <= 2, or gt.sample",
            )


def require_one(
    sampler: AbstractMethod, stages: list[Stage], target: Target, times: Times
) -> None:
    """Refuses mixtures of several components: of a distorted source, say.

    Args:
        sampler: for the message.
        stages: of its step.
        target: the problem along its path.
        times: (N + 1,).

    Raises:
        UnsupportedError: if a step has several.
    """
    count = max(stage.count(target, times) for stage in stages)
    if count > 1:
        unsupported(
            "the law of this sampler is not Gaussian",
            got=f"{name_of(sampler)}, whose step is a mixture of {count} Gaussians",
            expected="one Gaussian a step",
            hint="use gt.laws.grid in d <= 2, or gt.sample",
        )


def _moments(gaussian: GaussianMixture):
    require(
        gaussian.num_components == 1,
        "the closed form needs one Gaussian",
        got=f"a mixture of {gaussian.num_components} components",
        expected="a mixture with one component",
        hint="use samples of this law, or gt.laws.grid in d <= 2",
    )
    return gaussian.mean(), gaussian.covariance()
