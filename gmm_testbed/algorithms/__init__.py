"""Methods, one a file, `_template.py` to start from: the guided ones, and all others."""

from .daps import DAPS as DAPS
from .guided import Guided as Guided
from .jump import Jump as Jump
from .posterior_draws import PosteriorDraws as PosteriorDraws
from .published import Published as Published
from .split_gibbs import SplitGibbs as SplitGibbs

CATALOGUE = {
    "DAPS": DAPS,
    "Jump": Jump,
    "SplitGibbs": SplitGibbs,
}
