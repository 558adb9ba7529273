"""The documentation: every public name has a page, examples run, links lead somewhere."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import pytest

import gmm_testbed as gt

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    page
    for page in DOCS.rglob("*.md")
    if not {"generated", "build"} & {part.name for part in page.parents}
)
WITH_TESTS = {"check.md", "diagnose.md", "torch.md", "without-truth.md"}  # of their own


@pytest.fixture(scope="module")
def pages():
    """The modules that write pages; they need no Sphinx."""
    sys.path.insert(0, str(DOCS / "pages"))
    found = {}
    for name in ("names", "formulas"):
        file = DOCS / "pages" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"docs_pages_{name}", file)
        found[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found[name])
    sys.path.pop(0)
    return found


def snippets(page: Path) -> list[str]:
    return re.findall(
        r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


def used(source: str) -> set[str]:
    """Dotted names below `gt` in a program: "kernels.DDPM", "Target"."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            chain = ast.unparse(node).split(".")
            if chain[0] == "gt" and all(map(str.isidentifier, chain)):
                found.add(".".join(chain[1:]))
    return found


def test_every_public_name_has_a_page(pages):
    listed = set(pages["names"].everything())
    modules = set(pages["names"].modules())
    assert set(gt.__all__) <= {*listed, *modules}
    for module in ("approximations", "kernels"):
        rows = getattr(gt, module).CATALOGUE.values()
        assert {f"{module}.{kind.__name__}" for kind in rows} <= listed
    assert {"bounds.check", "plotting.figure", "problems.get", "torch.EDM"} <= listed


def test_names_in_use_are_public_ones(pages):
    """Of experiments and of the pages: what is not listed is misspelt or has no page."""
    known = {*pages["names"].everything(), *pages["names"].modules()}
    sources = [path.read_text("utf-8") for path in (ROOT / "experiments").glob("*.py")]
    sources += [text for page in PAGES for text in snippets(page)]
    names = set().union(*map(used, sources))
    assert len(names) > 80
    beyond = {  # attributes of what a public name is
        name
        for name in names - known
        if name.rpartition(".")[0] not in known and not name.startswith("torch.")
    }
    assert not beyond


def test_names_between_backticks_are_public_ones(pages):
    known = {*pages["names"].everything(), *pages["names"].modules()}
    wrong = {}
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for name in re.findall(r"`gt\.([A-Za-z_.0-9]+)", text):
            owner = name.rpartition(".")[0]
            if name not in known and owner not in known and "exercises" not in name:
                wrong.setdefault(page.name, []).append(name)
    assert not wrong


def test_links_between_pages_lead_somewhere():
    wrong = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target or target.startswith("#"):
                continue
            file = (page.parent / target.partition("#")[0]).resolve()
            if "generated" not in file.parts and not file.exists():
                wrong.append((page.name, target))
    assert not wrong


def test_exercises_of_the_sessions_are_there():
    """Those that the instructor's page sends home, in the lecture that it says."""
    folder = ROOT / "gmm_testbed" / "exercises"
    if not folder.exists():
        pytest.skip("there are no exercises")
    rows = re.findall(
        r"^\| \d+ \| ([0-9, ]+).*\| `([a-z-]+)` \|$",
        (DOCS / "teach.md").read_text("utf-8"),
        re.MULTILINE,
    )
    assert len(rows) > 8
    for lectures, name in rows:
        number = re.findall(r"\d+", lectures)[-1]
        sources = (folder / f"lecture_{number}").glob("*.py")
        assert any(f'"{name}"' in file.read_text("utf-8") for file in sources), name


