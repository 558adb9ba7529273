"""What a paper needs: figures at the width of a venue, LaTeX, citations, provenance."""

import csv
import hashlib
import io
import itertools
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

import gmm_testbed as gt
from gmm_testbed import study
from gmm_testbed.cli import app
from gmm_testbed.compare import Comparison, Method, Pair, Ranking
from gmm_testbed.estimate import Estimate
from gmm_testbed.plotting import latex
from gmm_testbed.study import citing, papers
from gmm_testbed.study.files import Expected, Judged
from gmm_testbed.study.report import tables
from gmm_testbed.sweep.provenance import provenance

ROOT = Path(__file__).parents[1]
P = gt.plotting
# Widths of the text and of a column, in inches, as the style files print them.
PRINTED = {
    "neurips": (5.5, None),
    "icml": (6.75, 3.25),
    "iclr": (5.5, None),
    "tmlr": (6.5, None),
    "jmlr": (6.0, None),
    "aistats": (6.75, 3.25),
    "cvpr": (6.875, 3.25),
    "iccv": (6.875, 3.25),
    "eccv": (4.8, None),
    "ieee": (7.16, 3.5),
}
KERNELS = ("DDPM", "DDPM:variance=matched", "DDIM:eta=0.5", "EulerMaruyama")
METHODS = ("Exact", "Unguided", "DPS", "ZetaDPS", "PiGDM", "TMPD", "DDNM", "DiffPIR")


# Figures.


class Pdf:
    """A PDF as its bytes say it: size of the page, fonts, and sizes of text."""

    def __init__(self, path):
        self.raw = path.read_bytes()
        (box,) = set(re.findall(rb"/MediaBox \[([^\]]*)\]", self.raw))
        self.width, self.height = (float(x) / 72 for x in box.split()[2:])
        parts = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", self.raw, re.DOTALL)
        inflated = []
        for part in parts:
            try:
                inflated.append(zlib.decompress(part))
            except zlib.error:
                continue
        sizes = re.findall(rb"/F\d+ ([\d.]+) Tf", b"\n".join(inflated))
        self.sizes = sorted({round(float(size), 2) for size in sizes})

    def fonts(self):
        return {f.decode() for f in re.findall(rb"/BaseFont /([\w+-]+)", self.raw)}


def overview(venue):
    """The widest figure there is: four panels beside one another, eight methods."""
    steps = (5, 10, 100, 1000)
    values = {
        (name, kernel, n, measure): 1.0 / n
        for name, kernel, n, measure in itertools.product(
            METHODS, KERNELS, steps, P.DIVERGENCES
        )
    }
    with P.paper(venue):
        return P.convergence("two-modes, the title", steps, METHODS, KERNELS, values)


@pytest.mark.parametrize("name", PRINTED)
def test_widths_are_those_of_the_style_files(name):
    text, column = PRINTED[name]
    with P.paper(name) as venue:
        assert (venue.text, venue.column) == (text, column)
        assert (
            P.figure().get_figwidth() == P.figure(P.FULL_WIDTH).get_figwidth() == text
        )
        assert P.figure(P.COLUMN_WIDTH).get_figwidth() == (column or P.COLUMN_WIDTH)
    assert P.figure().get_figwidth() == P.FULL_WIDTH
    assert set(PRINTED) == set(P.VENUES)


def read_back(name, folder):
    """What the PDF of a venue says, and the figure as it was written."""
    drawn = overview(name)
    files = P.save(drawn, folder / name, venue=P.VENUES[name])
    return Pdf(files[1]), size_and_texts(files[0])[0], drawn


def size_and_texts(path):
    """Pixels of a PNG, and what it says of itself."""
    with Image.open(path) as image:
        return image.size, dict(image.text)


