r"""`gt.budget`: the divergence of the exact posterior paths from those of a sampler.

\[ KL(P^y(x_{t_0}, \dots, x_{t_N}) \| Q) = KL(p_{t_0}(\cdot | y) \| \pi)
   + \sum_i E\, KL(p(x_{t_{i+1}} | x_{t_i}, y) \| Q(\cdot | x_{t_i})), \]

expectations under the exact posterior marginals. Each step is an approximation, a score
error and a discretisation term (`terms.py`). For DDPM with the small variance, with
\(\Delta_i\) the increment of the signal-to-noise ratio, they are
\(\tfrac12 \Delta_i E\|\hat M - m^y\|^2\) and
\(\tfrac12 \Delta_i mmse_y(t_i) - \tfrac12 \int mmse_y\). By data processing the sum bounds
\(KL(p_{t_N}(\cdot|y) \| q_{t_N})\).

A step whose law is a mixture has no closed form and no kernel to compare with: all of
\(E[\log p(x_s | x_t, y) - \log q(x_s | x_t)]\) is its approximation term, and the others
are 0. It is a nested quadrature on the line, and beyond it a mean over exact posterior
steps (`mixture_terms.py`).

Sources: the chain rule; variational diffusion models (Kingma et al. 2021,
arXiv:2107.00630, appendix) for the discrete form; Guo, Shamai and Verdu 2005 for the
information. The variances of Bao et al. 2022 (arXiv:2201.06503) minimise it.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _display
from .._checks import check_count, unsupported
from .._types import Key, Times
from ..densities.base import over_points
from ..estimate import Estimate
from ..method import AbstractDescribed, name_of
from ..mixture import GaussianMixture
from ..problem import Linear, Target
from ..sampling import check_run, initial_law
from .information import (
    Rule,
    channel,
    conditional,
    exact_rule,
    sample_rule,
)
from .mixture_terms import mixture_terms, require_one_law
from .terms import Terms, step_terms

BLOCK = 16  # steps of a compiled program, which serves every number of steps
_FEW = 8  # components of a posterior in a nested quadrature
_NODES = np.polynomial.legendre.leggauss(6)  # of the information gained in a step


class Budget(NamedTuple):
    """The path divergence and its parts, in nats.

    Attributes:
        times: (N + 1,).
        initialisation: () KL of the exact law at times[0] from the initial law.
        approximation: (N,) of the method, half its squared error in units of the step; the
            whole divergence of the step where that is a mixture.
        score: (N,) of the denoiser that the method sees; 0 for the exact one, and where
            the step is a mixture.
        cross: (N,) products of these errors, which have any sign; 0 for a mixture.
        discretisation: (N,) of the exact field with the same kernel, or of the exact mean
            with the method's covariance if there is no kernel; 0 for a mixture.
        total: () their sum: KL(exact paths || sampler's paths).
    """

    times: Times
    initialisation: Estimate
    approximation: Estimate
    score: Estimate
    cross: Estimate
    discretisation: Estimate
    total: Estimate

    @_display.guarded
    def __str__(self) -> str:
        parts = [f"  {'initialisation':<16}{float(self.initialisation.value):.6g}"]
        for name in Terms._fields:
            parts.append(f"  {name:<16}{float(jnp.sum(getattr(self, name).value)):.6g}")
        return "\n".join([f"path KL {self.total}", *parts])

    __repr__, _repr_html_ = _display.one_line, _display.html

    def _shown(self) -> _display.Shown:
        """The total and what each part adds to it."""
        parts = {name: getattr(self, name).value for name in Terms._fields}
        parts = {"initialisation": self.initialisation.value} | parts
        sums = {name: float(np.sum(value)) for name, value in parts.items()}
        words = ", ".join(f"{name} {value:.4g}" for name, value in sums.items())
        steps = _display.counted(self.times.shape[0] - 1, "step")
        total = float(self.total.value)
        rows = [
            (name, f"{value:.6g}", f"{100 * value / total:.3g} %" if total else "")
            for name, value in sums.items()
        ]
        found = _display.table(("part", "nats", "share of the path KL"), rows)
        line = f"Budget of {steps}: path KL {self.total}: {words}, in nats"
        return _display.Shown(line, (found,))


def budget(
    key: Key,
    sampler: AbstractDescribed,
    target: Target,
    times: Times,
    num: int = 4096,
    *,
    initial: GaussianMixture | None = None,
) -> Budget:
    r"""KL(exact posterior paths || paths of the sampler), and what it consists of.

    Exact by quadrature on the line for smooth samplers, and in closed form for one
    Gaussian with affine methods; elsewhere means over `num` exact posterior samples that
    all times share, so that differences between times have little noise. The errors of
    different steps are then dependent, and that of the total accounts for it.

    Args:
        key: of the samples; unused where the result is exact.
        sampler: a method of one explicit law a step, with noise: Gaussian, as
            `Guided(approximation, kernel)` and `DAPS("mean")`, or a mixture, as `Jump`.
        target: with a posterior that is a mixture.
        times: (N + 1,), decreasing, with sigma > 0 at the end.
        num: samples, where they are needed.
        initial: law at times[0], with a density; \(N(0, \sigma^2 I)\) by default.

    Raises:
        UnsupportedError: if the posterior is not a mixture, the law of a step is not
            explicit or the step has several legs, or a step has no noise: its paths are
            then singular and the divergence is infinite.
        InputError: if the grid does not decrease within [0, 1].
    """
    call = "gt.budget(key, sampler, target, times, num)"
    target, times = check_run(call, sampler, target, times, key=key)
    num = check_count(num, "num")
    require_one_law(sampler)
    target.posterior(times[0])  # raises if there is none
    initial = initial_law(sampler, target, times[0], initial)
    how, key, points = _method(key, sampler, target, initial, num)
    first, total, weights = _start(key, points, target, times[0], initial)
    values, errors, least = [], [], np.inf
    for number, (block, used) in enumerate(blocks(times)):
        steps = number * BLOCK + np.arange(BLOCK)
        total, value, error, scale = _block(
            key, points, sampler, target, (block, used, steps), total
        )
        values, errors = [*values, value], [*errors, error]
        least = min(least, float(scale))
    _require_noise(sampler, least)
    count = times.shape[0] - 1
    value, error = (
        jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[:count], *parts)
        for parts in (values, errors)
    )
    pairs = zip(value, error, strict=True)
    freedom = np.inf if key is None else num - 1.0
    parts = [Estimate(*pair, how, freedom=freedom) for pair in pairs]
    sums = (_summary(weights, terms, key) for terms in (first, total))
    start, whole = (Estimate(*pair, how, freedom=freedom) for pair in sums)
    return Budget(times, start, *parts, whole)


def _method(key, sampler, target, initial, num):
    """How the expectations are had, the key if by samples, and the number of points."""
    prior, problem = target.problem.prior, target.problem
    affine = (
        prior.num_components == initial.num_components == 1
        and not prior.atomic
        and isinstance(problem.measurement, Linear)
        and sampler.facts.affine
    )
    mixture = sampler.facts.law == "mixture"
    few = not mixture or target.exact_posterior.num_components <= _FEW
    if prior.dim == 1 and sampler.facts.smooth and few:
        return "quadrature", None, 0
    if affine and not mixture:
        return "closed form", None, 0
    return f"{num} samples", key, num


def _rule(law, key, num) -> Rule:
    return exact_rule(law) if key is None else sample_rule(law, key, num)


@eqx.filter_jit
def _start(key, num, target, t, initial):
    """Log-ratio of the exact and the initial law at the points, twice, and weights."""
    posterior = target.posterior(t)
    rule = _rule(posterior, key, num)
    ratio = over_points(
        lambda x: posterior.log_prob(x) - initial.log_prob(x), rule.points
    )
    return ratio, ratio, rule.weights


@eqx.filter_jit
def _block(key, num, sampler, target, windows, total):
    """Adds a block of steps to the sum at every point; means and errors of each step."""

    def step(total, window):
        (t, s), counted, number = window
        rule = _rule(target.posterior(t), key, num)
        if sampler.facts.law == "mixture":
            given = sampler, target, rule.points, t, s, key, number
            terms, scales = mixture_terms(*given)
        else:
            gains = _gains(target, t, s, key, num)
            terms, scales = over_points(
                lambda pair: step_terms(sampler, target, pair[0], t, s, pair[1]),
                (rule.points, gains),
            )
        total = total + jnp.where(counted, sum(terms), 0.0)
        pairs = [_summary(rule.weights, term, key) for term in terms]
        value, error = (Terms(*parts) for parts in zip(*pairs, strict=True))
        return total, (value, error, jnp.min(scales))

    total, (value, error, scales) = jax.lax.scan(step, total, windows)
    return total, value, error, jnp.min(scales)


def _gains(target, t, s, key, num):
    """Information about x0 gained from t to s, at every point; its mean is exact.

    From the entropies where means are exact. Samples use half the integral of the
    posterior variance: at points that belong together it nearly cancels the spread.
    """
    path, posterior = target.path, target.exact_posterior
    if key is None:
        (late, at_s), (early, at_t) = (
            (law, _rule(law, key, num).points)
            for law in (target.posterior(s), target.posterior(t))
        )
        shift = jnp.asarray(late.dim, at_s.dtype) * jnp.log(
            path.sigma(s) / path.sigma(t)
        )
        return (
            over_points(early.log_prob, at_t) - over_points(late.log_prob, at_s) - shift
        )
    unit = posterior.total_variance() / posterior.dim
    unit = jnp.where(unit > 0, unit, 1.0)  # a posterior of one atom has no scale
    ends = jnp.log1p(unit * jnp.exp(path.log_snr(jnp.stack([t, s]))))
    half = 0.5 * (ends[1] - ends[0])
    nodes, weights = (jnp.asarray(part, half.dtype) for part in _NODES)

    def at(pair):
        level = ends[0] + half * (pair[0] + 1.0)
        snr = jnp.expm1(level) / unit
        points = sample_rule(channel(posterior, snr), key, num).points
        variances = over_points(
            lambda x: conditional(posterior, x, snr).total_variance(), points
        )
        return pair[1] * jnp.exp(level) * variances  # d snr = exp(level) / unit d level

    return 0.5 * half / unit * jnp.sum(jax.lax.map(at, (nodes, weights)), axis=0)


def _summary(weights, terms, key):
    """Mean of terms (n,) and its standard error, 0 where the rule is exact."""
    value = weights @ terms
    if key is None:
        return value, jnp.zeros_like(value)
    count = jnp.asarray(terms.shape[0], terms.dtype)
    return value, jnp.std(terms, ddof=1) / jnp.sqrt(count)


def blocks(times):
    """Blocks of pairs of times (16, 2) and which pairs count; the last is repeated."""
    pairs = np.stack([np.asarray(times[:-1]), np.asarray(times[1:])], axis=1)
    rest = -len(pairs) % BLOCK
    used = np.arange(len(pairs) + rest) < len(pairs)
    pairs = np.concatenate([pairs, np.repeat(pairs[-1:], rest, axis=0)])
    shape = -1, BLOCK
    return list(zip(pairs.reshape(*shape, 2), used.reshape(shape), strict=True))


def _require_noise(sampler, least):
    if least > 0:
        return
    unsupported(
        "the paths of this sampler and the exact ones are singular",
        got=f"a step of {name_of(sampler)} without noise",
        expected="a kernel with noise at every step, and sigma > 0 at the last time",
        hint="use DDPM() or DDIM(eta=1.0) and t_min > 0; for a deterministic sampler "
        "gt.laws.grid gives the divergence of its law",
    )
