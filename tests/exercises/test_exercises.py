"""Every exercise of the catalogue: right is right, and each mistake has its own name."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.exercises.exercise import probes_of, slips_of, truths_of
from gmm_testbed.exercises.judge import judge
from gmm_testbed.exercises.values import agree, difference, distance, value_of
from tests.exercises.one_place import mutants, unchanged

CATALOGUE = gt.exercises.CATALOGUE
APART = 1e-3  # relative, between the truth and a slip, and between two slips
ERRORS = 8.0  # the same in standard errors, where values are estimates

every = pytest.mark.parametrize("name", CATALOGUE)


@pytest.fixture(autouse=True)
def as_a_student_has_it(without_shape_checks):
    """Without the strict rules of this suite: students write x - means."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


def verdict(name, answer):
    return judge(name, CATALOGUE[name], answer)


def compares(exercise) -> bool:
    """Whether values of the answer itself are compared with the truth."""
    return exercise.kind in ("function", "number") and exercise.measured is None


class Replay:
    """An answer that gives these values, one a probe."""

    def __init__(self, values):
        self.values = iter(values)

    def __call__(self, *args):
        leaves = jax.tree.leaves(args)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            raise TypeError("one value a call, so not traced")
        return next(self.values)


# --- what needs no evaluation -----------------------------------------------------------


@every
def test_the_question_is_complete(name):
    exercise = CATALOGUE[name]
    assert len(exercise.slips) >= 3
    assert 2 <= len(exercise.hints) <= 4
    assert exercise.kind in list(gt.exercises.Kind)
    assert exercise.solution.__name__ == name.replace("-", "_")
    arguments = ", ".join(inspect.signature(exercise.solution).parameters)
    begin = f"{exercise.solution.__name__}({arguments})" if arguments else ""
    assert exercise.asks.startswith(begin or exercise.solution.__name__)
    assert inspect.getdoc(exercise.solution), "the argument stands in the docstring"
    assert exercise.notice and exercise.title
    assert exercise.asks.endswith((".", "?", ".)"))
    for _, hint in exercise.slips.values():
        assert hint.endswith((".", "?"))


def test_names_are_of_one_lecture():
    names = [name for rows in gt.exercises.LECTURES.values() for name in rows]
    assert len(names) == len(set(names)) == len(CATALOGUE)


# --- right and wrong --------------------------------------------------------------------


@pytest.mark.slow
@every
def test_the_solution_is_right(name):
    exercise = CATALOGUE[name]
    for answer in (exercise.solution, *exercise.others):
        found = verdict(name, answer)
        assert found, found
        assert found.answer is answer or not inspect.signature(answer).parameters
    assert "notice" in dict(verdict(name, exercise.solution).rows)


@pytest.mark.slow
@every
def test_a_stub_is_not_attempted(name):
    arguments = inspect.signature(CATALOGUE[name].solution).parameters
    stub = Replay([...]) if arguments and compares(CATALOGUE[name]) else ...
    found = verdict(name, stub)
    assert found.outcome == "not attempted" and not found
    assert found.answer is not None and verdict(name, found.answer)


@pytest.mark.slow
@every
def test_every_slip_is_named(name):
    exercise = CATALOGUE[name]
    for label, (slip, hint) in exercise.slips.items():
        answer = slip() if exercise.kind == "witness" else slip
        found = verdict(name, answer)
        assert not found and found.label == label, (label, found)
        assert hint in dict(found.rows)["hint"]
        if inspect.signature(exercise.solution).parameters:
            assert found.answer is exercise.solution


@pytest.mark.slow
@every
def test_mistakes_are_apart(name):
    exercise = CATALOGUE[name]
    if exercise.kind == "witness":
        pytest.skip("a witness is judged by its property")
    values = {"truth": truths_of(exercise), **slips_of(exercise)}
    values = {label: list(map(value_of, each)) for label, each in values.items()}
    labels = list(values)
    for i, first in enumerate(labels):
        for second in labels[:i]:
            pairs = list(zip(values[first], values[second], strict=True))
            gaps = [_gap(a, b, exercise.atol) for a, b in pairs]
            noisy = any(np.any(e > 0) for pair in pairs for v in pair for e in v.errors)
            if noisy:
                far = [distance(a, b) for a, b in pairs if _same_shapes(a, b)]
                assert max(far) > ERRORS, (first, second, far)
            else:
                assert max(gaps) > APART, (first, second, gaps)


def _same_shapes(a, b) -> bool:
    return [p.shape for p in a.parts] == [p.shape for p in b.parts]


def _gap(a, b, atol) -> float:
    return difference(a, b, atol) if _same_shapes(a, b) else np.inf


