"""What is said of an answer, on an exercise that costs nothing to evaluate."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.exercises import session
from gmm_testbed.exercises.exercise import Exercise, moments_of_step
from gmm_testbed.exercises.judge import judge


def area(a, b):
    """a^2 / b + a."""
    return a**2 / b + a


PROBES = {"small": [(0.3, 1.7), (0.8, 0.6)], "large": [(2.3, 3.1), (1.9, 0.45)]}
TOY = Exercise(
    title="A toy",
    asks="area(a, b) gives a^2 / b + a.",
    probes=lambda: PROBES,
    truth=lambda a, b: a**2 / b + a,
    slips={"no-square": (lambda a, b: a / b + a, "a is squared.")},
    solution=area,
    scales={"a": lambda a, b: a, "b": lambda a, b: b},
    terms=lambda a, b: {"a^2 / b": a**2 / b, "a": a},
    notice="b may be negative.",
    hints=("Look at a.", "Look at b."),
)


def say(answer, exercise=TOY):
    return judge("toy", exercise, answer)


def hint(found) -> str:
    return dict(found.rows)["hint"]


def test_a_right_answer():
    found = say(lambda a, b: a * (a / b + 1))
    assert found and found.outcome == "right"
    assert "right at 4 probes" in found.summary and "jit and vmap" in found.summary
    assert dict(found.rows)["notice"] == "b may be negative."
    assert repr(found).startswith("✓ toy: right")


@pytest.mark.parametrize("stub", [..., lambda a, b: ..., lambda a, b: (a, ...)])
def test_a_stub_gets_the_testbeds_answer(stub):
    found = say(stub)
    assert not found and found.outcome == "not attempted" and found.answer is area
    assert repr(found).startswith("· toy: not attempted.")


def test_what_an_answer_raises_is_told_and_not_raised():
    found = say(lambda a, b: a.nothing)
    assert found.outcome == "raised" and "AttributeError" in hint(found)
    assert "in `found = say(lambda a, b: a.nothing)`" in hint(found)
    assert found.answer is area


@pytest.mark.parametrize(
    ("answer", "label", "words"),
    [
        (None, "none", "return"),
        (lambda a, b: None, "none", "return"),
        (3.0, "kind", "a function is expected"),
        (lambda a, b: [1.0], "kind", "jnp.array"),
        (lambda a, b: "word", "kind", "not a number"),
        (lambda a, b: area(a, b)[None], "shape", "(1,), expected ()"),
        (lambda a, b: jnp.log(-area(a, b)), "nan", "logarithm"),
        (lambda a, b: np.float32(area(a, b)), "precision", "jax_enable_x64"),
        (lambda a, b: area(a, b) * (1 + 1e-6), "precision", "digits"),
        (lambda a, b: a / b + a, "no-square", "a is squared."),
        (lambda a, b: 0.0 * a, "zeros", "zero everywhere"),
        (lambda a, b: 1.0 + 0.0 * a, "constant", "the same at all 4 probes"),
        (lambda a, b: 2.0 * area(a, b), "factor", "twice the truth"),
        (lambda a, b: -area(a, b), "factor", "the other sign"),
        (lambda a, b: 1.001 * area(a, b), "factor", "1.001 times"),
        (lambda a, b: area(a, b) * b, "scale", "times b at all 4 probes"),
        (lambda a, b: area(a, b) / a**2, "scale", "divided by a^2"),
        (lambda a, b: area(a, b) * jnp.sqrt(a) / b, "scale", "times sqrt(a)"),
        (lambda a, b: a**2 / b, "term", "the term a is missing"),
        (lambda a, b: a - a**2 / b, "term", "a^2 / b"),
        (lambda a, b: a + a**2, "term", "a^2 / b is the true one times b"),
        (lambda a, b: jnp.where(a < 1, area(a, b), 7.0), "group", "right for small"),
        (lambda a, b: area(a, b) + b**3 + jnp.cos(a), "probe", "all probes"),
    ],
)
def test_wrong_answers_are_told_apart(answer, label, words):
    found = say(answer)
    assert not found and found.label == label
    assert words in hint(found)
    assert found.answer is area


def test_a_known_mistake_that_is_a_multiple_says_so():
    slips = {"half": (lambda a, b: 0.5 * area(a, b), "the half is too much.")}
    exercise = Exercise("T", "t", area, slips, area, probes=lambda: PROBES)
    found = say(lambda a, b: 0.5 * area(a, b), exercise)
    assert found.label == "half"
    assert hint(found) == "the half is too much. Half the truth at all 4 probes."


def test_an_answer_must_survive_jit_and_vmap():
    found = say(lambda a, b: math.pow(a, 2.0) / b + a)
    assert found.label == "transform" and "jnp.where" in hint(found)


def test_the_wrong_part_of_a_tuple_is_named():
    def both(a, b):
        return a + b, a * b

    exercise = Exercise(
        "T", "t", both, {}, both, probes=lambda: PROBES, parts=("sum", "product")
    )
    found = say(lambda a, b: (a + b, 2.0 * a * b), exercise)
    assert hint(found).startswith("only product is wrong. For product: yours is twice")
    assert "sum" in dict(found.rows)["expected"]


def test_numbers():
    exercise = Exercise(
        "T", "t", lambda: 0.25, {"two": (lambda: 0.5, "halve it.")}, lambda: 0.25,
        kind="number",
    )  # fmt: skip
    assert say(0.25, exercise) and say(lambda: 0.25, exercise).answer == 0.25
    assert say(0.5, exercise).label == "two"
    assert say(0.252, exercise).label == "near"
    assert say(0.3, exercise).label == "probe" and say(0.3, exercise).answer == 0.25
    assert say(..., exercise).outcome == "not attempted"


def test_estimates_are_compared_in_standard_errors():
    exercise = Exercise(
        "T",
        "t",
        lambda: 1.0,
        {"more": (lambda: 1.5, "less.")},
        lambda: gt.Estimate(1.0, 0.01),
        kind="number",
    )
    assert say(gt.Estimate(1.02, 0.01), exercise)
    assert say(gt.Estimate(1.49, 0.01), exercise).label == "more"
    found = say(gt.Estimate(1.2, 0.2), exercise)
    assert found.label == "too few samples" and "'more'" in hint(found)


def test_a_witness_is_judged_by_its_property():
    def judged(answer):
        return (
            ("", f"{answer} is even")
            if answer % 2 == 0
            else ("odd", f"{answer} is odd")
        )

    exercise = Exercise(
        "T", "t", judged, {"odd": (lambda: 3, "add one.")}, lambda: 4, kind="witness"
    )
    assert say(10, exercise) and say(lambda: 10, exercise).answer == 10
    found = say(3, exercise)
    assert found.label == "odd" and hint(found) == "add one." and found.answer == 4
    assert say("three", exercise).outcome == "raised"


def test_a_transition_is_judged_by_its_law():
    def step(x, noise):
        return 0.5 * x + jnp.array([[1.0, 0.0], [0.3, 0.8]]) @ noise

    x, noise = jnp.array([1.0, -2.0]), jnp.array([0.4, 0.9])
    mean, covariance = moments_of_step(step, (x, noise))
    np.testing.assert_allclose(mean, [0.5, -1.0])
    np.testing.assert_allclose(covariance, [[1.0, 0.3], [0.3, 0.73]], rtol=1e-12)
    turned = moments_of_step(lambda x, noise: step(x, -noise), (x, noise))
    np.testing.assert_allclose(turned[1], covariance, rtol=1e-12)
    _, bent = moments_of_step(lambda x, noise: step(x, noise) + noise**3, (x, noise))
    assert np.abs(bent - covariance).max() > 0.1


# --- the session ------------------------------------------------------------------------


@pytest.fixture
def fresh(monkeypatch):
    """A session of its own, with the toy in the catalogue."""
    monkeypatch.setitem(gt.exercises.CATALOGUE, "toy", TOY)
    session.forget()
    yield gt.exercises
    session.forget()


def test_the_answer_that_was_lent_is_not_an_attempt(fresh):
    lent = fresh.check("toy", lambda a, b: a).answer
    assert lent is area
    assert fresh.check("toy", lent).outcome == "not attempted"
    assert "1 try" in repr(fresh.progress())


def test_hints_come_one_by_one(fresh):
    wrong = fresh.check("toy", lambda a, b: a)
    assert dict(wrong.rows)["more"] == 'gt.exercises.hint("toy")   1 of 2'
    assert repr(fresh.hint("toy")) == "1 of 2: Look at a."
    assert "2 of 2" in dict(fresh.check("toy", lambda a, b: b).rows)["more"]
    assert repr(fresh.hint("toy")) == "2 of 2: Look at b."
    assert "solution" in repr(fresh.hint("toy"))
    assert "return a**2 / b + a" in repr(fresh.solution("toy"))


def test_progress_counts(fresh):
    assert repr(fresh.progress()) == "no exercise was checked in this session"
    fresh.check("toy", lambda a, b: a)
    fresh.hint("toy")
    fresh.check("toy", lambda a, b: a + a * a / b)
    fresh.check("toy", lambda a, b: a)  # what was right stays so
    lines = repr(fresh.progress()).splitlines()
    assert lines[0] == "1 of 1 right" and "✓ toy" in lines[1]
    assert "3 tries, 1 hint" in lines[1]
    assert fresh.progress().right == 1
    assert len(fresh.progress("01").rows) == len(fresh.LECTURES["01"])


def test_unknown_names_are_pointed_to_the_nearest(fresh):
    with pytest.raises(gt.InputError, match="did you mean 'tweedie'"):
        fresh.check("tweedy", area)


def test_html_escapes_what_it_shows(fresh):
    found = fresh.check("toy", lambda a, b: [a < b])
    assert "<b" in found._repr_html_() and "&lt;" not in found.summary
    assert "<script" not in fresh.check("toy", "<script>")._repr_html_()
    assert "0 of 1 right" in fresh.progress()._repr_html_()


def test_setup_says_which_precision(capsys):
    gt.exercises.setup()
    said = capsys.readouterr().out
    assert f"jax {jax.__version__}" in said
    double = jnp.result_type(float) == jnp.float64
    assert ("double precision" in said) == double
