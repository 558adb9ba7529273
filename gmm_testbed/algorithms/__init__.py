"""Methods, one a file, `_template.py` to start from: the guided ones, and all others."""

from .daps import DAPS as DAPS
from .ddrm import DDRM as DDRM
from .dpm_solver import DPMSolver as DPMSolver
from .guided import Guided as Guided
from .jump import Jump as Jump
from .langevin import Langevin as Langevin
from .langevin import ladder as ladder
from .posterior_draws import PosteriorDraws as PosteriorDraws
from .published import Published as Published
from .split_gibbs import SplitGibbs as SplitGibbs
from .time_travel import TimeTravel as TimeTravel

CATALOGUE = {
    "DAPS": DAPS,
    "DDRM": DDRM,
    "DPMSolver": DPMSolver,
    "Jump": Jump,
    "Langevin": Langevin,
    "SplitGibbs": SplitGibbs,
    "TimeTravel": TimeTravel,
}
