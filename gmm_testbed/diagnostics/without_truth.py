r"""Is my sampler right, where no posterior is known: what can be said all the same.

All that is asked is a denoiser, a measurement and y. The truth is the model's own: the
law P of its unguided chain, and the posterior that P and the measurement imply
(`from_the_model`, `path_weights`). Tests at the level \(\ell\) each cry wolf in at most
that share of cases:

- ranks of coordinates among draws for simulated y (SBC), balls about a point near y
  (TARP), and the rank of the misfit \(\|y - f(x)\|^2\), which sees that y is ignored;
- at the y that was given: means, squares and the misfit of samples against draws of the
  model weighted by p(y | x0), and against the sampler's own paths with their weights;
- log p(y) from the weights of paths against log p(y) from draws of the model: a mode that
  the sampler never visits is missing in the first;
- two samplers that should agree.

And what is a number, and no test: the divergence of the sampler's paths from those of the
posterior of the model, which bounds that of its output, the number of effective paths, and
the noise levels at which the residual of the h-transform arises.

What it cannot see: that the denoiser itself is wrong, unless `data` are given; a failure
smaller than the noise of the simulations; a mode that neither sampler nor weighted draws
of the model ever visit.
"""

import html
import textwrap
from typing import NamedTuple

import jax
from jaxtyping import Array, ArrayLike, Float

from .._arguments import KEY, check_kinds
from .._checks import check_count, check_range, floating, promoted
from .._samples import equal_weights
from .._types import Key, Times
from ..estimate import Estimate
from ..method import AbstractDescribed
from ..problem import Target
from ..sampling import Chains, checked_times, sample, sampler_of
from . import from_the_model as own
from .judge import BINS, Check, Judge, bound_of, directions_of, log_likelihood, of_paths
from .path_weights import FEW, PathWeights, path_weights

_WIDTH = 96  # of the text, in characters
_MARKS = {"passed": "ok", "failed": "NO", "unknown": "?", "noted": "-"}


CHECKS = (
    "finite",
    "ranks",
    "balls",
    "misfit",
    "weighted model",
    "own weights",
    "evidence",
    "agreement",
    "paths",
)
"""The names of all diagnostics, in the order of the report."""


class WithoutTruth(NamedTuple):
    """All diagnostics of one sampler; `print` shows them.

    Attributes:
        checks: in the order of `CHECKS`; those that do not apply say why.
        weights: of the sampler's paths, or None.
        bound: on KL(output | posterior of the model), in nats; NaN where there is none.
        pairs: what was simulated.
        samples: (n, d), of the sampler for the y that was given, at the last time.
        model: (n, d), draws of the model there.
        level: of every test.
    """

    checks: tuple[Check, ...]
    weights: PathWeights | None
    bound: Estimate
    pairs: own.ModelPairs
    samples: Float[Array, "n d"]
    model: Float[Array, "n d"]
    level: float

    @property
    def passed(self) -> bool:
        """Whether no test failed."""
        return not self.failures()

    def failures(self) -> list[Check]:
        """The tests that failed."""
        return [check for check in self.checks if check.status == "failed"]

    def about(self, name: str) -> Check:
        """The diagnostic of that name, of `CHECKS`."""
        (found,) = [check for check in self.checks if check.name == name]
        return found

    @property
    def summary(self) -> str:
        """In one line."""
        by_status = [check.status for check in self.checks]
        tests = by_status.count("failed") + by_status.count("passed")
        return (
            f"{by_status.count('failed')} of {tests} tests failed at level "
            f"{self.level:g} each; {by_status.count('unknown')} could not tell"
        )

    def __str__(self) -> str:
        lines = [self.summary]
        for check in self.checks:
            words = f"{check.name}: {check.words}"
            first, *rest = textwrap.wrap(words, _WIDTH - 5)
            lines.append(f"{_MARKS[check.status]:>3}  {first}")
            lines += [" " * 5 + line for line in rest]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{_MARKS[c.status]}</td><td>{c.name}</td>"
            f"<td style='text-align:left'>{html.escape(c.words)}</td></tr>"
            for c in self.checks
        )
        return f"<p>{html.escape(self.summary)}</p><table>{rows}</table>"


