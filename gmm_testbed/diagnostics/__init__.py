"""Diagnostics of samplers: failure measures that know the truth."""

from .failures import EarlyStopping as EarlyStopping
from .failures import RegionMass as RegionMass
from .failures import early_stopping as early_stopping
from .failures import hallucinated_likelihood_mass as hallucinated_likelihood_mass
from .failures import hallucinated_prior_mass as hallucinated_prior_mass
from .failures import mode_weight_error as mode_weight_error
from .failures import mode_weights as mode_weights
from .failures import spread_ratio as spread_ratio
