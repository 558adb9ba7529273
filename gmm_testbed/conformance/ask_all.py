"""Questions that are asked of everything: its facts, hyper-parameters and programs."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import numpy as np

from ..method import NEEDS, AbstractDescribed, Cost, Facts, check_needs
from .probes import KINDS, moved
from .report import Reply, both_ways, skip

_WORDS = {
    "law": {"gaussian", "mixture", "composed", "implicit"},
    "output": {"sample", "weighted", "point"},
    "level": {"t", "data"},
}
_CONDITIONS = {
    "problem": set(KINDS),
    "grid": {"any", "fine"},
    "start": {"standard", "exact"},
    "particles": {"any", "many"},
}
_LEAST_EFFECT = 1e-6


def facts_are_complete(subject) -> Reply:
    """Are the facts complete, in words that are known?"""
    facts: Facts = subject.facts
    wrong = [name for name in ("summary", "reference") if not getattr(facts, name)]
    wrong += [f"needs {need}" for need in sorted(facts.needs - set(NEEDS))]
    for name, known in _WORDS.items():
        if getattr(facts, name) not in known:
            wrong.append(f"{name}={getattr(facts, name)!r}")
    for where in facts.exact_when:
        for name, known in _CONDITIONS.items():
            if getattr(where, name) not in known:
                wrong.append(f"exact_when {name}={getattr(where, name)!r}")
    if facts.order is not None and facts.order < 0:
        wrong.append(f"order={facts.order}")
    if not (isinstance(facts.cost, Cost) and not any(n < 0 for n in facts.cost)):
        wrong.append(f"cost={facts.cost!r}")
    found = ", ".join(wrong) or "all fields filled"
    return Reply("facts as of gt.Facts", found, not wrong)


def one_program_serves_all_values(subject) -> Reply:
    """Does one compiled program serve all values of the hyper-parameters?"""
    subject.values("any")
    before, guilty = subject.program.traces, list(_static_numbers(subject.method))
    for name, changed in _changed(subject.method):
        subject.evaluate(changed, "any")
        if subject.program.traces > before:
            guilty.append(name)
            before = subject.program.traces
    subject.values("other observation")
    if subject.program.traces > before:
        guilty.append("the observation")
    found = f"compiled again for {', '.join(guilty)}" if guilty else "compiled once"
    return Reply("hyper-parameters are arrays", found, not guilty)


def hyper_parameters_have_an_effect(subject) -> Reply:
    """Does every hyper-parameter have an effect?"""
    effects = {
        name: moved(subject.values("any"), subject.evaluate(changed, "any"))
        for name, changed in _changed(subject.method)
    }
    if not effects:
        return skip("it has none")
    idle = [name for name, effect in effects.items() if not effect > _LEAST_EFFECT]
    found = f"none from {', '.join(idle)}" if idle else f"of {', '.join(effects)}"
    return Reply("all values change the result", found, not idle)


def noise_enters(subject) -> Reply:
    """Does the covariance R of the noise enter exactly if the facts say so?"""
    effect = moved(subject.values("any"), subject.values("twice the noise"))
    claimed, found = subject.facts.uses_noise, effect > 1e-6
    return both_ways(claimed, found, "using R", f"changed by {effect:.1g}")


def refusal(part: AbstractDescribed, target, times) -> str:
    """The first line of the refusal of a problem, or "" if it is served."""
    try:
        check_needs(part, target, times)
    except Exception as error:
        return str(error).splitlines()[0]
    return ""


def need_is_real(subject, need: str, run) -> Reply:
    """Whether a run without what is needed fails exactly if the need is named.

    Args:
        subject: whose facts are asked.
        need: of `NEEDS`.
        run: from nothing to a tree of values; it may raise.
    """
    try:
        values = run()
        finite = all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(values))
        reason = "served" if finite else "not finite"
    except Exception as error:
        finite, reason = False, str(error).splitlines()[0] if str(error) else "raised"
    return both_ways(need in subject.facts.needs, not finite, f"needing {need}", reason)


def _changed(method) -> Iterator[tuple[str, Any]]:
    """The method with another value of each number among its hyper-parameters."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(method)
    for index, (path, leaf) in enumerate(leaves):
        number = isinstance(leaf, float)
        scalar = eqx.is_inexact_array(leaf) and leaf.ndim == 0
        if not (number or scalar):
            continue
        value = 0.7 * leaf + 0.05  # of the type of the leaf, which may be weak
        name = jax.tree_util.keystr(path).lstrip(".")
        yield name, eqx.tree_at(lambda m, i=index: jax.tree.leaves(m)[i], method, value)


def _static_numbers(part, prefix="") -> Iterator[str]:
    """Names of the floats that are compiled into a program."""
    for field in dataclasses.fields(part):
        value = getattr(part, field.name, None)
        if field.metadata.get("static", False) and isinstance(value, float):
            yield prefix + field.name
        elif isinstance(value, eqx.Module) and not field.metadata.get("static", False):
            yield from _static_numbers(value, f"{prefix}{field.name}.")
