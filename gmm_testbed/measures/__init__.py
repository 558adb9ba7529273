"""Every measure of a law or of samples, in one list."""

from .measures import MEASURES as MEASURES
from .measures import base as base
from .measures import furthest as furthest
from .measures import in_time as in_time
from .measures import of as of
from .measures import of_samples as of_samples
from .measures import scalars as scalars
