"""The law of a sampler's output at a finite number of steps."""

from .affine import AffineLaw as AffineLaw
from .affine import affine as affine
from .base import AbstractLaw as AbstractLaw
from .flow_density import FlowSamples as FlowSamples
from .flow_density import flow_kl as flow_kl
from .flow_density import flow_samples as flow_samples
from .flow_density import flow_tv as flow_tv
from .grid import grid as grid
from .line_law import FlowLaw as FlowLaw
from .line_law import LineLaw as LineLaw
from .plane_law import PlaneLaw as PlaneLaw
from .reduced import ReducedLaw as ReducedLaw
from .reduced import reduced as reduced
from .sandwich import Sandwich as Sandwich
from .sandwich import sandwich_kl as sandwich_kl
