"""Questions to the step of a method, and to a kernel in the exact field."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..algorithms import Guided
from ..approximations import Exact
from ..denoisers import Prior, ScoreError
from ..gaussian import Gaussian, Implicit, Mixture
from ..kernels import AbstractKernel
from ..method import AbstractComposed, AbstractMarkov, AbstractMethod, Facts
from ..problem import Target
from ..random import Draws
from . import probes
from .common import need_is_real, refusal
from .probes import KINDS, PATH, Memo, Program, gap, moved, tolerance
from .report import Verdict, both_ways, skip

_INSIDE = probes.points(12, 3, 3)
_ENDS = probes.points(13, 2, 3)
_SHARE = 0.3
_ALONG = 1e-6 * np.array([[0.6, -0.3, 0.7], [-0.6, 0.3, -0.7]])
_SHORT = 1e-7


def grid(steps: int, first: float = 0.95, last: float = 0.05):
    """Times (steps + 1,), equal in the log signal-to-noise ratio."""
    levels = np.log([first / (1 - first), last / (1 - last)])
    ratios = np.exp(np.linspace(*levels, steps + 1))
    return ratios / (1 + ratios)


_GRIDS = {f"grid {steps}": grid(steps) for steps in (64, 128, 256)}
_PARTS = {
    "inside": (_INSIDE, [0.2, 0.5, 0.9], [0.1, 0.45, 0.6]),
    "segment": (
        np.stack([*_ENDS, _SHARE * _ENDS[0] + (1 - _SHARE) * _ENDS[1]]),
        [0.6] * 3,
        [0.4] * 3,
    ),
    "short": (_INSIDE[:1], [0.5], [0.5 - _SHORT]),
    "near": (_INSIDE, [1e-5, 1e-2, 0.9999], [1e-6, 5e-3, 0.99]),
    "without signal": (_INSIDE[:1], [1.0], [0.9]),
    "without noise": (_INSIDE[1:2], [0.2], [0.0]),
    "kink": (_INSIDE[1] + _ALONG, [0.5] * 2, [0.45] * 2),
} | {
    name: (np.zeros((len(times) - 1, 3)), times[:-1], times[1:])
    for name, times in _GRIDS.items()
}
_BOUNDS = np.cumsum([0, *(len(times) for _, times, _ in _PARTS.values())])
_WHERE = dict(zip(_PARTS, map(slice, _BOUNDS[:-1], _BOUNDS[1:]), strict=True))
_KINDS_OF_LAW = {Gaussian: "gaussian", Mixture: "mixture", Implicit: "implicit"}


def _states():
    """All points (n, 3), times (n,) and next times (n,)."""
    parts = (np.concatenate([part[i] for part in _PARTS.values()]) for i in range(3))
    return tuple(jnp.asarray(part, float) for part in parts)


def streams(number: int) -> Draws:
    """Random numbers that are always the same."""
    words = jnp.asarray([number, 17 * number + 3], jnp.uint32)
    return Draws(words, jnp.asarray(5))


def _numbers(law, draws) -> dict:
    """What a law is, in arrays: its moments if it is explicit, else a draw."""
    found = {"draw": law.draw(draws)}
    if isinstance(law, Gaussian):
        found |= {"mean": law.mean, "covariance": law.covariance()}
    if isinstance(law, Mixture):
        mixture = law.law
        found |= {"mean": mixture.mean(), "covariance": mixture.covariance()}
    return found


class Stepper:
    """A method or a kernel, and its steps on the problems that questions need.

    Args:
        method: a method, or a kernel, which is then asked in the exact field.
    """

    def __init__(self, method):
        self.method = method
        self.facts: Facts = method.facts
        self.kernel = isinstance(method, AbstractKernel)
        self.program = Program(self._evaluate)
        self._memo = Memo()

    def runs(self, method=None) -> AbstractMethod:
        """The method that is run, of another value of the hyper-parameters if given."""
        method = self.method if method is None else method
        return Guided(Exact(), method) if self.kernel else method

    def first(self, target: Target, x, t, s, draws, method=None):
        """The first step from x, with the memory of the start."""
        runs = self.runs(method)
        return runs.step(target, runs.memory(target, x, t), x, t, s, draws)

    def _evaluate(self, method, target, xs, ts, ss):
        draws = streams(1)

        def at(x, t, s):
            law = self.first(target, x, t, s, draws, method).law
            found = _numbers(law, draws)
            if isinstance(law, Gaussian):
                found["jacobian"] = jax.jacfwd(
                    lambda x: self.first(target, x, t, s, draws, method).law.mean
                )(x)
            if not isinstance(method, AbstractMarkov) and "mean" in found:
                other = self.first(target, x, t, s, streams(2), method).law
                found["other field"] = _numbers(other, draws)["mean"] - found["mean"]
            return found

        single = self.first(target, xs[0], ts[0], ss[0], draws, method).law
        alone = {"alone": single.draw(draws)}
        return jax.vmap(at)(xs, ts, ss) | alone

    def evaluate(self, method, kind: str):
        """Values at all points, through the one program."""
        return self.program(method, probes.target(kind), *_states())

    def values(self, kind: str):
        """Those of the method itself, on a problem by its name."""
        return self._memo(kind, lambda: self.evaluate(self.method, kind))

    def at(self, kind: str, key: str, part: str):
        """One value at a part of the points."""
        return self.values(kind)[key][_WHERE[part]]

    def law(self):
        """The law of a first step, its arrays only described."""

        def shape():
            found = []
            target, (x, t, s) = probes.target("any"), self.state()

            def note(x, t, s):
                step = self.first(target, x, t, s, streams(1))
                found.append((type(step.law), step.memory))
                return step.law.draw(streams(1)), step.memory

            shapes = eqx.filter_eval_shape(note, x, t, s)
            return found[0][0], shapes

        return self._memo("law", shape)

    @property
    def explicit(self) -> bool:
        """Whether a step has moments."""
        return "mean" in self.values("any")

    def state(self):
        """One point inside, its time and the next."""
        x, t, s = _states()
        return x[1], t[1], s[1]


def law_kind(stepper: Stepper) -> Verdict:
    """Is the law of a step of the kind that the facts say?"""
    found = _KINDS_OF_LAW.get(stepper.law()[0], stepper.law()[0].__name__)
    if isinstance(stepper.method, AbstractComposed):
        found = "composed"
    claimed = stepper.facts.law
    return Verdict(f"says {claimed}", f"found {found}", claimed == found)


def shapes(stepper: Stepper) -> Verdict:
    """Is a draw of a step (d,), its mean (d,) and its covariance (d, d)?"""
    values, count = stepper.values("any"), _BOUNDS[-1]
    expected = {"draw": (3,), "mean": (3,), "covariance": (3, 3)}
    found = {key: values[key].shape[1:] for key in expected if key in values}
    right = all(values[key].shape == (count, *expected[key]) for key in found)
    return Verdict("(d,), (d,), (d, d)", f"{list(found.values())}", right)


def starts(stepper: Stepper) -> Verdict:
    """Is the start a law of the state, finite and with a density?"""
    if stepper.kernel:
        return skip("a kernel has no start")
    start = stepper.method.start(probes.target("any"), jnp.asarray(0.95, float))
    mixture = start.mixture()
    values = mixture.mean(), mixture.covariance()
    right = mixture.dim == 3 and all(np.isfinite(value).all() for value in values)
    positive = float(np.linalg.eigvalsh(np.asarray(values[1])).min()) > 0
    return Verdict("a law of x (d,)", f"{type(start).__name__}", right and positive)


def single_and_batch_agree(stepper: Stepper) -> Verdict:
    """Is one step alone the same as in a batch?"""
    values = stepper.values("any")
    error = gap(values["draw"][0], values["alone"])
    return Verdict("vmap agrees", f"differs by {error:.1g}", error < tolerance())


def affine(stepper: Stepper) -> Verdict:
    """Is a step affine on one Gaussian exactly if the facts say so?"""
    claimed, markov = stepper.facts.affine, isinstance(stepper.runs(), AbstractMarkov)
    if not markov or stepper.law()[0] is not Gaussian:
        kind = "no explicit Gaussian step"
        return both_ways(claimed, False, "affine", kind)
    kind = "one gaussian"
    one, other, between = stepper.at(kind, "mean", "segment")
    error = gap(between, _SHARE * one + (1 - _SHARE) * other)
    first, *others = stepper.at(kind, "covariance", "segment")
    size = np.abs(first).max() + 1e-12
    error = max(error, *(float(np.abs(first - each).max() / size) for each in others))
    found = error < (tolerance() if claimed else 1e-4)
    return both_ways(claimed, found, "affine", f"deviates by {error:.1g}")


def random_field(stepper: Stepper) -> Verdict:
    """Does the law of a step depend on random numbers exactly if the facts say so?"""
    markov = isinstance(stepper.runs(), AbstractMarkov)
    if not (markov or stepper.explicit):
        return skip("a law without moments is all random numbers")
    if markov:
        return both_ways(stepper.facts.random_field, False, "random", "no draws enter")
    effect = np.abs(stepper.at("any", "other field", "inside")).max()
    evidence = f"moved by {effect:.1g}"
    return both_ways(stepper.facts.random_field, effect > 1e-9, "random", evidence)


def finite(stepper: Stepper) -> Verdict:
    """Are steps finite near both ends?"""
    bad = [
        key
        for key, value in stepper.values("any").items()
        if key != "alone" and not np.all(np.isfinite(value[_WHERE["near"]]))
    ]
    return Verdict("finite", ", ".join(bad) or "everywhere", not bad)


def _where(stepper: Stepper, part: str):
    return [
        stepper.at("any", key, part)
        for key in ("mean", "covariance", "draw")
        if key in stepper.values("any")
    ]


def signal(stepper: Stepper) -> Verdict:
    """Does it need alpha > 0 at the start exactly if the facts say so?"""
    return need_is_real(stepper, "signal", lambda: _where(stepper, "without signal"))


def noise(stepper: Stepper) -> Verdict:
    """Does it need sigma > 0 at the end exactly if the facts say so?"""
    return need_is_real(stepper, "noise", lambda: _where(stepper, "without noise"))


def short_step(stepper: Stepper) -> Verdict:
    """Does a short step move little exactly if the order is positive?"""
    order = stepper.facts.order
    if order is None:
        return skip("no order is claimed")
    if not stepper.explicit:
        return skip("the step has no moments")
    step = stepper.at("any", "mean", "short") - _INSIDE[:1]
    spread = np.abs(stepper.at("any", "covariance", "short")).max() ** 0.5
    size = max(float(np.linalg.norm(step)), float(spread))
    evidence = f"moved {size:.1g} in {_SHORT:g}"
    return both_ways(order > 0, size < 1e-2, "moving little", evidence)


def _law(stepper: Stepper, part: str):
    """Mean and covariance of the output on one Gaussian, from a fixed start."""
    keys = "jacobian", "mean", "covariance"
    steps = (stepper.at("one gaussian", key, part) for key in keys)
    sigma = float(PATH.sigma(_GRIDS[part][0]))
    mean, covariance = np.array([0.4, -0.2, 0.3]), sigma**2 * np.eye(3)
    for F, shift, added in zip(*steps, strict=True):
        mean, covariance = F @ mean + shift, F @ covariance @ F.T + added
    return np.concatenate([mean, covariance.ravel()])


def order(stepper: Stepper) -> Verdict:
    """Does the error of the law fall with the order that the facts say?"""
    claimed = stepper.facts.order
    if not claimed:
        return skip("no order above 0 is claimed")
    if not stepper.facts.affine:
        return skip("the law on one Gaussian is not Gaussian")
    if jnp.zeros(()).dtype != jnp.float64:
        return skip("differences of laws need double precision")
    laws = [_law(stepper, part) for part in _GRIDS]
    coarse, fine = (np.linalg.norm(a - b) for a, b in zip(laws, laws[1:], strict=False))
    if fine < 1e-10:
        return skip("no error at any number of steps on one Gaussian")
    slope = float(np.log2(coarse / fine))
    return Verdict(
        f"says {claimed}", f"measured {slope:.2f}", abs(slope - claimed) < 0.2
    )


def smooth(stepper: Stepper) -> Verdict:
    """Does a step jump where the residual vanishes exactly if the facts say so?"""
    if not stepper.explicit:
        return skip("the step has no moments")
    numbers, at = KINDS["any"], probes.target("any")
    x, t = jnp.asarray(_INSIDE[1], float), jnp.asarray(0.5, float)
    met = numbers._replace(y=numbers.A @ np.asarray(at.prior_mean(x, t)))
    values = stepper.program(stepper.method, probes.build(met), *_states())
    one, other = values["mean"][_WHERE["kink"]]
    jump = float(np.linalg.norm(one - other) / (1 + np.linalg.norm(one)))
    evidence = f"jump {jump:.1g} over {2e-6:.0g}"
    return both_ways(stepper.facts.smooth, jump < 1e-4, "smooth", evidence)


def _shape(stepper: Stepper, target, method=None):
    """Traces a first step on a target, without compiling it."""
    x, t, s = stepper.state()
    x = x[: target.problem.prior.dim]

    def moved(x, t, s):
        return stepper.first(target, x, t, s, streams(1)).law.draw(streams(1))

    eqx.filter_eval_shape(moved, x, t, s)
    return ()


def nonlinear(stepper: Stepper) -> Verdict:
    """Is a nonlinear measurement served, or refused as the facts say?"""
    target, (x, t, s) = probes.atoms(), stepper.state()
    if "linear" in stepper.facts.needs:
        reason = refusal(stepper.method, target, jnp.stack([t, s]))
        if not reason:
            return Verdict("says needing linear", "not refused", False)

    def one(target, x, t, s):
        return stepper.first(target, x, t, s, streams(1)).law.draw(streams(1))

    return need_is_real(stepper, "linear", lambda: Program(one)(target, x, t, s))


def another_denoiser(stepper: Stepper) -> Verdict:
    """Does a denoiser that gives a point serve, or is it refused as the facts say?"""
    target = probes.target("any")
    target = target.seen_through(ScoreError(Prior(target.problem.prior), 0.1))
    return need_is_real(stepper, "law of x0", lambda: _shape(stepper, target))


def posterior(stepper: Stepper) -> Verdict:
    """Does it need a posterior that is a mixture exactly if the facts say so?"""
    if "linear" in stepper.facts.needs:
        return skip("with a linear measurement the posterior is a mixture")

    def shape():
        eqx.filter_eval_shape(lambda: _built(stepper))
        return ()

    return need_is_real(stepper, "posterior", shape)


def _built(stepper):
    target, (x, t, s) = probes.without_posterior(), stepper.state()
    return stepper.first(target, x[:2], t, s, streams(1)).law.draw(streams(1))


def memory(stepper: Stepper) -> Verdict:
    """Does what is remembered keep its shape, and matter?"""
    target, runs = probes.target("any"), stepper.runs()
    x, t, s = stepper.state()
    last = 0.5 * s
    before = eqx.filter_eval_shape(lambda x, t: runs.memory(target, x, t), x, t)
    if not jax.tree.leaves(before):
        return skip("nothing is remembered")
    after = stepper.law()[1][1]
    if not eqx.tree_equal(before, after):
        return Verdict("the same shapes", f"{before} becomes {after}", False)

    def two(target, x, t, s, last):
        law, kept = stepper.first(target, x, t, s, streams(1))
        new = law.draw(streams(1))
        laws = (
            runs.step(target, each, new, s, last, streams(2)).law
            for each in (kept, runs.memory(target, new, s))
        )
        return [{"draw": law.draw(streams(2))} for law in laws]

    effect = moved(*Program(two)(target, x, t, s, last))
    return Verdict("it matters", f"moves a step by {effect:.1g}", effect > 1e-9)


def legs(stepper: Stepper) -> Verdict:
    """Are the parts of a composed step explicit, and always as many?"""
    if not isinstance(stepper.method, AbstractComposed):
        return skip("a step is one")
    target, (x, t, s) = probes.target("any"), stepper.state()
    kinds = []

    def note(x, t, s):
        parts = stepper.method.legs(t, s)
        for part in parts:
            law = part.method.transition(target, x, part.t, part.s)
            kinds.append(_KINDS_OF_LAW.get(type(law), type(law).__name__))
        return x

    eqx.filter_eval_shape(note, x, t, s)
    ends = stepper.method.legs(t, s)[-1].s
    explicit = set(kinds) <= {"gaussian", "mixture"} and len(kinds) > 0
    reaches = abs(float(ends) - float(s)) < 1e-12
    found = f"{len(kinds)} parts: {', '.join(kinds)}; the last ends at {float(ends):g}"
    return Verdict(f"explicit, to {float(s):g}", found, explicit and reaches)


def no_guidance_of_its_own(stepper: Stepper) -> Verdict:
    """Is a gradient claimed only where there is a guidance?"""
    claimed = stepper.facts.gradient
    if not stepper.kernel:
        return skip("asked of the approximation itself")
    return Verdict("None", f"gradient={claimed}", claimed is None)


QUESTIONS = (
    law_kind,
    shapes,
    starts,
    single_and_batch_agree,
    affine,
    random_field,
    memory,
    legs,
    short_step,
    order,
    smooth,
    finite,
    signal,
    noise,
    nonlinear,
    another_denoiser,
    posterior,
    no_guidance_of_its_own,
)
