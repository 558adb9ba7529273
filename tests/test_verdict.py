"""Planted faults are each found in the right words, and nothing is found where none is."""

import functools
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.cli import app
from gmm_testbed.external import External
from gmm_testbed.verdict import (
    ask_box,
    ask_method,
    field,
    forms,
    limits,
    line,
    load,
    page,
    phrases,
)
from gmm_testbed.verdict.record import Curve, Finding, Verdict

from . import verdict_faults as faults

FLOAT32 = not jnp.zeros(()).dtype == jnp.float64
pytestmark = pytest.mark.skipif(FLOAT32, reason="conventions are told apart to 1e-8")


def of_guidance(fn) -> Verdict:
    """What is found at single points."""
    subject = forms.recognised(fn)
    return Verdict("", "", tuple(field.findings(subject.field, None)))


def of_program(**fault) -> Verdict:
    """What is found by watching a program."""
    fn = functools.partial(faults.program, **fault)
    sampler = ask_box.prepared(External(fn))
    return Verdict("", "", tuple(ask_box.findings(sampler)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fn", "words"),
    [
        (faults.tmpd_with_sigma, "TMPD with sigma/alpha for sigma^2/alpha"),
        (faults.away, "the sign of the guidance is wrong"),
        (faults.clipped, "clips to [-1, 1]"),
        (faults.without_noise, "ignores the noise level"),
        (faults.normed_over_the_batch, "couples the particles of a batch"),
        (faults.pigdm_of_root_two, "a noise level divided by sqrt(2)"),
        (faults.pigdm_of_twice, "R is counted twice"),
        (faults.not_a_number, "numbers of the guidance are not"),
    ],
)
def test_a_fault_of_a_guidance_is_named(fn, words):
    found = of_guidance(fn)
    assert not found.passed
    assert any(words in each.answer for each in found.failures()), str(found)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"sign": -1.0}, "the sign of the guidance is wrong"),
        ({"noise": 0.5}, "a noise level divided by sqrt(2)"),
        ({"noise": 2.0}, "R is counted twice"),
        ({"ignored": True}, "ignores the noise level"),
        ({"clip": True}, "clips to [-1, 1]"),
        ({"stride": 2}, "makes fewer steps, 0.5 of their number"),
        ({"early": True}, "at the wrong end of each step"),
        ({"last": False}, "the last step returns the mean"),
        ({"couple": True}, "couples the particles of a batch"),
    ],
)
@pytest.mark.slow
def test_a_fault_of_a_program_is_named(fault, words):
    found = of_program(**fault)
    assert any(words in each.answer for each in found.failures()), str(found)


@pytest.mark.slow
def test_a_method_that_takes_the_wrong_end_of_its_step():
    right, wrong = (
        Verdict("", "", tuple(ask_method.findings(faults.Stepper(late))))
        for late in (False, True)
    )
    assert right.passed, str(right)
    assert right.about("at the time of x, 2 calls")
    assert any("wrong end of each step" in each.answer for each in wrong.failures())


def test_a_jump_of_a_guidance_is_seen():
    target = gt.problems.get("two-modes")
    assert line.jumps(gt.approximations.ZetaDPS(), target)
    assert not line.jumps(gt.approximations.DPS(), target)


def test_right_programs_pass():
    """TMPD in NumPy has no fault; its mean follows y as theory says: K = p / (p + R)."""
    found = of_program()
    assert found.passed, str(found)
    (answer,) = found.about("Does the mean follow y?")
    assert answer.numbers["gain"] == pytest.approx(1 / 1.5, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fn", "words", "error"),
    [
        (faults.dps, "like DPS, to", None),
        (faults.tmpd, "like TMPD, to", 0.0),
        (faults.pigdm, "PiGDM with r = sigma/alpha, to", None),
    ],
)
def test_right_guidances_pass_and_are_recognised(fn, words, error):
    found = of_guidance(fn)
    assert found.passed, str(found)
    assert found.about(words), str(found)
    (answer,) = found.about("exact for a Gaussian prior")
    if error is not None:
        assert answer.numbers["error"] < 1e-9
        assert "yes" in answer.answer
    else:
        assert answer.numbers["error"] > 0.1
        assert "no: off by" in answer.answer


