"""Questions to a method of this package that is no guidance: its answers, its times."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._checks import InputError
from .._types import Scalar, Vector
from ..conformance.steps import streams
from ..method import AbstractDescribed, AbstractMethod
from ..problem.denoisers import AbstractDenoised, AbstractDenoiser, Prior
from ..sampling import sample
from . import response
from .record import Finding

_NUM = 2000
_T, _S = 0.5, 0.35  # of the step at which it is asked


class Noting(AbstractDenoiser):
    """The exact denoiser, which notes at which noise levels it is asked.

    Attributes:
        inside: answers.
        ratios: sigma / alpha of every question, in order.
    """

    inside: Prior
    ratios: list = eqx.field(static=True)

    def __call__(self, x: Vector, alpha: Scalar, sigma: Scalar) -> AbstractDenoised:
        self.ratios.append(float(sigma / alpha))
        return self.inside(x, alpha, sigma)


def findings(sampler: AbstractDescribed) -> list[Finding]:
    """What there is to say of a method from its samples and from one step.

    Args:
        sampler: that returns samples of equal weight.
    """

    def run(**case):
        target = response.problem(**case)
        case = sampler, target, response.grid(target), _NUM
        drawn = sample(jax.random.key(7), *case)
        return np.asarray(drawn.x, np.float64)[:, 0]

    try:
        found = response.findings(run, sampler.facts)
    except InputError as error:
        first = str(error).splitlines()[0]
        return [Finding("Does the mean follow y?", f"not asked: {first}.")]
    if isinstance(sampler, AbstractMethod):
        found += _times(sampler)
    return found


def _times(method: AbstractMethod) -> list[Finding]:
    """Whether the denoiser is asked at the time of x, or only at the next one."""
    target, ratios = response.problem(), []
    noting = Noting(Prior(target.problem.prior), ratios)
    x, t, s = jnp.full(1, 0.4), jnp.asarray(_T, float), jnp.asarray(_S, float)
    seen, draws = (
        target.seen_through(noting),
        streams(1),
    )
    try:
        method.step(seen, method.memory(seen, x, t), x, t, s, draws).law.draw(draws)
    except Exception:  # asked under a trace, or needs the law of x0
        return []
    path, question = target.path, "Where does it ask the denoiser?"
    at_t, at_s = (float(path.sigma(time) / path.alpha(time)) for time in (t, s))
    told = np.asarray(ratios)
    if not told.size:
        return []
    if np.isclose(told, at_s).any() and not np.isclose(told, at_t).any():
        words = (
            "at the wrong end of each step: at the time s of the next state, while x "
        )
        words += "is still at t."
        return [Finding(question, words, "failed")]
    where = (
        "at the time of x" if np.isclose(told, at_t).any() else "at times of its own"
    )
    return [Finding(question, f"{where}, {told.size} calls in a step.")]
