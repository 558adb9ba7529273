"""`gmm-testbed verify`: verdicts, tables, figures and exit codes, on tiny theorems."""

import csv
import io
from typing import ClassVar

import jax
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import gmm_testbed as gt
from gmm_testbed import study
from gmm_testbed.bounds import AbstractBound, Claim, Facts, Verdict, contraction
from gmm_testbed.cli import app
from gmm_testbed.estimate import Estimate
from gmm_testbed.study import verify


class Square(AbstractBound):
    """x^2 <= factor x, in two parts, one of them an equality."""

    factor: float

    facts: ClassVar[Facts] = Facts("x^2 <= c x", ("x is small",), "here", "proved")
    cases: ClassVar = tuple({"x": x} for x in (0.01, 0.1, 1.0, 4.0))

    def setting(self, case):
        return {"case": case}

    def sides(self, key, case):
        x = case["x"]
        left, right = Estimate(x**2), Estimate(self.factor * x, 1e-4, "samples")
        return [
            Claim("size", left, right, assumptions=(x < 3,)),
            Claim("square", Estimate(x**2), Estimate(x * x), equal=True),
        ]


class Printed(AbstractBound):
    """One claim a case, kept as printed."""

    right: float

    facts: ClassVar[Facts] = Facts("1 <= c", (), "a paper", "published", refuted=True)
    cases: ClassVar = ({"kind": "a", "n": 3, "m": 1}, {"kind": "b", "n": 5, "m": 2})

    def setting(self, case):
        return {"case": case}

    def sides(self, key, case):
        return [Claim("", Estimate(1.0), Estimate(self.right * case["n"]))]


class Nothing(AbstractBound):
    """Says nothing in two ways."""

    facts: ClassVar[Facts] = Facts("1 <= inf", ("n = 1",), "here", "proved")
    cases: ClassVar = ({"n": 1}, {"n": 2})

    def setting(self, case):
        return {"case": case}

    def sides(self, key, case):
        kept = (case["n"] == 1,)
        return [Claim("", Estimate(1.0), Estimate(np.inf), assumptions=kept)]


HOLDING = {"T1-square": Square(1.5), "T2-printed": Printed(0.3)}


@pytest.fixture
def invoke(monkeypatch, tmp_path):
    def inside(*names, catalogue=HOLDING):
        monkeypatch.setattr(gt.bounds, "CATALOGUE", catalogue)
        store = "--store", str(tmp_path / "store.sqlite")
        arguments = "verify", *names, "--output", str(tmp_path / "new"), *store
        return CliRunner().invoke(app, arguments), tmp_path / "new"

    return inside