@pytest.mark.slow
def test_another_convention_is_no_fault():
    found = of_guidance(faults.pigdm)
    (answer,) = found.about("Which method")
    assert "another convention of the same method" in answer.answer
    assert answer.status == "noted"


# --- what cannot be judged ------------------------------------------------------------


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (faults.other_arguments, "neither of the two signatures"),
        (faults.of_the_measurement, "pull residuals"),
        (faults.complex_numbers, "is complex"),
        (gt.kernels.DDPM(), "a kernel alone"),
        (3.0, "nothing that samples"),
    ],
)
def test_what_is_no_sampler_is_refused(thing, words):
    with pytest.raises(gt.InputError, match=words):
        gt.verdict(thing)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda n: np.zeros((n, 2)), "wrong shape"),
        (lambda n: np.zeros((n, 1), complex), "complex"),
        (lambda n: "samples", "no real numbers"),
        (lambda n: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_programs_that_return_no_samples_are_refused(answer, words):
    def sample(problem, denoiser, num, seed):
        return answer(num)

    with pytest.raises(gt.InputError, match=words):
        gt.verdict(sample)


def test_a_program_with_nan_fails_in_words():
    def sample(problem, denoiser, num, seed):
        return np.full((num, problem.dim), np.nan)

    found = gt.verdict(sample)
    assert not found.passed
    assert "samples are not" in found.failures()[0].answer


def test_a_program_that_hangs_is_ended():
    with (
        pytest.raises(gt.InputError, match="takes too long"),
        limits.limited(0.2, "a sampler"),
    ):
        faults.endless(None, None, 1, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no_such_module:thing", "there is no module no_such_module"),
        ("json:dump", "dumps"),
        ("DSP", "DPS"),
    ],
)
def test_names_that_are_not_there(text, words):
    with pytest.raises(gt.InputError, match=words):
        load(text if text != "json:dump" else "json:dumpz")


