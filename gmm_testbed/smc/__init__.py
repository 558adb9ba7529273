"""Particle filters for the posterior: a Feynman-Kac model a file, and their resampling."""

from ..approximations import log_twist as log_twist
from .base import AbstractFeynmanKac as AbstractFeynmanKac
from .base import AbstractTwisted as AbstractTwisted
from .base import Move as Move
from .base import Proposal as Proposal
from .bootstrap import Bootstrap as Bootstrap
from .kl import Filters as Filters
from .kl import KLBounds as KLBounds
from .kl import conditional as conditional
from .kl import filters as filters
from .kl import kl_bounds as kl_bounds
from .kl import log_evidences as log_evidences
from .kl import posterior_path as posterior_path
from .mcgdiff import MCGDiff as MCGDiff
from .optimal import Optimal as Optimal
from .particle_filter import ParticleFilter as ParticleFilter
from .resampling import SCHEMES as SCHEMES
from .resampling import effective_size as effective_size
from .residual import residual as residual
from .tds import TDS as TDS
from .tds_published import PublishedTDS as PublishedTDS

CATALOGUE = {
    "Bootstrap": Bootstrap,
    "TDS": TDS,
    "PublishedTDS": PublishedTDS,
    "MCGDiff": MCGDiff,
    "Optimal": Optimal,
}