def test_what_holds_and_what_is_refuted_is_told_and_written(invoke):
    result, output = invoke()
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert max(map(len, text.splitlines())) <= 100
    assert "2 theorems, 10 claims: 8 hold, 1 violated, 0 undecided, 1 outside" in text
    assert "holds (1): T1-square" in text
    row = next(line for line in text.splitlines() if line.startswith("T1-square  "))
    assert row.split()[6] == "0.67"  # the tightest inequality; equalities are at 1
    assert "counterexample: kind=a, n=3, m=1: 1 > 0.9" in text
    with (output / "bounds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10 and len({tuple(row.values()) for row in rows}) == 10
    first, last = rows[0], rows[6]
    assert (first["theorem"], first["case"], first["part"]) == (
        "T1-square",
        "x=0.01",
        "size",
    )
    assert float(first["slack"]) == pytest.approx(0.0149)
    assert float(first["right_error"]) == 1e-4 and first["right_how"] == "samples"
    assert (
        last["verdict"] == "outside" and last["assumptions_that_fail"] == "x is small"
    )
    assert first["assumptions_checked"] == "x is small"
    assert rows[1]["assumptions_by_construction"] == "x is small"
    assert "assumptions: 1 checked by program, 0 hold by construction" in text
    assert rows[1]["relation"] == "=" and rows[8]["refuted"] == "True"
    for ending in ("png", "pdf"):
        assert (output / f"T1-square.{ending}").stat().st_size > 5000
        assert (output / f"T2-printed.{ending}").exists()


@pytest.mark.parametrize(
    "catalogue, words",
    [
        (
            {"A": Square(0.5)},
            ("WRONG: A is violated", "worst case: x=1, size: 1 > 0.5"),
        ),
        ({"B": Printed(2.0)}, ("WRONG: B is never violated",)),
        (
            {"C": Square(np.nan)},
            ("WRONG: C is not a number", "x=0.01, size: 0.0001 beside nan"),
        ),
        (
            {"D": Square(-np.inf)},
            ("WRONG: D is violated", "x=0.01, size: 0.0001 > -inf"),
        ),
        ({"E": Printed(np.nan)}, ("WRONG: E is not a number",)),
        ({"F": Nothing()}, ("WRONG: F is never decided",)),
    ],
)
def test_what_is_not_as_it_should_be_ends_with_1(invoke, catalogue, words):
    result, output = invoke(catalogue=catalogue)
    assert result.exit_code == 1 and (output / "bounds.csv").exists()
    assert all(word in result.stdout for word in words)


def test_an_unknown_theorem_is_a_message(invoke):
    result, output = invoke("T1-sqare")
    assert result.exit_code == 2 and "did you mean 'T1-square'?" in result.stderr
    assert not output.exists()


def checked(name, folder):
    """A theorem as the store has it."""
    chosen = verify.study([name])
    with gt.sweep.Store(folder / "store.sqlite") as store:
        study.run(chosen, store, lambda: None)
        (found,) = verify.checked(chosen.experiments["verify"], store)
    return found


def test_what_is_done_is_shown_again_and_not_computed(invoke, monkeypatch):
    first, output = invoke()
    written = (output / "bounds.csv").read_bytes()
    monkeypatch.setattr(Square, "claims", lambda *arguments: 1 / 0)
    again, _ = invoke()
    assert again.exit_code == 0 and "2 done" in first.stdout
    assert "2 kept" in again.stdout and (output / "bounds.csv").read_bytes() == written
    forced, _ = invoke("T1-square", "--force")
    assert forced.exit_code == 1 and "ZeroDivisionError" in forced.stdout


def test_both_sides_are_in_the_export(invoke, tmp_path):
    invoke()
    store, file = str(tmp_path / "store.sqlite"), tmp_path / "all.csv"
    arguments = "status", "verify", "--store", store, "--export", str(file)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    with file.open(newline="") as opened:
        rows = {row["metric"]: row for row in csv.DictReader(opened)}
    assert len(rows) == 20
    right = rows["x=0.01, size: right"]
    assert float(right["value"]) == 0.015 and float(right["stderr"]) == 1e-4
    assert right["how"] == "samples" and right["theorem"] == "T1-square"


@pytest.mark.parametrize(
    "name",
    [
        "T12-dps-density-corrected",
        pytest.param("T50-dps-ratio-corrected", marks=pytest.mark.slow),  # has errors
    ],
)
def test_a_theorem_of_the_catalogue_has_the_numbers_of_check(name, tmp_path):
    found = checked(name, tmp_path)
    assert found.reports == tuple(gt.bounds.check(name)) and not found.problem


@pytest.mark.parametrize(
    "wrong, words", [(np.nan, "not a number in some case"), (np.inf, "violated")]
)
def test_a_measured_side_without_a_number_is_seen(monkeypatch, tmp_path, wrong, words):
    """T7, whose left side is what is measured."""
    monkeypatch.setattr(contraction, "measured", lambda *arguments: wrong)
    assert words in checked("T7-contraction", tmp_path).problem


# --- figures and tables ---------------------------------------------------------------


def judged(bound, name="T"):
    claims, reports = [], []
    for case in bound.cases:
        made = bound.claims(jax.random.key(0), case)
        claims += made
        reports += [gt.bounds.report(name, bound, case, claim) for claim in made]
    return claims, reports


def test_both_sides_stand_in_a_panel_a_part():
    drawn = gt.plotting.bounds.bound("T", *judged(Square(1.5)))
    size, square = drawn.axes
    assert size.get_title(loc="left") == "size" and size.get_xlabel() == "x"
    assert size.get_xscale() == size.get_yscale() == "log"
    x, left = size.containers[0].lines[0].get_data()
    np.testing.assert_allclose(x, [0.01, 0.1, 1.0, 4.0])
    np.testing.assert_allclose(left, x**2)
    np.testing.assert_allclose(size.containers[1].lines[0].get_ydata(), 1.5 * x)
    (outside,) = size.collections[-1].get_offsets()
    np.testing.assert_allclose(outside, [4.0, 16.0])
    words = {text.get_text() for text in drawn.legends[0].get_texts()}
    assert {"left side", "right side, equal", "outside the assumptions"} < words


def test_a_line_for_every_value_of_another_number():
    class Plane(AbstractBound):
        facts: ClassVar[Facts] = Facts("", (), "", "proved")
        cases: ClassVar = (
            *({"m": m, "n": n} for m in (1, 2) for n in (3, 5, 9, 12)),
            {"m": 4, "n": 3},
            {"kind": "has no n"},
        )

        def setting(self, case):
            return {"case": case}

        def sides(self, key, case):
            n, m = case.get("n", 0), case.get("m", 0)
            return [Claim("", Estimate(n), Estimate(n + m))]

    drawn = gt.plotting.bounds.bound("T", *judged(Plane()))
    (axes,) = drawn.axes
    assert axes.get_xlabel() == "n" and len(axes.containers) == 6
    n, lines = np.array([3, 5, 9, 12]), [bars.lines[0] for bars in axes.containers]
    for line, m, count in zip(lines[1::2], (1, 2, 4), (4, 4, 1), strict=True):
        np.testing.assert_allclose(line.get_data(), [n[:count], n[:count] + m])
    words = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert words[2:] == ["m=1", "m=2", "m=4"]
    colours = [line.get_color() for line in lines]
    assert colours[::2] == colours[1::2] and len(set(colours)) == 3


def test_labels_that_differ_in_every_case_share_a_panel():
    class Worst(AbstractBound):
        facts: ClassVar[Facts] = Facts("", (), "", "proved")
        cases: ClassVar = ({"x": 1.0}, {"x": 2.0})

        def setting(self, case):
            return {"case": case}

        def sides(self, key, case):
            return [Claim(f"at {case['x']}", Estimate(0.0), Estimate(1.0))]

    drawn = gt.plotting.bounds.bound("T", *judged(Worst()))
    assert len(drawn.axes) == 1 and drawn.axes[0].get_yscale() == "linear"


def test_a_table_shows_errors_relations_and_each_case_once():
    bound = Square(1.5)
    console = Console(file=io.StringIO(), width=100)
    console.print(gt.plotting.bounds.table("T", bound.facts, *judged(bound)))
    text = console.file.getvalue()
    assert text.count("x=0.01") == 1 and "x^2 <= c x" in text
    row = next(line for line in text.splitlines() if line.startswith("x=0.1"))
    assert row.split()[1:] == "size 0.01 <= 0.15 ± 0.0001 0.14 0.067 holds".split()
    assert Verdict.OUTSIDE.value in text


def test_how_far_a_right_side_could_shrink_unnoticed_is_said(tmp_path):
    """By the largest left / right of the sweep, where that is below .95."""
    found = checked("T7-contraction", tmp_path)
    share = max(report.tightness for report in found.reports)
    assert share < 0.95
    (line,) = [words for words in verify.summary([found]) if "shrink" in words]
    assert line.endswith(f": {share:.2g} T7-contraction")
