"""Experiments as data: declared cells, a store that keeps them, runners that resume."""

import importlib
from typing import TYPE_CHECKING

from .cluster import cluster as cluster
from .declare import Experiment as Experiment
from .declare import Job as Job
from .declare import experiment as experiment
from .monitor import compilations as compilations
from .monitor import progress as progress
from .outcomes import Found as Found
from .outcomes import Measured as Measured
from .outcomes import Metric as Metric
from .outcomes import Outcome as Outcome
from .outcomes import Row as Row
from .outcomes import Status as Status
from .runner import Tally as Tally
from .runner import run as run
from .scripts import FileError as FileError
from .scripts import load as load
from .store import Store as Store
from .work import left_behind as left_behind

if TYPE_CHECKING:
    from .export import write as write
    from .summary import differences as differences
    from .summary import means as means

# These need pandas, which takes a while to import.
_LAZY = {"write": "export", "differences": "summary", "means": "summary"}


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
