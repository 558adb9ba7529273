"""Questions to the step of a method, and to a kernel in the exact field."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..gaussian import Gaussian
from ..method import AbstractComposed, AbstractMarkov
from . import probes
from .probes import KINDS, PATH, Program, gap, moved, tolerance
from .report import Reply, both_ways, skip
from .steps import (
    COUNT,
    GRIDS,
    INSIDE,
    KINDS_OF_LAW,
    SHARE,
    SHORT,
    WHERE,
    Stepper,
    states,
    streams,
)


def law_kind(stepper: Stepper) -> Reply:
    """Is the law of a step of the kind that the facts say?"""
    found = KINDS_OF_LAW.get(stepper.law()[0], stepper.law()[0].__name__)
    if isinstance(stepper.method, AbstractComposed):
        found = "composed"
    claimed = stepper.facts.law
    return Reply(f"says {claimed}", f"found {found}", claimed == found)


def shapes(stepper: Stepper) -> Reply:
    """Is a draw of a step (d,), its mean (d,) and its covariance (d, d)?"""
    values, count = stepper.values("any"), COUNT
    expected = {"draw": (3,), "mean": (3,), "covariance": (3, 3)}
    found = {key: values[key].shape[1:] for key in expected if key in values}
    right = all(values[key].shape == (count, *expected[key]) for key in found)
    return Reply("(d,), (d,), (d, d)", f"{list(found.values())}", right)


def starts(stepper: Stepper) -> Reply:
    """Is the start a finite law of the state, with a density unless it is a point?"""
    if stepper.kernel:
        return skip("a kernel has no start")
    start = stepper.method.start(probes.target("any"), jnp.asarray(0.95, float))
    mixture = start.mixture()
    values = mixture.mean(), mixture.covariance()
    right = mixture.dim == 3 and all(np.isfinite(value).all() for value in values)
    positive = float(np.linalg.eigvalsh(np.asarray(values[1])).min()) > 0
    positive = positive or stepper.facts.output == "point"
    return Reply("a law of x (d,)", f"{type(start).__name__}", right and positive)


def single_and_batch_agree(stepper: Stepper) -> Reply:
    """Is one step alone the same as in a batch?"""
    values = stepper.values("any")
    error = gap(values["draw"][0], values["alone"])
    return Reply("vmap agrees", f"differs by {error:.1g}", error < tolerance())


def affine(stepper: Stepper) -> Reply:
    """Is a step affine on one Gaussian exactly if the facts say so?"""
    claimed, markov = stepper.facts.affine, isinstance(stepper.runs(), AbstractMarkov)
    if not markov or stepper.law()[0] is not Gaussian:
        kind = "no explicit Gaussian step"
        return both_ways(claimed, False, "affine", kind)
    kind = "one gaussian"
    one, other, between = stepper.at(kind, "mean", "segment")
    error = gap(between, SHARE * one + (1 - SHARE) * other)
    first, *others = stepper.at(kind, "covariance", "segment")
    size = np.abs(first).max() + 1e-12
    error = max(error, *(float(np.abs(first - each).max() / size) for each in others))
    found = error < (tolerance() if claimed else 1e-4)
    return both_ways(claimed, found, "affine", f"deviates by {error:.1g}")


def random_field(stepper: Stepper) -> Reply:
    """Does the law of a step depend on random numbers exactly if the facts say so?"""
    markov = isinstance(stepper.runs(), AbstractMarkov)
    if not (markov or stepper.explicit):
        return skip("a law without moments is all random numbers")
    if markov:
        return both_ways(stepper.facts.random_field, False, "random", "no draws enter")
    effect = float(np.abs(stepper.at("any", "other field", "inside")).max())
    evidence = f"moved by {effect:.1g}"
    return both_ways(stepper.facts.random_field, effect > 0, "random", evidence)


def short_step(stepper: Stepper) -> Reply:
    """Does a short step move little exactly if the order is positive?"""
    order = stepper.facts.order
    if order is None:
        return skip("no order is claimed")
    if not stepper.explicit:
        return skip("the step has no moments")
    step = stepper.at("any", "mean", "short") - INSIDE[:1]
    spread = np.abs(stepper.at("any", "covariance", "short")).max() ** 0.5
    size = max(float(np.linalg.norm(step)), float(spread))
    evidence = f"moved {size:.1g} in {SHORT:g}"
    return both_ways(order > 0, size < 1e-2, "moving little", evidence)


def _law(stepper: Stepper, part: str):
    """Mean and covariance of the output on one Gaussian, from a fixed start."""
    keys = "jacobian", "mean", "covariance"
    steps = (stepper.at("one gaussian", key, part) for key in keys)
    sigma = float(PATH.sigma(GRIDS[part][0]))
    mean, covariance = np.array([0.4, -0.2, 0.3]), sigma**2 * np.eye(3)
    for F, shift, added in zip(*steps, strict=True):
        mean, covariance = F @ mean + shift, F @ covariance @ F.T + added
    return np.concatenate([mean, covariance.ravel()])


def order(stepper: Stepper) -> Reply:
    """Does the error of the law fall with the order that the facts say?"""
    claimed = stepper.facts.order
    if not claimed:
        return skip("no order above 0 is claimed")
    if not stepper.facts.affine:
        return skip("the law on one Gaussian is not Gaussian")
    if jnp.zeros(()).dtype != jnp.float64:
        return skip("differences of laws need double precision")
    laws = [_law(stepper, part) for part in GRIDS]
    coarse, fine = (np.linalg.norm(a - b) for a, b in zip(laws, laws[1:], strict=False))
    if fine < 1e-10:
        return skip("no error at any number of steps on one Gaussian")
    slope = float(np.log2(coarse / fine))
    return Reply(f"says {claimed}", f"measured {slope:.2f}", abs(slope - claimed) < 0.2)


def smooth(stepper: Stepper) -> Reply:
    """Does a step jump where the residual vanishes exactly if the facts say so?"""
    if not stepper.explicit:
        return skip("the step has no moments")
    numbers, at = KINDS["any"], probes.target("any")
    x, t = jnp.asarray(INSIDE[1], float), jnp.asarray(0.5, float)
    met = numbers._replace(y=numbers.A @ np.asarray(at.prior_mean(x, t)))
    values = stepper.program(stepper.method, probes.build(met), *states())
    one, other = values["mean"][WHERE["kink"]]
    jump = float(np.linalg.norm(one - other) / (1 + np.linalg.norm(one)))
    evidence = f"jump {jump:.1g} over {2e-6:.0g}"
    return both_ways(stepper.facts.smooth, jump < 1e-4, "smooth", evidence)


def memory(stepper: Stepper) -> Reply:
    """Does what is remembered keep its shape, and matter?"""
    target, runs = probes.target("any"), stepper.runs()
    x, t, s = stepper.state()
    last = 0.5 * s
    before = eqx.filter_eval_shape(lambda x, t: runs.memory(target, x, t), x, t)
    if not jax.tree.leaves(before):
        return skip("nothing is remembered")
    after = stepper.law()[1][1]
    if not eqx.tree_equal(before, after):
        return Reply("the same shapes", f"{before} becomes {after}", False)

    def two(target, x, t, s, last):
        law, kept = stepper.first(target, x, t, s, streams(1))
        new = law.draw(streams(1))
        laws = (
            runs.step(target, each, new, s, last, streams(2)).law
            for each in (kept, runs.memory(target, new, s))
        )
        return [{"draw": law.draw(streams(2))} for law in laws]

    effect = moved(*Program(two)(target, x, t, s, last))
    return Reply("it matters", f"moves a step by {effect:.1g}", effect > 1e-9)


def legs(stepper: Stepper) -> Reply:
    """Are the parts of a composed step explicit, and always as many?"""
    if not isinstance(stepper.method, AbstractComposed):
        return skip("a step is one")
    target, (x, t, s) = probes.target("any"), stepper.state()
    kinds = []

    def note(x, t, s):
        parts = stepper.method.legs(t, s)
        for part in parts:
            law = part.method.transition(target, x, part.t, part.s)
            kinds.append(KINDS_OF_LAW.get(type(law), type(law).__name__))
        return x

    eqx.filter_eval_shape(note, x, t, s)
    ends = stepper.method.legs(t, s)[-1].s
    explicit = set(kinds) <= {"gaussian", "mixture"} and len(kinds) > 0
    reaches = abs(float(ends) - float(s)) < 1e-12
    found = f"{len(kinds)} parts: {', '.join(kinds)}; the last ends at {float(ends):g}"
    return Reply(f"explicit, to {float(s):g}", found, explicit and reaches)


def no_guidance_of_its_own(stepper: Stepper) -> Reply:
    """Is a gradient claimed only where there is a guidance?"""
    claimed = stepper.facts.gradient
    if not stepper.kernel:
        return skip("asked of the approximation itself")
    return Reply("None", f"gradient={claimed}", claimed is None)


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
    no_guidance_of_its_own,
)
