"""Experiments as data: declared cells, a store that keeps them, runners that resume."""

from . import study as study
from .cluster import cluster as cluster
from .declare import Experiment as Experiment
from .declare import Job as Job
from .declare import experiment as experiment
from .export import write as write
from .export import write_table as write_table
from .outcomes import Found as Found
from .outcomes import Measured as Measured
from .outcomes import Metric as Metric
from .outcomes import Outcome as Outcome
from .outcomes import Row as Row
from .outcomes import Status as Status
from .runner import Tally as Tally
from .runner import run as run
from .scripts import load as load
from .store import Store as Store
from .summary import Mean as Mean
from .summary import differences as differences
from .summary import means as means
from .summary import student as student
from .summary import text as text
from .work import left_behind as left_behind
