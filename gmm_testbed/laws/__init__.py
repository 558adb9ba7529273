"""The law of a sampler's output at a finite number of steps."""

from .affine import AffineLaw as AffineLaw
from .affine import affine as affine
from .base import AbstractLaw as AbstractLaw
from .grid import grid as grid
from .line_law import FlowLaw as FlowLaw
from .line_law import LineLaw as LineLaw
from .plane_law import PlaneLaw as PlaneLaw