def test_a_module_of_the_folder_is_found(tmp_path, monkeypatch):
    (tmp_path / "mine_here.py").write_text("def f(target, x, t):\n    return 0 * x\n")
    (tmp_path / "broken_here.py").write_text("import nothing_like_it\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    assert forms.recognised(load("mine_here:f")).form.startswith("a guidance")
    with pytest.raises(gt.InputError, match="nothing_like_it"):
        load("broken_here:f")
    assert isinstance(load("TMPD"), gt.approximations.TMPD)


# --- words and numbers ----------------------------------------------------------------


def _curve(values, error=0.0, floor=0.0):
    steps = np.array([5, 20, 100])
    return Curve("gap", "total variation", steps, np.asarray(values), 0 * steps + error,
                 floor, 2.0 * steps)  # fmt: skip


@pytest.mark.parametrize(
    ("values", "error", "floor", "words"),
    [
        ([0.3, 0.1, 0.2], 0.0, 0.0, "gets worse with more steps"),
        ([0.3, 0.1, 0.02], 0.0, 0.0, "falls with more steps"),
        ([0.3, 0.11, 0.1], 0.0, 0.0, "levels off near 0.1"),
        ([0.3, 0.02, 0.015], 0.004, 0.014, "not to be told from exact samples"),
    ],
)
def test_what_more_steps_do_in_words(values, error, floor, words):
    assert words in phrases.distance(_curve(values, error, floor), []).answer


def test_outcome_of_samples_against_scipy():
    """A Gaussian in place of the posterior: distance and masses, by hand."""
    target = gt.problems.get("one-gaussian")
    times = gt.time_grid(target.path, 4, t_min=0.01)
    law = target.posterior(times[-1])
    mean, scale = float(law.mean()[0]), float(np.sqrt(law.covariance()[0, 0]))
    from scipy import stats

    x = mean + 0.5 * scale + 2 * scale * stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    found = line.of_samples(x, np.ones(2000), target, times)
    expected = stats.kstest(x, stats.norm(mean, scale).cdf).statistic
    assert found.distance == pytest.approx(expected, rel=1e-9)
    assert found.spread == pytest.approx(4.0, rel=0.02)
    assert found.modes == pytest.approx([1.0])


def test_a_verdict_prints_and_counts():
    fine, bad = Finding("Fine?", "yes.", "passed"), Finding("Bad?", "no.", "failed")
    assert Verdict("It", "a method", (fine,)).passed
    both = Verdict("It", "a method", (fine, bad), (), 3.0)
    assert not both.passed
    text = str(both)
    assert "1 of 2 findings are faults" in text
    assert "NO  Bad? no." in text


def test_a_page_has_the_words_the_figure_and_the_table(tmp_path):
    finding = Finding("Is <it> right?", "no: off by 12 %.", "failed")
    found = Verdict(
        "Mine", "a method", (finding,), (_curve([0.3, 0.1, 0.02], 0, 0.01),)
    )
    names = page.write(found, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    text = (tmp_path / "verdict.html").read_text(encoding="utf-8")
    assert "Is &lt;it&gt; right?" in text
    assert "data:image/svg+xml;base64," in text
    rows = (tmp_path / "divergence.csv").read_text(encoding="utf-8").splitlines()
    assert rows[1] == "gap,total variation,5,0.3,0,0.01,10"


# --- as a whole -----------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_and_its_page(tmp_path, monkeypatch):
    """DPS of the catalogue: claims are true, a mode that y rules out, and a page."""
    from typer.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(app, ["check", "DPS", "--quick", "--output", "out"])
    assert outcome.exit_code == 0, outcome.output
    assert "Are the claims of its facts true? yes" in outcome.output
    assert "posterior of gap? total variation" in outcome.output
    page = (tmp_path / "out" / "verdict.html").read_text()
    assert "data:image/svg+xml" in page
    lines = (tmp_path / "out" / "divergence.csv").read_text().splitlines()
    assert lines[1].startswith("gap,total variation,5,")


@pytest.mark.slow
def test_a_fault_ends_the_command_with_code_1(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    (tmp_path / "planted_here.py").write_text(
        "import numpy as np\n"
        "def mine(problem, denoiser, num, seed):\n"
        "    x = np.random.default_rng(seed).standard_normal((num, problem.dim))\n"
        "    return denoiser.x0(x, problem.alpha[0], problem.sigma[0])\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    outcome = CliRunner().invoke(app, ["check", "planted_here:mine", "--quick"])
    assert outcome.exit_code == 1, outcome.output
    assert "ignores y" in outcome.output


@pytest.mark.slow
@pytest.mark.parametrize("thing", ["TDS(TMPD)", "REDDiff", "DAPS"])
def test_other_forms_pass(thing):
    """A filter, an estimator and a method of the catalogue."""
    found = gt.verdict(gt.methods.get(thing), quick=True)
    assert found.passed, str(found)


@pytest.mark.slow
def test_no_false_alarm_of_a_right_program(key):
    """Ten seeds, and not a hundred, of the watched runs of a correct program."""
    for seed in np.asarray(jax.random.randint(key, (10,), 0, 2**31 - 1)):

        def fresh(problem, denoiser, num, given, seed=int(seed)):
            return faults.program(problem, denoiser, num, given ^ seed)

        found = ask_box.findings(ask_box.prepared(External(fresh)))
        assert not [each for each in found if each.status == "failed"]


@pytest.mark.slow
def test_the_examples_of_the_documentation(capsys):
    """docs/check.md runs as it stands, and prints what it says."""
    text = (Path(__file__).parents[1] / "docs" / "check.md").read_text(encoding="utf-8")
    known = {}
    for snippet in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(snippet, "check.md", "exec"), known)
    printed = " ".join(capsys.readouterr().out.split())
    told = re.search(r"like TMPD with .*? of x0", text).group()
    assert told in printed
    assert known["found"].passed
