"""The law of a sampler's output at a finite number of steps."""

from .affine import AffineLaw as AffineLaw
from .affine import affine as affine
from .base import AbstractLaw as AbstractLaw
from .eigen_problem import EigenGaussian as EigenGaussian
from .eigen_problem import EigenProblem as EigenProblem
from .flow.density import FlowSamples as FlowSamples
from .flow.density import flow_kl as flow_kl
from .flow.density import flow_samples as flow_samples
from .flow.density import flow_tv as flow_tv
from .grid import grid as grid
from .line.law import FlowLaw as FlowLaw
from .line.law import LineLaw as LineLaw
from .plane.law import PlaneLaw as PlaneLaw
from .reduction.law import ReducedLaw as ReducedLaw
from .reduction.law import reduced as reduced
from .sandwich import Sandwich as Sandwich
from .sandwich import sandwich_kl as sandwich_kl
from .spectral import SpectralLaw as SpectralLaw
from .spectral import spectral as spectral