def test_docstrings_become_markup(pages):
    restructured = pages["formulas"].restructured
    text = r"For \(x_t\), of `a b` and arXiv:2310.06721, |x| * y_ is" "\n* a bullet"
    assert restructured(text) == (
        r"For :math:`x_t`, of ``a b`` and `arXiv:2310.06721 "
        r"<https://arxiv.org/abs/2310.06721>`__, \|x\| \* y\_ is"
        "\n* a bullet"
    )
    block = restructured("so\n\n\\[ a\n   = b \\]\n\nthen \\(N\\)th")
    assert "\n.. math::\n\n   a\n" in block and ":math:`N`\\ th" in block
    code = restructured("Head:\n\n    gt.f(*x)   # as it is\n\nArgs:\n    x: one\n")
    assert ".. code-block:: python\n" in code and code.endswith("    x: one")


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if snippets(page) and page.name not in WITH_TESTS],
    ids=lambda page: page.stem,
)
def test_the_examples_run(page):
    """One after another, in a process of their own, as a reader would run them."""
    programs = snippets(page)
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(programs)],
        env=environment, cwd=DOCS, text=True, timeout=500, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages as HTML, built anew; every warning is an error."""
    for name in ("sphinx", "furo", "myst_nb", "sphinx_copybutton"):
        pytest.importorskip(name, reason="needs the extra docs: make docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E"]
    done = subprocess.run(
        [*command, "-d", folder / "doctrees", "-b", "html", DOCS, folder / "html"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "FIGURES": "", "EXECUTE": ""},
        cwd=ROOT, text=True, timeout=580, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "html"


class Parts(HTMLParser):
    """Anchors of a page, its links, and what a browser would fetch for it."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.fetched = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.anchors |= {known[name] for name in ("id", "name") if known.get(name)}
        if tag == "a" and known.get("href"):
            self.links.append(known["href"])
        elif tag in ("script", "img", "iframe") and known.get("src"):
            self.fetched.append(known["src"])
        elif tag == "link" and known.get("rel") != "canonical" and known.get("href"):
            self.fetched.append(known["href"])


@pytest.mark.slow
def test_the_site_is_whole(site):
    """Links lead to pages and anchors that are there, and nothing is fetched elsewhere."""
    files = {page: Parts(page.read_text("utf-8")) for page in site.rglob("*.html")}
    assert len(files) > 150
    dead = []
    for page, parts in files.items():
        for link in [*parts.links, *parts.fetched]:
            url = urllib.parse.urlparse(link)
            if url.scheme == "data" or (url.scheme and link in parts.links):
                continue
            if url.scheme or url.netloc:
                dead.append((page.name, link))
                continue
            there = (page.parent / urllib.parse.unquote(url.path)).resolve()
            there = page if not url.path else there
            if not there.exists():
                dead.append((page.name, link))
            elif there in files and url.fragment:
                wanted = urllib.parse.unquote(url.fragment)
                if wanted not in files[there].anchors:
                    dead.append((page.name, link))
    assert not dead


@pytest.mark.slow
def test_the_site_in_a_browser(site, browser):
    """Wide and narrow, light and dark: no error, no request elsewhere, nothing cut off."""
    seen = (
        "index.html",
        "generated/theorems/T11-dps-limit.html",
        "generated/methods/TMPD.html",
        "generated/api/gt.Target.html",
        "generated/experiments/index.html",
    )
    for page in seen:
        for width in (1300, 420):
            for theme in ("light", "dark"):
                browser.set_window_size(width, 900)
                browser.get((site / page).as_uri())
                code = "document.body.dataset.theme = arguments[0]"
                browser.execute_script(code, theme)
                wide, room = browser.execute_script(
                    "return [document.documentElement.scrollWidth, window.innerWidth]"
                )
                assert wide <= room, (page, width)
                ink, paper = browser.execute_script(
                    "const s = getComputedStyle(document.body);"
                    "return [s.color, s.backgroundColor]"
                )
                assert ink != paper
    browser.get((site / "generated/theorems/T11-dps-limit.html").as_uri())
    browser.set_script_timeout(30)
    formulas = browser.execute_async_script(
        "const done = arguments[0]; const look = () => {"
        "const n = document.querySelectorAll('mjx-container').length;"
        "n ? done(n) : setTimeout(look, 100)}; look()"
    )
    assert formulas > 10
    assert browser.get_log("browser") == []
    events = [
        json.loads(entry["message"])["message"]
        for entry in browser.get_log("performance")
    ]
    urls = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert len(urls) > 100
    assert all(url.startswith(("file:", "data:")) for url in urls)