@pytest.mark.slow
@every
def test_universal_wrong_answers_have_their_own_reasons(name):
    exercise = CATALOGUE[name]
    assert verdict(name, None).label == "none"
    if exercise.kind == "witness":
        assert not verdict(name, "a word")
        return
    if exercise.kind == "function":
        assert verdict(name, 3.0).label == "kind"
    if not compares(exercise):
        return
    truths = truths_of(exercise)
    expected = {
        "none": [None] * len(truths),
        "nan": [jax.tree.map(lambda part: part * jnp.nan, b) for b in truths],
        "shape": [
            jax.tree.map(lambda part: jnp.asarray(part)[None], b) for b in truths
        ],
        "kind": [[1.0, 2.0] for _ in truths],
    }
    exact = all(not np.any(e > 0) for b in truths for e in value_of(b).errors)
    if exact and exercise.atol == 0.0:
        expected["zeros"] = _times(truths, 0.0)
        one = exercise.kind == "number"
        expected["near" if one else "factor"] = _times(truths, 1.001)
        if exercise.rtol < 1e-6:
            expected["precision"] = _times(truths, 1.0 + 1e-5)
        shapes = {str([p.shape for p in value_of(b).parts]) for b in truths}
        if len(shapes) == 1 and len(truths) > 1:
            expected["constant"] = truths[:1] * len(truths)
    for label, values in expected.items():
        assert verdict(name, Replay(values)).label == label
    if "precision" in expected:
        values = [jax.tree.map(lambda p: np.float32(p), b) for b in truths]
        found = verdict(name, Replay(values))
        assert (
            found.label == "precision"
            and "single precision" in dict(found.rows)["hint"]
        )


def _times(truths, factor):
    return [jax.tree.map(lambda part: jnp.asarray(part) * factor, b) for b in truths]


@pytest.mark.slow
@every
def test_one_place_mutants_are_wrong(name, capsys):
    exercise = CATALOGUE[name]
    assert _is_right(exercise, unchanged(exercise.solution))
    count, right = 0, []
    for line, mutant in mutants(exercise.solution):
        count += 1
        if _is_right(exercise, mutant):
            right.append(line)
    with capsys.disabled():
        print(f"\n{name}: {count} mutants, {len(set(right))} right", end="")
    assert set(right) == set(exercise.equivalent)


def _is_right(exercise, answer) -> bool:
    """Whether it is right at every probe; the first that is wrong ends it."""
    if exercise.kind == "witness":
        return bool(judge("mutant", exercise, answer))
    run = exercise.values(answer)
    for probe, truth in zip(probes_of(exercise), truths_of(exercise), strict=True):
        truth = value_of(truth)
        try:
            value = value_of(run(probe.args))
        except Exception:
            return False
        if not _same_shapes(value, truth):
            return False
        if not all(np.isfinite(part).all() for part in value.parts):
            return False
        if not agree(value, truth, exercise.rtol, exercise.atol):
            return False
    return True


@pytest.mark.slow
@every
def test_probes_are_generic(name):
    """No scale, weight or entry of A is 0, 1 or equal to another of them."""
    exercise = CATALOGUE[name]
    if exercise.kind in ("number", "witness"):
        return
    names = inspect.signature(exercise.solution).parameters
    for probe in probes_of(exercise):
        given = dict(zip(names, probe.args, strict=exercise.measured is None))
        times = [given[name] for name in ("t", "s") if name in given]
        problems = [
            a for a in probe.args if isinstance(a, gt.Target | gt.InverseProblem)
        ]
        numbers = [number for each in problems for number in _numbers_of(each, times)]
        if not problems:
            numbers = [float(a) for a in probe.args if _is_number(a)]
        numbers = np.array(numbers)
        apart = np.abs(numbers[:, None] - numbers[None]) + np.eye(numbers.size)
        assert np.all(apart > 1e-3), (name, numbers)
        assert np.all(np.abs(numbers) > 1e-3) and np.all(np.abs(numbers - 1) > 1e-3)


def _is_number(argument) -> bool:
    """Whether it is one real number, no array of them."""
    if not isinstance(argument, jax.Array) or argument.shape:
        return False
    return jnp.issubdtype(argument.dtype, jnp.floating)


def _numbers_of(argument, times):
    """Entries of A, weights, and the scales of the path at the times."""
    problem = argument if isinstance(argument, gt.InverseProblem) else argument.problem
    found = np.ravel(problem.measurement.A).tolist()
    if problem.prior.num_components > 1:
        found += np.exp(problem.prior.log_weights).tolist()
    if isinstance(argument, gt.Target):
        for t in times:
            found += [float(argument.path.alpha(t)), float(argument.path.sigma(t))]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("lecture", gt.exercises.LECTURES)
def test_probes_of_a_lecture_have_several_components_and_dimensions(lecture):
    problems = [
        argument.problem if isinstance(argument, gt.Target) else argument
        for exercise in gt.exercises.LECTURES[lecture].values()
        if exercise.kind == "function"
        for probe in probes_of(exercise)
        for argument in probe.args
        if isinstance(argument, gt.Target | gt.InverseProblem)
    ]
    if problems:
        assert any(each.prior.num_components > 1 for each in problems)
