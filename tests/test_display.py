"""Results show themselves: a line of words with numbers, tables in HTML, no exception."""

import struct
from html.parser import HTMLParser

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed._samples import SampleInfo
from gmm_testbed.bounds import BoundReport, Reports
from gmm_testbed.bounds.base import Verdict as Word
from gmm_testbed.comparison import Comparison, Method, Pair, Ranking
from gmm_testbed.conformance.report import Answer, Report
from gmm_testbed.verdict.record import Finding, Verdict

E = gt.Estimate


def target():
    prior = gt.GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36])
    problem = gt.InverseProblem(prior, gt.Linear([[2.0]], 0.09), [0.5])
    return gt.Target(problem, gt.VP(0.01, 20.0))


def sample_set(x, log_weights, **info):
    info = SampleInfo(info.pop("nonfinite", 0), 7, None, **info)
    return gt.SampleSet(
        jnp.asarray(x), jnp.asarray(log_weights), jnp.asarray(-2.5), info
    )


def reports(*cases):
    sides = E(0.5, 0.01), E(0.4)
    return Reports(
        BoundReport("T0", case, "", *sides, E(-0.1, 0.01), 1.25, Word.VIOLATED, ())
        for case in cases
    )


def budget():
    parts = [
        E(jnp.asarray([0.25, value]), how="quadrature") for value in (0, 0.5, 0, 1)
    ]
    times = jnp.asarray([1.0, 0.5, 0.1])
    return gt.Budget(times, E(0.5), *parts, E(3.0, 0.1, "quadrature"))


def comparison(name="DPS"):
    methods = [
        Method(n, E(v, 0.02), E(0.1, 0.01), 0.13, v < 0.13)
        for n, v in (("Exact", 0.125), (name, 0.5))
    ]
    pair = Pair("Exact", name, E(-0.375, 0.03), 3, Ranking.BETTER)
    return Comparison(tuple(methods), (pair,), 3, 1.96)


def verdict():
    found = Finding("Is it exact?", "no, 3 % off", "failed")
    return Verdict("mine", "a guidance", (found,), seconds=2.0)


def law():
    """N(1, 4) after two steps, with the identity's Jacobian."""
    one = target()
    times, means = jnp.asarray([1.0, 0.5, 0.01]), jnp.asarray([[0.0], [0.5], [1.0]])
    return gt.laws.AffineLaw(one, times, means, jnp.full((3, 1, 1), 4.0))


