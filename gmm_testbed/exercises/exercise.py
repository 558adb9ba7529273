"""What an exercise is: data, with functions in the place of stored numbers.

There are four kinds. A *function* is compared with the truth at several probes; a *number*
is one value; a *witness* is a case of which the testbed decides whether it has the property
that was asked for; a *transition* is a step of a sampler, judged by the law of the step and
never by final samples. The truth is always computed when it is needed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ..gaussian import Gaussian


class Kind(StrEnum):
    """How an answer is judged."""

    FUNCTION = "function"
    NUMBER = "number"
    WITNESS = "witness"
    TRANSITION = "transition"


@dataclass(frozen=True, eq=False)
class Exercise:
    """A question, what is true, and what is often answered instead.

    Attributes:
        title: a few words.
        asks: signature, shapes and units, and one sentence that says what to return.
        probes: gives the argument tuples, all generic; or a dictionary of them by group,
            as "one component", so that an answer right in one group only is told so. An
            exercise that asks for a number or a witness needs none.
        truth: of the arguments of a probe, an array, a tuple of arrays or an `Estimate`;
            for a transition the `Gaussian` law of the step. For a witness it takes the
            answer and gives a label, "" if the property holds and else that of a slip, and
            a sentence.
        slips: mistakes by label, each a function as the answer would be, and a hint that
            names the mistake. Slips of a witness are functions that give a wrong answer.
        solution: the answer, a function whose source and docstring are shown; without
            arguments if a number or a witness is asked for.
        kind: "function", "number", "witness" or "transition".
        scales: functions of the arguments of a probe, by name: an unforeseen answer that is
            the truth times powers of them is read as such.
        terms: of the arguments, a dictionary of the terms of a sum that is the truth.
        notice: what to notice when the answer is right, computed now, or a sentence.
        hints: each says more than the one before.
        parts: names of the entries of a tuple.
        others: other right forms of the answer, for the tests.
        rtol: relative difference that still is right.
        atol: the same, absolute, for a truth that may be zero.
        transforms: what a right answer must survive, "jit", "vmap" or both.
        measured: of the answer and the arguments, what is compared with the truth; by
            default the answer's own value, and for a transition its mean and covariance.
        equivalent: changes of one place in the solution that leave it right, each as the
            line it makes, for the tests.
    """

    title: str
    asks: str
    truth: Callable[..., Any]
    slips: Mapping[str, tuple[Callable[..., Any], str]]
    solution: Callable[..., Any]
    probes: Callable[[], Any] = lambda: [()]
    kind: str = "function"
    scales: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    terms: Callable[..., Mapping[str, Any]] | None = None
    notice: Callable[[], str] | str = ""
    hints: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    others: tuple[Callable[..., Any], ...] = ()
    rtol: float = 1e-8
    atol: float = 0.0
    transforms: tuple[str, ...] = ("jit", "vmap")
    measured: Callable[..., Any] | None = None
    equivalent: tuple[str, ...] = ()

    def values(self, answer: Callable[..., Any]) -> Callable[[tuple], Any]:
        """What is compared with the truth, for one answer, as a function of a probe."""

        def compared(*args):
            if self.measured is not None:
                return self.measured(answer, *args)
            if self.kind == Kind.TRANSITION:
                return moments_of_step(answer, args)
            return answer(*args)

        return self.compiled(compared)

    def compiled(self, function: Callable[..., Any]) -> Callable[[tuple], Any]:
        """A function of a probe: compiled, which is faster by far, if it can be."""
        jitted = eqx.filter_jit(function)
        compile_it = self.kind != Kind.NUMBER and "jit" in self.transforms

        def called(args):
            if not compile_it:
                return function(*args)
            try:
                return jitted(*args)
            except Exception:  # as it is, which says more of an error
                return function(*args)

        return called


class Probe(NamedTuple):
    """Arguments of an answer, and the group that they belong to ("" if there is none)."""

    args: tuple
    group: str = ""


def probes_of(exercise: Exercise) -> list[Probe]:
    """The probes of an exercise, numbers as arrays."""
    return _probes(exercise, jnp.result_type(float))


def truths_of(exercise: Exercise) -> list[Any]:
    """The truth at every probe; of a transition, mean and covariance."""
    return _truths(exercise, jnp.result_type(float))


def slips_of(exercise: Exercise) -> dict[str, list[Any]]:
    """What every slip would answer at every probe."""
    return _slips(exercise, jnp.result_type(float))


def moments_of_step(step: Callable[..., Any], args: tuple) -> Any:
    r"""Mean (d,) and covariance (d, d) of a step whose last argument is the noise (d,).

    The step is affine in the noise, \(x_s = \mu + S \varepsilon\): its value without noise
    is the mean, and what it adds for each unit vector is a column of S. The sign of the
    noise, and any rotation of it, leave the law as it is.
    """
    *rest, noise = args
    mean = step(*rest, jnp.zeros_like(noise))
    if mean is None or mean is ... or jnp.shape(mean) != noise.shape:
        return mean  # not a point (d,), which the shapes will say
    columns = [step(*rest, axis) - mean for axis in jnp.eye(noise.size)]
    root = jnp.stack(columns, axis=1)
    bent = (
        step(*rest, noise) - mean - root @ noise
    )  # 0 if the step is affine in the noise
    return mean, root @ root.T + jnp.outer(bent, bent)


@cache
def _probes(exercise, precision):
    given = exercise.probes()
    groups = given if isinstance(given, Mapping) else {"": given}
    return [
        Probe(jax.tree.map(_as_array, tuple(args)), group)
        for group, several in groups.items()
        for args in several
    ]


@cache
def _truths(exercise, precision):
    probes = _probes(exercise, precision)
    truth = exercise.compiled(exercise.truth)
    found = [truth(probe.args) for probe in probes]
    return [
        (law.mean, law.covariance()) if isinstance(law, Gaussian) else law
        for law in found
    ]


@cache
def _slips(exercise, precision):
    probes = _probes(exercise, precision)
    found = {}
    for label, (slip, _) in exercise.slips.items():
        value = exercise.values(slip)
        found[label] = [value(probe.args) for probe in probes]
    return found


def _as_array(leaf):
    return jnp.asarray(leaf) if isinstance(leaf, float) else leaf
