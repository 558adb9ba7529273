"""A page for each experiment, and the page of results."""

import ast
import contextlib
import shutil
from pathlib import Path

import jax

from gmm_testbed import study

from .formulas import restructured
from .write import FOLDER, leaf, page, title

ROOT = Path(__file__).parents[2]
REPORT = FOLDER / "report.html"


def pages() -> None:
    """Pages generated/experiments/NAME and their index, the README of the folder."""
    files = sorted((ROOT / "experiments").glob("*.py"))
    for file in files:
        page(f"experiments/{file.stem}.rst", _experiment(file))
    text = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
    links = "\n".join(f"- [{file.stem}]({file.stem}.rst)" for file in files)
    page("experiments/index.md", f"{text}\n## Each of them\n\n{links}\n")


def report() -> None:
    """The page of results of this tree's store, generated/report.html, if there is one."""
    store = ROOT / study.STORE
    parts = [title("Results, live")]
    if store.exists():
        _write_report(store)
    if REPORT.exists():
        parts += [
            "What ``gmm-testbed report`` writes: figures, tables, claims beside their "
            "expectations, and heat-maps of laws with sliders over the number of steps and "
            "time. It is one file, which needs no network: "
            "`open it alone <../report.html>`__.\n",
            ".. raw:: html\n",
            '   <iframe class="report" src="../report.html" title="Results"></iframe>\n',
        ]
    else:
        parts += [
            "``gmm-testbed run NAME`` computes an experiment into a store, and "
            "``gmm-testbed report`` writes a page of all that the store has: figures, "
            "tables, claims beside their expectations, and heat-maps of laws with sliders "
            "over the number of steps and time. This copy of the documentation was built "
            "without a store; with one in ``results/`` the page stands here.\n"
        ]
    page("report.rst", "\n".join(parts))


def _experiment(file: Path) -> str:
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    head, text = docstring.partition("\n")[::2]
    return "\n".join(
        [
            leaf(file.stem, "Experiments"),
            f"**{head.rstrip('.')}.**\n",
            restructured(text.strip()) + "\n",
            f".. code-block:: bash\n\n   gmm-testbed run {file.stem}\n",
            f".. literalinclude:: ../../../experiments/{file.name}\n"
            "   :language: python\n   :class: whole-file\n",
        ]
    )


def _write_report(store: Path) -> None:
    """Of the studies that have all their cells, in the precision of the command line."""
    from gmm_testbed.study.report import page as written

    jax.config.update("jax_enable_x64", True)
    with contextlib.chdir(ROOT), study.existing(store) as opened:
        studies = [one for one in study.find([], opened) if one.complete(opened)]
        if studies:
            FOLDER.mkdir(exist_ok=True)
            written.write(studies, opened, REPORT)


def publish(output: Path) -> None:
    """Puts the page of results beside the pages that show it."""
    if REPORT.exists():
        shutil.copy(REPORT, output / "report.html")
