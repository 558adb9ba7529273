"""`gt.conformance` believes no facts: each lie is told here, in both directions."""

import functools
import inspect
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.algorithms._template import Template as MethodTemplate
from gmm_testbed.approximations import AbstractCorrection, _template
from gmm_testbed.approximations.base import prior_covariance
from gmm_testbed.conformance import (
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
from gmm_testbed.conformance.report import Answer, Report, ask
from gmm_testbed.gaussian import isotropic, point
from gmm_testbed.kernels.reverse import reverse
from gmm_testbed.method import AbstractComposed, AbstractMarkov, standard_start
from gmm_testbed.sampling import sample_set

A, K, M, S = gt.approximations, gt.kernels, gt.algorithms, gt.smc
FACTS = gt.Facts("what it does", "nobody 2026")


# --- what is built here -------------------------------------------------------------


class Own(AbstractCorrection):
    """An approximation by its correction, a function of what is denoised."""

    fn: object = eqx.field(static=True)
    facts: ClassVar[gt.Facts] = FACTS._replace(affine=True, gradient=False)
    covariance = prior_covariance

    def correction(self, target, x, t):
        return self.fn(target, x, t)


class Float(AbstractCorrection):
    """A hyper-parameter that is a Python number, and one that does nothing."""

    strength: float = 1.0
    idle: jax.Array = eqx.field(converter=jnp.asarray, default=2.0)
    facts: ClassVar[gt.Facts] = FACTS._replace(affine=True, gradient=True)
    covariance = prior_covariance

    def correction(self, target, x, t):
        denoised = target.denoise(x, t)
        H, residual = target.problem.whitened_at(denoised.mean)
        return self.strength * denoised.times_covariance(H.T @ residual)


class Skewed(AbstractCorrection):
    """A covariance that is none, and a mean that does not follow from the guidance."""

    facts: ClassVar[gt.Facts] = FACTS._replace(gradient=True)

    def correction(self, target, x, t):
        return jnp.zeros_like(x)

    def posterior_mean(self, target, x, t):
        return target.denoise(x, t).mean + 0.1

    def covariance(self, target, x, t):
        return jnp.triu(jnp.ones((3, 3)))


class OwnStep(gt.AbstractMethod):
    """A method by its step; remembers the mean of the last step."""

    fn: object = eqx.field(static=True)
    facts: ClassVar[gt.Facts] = FACTS
    start = standard_start

    def memory(self, target, x, t):
        return jnp.zeros_like(x)

    def step(self, target, memory, x, t, s, draws):
        return self.fn(target, memory, x, t, s, draws)


class Parts(AbstractComposed):
    """One leg, to the middle of the step."""

    facts: ClassVar[gt.Facts] = FACTS._replace(law="composed")
    start = standard_start

    def legs(self, t, s):
        return (gt.Leg(M.DAPS("sample"), t, 0.5 * (t + s)),)


class Biased(S.AbstractTwisted):
    """The bootstrap filter with every weight too large."""

    facts: ClassVar[gt.Facts] = S.Bootstrap.facts
    log_twist = S.Bootstrap.log_twist

    def check(self, target, times):
        pass

    def propose(self, target, x, t, s):
        prior = reverse(target.problem.prior, target.path, x, t, s)
        return S.Proposal(gt.Mixture(prior), lambda new: jnp.full((), 0.2, x.dtype))


def _forgetful(target, memory, x, t, s, draws):
    mean = target.denoise(x, t).mean
    return gt.Step(isotropic(mean, target.path.sigma(s) ** 2), mean)


def _growing(target, memory, x, t, s, draws):
    return gt.Step(point(x), jnp.concatenate([memory, x]))


def _multistep(target, memory, x, t, s, draws):
    mean = target.denoise(x, t).mean
    return gt.Step(isotropic(mean + 0.1 * memory, target.path.sigma(s) ** 2), mean)


def _noisy_field(target, memory, x, t, s, draws):
    probe = draws.normal(3, x.dtype, "probe")
    return gt.Step(isotropic(x + 0.1 * probe, target.path.sigma(s) ** 2), memory)


def _posterior_mean(target, memory, x, t, s, draws):
    mean = target.posterior(s).mean()
    return gt.Step(point(mean), memory)


SUBJECTS = {
    "DPS": lambda: fields.Field(A.DPS()),
    "DDNM": lambda: fields.Field(A.DDNM()),
    "ZetaDPS": lambda: fields.Field(A.ZetaDPS()),
    "TMPD": lambda: fields.Field(A.TMPD()),
    "flat": lambda: fields.Field(Own(lambda target, x, t: x / target.path.alpha(t))),
    "law": lambda: fields.Field(
        Own(lambda target, x, t: 0.1 * target.denoise(x, t).law.mean())
    ),
    "cut": lambda: fields.Field(Own(lambda target, x, t: jnp.stack([x[0] * x[1]] * 3))),
    "still": lambda: fields.Field(
        Own(lambda target, x, t: jax.lax.stop_gradient(0.1 * x))
    ),
    "float": lambda: fields.Field(Float()),
    "skewed": lambda: fields.Field(Skewed()),
    "guided": lambda: steps.Stepper(gt.Guided(A.DPS(), K.DDPM())),
    "kink": lambda: steps.Stepper(gt.Guided(A.ZetaDPS(), K.DDPM())),
    "Heun": lambda: steps.Stepper(K.Heun()),
    "Jump": lambda: steps.Stepper(M.Jump()),
    "parts": lambda: steps.Stepper(Parts()),
    "published": lambda: steps.Stepper(gt.Published(A.ZetaDPS(1.0))),
    "forgetful": lambda: steps.Stepper(OwnStep(_forgetful)),
    "multistep": lambda: steps.Stepper(OwnStep(_multistep)),
    "growing": lambda: steps.Stepper(OwnStep(_growing)),
    "noisy field": lambda: steps.Stepper(OwnStep(_noisy_field)),
    "sampled DPS": lambda: laws.Sampled(
        gt.Guided(A.DPS(), K.DDPM()), gt.Guided(A.DPS(), K.DDPM()).facts
    ),
    "sampled Exact": lambda: laws.Sampled(
        gt.Guided(A.Exact(), K.DDPM()), gt.Guided(A.Exact(), K.DDPM()).facts
    ),
    "sampled point": lambda: laws.Sampled(
        OwnStep(_posterior_mean),
        FACTS._replace(output="point", exact_when=(gt.ExactWhen(),)),
        num=64,
        steps=4,
    ),
    "Bootstrap": lambda: filters.Filter(S.ParticleFilter(S.Bootstrap())),
    "Optimal": lambda: filters.Filter(S.ParticleFilter(S.Optimal())),
    "biased": lambda: filters.Filter(S.ParticleFilter(Biased())),
}


@functools.cache
def _subject(name):
    return SUBJECTS[name]()


def _needs(*names):
    return {"needs": frozenset(names)}


def _exact(problem="any", **conditions):
    return {"exact_when": (gt.ExactWhen(problem, **conditions),)}


# Subject, the lie, and the question that finds it.
LIES = [
    ("DPS", {"summary": ""}, ask_all.facts_are_complete),
    ("DPS", {"law": "normal"}, ask_all.facts_are_complete),
    ("DPS", _needs("luck"), ask_all.facts_are_complete),
    ("DPS", _exact("two gaussians"), ask_all.facts_are_complete),
    ("DPS", {"gradient": False}, ask_fields.gradient),
    ("DPS", {"gradient": None}, ask_fields.gradient),
    ("DDNM", {"gradient": True}, ask_fields.gradient),
    ("DPS", {"affine": False}, ask_fields.affine),
    ("ZetaDPS", {"affine": True}, ask_fields.affine),
    ("DPS", {"smooth": False}, ask_fields.smooth),
    ("ZetaDPS", {"smooth": True}, ask_fields.smooth),
    ("DPS", {"uses_noise": False}, ask_all.noise_enters),
    ("DDNM", {"uses_noise": True}, ask_all.noise_enters),
    ("DDNM", {"uses_noise": True}, ask_fields.no_information),
    ("DPS", _exact("any"), ask_fields.exact_on_any),
    ("TMPD", _exact("any"), ask_fields.exact_on_any),
    ("TMPD", {"exact_when": ()}, ask_fields.exact_on_one_gaussian),
    ("DPS", _exact("one gaussian"), ask_fields.exact_on_one_gaussian),
    ("TMPD", {"exact_when": ()}, ask_fields.exact_on_isotropic),
    ("DPS", _exact("isotropic gaussian"), ask_fields.exact_on_isotropic),
    ("TMPD", {"exact_when": ()}, ask_fields.exact_on_unit),
    ("DPS", _exact("unit gaussian"), ask_fields.exact_on_unit),
    ("DPS", _needs("signal"), ask_fields.signal),
    ("flat", {}, ask_fields.signal),
    ("DPS", _needs("linear"), ask_fields.nonlinear),
    ("DDNM", _needs(), ask_fields.nonlinear),
    ("DPS", _needs("law of x0"), ask_fields.another_denoiser),
    ("law", {}, ask_fields.another_denoiser),
    ("cut", {}, ask_fields.affine),
    ("flat", {}, ask_fields.no_information),
    ("still", {}, ask_fields.derivatives),
    ("float", {}, ask_all.one_program_serves_all_values),
    ("float", {}, ask_all.hyper_parameters_have_an_effect),
    ("skewed", {}, ask_fields.mean_and_guidance_agree),
    ("skewed", {}, ask_fields.covariance_is_one),
    ("guided", {"law": "mixture"}, ask_steps.law_kind),
    ("Jump", {"law": "gaussian"}, ask_steps.law_kind),
    ("parts", {"law": "implicit"}, ask_steps.law_kind),
    ("guided", {"affine": False}, ask_steps.affine),
    ("kink", {"affine": True}, ask_steps.affine),
    ("Jump", {"affine": True}, ask_steps.affine),
    ("guided", {"random_field": True}, ask_steps.random_field),
    ("multistep", {"random_field": True}, ask_steps.random_field),
    ("noisy field", {}, ask_steps.random_field),
    ("forgetful", {}, ask_steps.memory),
    ("growing", {}, ask_steps.memory),
    ("parts", {}, ask_steps.legs),
    ("guided", {"order": 0}, ask_steps.short_step),
    ("published", {"order": 1}, ask_steps.short_step),
    ("guided", {"order": 2}, ask_steps.order),
    ("Heun", {"order": 1}, ask_steps.order),
    ("guided", {"smooth": False}, ask_steps.smooth),
    ("kink", {"smooth": True}, ask_steps.smooth),
    ("Heun", {"gradient": True}, ask_steps.no_guidance_of_its_own),
    ("guided", _needs("signal"), ask_needs.signal),
    ("Heun", _needs("noise"), ask_needs.signal),
    ("guided", _needs("noise"), ask_needs.noise),
    ("Heun", _needs("signal"), ask_needs.noise),
    ("Heun", _needs("linear"), ask_needs.nonlinear),
    ("parts", _needs(), ask_needs.nonlinear),
    ("guided", _needs("law of x0"), ask_needs.another_denoiser),
    ("parts", _needs("linear"), ask_needs.another_denoiser),
    ("guided", _needs("posterior"), ask_needs.posterior),
    ("Jump", _needs(), ask_needs.posterior),
    ("guided", {"uses_noise": False}, ask_all.noise_enters),
    ("forgetful", {"uses_noise": True}, ask_all.noise_enters),
    ("sampled DPS", {"output": "weighted"}, laws.runs),
    ("sampled DPS", _exact("any", grid="fine", start="exact"), laws.exact_on_any),
    ("sampled DPS", _exact("unit gaussian", grid="fine"), laws.exact_on_unit),
    ("sampled DPS", _exact("one gaussian"), laws.exact_on_one_gaussian),
    ("sampled DPS", _exact("isotropic gaussian"), laws.exact_on_isotropic),
    ("sampled Exact", {"exact_when": ()}, laws.exact_on_any),
    ("sampled Exact", {"exact_when": ()}, laws.exact_on_one_gaussian),
    ("sampled Exact", {"exact_when": ()}, laws.exact_on_isotropic),
    ("sampled Exact", {"exact_when": ()}, laws.exact_on_unit),
    ("sampled Exact", _exact(start="exact"), laws.exact_on_any),  # of any grid
    ("sampled Exact", {"level": "data"}, laws.exact_on_any),
    ("sampled point", {"exact_when": ()}, laws.point),
    ("sampled point", _exact("unit gaussian"), laws.point),
    ("Bootstrap", {"law": "gaussian"}, ask_filters.law_kind),
    ("Bootstrap", {"output": "sample"}, ask_filters.weighted),
    ("Bootstrap", {"uses_noise": False}, ask_filters.noise_enters),
    ("Bootstrap", _needs(), ask_filters.density),
    ("Bootstrap", _needs("posterior"), ask_filters.posterior),
    ("Optimal", _needs("density"), ask_filters.posterior),
    ("Bootstrap", _needs("linear"), ask_filters.nonlinear),
    ("Bootstrap", _exact(), ask_filters.exact_with_any_number),
    ("Optimal", _exact(particles="many"), ask_filters.exact_with_any_number),
    ("Bootstrap", {"exact_when": ()}, ask_filters.exact_on_any),
    ("Bootstrap", {"exact_when": ()}, ask_filters.exact_on_one_gaussian),
    ("biased", {}, ask_filters.exact_on_any),
    ("biased", {}, ask_filters.exact_on_one_gaussian),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, lie, question",
    LIES,
    ids=[f"{name}-{'-'.join(lie) or 'itself'}-{q.__name__}" for name, lie, q in LIES],
)
def test_a_lie_is_found(name, lie, question, monkeypatch):
    subject = _subject(name)
    monkeypatch.setattr(subject, "facts", subject.facts._replace(**lie))
    answer = ask(question, subject)
    assert not answer.ok and answer.found, str(answer)
    assert not answer.found.startswith(("TypeError", "AttributeError", "KeyError"))


TRUE = [
    ("multistep", ask_steps.memory),
    ("noisy field", ask_steps.shapes),
    ("sampled point", laws.point),
    ("sampled point", laws.runs),
]


@pytest.mark.slow
@pytest.mark.parametrize("name, question", TRUE)
def test_the_truth_is_believed(name, question):
    answer = ask(question, _subject(name))
    assert answer.ok and not answer.skipped, str(answer)


# --- laws of samples, by numbers that are given ---------------------------------------


def _sampled(exact_when=(), order=2, output="sample"):
    facts = FACTS._replace(exact_when=exact_when, order=order, output=output)
    return laws.Sampled(M.Jump(), facts, num=4)


@pytest.mark.parametrize("distance, right", [(3.0, True), (6.0, False)])
def test_a_law_is_judged_by_its_distance(distance, right, monkeypatch):
    """Exact within four and a half standard errors, and not beyond."""
    for claimed in (True, False):
        sampled = _sampled((gt.ExactWhen(),) if claimed else ())
        monkeypatch.setattr(sampled, "distance", lambda kind, where: distance)
        assert ask(laws.exact_on_any, sampled).ok == (right == claimed)


def test_the_limit_is_extrapolated_by_the_order(monkeypatch):
    """Means 1 + 0.3 h^p at h and h / 2: the limit is 1."""
    for order in (1, 2):
        means = {"fine": 1.3, "finer": 1.0 + 0.3 * 0.5**order}
        found = {
            which: laws.Statistics(np.array([mean]), np.array([0.1]))
            for which, mean in means.items()
        }
        sampled = _sampled(order=order)
        monkeypatch.setattr(sampled, "statistics", lambda _, which, __: found[which])  # noqa: B023
        limit = sampled.limit("any", "exact")
        np.testing.assert_allclose(limit.mean, 1.0, rtol=1e-12)
        error = 0.1 * np.hypot(2**order, 1) / (2**order - 1)
        np.testing.assert_allclose(limit.error, error, rtol=1e-12)


def test_what_is_not_finite_or_not_weighted_is_an_answer(monkeypatch):
    x, weights = jnp.zeros((4, 3)), np.log([0.4, 0.3, 0.2, 0.1])
    for output, log_weights, bad, right in (
        ("sample", np.full(4, -np.log(4)), 0, True),
        ("sample", np.full(4, -np.log(4)), 1, False),
        ("sample", weights, 0, False),
        ("weighted", weights, 0, True),
    ):
        made = x.at[0, 1].set(jnp.nan if bad else 0.0)
        zero = jnp.zeros(())
        out = sample_set(made, jnp.asarray(log_weights), zero, 1)
        sampled = _sampled(output=output)
        monkeypatch.setattr(sampled, "run", lambda *which: out)  # noqa: B023
        assert ask(laws.runs, sampled).ok == right


@pytest.mark.slow
def test_a_copy_of_each_template_conforms():
    for kind in (_template.Template, MethodTemplate):
        report = gt.conformance(kind)
        assert report.ok, str(report)
        assert report.name == "Template" and len(report.answers) > 15


def _ddim(problem, denoiser, num, seed):
    x = problem.sigma[0] * np.random.default_rng(seed).normal(size=(num, problem.dim))
    scales = zip(problem.alpha, problem.sigma, strict=True)
    (alpha, sigma), *others = scales
    for after, level in others:
        mean = denoiser.x0(x, alpha, sigma)
        x = after * mean + level * (x - alpha * mean) / sigma
        alpha, sigma = after, level
    return x


def test_a_program_of_the_host_is_asked():
    report = gt.conformance(gt.External(_ddim))
    assert report.ok, str(report)
    words = {answer.question: answer.found for answer in report.answers}
    found = words[inspect.getdoc(laws.exact_on_any)]
    assert int(found.split()[0]) > 10  # it samples the prior


class Broken(AbstractMarkov):
    """Fails in every step."""

    facts: ClassVar[gt.Facts] = FACTS
    start = standard_start

    def transition(self, target, x, t, s):
        raise RuntimeError("the network is not there")


def test_a_method_that_fails_is_answered_and_not_raised():
    report = gt.conformance(Broken())
    assert not report.ok
    failed = [answer for answer in report.failures() if "network" in answer.found]
    assert len(failed) > 10
    assert "NO" in str(report) and "the network is not there" in str(report)


class Unbuilt(AbstractMarkov):
    """Has an option without a default."""

    number: int
    facts: ClassVar[gt.Facts] = FACTS
    start = standard_start

    def transition(self, target, x, t, s):
        return point(x)


def test_a_class_that_cannot_be_built_is_answered():
    report = gt.conformance(Unbuilt)
    assert not report.ok and "number" in report.failures()[0].found


def test_what_has_no_facts_is_refused():
    with pytest.raises(gt.InputError, match="nothing that has facts"):
        gt.conformance(gt.VP())


def test_a_report_is_a_table_of_plain_words():
    answers = (
        Answer("Is it exact?", "says exact", "found exact", True),
        Answer("Is it smooth at the kink?", "says smooth", "jump 1", False),
        Answer("Is it of order 2?", "", "", True, "no order is claimed"),
    )
    report = Report("Mine", answers)
    lines = str(report).splitlines()
    assert lines[0] == "Mine: 2 questions, 1 failed"
    assert lines[1] == "yes  Is it exact?               says exact; found exact"
    assert lines[2].startswith(" NO  Is it smooth") and "jump 1" in lines[2]
    assert lines[3].startswith("  -  ") and lines[3].endswith("no order is claimed")
    assert not report.ok and report.failures() == [answers[1]]
