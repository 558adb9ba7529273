"""The documentation: `make docs` builds it, and every warning is an error.

Most pages are written by `pages/` from the package itself: one for each method, theorem,
public name, lecture and experiment. Nothing is fetched, when it is built or when it is
read.
"""

import importlib.metadata
import os
import sys
from pathlib import Path

os.environ.setdefault("NPROC", "4")  # before jax starts its threads
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import matplotlib  # noqa: E402

matplotlib.use("Agg")

project = "gmm_testbed"
author = "gmm_testbed contributors"
copyright = author  # noqa: A001
release = version = importlib.metadata.version("gmm_testbed")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "myst_nb",
    "pages",
]
exclude_patterns = ["build", "README.md"]
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}
default_role = "literal"  # one backtick: code, as in the docstrings

mathjax_path = "mathjax/tex-chtml.js"  # copied by `pages`, from sphinx-mathjax-offline
html_theme = "furo"
html_title = "gmm_testbed"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
pygments_style, pygments_dark_style = "friendly", "github-dark"

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
# Lectures are shown as they stand in the tree, without outputs; EXECUTE=1 runs them.
nb_execution_mode = "cache" if os.environ.get("EXECUTE") else "off"
nb_execution_cache_path = str(ROOT / "docs" / "build" / "executed")
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_numpy_docstring = False
python_maximum_signature_line_length = 80
copybutton_exclude = ".linenos, .gp, .go"
suppress_warnings = [
    "config.cache"
]  # functions in this file are no reason to start anew