def assert_printable(name, pdf, pixels, drawn):
    width = PRINTED[name][0]
    assert pdf.width == pytest.approx(width, abs=1e-3)
    assert pixels[0] == pytest.approx(300 * width, abs=1)
    # 8.5, 8, 7.5 and 7 points, and scripts of formulas at seven tenths.
    assert max(pdf.sizes) == 8.5
    assert {size for size in pdf.sizes if size >= 6} <= {7.0, 7.5, 8.0, 8.5}
    assert min(pdf.sizes) >= 0.69 * 7
    assert all("STIX" in font for font in pdf.fonts()) and len(pdf.fonts()) >= 2
    assert b"/FontFile2" in pdf.raw and b"/Type3" not in pdf.raw
    assert not drawn.get_suptitle()
    page = drawn.bbox
    labels = []
    for axes in drawn.axes:
        assert axes.get_tightbbox().x0 >= page.x0 and axes.get_tightbbox().x1 <= page.x1
        for tick in axes.xaxis.get_major_ticks():
            if tick.label1.get_visible() and tick.label1.get_text():
                labels.append(tick.label1.get_window_extent())
    for one, other in itertools.combinations(labels, 2):
        assert not one.overlaps(other)
    (legend,) = drawn.legends
    assert legend.get_window_extent().x0 >= page.x0
    assert legend.get_window_extent().x1 <= page.x1
    assert [text.get_text() for text in legend.texts] == list(METHODS)


def test_a_narrow_page_is_drawn_anew_and_not_scaled(tmp_path):
    assert_printable("eccv", *read_back("eccv", tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", PRINTED)
def test_every_venue_is_printable(name, tmp_path):
    assert_printable(name, *read_back(name, tmp_path))


def test_long_texts_are_broken_between_words_and_formulas_stay_whole(tmp_path):
    with P.paper("icml"):
        drawn = P.figure(P.COLUMN_WIDTH, 2.0)
        left, right = drawn.subplots(1, 2)
        words = "a title that is much too long for $p_t(x \\, | \\, y)$ in a panel"
        left.set_title(words)
        right.set_title("short")
        left.text(0.5, 0.5, "small", fontsize=3)
        right.set_xticks([0.5, 0.51, 0.99], ["10", "20", "30"])
        P.save(drawn, tmp_path / "figure")
    title = left.get_title()
    assert title.count("\n") >= 2 and title.replace("\n", " ") == words
    assert "$p_t(x \\, | \\, y)$" in title and right.get_title() == "short"
    assert left.texts[0].get_fontsize() == 6
    assert [t.get_text() for t in right.get_xticklabels()] == ["10", "", "30"]


def test_files_say_which_code_made_them(tmp_path):
    drawn = P.figure(2.0, 1.0)
    drawn.subplots().plot([1, 2])
    drawn.suptitle("a title\nin two lines")
    png, pdf = P.save(drawn, tmp_path / "figure", dpi=50)
    now = provenance()
    texts = size_and_texts(png)[1]
    assert texts["Title"] == "a title in two lines"
    assert f"sources {now.sources}" in texts["Subject"]
    assert f"gmm_testbed {now.package}" in texts["Subject"]
    assert now.revision in texts["Subject"]
    raw = pdf.read_bytes()
    assert now.sources.encode() in raw and b"a title in two lines" in raw
    assert drawn.get_suptitle()  # not for a paper: it stays


# Numbers and tables.


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (0.174, 0.013, "$0.174(13)$"),
        (0.17449, 0.0996, "$0.17(10)$"),
        (-2.34567, 0.31, "$-2.35(31)$"),
        (1234.4, 13.0, "$1234(13)$"),
        (1234, 13.0, "$1234(13)$"),
        (12345.0, 1300.0, "$12300(1300)$"),
        (1.5e-7, 3e-9, r"$1.500(30) \times 10^{-7}$"),
        (2.5e8, 4e6, r"$2.500(40) \times 10^{8}$"),
        (0.0, 0.01, "$0.000(10)$"),
        (0.99996, 0.0099999, "$1.000(10)$"),
        (12.3456, 0.0, "$12.35$"),
        (1e-5, 0.0, r"$1 \times 10^{-5}$"),
        (3.2, np.nan, "$3.2(?)$"),
        (np.nan, 0.1, "NaN"),
        (-np.inf, 0.0, r"$-\infty$"),
        (7, 0.0, "$7$"),
    ],
)
def test_errors_stand_in_brackets(value, error, shown):
    assert latex.number(value, error) == shown
    if not isinstance(value, int):
        assert latex.number(Estimate(value, error)) == shown


