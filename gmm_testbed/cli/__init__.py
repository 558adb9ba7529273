"""The command line: `gmm-testbed`, whose commands are the modules of this folder."""

import os

os.environ.setdefault("NPROC", "4")  # before JAX starts its threads: see the README

# The commands, each of which adds itself to the application.
from . import check, demo, diagnose, listing, run, status, verify  # noqa: E402, F401
from .app import app as app  # noqa: E402
from .app import main as main  # noqa: E402
