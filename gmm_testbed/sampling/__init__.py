"""Runs any method: chains, populations, programs on the host."""

from .chains import chain as chain
from .chains import in_batches as in_batches
from .chains import spread as spread
from .inputs import check_run as check_run
from .inputs import checked_initial as checked_initial
from .inputs import checked_times as checked_times
from .inputs import counted as counted
from .inputs import initial_law as initial_law
from .inputs import padded as padded
from .sample_set import SampleSet as SampleSet
from .sample_set import sample_set as sample_set
from .sampling import AbstractSampler as AbstractSampler
from .sampling import AbstractTraceable as AbstractTraceable
from .sampling import Chains as Chains
from .sampling import Options as Options
from .sampling import draw_starts as draw_starts
from .sampling import most_at_once as most_at_once
from .sampling import sample as sample
from .sampling import sample_together as sample_together
from .sampling import sampler_of as sampler_of
