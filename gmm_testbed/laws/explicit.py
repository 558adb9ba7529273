r"""Steps whose laws are explicit: what every computed law takes from a method.

A step is one `Stage` or several. Its law is a sum of Gaussians, `Parts`; legs of a
composed step that have no noise move the point before the next leg with noise sees it, so
they belong to its stage. What is not explicit is refused, with the part that is not.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import require, unsupported
from .._types import Scalar, Times, Vector
from ..gaussian import AbstractStepLaw, Gaussian, Mixture
from ..method import (
    AbstractComposed,
    AbstractDescribed,
    AbstractMarkov,
    AbstractMethod,
    name_of,
)
from ..mixture import GaussianMixture
from ..problem import Target
from ..random import Draws


class Parts(NamedTuple):
    """A sum of K Gaussians.

    Attributes:
        log_weight: (K,).
        mean: (K, d).
        covariance: (K, d, d).
    """

    log_weight: Float[Array, " K"]
    mean: Float[Array, "K d"]
    covariance: Float[Array, "K d d"]


def parts_of(law: AbstractStepLaw) -> Parts:
    """The Gaussians that an explicit law is the sum of.

    Raises:
        UnsupportedError: for a law that can only be drawn from.
    """
    if isinstance(law, Gaussian):
        mean = law.mean[None]
        return Parts(jnp.zeros(1, mean.dtype), mean, law.covariance()[None])
    if isinstance(law, Mixture):
        return Parts(law.law.log_weights, law.law.means, law.law.covariances())
    _refuse(
        f"a step whose law is {type(law).__name__}: it can be drawn, and no more",
        "take a variant of the method whose step is explicit (DAPS with the endpoint "
        '"mean", say), or gt.sample and divergences of samples',
    )


class Stage(eqx.Module):
    """A part of a step of a method, with an explicit law.

    Attributes:
        method: whose step it is.
        legs: numbers of the legs of a composed step that belong to it, all without noise
            but the last; None for the whole step of a method without legs.
    """

    method: AbstractMethod
    legs: tuple[int, ...] | None = eqx.field(static=True, default=None)

    def parts(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Parts:
        """The law of the point after the stage.

        Args:
            target: the problem along its path.
            x: (d,) before it.
            t: () time at which the whole step begins.
            s: () time at which it ends.
        """
        if self.legs is None:
            return parts_of(self.method.transition(target, x, t, s))
        legs = self.method.legs(t, s)
        made = None
        for number in self.legs:
            move = legs[number]

            def one(point, move=move):
                law = move.method.transition(target, point, move.t, move.s)
                return parts_of(law)

            made = one(x) if made is None else _after(made, jax.vmap(one)(made.mean))
        return made

    def means(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Array:
        """The means (K, d) of the one leg, or whole step, that this is.

        Args:
            target: the problem along its path.
            x: (d,) before it.
            t: () time at which the whole step begins.
            s: () time at which it ends.
        """
        method = self.method
        if self.legs is not None:
            method, t, s = method.legs(t, s)[self.legs[0]]
        law = method.transition(target, x, t, s)
        return law.law.means if isinstance(law, Mixture) else law.mean[None]

    def count(self, target: Target, times: Times) -> int:
        """K; nothing is computed."""
        if self.legs is None and self.method.facts.law == "gaussian":
            return 1
        x = jnp.zeros(target.problem.prior.dim, times.dtype)
        given = self, target, x, times[0], times[1]
        return eqx.filter_eval_shape(_parts, *given).log_weight.shape[0]


def _parts(stage, target, x, t, s):
    return stage.parts(target, x, t, s)


def _after(first: Parts, then: Parts) -> Parts:
    """The Gaussians (K, L) that follow on K points, as K L of them."""
    log_weight = first.log_weight[:, None] + then.log_weight
    flat = Parts(log_weight, then.mean, then.covariance)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), flat)


def require_count(found: int, count: int) -> None:
    """Refuses steps of more Gaussians than the facts of their method say.

    Args:
        found: number of Gaussians in a step.
        count: what `Stage.count` gave.

    Raises:
        InputError: if they differ.
    """
    require(
        found == count,
        "the steps of this method are not what its facts say",
        got=f"a mixture of {found} Gaussians",
        expected=f"{count}, for law = 'gaussian'",
        hint="give the method facts with law='mixture'",
    )


def stages(
    method: AbstractMethod, target: Target, times: Times, x: Vector
) -> tuple[Stage, ...]:
    """The stages of a step; none if no leg has noise.

    Args:
        method: Markov or composed.
        target: the problem along its path.
        times: (N + 1,).
        x: (d,), where the first step is asked for its noise.

    Raises:
        UnsupportedError: if legs without noise come last.
    """
    found, waiting = [], []
    noisy = _noisy_legs(method, target, x, times[0], times[1])
    for number, has_noise in enumerate(noisy.tolist()):
        waiting.append(number)
        if has_noise:
            found.append(Stage(method, tuple(waiting)))
            waiting = []
    if found and waiting:
        unsupported(
            "no computed law for a step that ends without noise",
            got=f"{name_of(method)}: leg {waiting[0] + 1} of {len(noisy)} is "
            "deterministic, and so are those after it",
            expected="noise in the last leg, or in none",
            hint="put a kernel with noise last, DDIM(eta=0.1) say, or use gt.sample",
        )
    if isinstance(method, AbstractMarkov):
        return tuple(Stage(method) for _ in found)
    return tuple(found)


@eqx.filter_jit
def _noisy_legs(method, target, x, t, s):
    """Whether each leg has noise where the means of those before it lead to."""
    noisy = []
    for stage in legs_of(method):
        parts = stage.parts(target, x, t, s)
        noisy.append(jnp.any(parts.covariance != 0.0))
        x = parts.mean[jnp.argmax(parts.log_weight)]
    return jnp.stack(noisy)


def legs_of(method: AbstractMethod) -> list[Stage]:
    """Each leg of a step as a stage of its own; the whole step if it has none."""
    if not isinstance(method, AbstractComposed):
        return [Stage(method)]
    half = jnp.asarray(0.5)
    return [Stage(method, (k,)) for k in range(len(method.legs(half, half)))]


def require_explicit(sampler: AbstractDescribed) -> None:
    """Refuses what has no explicit law in any dimension.

    Raises:
        UnsupportedError: with the part that is not explicit.
    """
    name, facts = name_of(sampler), sampler.facts
    if not isinstance(sampler, AbstractMethod):
        _refuse(
            f"{name}, which is not a chain of steps of one particle",
            "take the method that moves its particles, or gt.sample and divergences of "
            "samples",
        )
    if facts.random_field:
        _refuse(
            f"{name}, whose field is random: the law of a step depends on its draws",
            "average over draws with gt.sample, or take a method without a random field",
        )
    if facts.law == "implicit":
        _refuse(
            f"{name}, whose step has an Implicit law: it can be drawn, and no more",
            "take a variant whose step is explicit (DAPS with the endpoint "
            '"mean", say), or gt.sample and divergences of samples',
        )


def require_no_memory(sampler: AbstractMethod) -> None:
    """Refuses a method with memory.

    Raises:
        UnsupportedError: if x_s given x_t is not all that the next step needs.
    """
    if not isinstance(sampler, AbstractMarkov | AbstractComposed):
        _remembers(sampler, "")


def require_flow_on_the_line(
    sampler: AbstractMethod, target: Target, times: Times, initial: GaussianMixture
) -> None:
    """Refuses a method with memory, unless it is deterministic and on the line.

    Raises:
        UnsupportedError: if its law is not a change of variables on the line.
    """
    if isinstance(sampler, AbstractMarkov | AbstractComposed):
        return
    if bool(_remembers_noise(sampler, target, initial.mean(), times)):
        _remembers(sampler, " and has noise")
    if target.problem.prior.dim > 1:
        _remembers(sampler, ", beyond the line")


def _remembers(sampler: AbstractMethod, more: str):
    _refuse(
        f"{name_of(sampler)}, which remembers earlier steps{more}",
        "a deterministic one has a law on the line by gt.laws.grid, and in any dimension "
        "by gt.laws.flow_kl; for one with noise use gt.sample",
    )


@eqx.filter_jit
def _remembers_noise(sampler, target, x, times):
    draws = Draws(jnp.zeros(2, jnp.uint32), jnp.zeros((), jnp.int32))
    memory = sampler.memory(target, x, times[0])
    law = sampler.step(target, memory, x, times[0], times[1], draws).law
    return jnp.any(parts_of(law).covariance != 0.0)


def _refuse(got: str, hint: str):
    unsupported(
        "the law of this sampler's step is not explicit",
        got=got,
        expected="steps that are Gaussian, mixtures, or several of these in turn",
        hint=hint,
    )