@pytest.mark.parametrize(
    ("value", "tolerance", "shown"),
    [
        (0.48123, 0.002, "$0.481$"),
        (3.14159265, 1e-12, "$3.14159$"),
        (0.25, 0.5, "$0.25$"),
        (0.0, 1e-9, "$0$"),
    ],
)
def test_a_claim_has_the_digits_that_are_judged(value, tolerance, shown):
    assert latex.rounded(value, tolerance) == shown


def test_a_table_joins_errors_and_escapes_what_latex_reads():
    rows = [
        {"method": "DPS_1 & 50 %", "W1": 0.174, "W1 stderr": 0.013, "n": 3},
        {"method": "$p_t$ < x", "W1": Estimate(0.5, 0.02), "n": None},
    ]
    lines = latex.table(rows, "Of a_b").splitlines()
    assert lines[2:6] == [
        r"\caption{Of a\_b}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"method & W1 & n \\",
    ]
    assert lines[7] == r"DPS\_1 \& 50 \% & $0.174(13)$ & $3$ \\"
    assert lines[8] == r"$p_t$ \ensuremath{<} x & $0.500(20)$ & -- \\"
    assert lines[-2:] == [r"\end{tabular}", r"\end{table}"]


def test_an_estimate_in_a_table_is_shown_with_its_error_everywhere():
    rows = [{"name": "a", "w1": Estimate(-0.174, 0.013)}]
    made = tables.table(rows, "By hand")
    assert made.numeric == {"w1"}
    assert made.rows[0]["w1"][:2] == ("−0.174 ± 0.013", repr(-0.174))
    screen = Console(file=io.StringIO(), width=60)
    screen.print(study.screen.table("By hand", rows, 60))
    assert "-0.174 ± 0.013" in screen.file.getvalue()


def compared(*rankings):
    """Three methods A, B and C; rankings of A-B, A-C and B-C."""
    floor = Estimate(0.01, 0.001, "floor")
    values = {"A": 0.1, "B": 0.3, "C": 0.5}
    methods = tuple(
        Method(name, Estimate(value, 0.02), floor, 0.02, False)
        for name, value in values.items()
    )
    pairs = tuple(
        Pair(one, other, Estimate(-0.2, 0.03), 4, ranking)
        for (one, other), ranking in zip(
            itertools.combinations(values, 2), rankings, strict=True
        )
    )
    return Comparison(methods, pairs, 4, 3.0)


def test_bold_is_what_is_ranked_before_all_others_and_nothing_else():
    better, error = Ranking.BETTER, Ranking.ERROR
    text = latex.comparison(compared(better, better, error))
    assert r"A & \textbf{\boldmath $0.100(20)$} \\" in text
    assert text.count("textbf") == 1 and "dagger" not in text
    assert r"\midrule" + "\n" + r"floor & $0.0100(10)$ \\" in text
    text = latex.comparison(compared(error, better, better))
    assert "textbf" not in text and "not ranked" in text
    marked = [line for line in text.splitlines() if r"$^\dagger$ \\" in line]
    assert [line[0] for line in marked] == ["A", "B"]
    two = {"x": compared(better, better, error), "y": compared(error, error, error)}
    rows = latex.comparison(two).splitlines()
    assert rows[2] == r"method & x & y \\" and rows[4].count("$0.100(20)$") == 2


def test_names_of_macros_are_legal_and_differ():
    names = ["a b, N = 10", "a-b n 10", "W1: 2.5", "ab N10", "µ"]
    found = latex.macros(dict.fromkeys(names), "few_samples")
    assert found["a b, N = 10"] == "fewSamplesABNOneZero"
    assert all(re.fullmatch(r"[A-Za-z]+", name) for name in found.values())
    assert len(set(found.values())) == len(names)


