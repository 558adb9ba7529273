"""An extension of Sphinx that writes pages from the package before any is read.

It also reads the docstrings, links public names wherever they stand between backticks, and
warns of a public name without a page; a warning ends the build.
"""

import importlib
import os
import shutil
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

from . import api, catalogues, course, experiments, pictures, write
from .formulas import restructured

_MATHJAX = (
    "tex-chtml.js", "input/tex", "output/chtml", "a11y/assistive-mml.js", "ui",
)  # fmt: skip


def setup(app: Sphinx) -> dict:
    """Connects everything."""
    app.connect("builder-inited", _write)
    app.connect("autodoc-process-docstring", _docstring, priority=1)
    app.connect("autodoc-process-docstring", _types, priority=900)  # after napoleon
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    app.connect("doctree-read", _link)
    app.connect("env-updated", _check)
    app.connect("build-finished", _publish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app):
    if os.environ.get("FIGURES"):
        pictures.draw()
    catalogues.methods()
    catalogues.theorems()
    api.pages()
    course.lectures()
    course.exercises()
    experiments.pages()
    experiments.report()
    write.forget_others()


def _docstring(app, what, name, obj, options, lines):
    lines[:] = restructured("\n".join(lines)).splitlines()


def _signature(app, what, name, obj, options, signature, returned):
    """Arrays by their short name."""
    return tuple(
        text and text.replace("jaxlib._jax.Array", "Array")
        for text in (signature, returned)
    )


def _types(app, what, name, obj, options, lines):
    """Shapes such as "*shape" are no emphasis."""
    lines[:] = [
        line.replace("*", "\\*").replace("jaxlib._jax.Array", "Array")
        if line.lstrip().startswith(":vartype")
        else line
        for line in lines
    ]


def _skip(app, what, name, obj, skip, options):
    """Fields of a named tuple are described in its docstring."""
    return True if type(obj).__name__ == "_tuplegetter" else skip


def _link(app, doctree):
    """Public names between backticks become links to their pages."""
    known = api.covered()
    for literal in list(doctree.findall(nodes.literal)):
        text = literal.astext()
        parents = nodes.reference | nodes.title | addnodes.pending_xref
        name = f"gmm_testbed.{text.removeprefix('gt.')}"
        name = name.partition("(")[0] if text.startswith("gt.") else name
        if name not in known or isinstance(literal.parent, parents):
            continue
        xref = addnodes.pending_xref(
            "", refdomain="py", reftype="obj", reftarget=name, refexplicit=True
        )
        xref["refdoc"] = app.env.current_document.docname
        xref["refwarn"] = True
        literal.replace_self(xref)
        xref += literal


def _check(app, env):
    """Every public name has a page."""
    described = set(env.domains["py"].objects)
    for name in sorted(api.covered() - described):
        logging.getLogger(__name__).warning("%s is public and has no page", name)


def _publish(app, error):
    if error is not None or app.builder.format != "html":
        return
    output = Path(app.outdir)
    folder = Path(importlib.import_module("sphinx-mathjax-offline").__file__).parent
    for part in _MATHJAX:
        here, there = (
            folder / "static/mathjax" / part,
            output / "_static/mathjax" / part,
        )
        there.parent.mkdir(parents=True, exist_ok=True)
        if here.is_dir():
            shutil.copytree(here, there, dirs_exist_ok=True)
        else:
            shutil.copy(here, there)
    experiments.publish(output)