LINES = {
    "number": (E(0.1742, 0.013, "40 samples"), "Estimate: 0.174 ± 0.013 (40 samples)"),
    "exact": (E(0.25), "Estimate: 0.25 (exact)"),
    "array": (
        E(jnp.arange(6.0), 0.5, "x"),
        "Estimate: [0 ± 0.5, 1 ± 0.5, ..., 5 ± 0.5] of shape (6,) (x)",
    ),
    "claim": (
        reports({"kappa": 4.0, "word": "a"})[0],
        "T0 at kappa=4, word=a: violated; left 0.5 ± 0.01, right 0.4, "
        "slack -0.1 ± 0.01",
    ),
    "budget": (
        budget(),
        "Budget of 2 steps: path KL 3 ± 0.1 (quadrature): initialisation 0.5, "
        "approximation 0.25, score 0.75, cross 0.25, discretisation 1.25, in nats",
    ),
    "comparison": (
        comparison(),
        "Comparison on 3 cases: Exact 0.125 ± 0.02, DPS 0.5 ± 0.02; 1 of 1 pair ranked",
    ),
    "samples": (
        sample_set([[1.0, 0.0], [3.0, 0.0]], np.log([0.5, 0.5])),
        "SampleSet: 2 samples in dimension 2 after 7 steps, log-evidence -2.5; "
        "mean (2, 0), sd (1, 0)",
    ),
    "weighted": (
        sample_set([[0.0], [4.0]], np.log([0.25, 0.75]), nonfinite=1, point=True),
        "SampleSet: 2 estimates in dimension 1 after 7 steps, 1.6 effective by weight, "
        "1 not finite, log-evidence -2.5; mean 3, sd 1.732",
    ),
    "target": (
        target(),
        "Target: prior of 2 Gaussians of weights (0.4, 0.6) in dimension 1, linear "
        "measurement with noise of sd 0.3, y = 0.5, along VP(beta_min=0.01, beta_max=20)",
    ),
    "law": (
        law(),
        "AffineLaw after 2 steps from t = 1 to 0.01, in dimension 1, in closed form",
    ),
    "verdict": (
        verdict(),
        "Verdict: mine (a guidance): 1 of 1 findings are faults; 2 s",
    ),
    "conformance": (
        Report("Mine", (Answer("is it?", "yes", "no", False),)),
        "Mine: 1 question, 1 failed",
    ),
    "method": (
        gt.methods.get("Guided(ZetaDPS(zeta=0.25), DDIM(eta=0.5))"),
        "Guided(approximation=ZetaDPS(zeta=0.25), kernel=DDIM(eta=0.5))",
    ),
    "atoms": (
        gt.GaussianMixture.empirical([[0.0], [1.0], [2.0], [3.0], [9.0]]),
        "GaussianMixture: 5 atoms in dimension 1, mean 3",
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_the_line_has_the_numbers(name):
    result, line = LINES[name]
    assert repr(result) == line


class Cells(HTMLParser):
    """The texts of all cells, and every tag."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.inside = set(), [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.inside = tag == "td"
        if self.inside:
            self.cells.append("")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.cells[-1] += data


def cells(result):
    return Cells(result._repr_html_()).cells


def test_tables_have_the_numbers():
    assert cells(E(jnp.asarray([1.0, 2.0]), 0.5))[:4] == [
        "0", "1 ± 0.5", "1", "2 ± 0.5"
    ]  # fmt: skip
    assert cells(budget())[3:6] == ["approximation", "0.25", "8.33 %"]
    assert cells(comparison())[:4] == [
        "Exact", "0.125 ± 0.02", "0.1 ± 0.01", "inside the floor"
    ]  # fmt: skip
    assert cells(verdict()) == ["NO", "Is it exact?", "no, 3 % off"]
    assert cells(LINES["samples"][0])[:5] == ["0", "2", "1", "1", "3"]
    exact = target().posterior(jnp.asarray(0.01))
    moments = float(exact.mean()[0]), float(exact.covariance()[0, 0]) ** 0.5
    assert cells(law()) == ["0", "1", "2", *(f"{value:.6g}" for value in moments)]
    assert "prior of 2 Gaussians" in cells(target())[1]


def test_claims_are_one_table():
    found = reports({"kappa": 4.0}, {"kappa": 5.0})
    assert isinstance(found, list) and found[0].name == "T0"
    head, columns, *rows = repr(found).splitlines()
    assert head == "T0: 2 violated" and columns.split()[:3] == ["case", "part", "left"]
    assert [row.split()[0] for row in rows] == ["kappa=4", "kappa=5"]
    assert cells(found)[:3] == ["kappa=4", "", "0.5 ± 0.01"]
    many = reports(*({"kappa": float(k)} for k in range(40)))
    assert "... 28 more" in cells(many) and repr(Reports()).startswith("no theorem")


def test_names_are_escaped():
    evil = "<script>x</script>"
    for result in (E(1.0, how=evil), comparison(evil), reports({"a": evil})):
        shown = Cells(result._repr_html_())
        assert shown.tags <= {"p", "table", "thead", "tbody", "tr", "th", "td"}
    assert evil in cells(comparison(evil))


RESULTS = [result for result, _ in LINES.values()]


def test_nothing_is_raised_while_traced():
    seen = []
    arrays, others = eqx.partition(RESULTS, eqx.is_array)

    @jax.jit
    def inside(arrays):
        for result in eqx.combine(arrays, others):
            seen.append(f"{result!r} {result}")
            if "_repr_html_" in dir(result):
                seen.append(result._repr_html_())

    inside(arrays)
    assert len(seen) > len(RESULTS)
    assert any("float64[6]" in text for text in seen)


@pytest.mark.parametrize(
    "change",
    [lambda leaf: None, lambda leaf: leaf is None, np.shape, lambda leaf: "word"],
)
def test_nothing_is_raised_of_trees_that_hold_something_else(change):
    for result in RESULTS:
        other = jax.tree.map(change, result)
        assert f"{other!r} {other}"
        if "_repr_html_" in dir(other):
            assert other._repr_html_().startswith("<p>")


def test_shapes_are_shown_where_there_are_no_numbers():
    shapes = eqx.filter_eval_shape(lambda: E(jnp.ones(3), 0.1, "x"))
    start = "Estimate(value=float64[3], stderr=float64[3], how='x'"
    assert repr(shapes).startswith(start) and str(shapes).startswith(start)


def test_a_module_that_has_results_shows_itself():
    class Holder(eqx.Module):
        value: gt.Estimate
        target: gt.Target

    assert "Estimate(" in repr(Holder(E(1.0), target()))


def test_a_figure_is_a_picture():
    drawn = gt.plotting.figure(width=3.5, height=2.0)
    drawn.subplots().plot([0.0, 1.0])
    data, size = drawn._repr_png_()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and size == {"width": 350, "height": 200}
    assert struct.unpack(">II", data[16:24]) == (700, 400)  # twice, for sharp screens