def test_claims_are_macros_with_their_errors(tmp_path):
    one = study.read(written(tmp_path))
    judged = [
        Judged("exact one", 0.48123, Expected(0.48, 0.002, "by hand")),
        Judged("noisy", 0.174, None, 0.013),
        Judged("gone", None, Expected(1.0, 0.1, "nowhere")),
    ]
    assert papers.claims(one, judged).splitlines() == [
        "% exact one: 0.48123, expected 0.48 within 0.002 (holds)",
        r"\newcommand{\tinyExactOne}{\ensuremath{0.481}}",
        "% noisy: 0.174, without an expectation",
        r"\newcommand{\tinyNoisy}{\ensuremath{0.174(13)}}",
    ]


# Citations.


def references():
    """Name and reference of every method and theorem."""
    for name, entry in gt.methods.CATALOGUE.items():
        facts = vars(entry.kind).get("facts")
        reference = facts.reference if hasattr(facts, "reference") else None
        yield name, entry.kind().facts.reference if entry.complete else reference
    for name, bound in gt.bounds.CATALOGUE.items():
        yield name, bound.facts.source


def test_every_method_and_theorem_has_an_entry_or_is_of_this_package():
    marks = {mark for entry in citing.bibliography().values() for mark in entry.marks}
    own = re.compile("here|closed form|docstring|change of variables|each kernel")
    for name, reference in references():
        if reference is None:  # what runs others has their references
            assert name in ("Guided", "Published", "ParticleFilter")
            continue
        assert not citing.unknown(reference), name
        numbers = re.findall(r"\d{4}\.\d{5}", reference)
        assert set(numbers) <= marks, name
        assert numbers or own.search(reference) or gt.cite(name).count("@") > 1, name
        assert "note = {" not in gt.cite(name).partition("@misc{gmm_testbed,")[0]


def test_every_entry_is_whole():
    found = citing.bibliography()
    assert len(found) > 45
    for key, entry in found.items():
        kind = re.match(r"@(\w+)\{", entry.text)[1]
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry.text, re.MULTILINE))
        assert {"author", "title", "year"} <= set(fields), key
        assert entry.text.count("{") == entry.text.count("}") and entry.marks
        assert entry.text.count("\n") == len(fields) + 1 and entry.text.endswith("\n}")
        needed = {
            "article": "journal",
            "inproceedings": "booktitle",
            "book": "publisher",
        }
        assert kind == "misc" or fields[needed[kind]]
        assert fields["year"] in key and "mentions" not in entry.text
        assert ("eprint" in fields) == ("archivePrefix" in fields)


def test_what_was_used_is_cited_once_and_the_package_last():
    guided = gt.Guided(gt.approximations.DPS(), gt.kernels.DDIM())
    text = gt.cite(guided, "T12", "DPS", "Guided(DPS, DDIM(eta=0.5))")
    keys = re.findall(r"@\w+\{([^,]+),", text)
    assert keys == ["chung2023diffusion", "song2021denoising", "gmm_testbed"]
    assert provenance().package in text and provenance().revision in text
    twisted = re.findall(r"@\w+\{([^,]+),", gt.cite("TDS(twist=PiGDM)"))
    assert twisted[0] == "wu2023practical" and "song2023pseudoinverse" in twisted


def test_what_the_bibliography_lacks_is_a_note_and_never_made_up():
    class Mine(gt.approximations.AbstractCorrection):
        facts = gt.approximations.DPS.facts._replace(
            reference="Nobody et al. 2031, eq. 3; Chung et al. 2023, arXiv:2209.14687"
        )

        def correction(self, target, x, t):
            return x

        def covariance(self, target, x, t):
            return target.prior_covariance(x, t)

    text = gt.cite(Mine())
    assert "chung2023diffusion" in text
    assert "@misc{gmmtestbedMine,\n  note = {Nobody et al. 2031, eq. 3},\n}" in text
    for name in ("T99", "DSP", "T1-pth"):
        with pytest.raises(gt.InputError):
            gt.cite(name)


