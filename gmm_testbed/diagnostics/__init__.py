"""Diagnostics of samplers: failures of a law, and calibration over many observations."""

from .calibration import Calibration as Calibration
from .calibration import calibrate as calibrate
from .calibration import coverage as coverage
from .calibration import sbc as sbc
from .calibration import tarp as tarp
from .failures import EarlyStopping as EarlyStopping
from .failures import RegionMass as RegionMass
from .failures import early_stopping as early_stopping
from .failures import hallucinated_likelihood_mass as hallucinated_likelihood_mass
from .failures import hallucinated_prior_mass as hallucinated_prior_mass
from .failures import mode_weight_error as mode_weight_error
from .failures import mode_weights as mode_weights
from .failures import spread_ratio as spread_ratio
from .pairs import Pairs as Pairs
from .pairs import PosteriorDraws as PosteriorDraws
from .pairs import simulate as simulate
from .surrogates import surrogate_log_density as surrogate_log_density
from .uniformity import Uniformity as Uniformity
from .uniformity import ecdf_band as ecdf_band
from .uniformity import histogram_band as histogram_band
from .uniformity import uniformity as uniformity
