"""`conformance`: everything that the facts of a method claim, asked in both directions."""

import dataclasses
import inspect
from typing import Any

from .._checks import fail
from ..algorithms import Guided
from ..approximations import TMPD, AbstractApproximation, Exact
from ..kernels import DDPM, AbstractKernel
from ..method import AbstractMarkov, AbstractMethod, name_of
from ..sampling import AbstractSampler, Chains
from ..smc import AbstractFeynmanKac, Bootstrap, ParticleFilter
from . import (
    ask_all,
    ask_fields,
    ask_filters,
    ask_needs,
    ask_steps,
    fields,
    filters,
    laws,
    steps,
)
from .report import Report, report

_FACTS = (ask_all.facts_are_complete,)
_NUMBERS = (
    ask_all.one_program_serves_all_values,
    ask_all.hyper_parameters_have_an_effect,
)
_DEFAULTS = {
    AbstractApproximation: TMPD,
    AbstractKernel: DDPM,
    AbstractMarkov: lambda: Guided(TMPD(), DDPM()),
    AbstractFeynmanKac: Bootstrap,
}


def conformance(method: Any) -> Report:
    """Asks a method whether its facts are true, and exact where they say so only.

    The questions are those of the contract suites of the package: the law of a step, its
    needs, its exactness on four problems, gradients, order, memory, weights, compilation.
    A few seconds for a method that JAX compiles. Nothing that the method does raises: an
    exception is an answer.

    Args:
        method: an approximation, a kernel, a method, a filter model or any sampler; or a
            class of one, which is built with its defaults.

    Returns:
        A `Report`: `print` shows a table, `.ok` says whether all answers agree with the
        facts, and `.failures()` which do not.

    Raises:
        InputError: if it is none of these.
    """
    if inspect.isclass(method):
        try:
            method = made(method)
        except Exception as error:
            return report(method.__name__, (_builds(error),), method)
    if isinstance(method, Chains):
        method = method.method
    if isinstance(method, AbstractApproximation):
        return report(name_of(method), ask_fields.QUESTIONS, fields.Field(method))
    if isinstance(method, AbstractKernel | AbstractMethod):
        return _of_steps(method)
    if isinstance(method, AbstractFeynmanKac):
        method = ParticleFilter(method)
    if isinstance(method, ParticleFilter):
        questions = *_FACTS, *ask_filters.QUESTIONS, *_NUMBERS
        return report(name_of(method.model), questions, filters.Filter(method))
    if isinstance(method, AbstractSampler):
        sampled = laws.Sampled(method, method.facts, num=2048, steps=24, host=True)
        return report(name_of(method), (*_FACTS, *laws.QUESTIONS), sampled)
    fail(
        "this is nothing that has facts",
        got=type(method).__name__,
        expected="an approximation, a kernel, a method, a filter model or a sampler",
        hint="copy _template.py of gmm_testbed.approximations or .algorithms",
    )


def _of_steps(method) -> Report:
    stepper = steps.Stepper(method)
    kernel = isinstance(method, AbstractKernel)
    noise = () if kernel else (ask_all.noise_enters,)
    first = report(
        "",
        (*_FACTS, *ask_steps.QUESTIONS, *ask_needs.QUESTIONS, *noise, *_NUMBERS),
        stepper,
    )
    facts = method.facts
    if kernel:
        facts = Guided(Exact(), method).facts._replace(output=facts.output)
    sampled = laws.Sampled(stepper.runs(), facts)
    second = report("", laws.QUESTIONS, sampled)
    return Report(name_of(method), first.answers + second.answers)


def made(kind: type):
    """An object of a class with its defaults; parts without one are ordinary ones."""
    given = {}
    for field in dataclasses.fields(kind):
        missing = dataclasses.MISSING
        if field.init and field.default is missing and field.default_factory is missing:
            for part, default in _DEFAULTS.items():
                if inspect.isclass(field.type) and issubclass(field.type, part):
                    given[field.name] = default()
    return kind(**given)


def _builds(error: Exception):
    def builds(kind):
        """Can it be built with its defaults?"""
        raise error

    return builds