def test_the_citation_file_is_complete_and_agrees_with_the_package():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert {"cff-version", "message", "title", "authors", "abstract"} <= set(cited)
    assert f'version = "{cited["version"]}"' in project
    assert f'license = "{cited["license"]}"' in project
    assert cited["authors"][0]["name"] in project and cited["type"] == "software"
    for one in cited["references"]:
        assert {"type", "title", "authors", "year"} <= set(one)
        number = one["identifiers"][0]["value"].removeprefix("arXiv:")
        marks = [entry.marks for entry in citing.bibliography().values()]
        assert any(number in found for found in marks)


# A study as a paper has it.

FILE = '''
"""A law that comes nearer."""
import gmm_testbed as gt

@gt.experiment(grid={"steps": [5, 10]}, seeds=2)
def laws(key, steps):
    noisy = gt.Estimate(1 / steps, 0.25, "4 samples")
    return {"kl": gt.Estimate(1 / steps, how="quadrature"), "w1": noisy, "n": 1.0}

def claims(store):
    return {"at 10": gt.Estimate(store.wide(laws)["w1"].iloc[-1], 0.013, "all")}

def figures(store):
    drawn = gt.plotting.figure(height=1.2)
    drawn.suptitle("Of $N$")
    drawn.subplots().plot([1, 2])
    return {"line": drawn}

def tables(store):
    return {"By hand": [{"name": "a", "w1": gt.Estimate(0.174, 0.013)}]}
'''


def written(folder):
    (folder / "experiments" / "expected").mkdir(parents=True)
    file = folder / "experiments" / "tiny.py"
    file.write_text(FILE)
    expected = "claim,expected,tolerance,source\nat 10,0.1,0.01,by hand\n"
    (folder / "experiments" / "expected" / "tiny.csv").write_text(expected)
    return file


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder where a study was run, and then again for a paper; what was printed."""
    folder = tmp_path_factory.mktemp("paper")
    written(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        invoke = CliRunner().invoke
        told = [
            invoke(app, words.split())
            for words in ("run tiny", "run tiny --paper ICML", "statement tiny")
        ]
        told.append(invoke(app, ["run", "tiny", "--paper", "icmll"]))
    return folder / "results" / "tiny", told


def test_a_paper_is_made_from_the_store_without_computing_again(ran):
    folder, (first, second, _, wrong) = ran
    assert first.exit_code == second.exit_code == 0, first.output + second.output
    assert "4 done" in first.output and "4 kept" in second.output
    assert Pdf(folder / "icml" / "line.pdf").width == pytest.approx(6.75)
    assert Pdf(folder / "line.pdf").width == pytest.approx(P.FULL_WIDTH)
    assert not list(folder.glob("*.tex"))
    claims = (folder / "icml" / "tiny_claims.tex").read_text()
    assert r"\newcommand{\tinyAtOneZero}{\ensuremath{0.100(13)}}" in claims
    assert r"a & $0.174(13)$ \\" in (folder / "icml" / "by_hand.tex").read_text()
    figures = (folder / "icml" / "tiny_figures.tex").read_text()
    assert r"\begin{figure*}" in figures and r"{line.pdf}" in figures
    assert r"\caption{A law that comes nearer: Of $N$.}" in figures
    assert wrong.exit_code == 2 and "icml" in wrong.output


def test_tables_have_a_file_beside_them_that_says_which_code_made_them(ran):
    folder, _ = ran
    with (folder / "by_hand.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["name", "w1", "w1 stderr"]
    said = json.loads((folder / "provenance.json").read_text())
    assert said["computed by"] == [provenance()._asdict()]
    assert set(said["sha256"]) == {"by_hand.csv", "line.png", "line.pdf"}
    for name, digest in said["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_a_statement_says_how_the_numbers_were_made(ran):
    _, (*_, told, _) = ran
    words = told.output
    assert told.exit_code == 0
    assert "`gmm-testbed run tiny`" in words and "A law that comes nearer" in words
    assert "Experiment laws: 4 cells over steps (2); seeds 0 to 1; float64." in words
    assert provenance().sources in words and "minutes" in words
    assert "Exact: kl (quadrature)." in words
    assert "With a standard error: w1 (4 samples)." in words
    assert "Without a stated error: n." in words