def without_truth(
    key: Key,
    sampler: AbstractDescribed,
    target: Target,
    times: Times,
    num: int = 1000,
    *,
    num_pairs: int = 200,
    num_draws: int = 19,
    other: AbstractDescribed | None = None,
    data: Float[ArrayLike, "k d"] | None = None,
    level: float = 0.01,
    tolerance: float = 0.1,
    particles: int = 64,
) -> WithoutTruth:
    """Diagnoses a posterior sampler by its denoiser, measurement and y alone.

    Of the target only the denoiser, the measurement, y and the path are used, and no
    prior or posterior (`from_the_model.without_prior` makes one of these alone).

    Args:
        key: random key.
        sampler: any that `gt.sample` runs; the weights of paths exist for guided samplers
            whose steps have noise.
        target: seen through a denoiser, or with the exact one of its mixture.
        times: (N + 1,), decreasing; the model is its unguided chain on this grid.
        num: samples for the given y, and draws of the model.
        num_pairs: simulated observations, 50 or more.
        num_draws: of the sampler for each; with N steps all of them cost some
            num_pairs x num_draws x N calls of the denoiser.
        other: a sampler that should agree.
        data: (k, d), draws of the true prior that the denoiser was not trained on, in
            place of the model's own: the tests by simulation then judge the denoiser too.
        level: of every test.
        tolerance: differences of means below it, in standard deviations, do not count.
        particles: of every run of a particle filter, which gives one draw.

    Raises:
        InputError: as `gt.sample`; if there are too few pairs or data.
        UnsupportedError: if the sampler uses the prior and not only the denoiser.
    """
    check_kinds(
        "without_truth(key, sampler, target, times)",
        key=(key, *KEY),
        sampler=(sampler, AbstractDescribed, "a method, as gt.Guided(...)"),
        target=(target, Target, "a gt.Target"),
    )
    target, times = promoted(target), checked_times(times)
    num = check_count(num, "num", least=FEW)
    num_pairs = check_count(num_pairs, "num_pairs", least=5 * BINS)
    num_draws = check_count(num_draws, "num_draws")
    check_range("level", floating(level), least=0.0, most=1.0)
    runner = sampler_of(sampler)
    runner.check(target, times)
    own.check_ignores_prior(runner, target, times)
    keys = jax.random.split(key, 7)
    method = runner.method if isinstance(runner, Chains) else None
    model = own.model_of(method, target, times)
    both = own.draw_model(keys[0], model, target, times, num + num_pairs)
    bank, truth = both[:num], both[num:]
    case = runner, target, times, truth, bank, num_draws
    pairs = own.simulate_pairs(keys[1], *case, data=data, particles=particles)
    weights, made = None, None
    if own.has_density(method, target, times):
        weights = path_weights(keys[2], method, model, target, times, num)
        x = weights.x
    else:
        made = sample(keys[2], sampler, target, times, num)
        x = own.at_the_last_time(keys[2], runner, target, made.x, times[-1])
    equal = made is None or equal_weights(made.log_weights)
    of_y = log_likelihood(target, own.clean(target, bank, times[-1]))
    judge = Judge(
        level, tolerance, directions_of(keys[3], x.shape[1]), target, times[-1]
    )
    bound = bound_of(weights, of_y)
    checks = (
        judge.finite(x, pairs.draws),
        *judge.simulated(keys[4], pairs),
        judge.against_model(x, bank, of_y, equal),
        judge.against_own(weights),
        judge.evidence(weights, of_y),
        judge.agreement(keys[5], x, equal, other, times),
        of_paths(weights, bound),
    )
    return WithoutTruth(checks, weights, bound, pairs, x, bank, level)
