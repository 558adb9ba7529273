"""gmm_testbed: diffusion posterior samplers against the truth, on Gaussian mixtures.

Every public name is imported when it is first asked for, so that nobody waits for what a
script does not use.
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers: what the tables below find
    from . import algorithms as algorithms
    from . import approximations as approximations
    from . import bounds as bounds
    from . import diagnostics as diagnostics
    from . import divergences as divergences
    from . import estimators as estimators
    from . import exercises as exercises
    from . import kernels as kernels
    from . import laws as laws
    from . import measures as measures
    from . import methods as methods
    from . import plotting as plotting
    from . import smc as smc
    from . import sweep as sweep
    from . import testbeds as problems  # noqa: F401
    from ._checks import InputError as InputError
    from ._checks import UnsupportedError as UnsupportedError
    from ._samples import SampleSet as SampleSet
    from .algorithms import Guided as Guided
    from .algorithms import PosteriorDraws as PosteriorDraws
    from .algorithms import Published as Published
    from .budget import Budget as Budget
    from .budget import budget as budget
    from .budget import information as information
    from .budget import leading_order as leading_order
    from .budget import optimal_grid as optimal_grid
    from .budget import path_log_ratio as path_log_ratio
    from .budget import reverse_kernel as reverse_kernel
    from .budget.time_grids import time_grid as time_grid
    from .compare import Comparison as Comparison
    from .compare import compare as compare
    from .conformance import conformance as conformance
    from .estimate import Estimate as Estimate
    from .external import External as External
    from .external import torch as torch
    from .gaussian import Gaussian as Gaussian
    from .gaussian import Implicit as Implicit
    from .gaussian import Mixture as Mixture
    from .gaussian import isotropic as isotropic
    from .gaussian import point as point
    from .kernels import GuidedField as GuidedField
    from .method import AbstractComposed as AbstractComposed
    from .method import AbstractMarkov as AbstractMarkov
    from .method import AbstractMethod as AbstractMethod
    from .method import Cost as Cost
    from .method import ExactWhen as ExactWhen
    from .method import Facts as Facts
    from .method import Leg as Leg
    from .method import Step as Step
    from .method import standard_start as standard_start
    from .mixture import GaussianMixture as GaussianMixture
    from .paths import OU as OU
    from .paths import VE as VE
    from .paths import VP as VP
    from .paths import AbstractPath as AbstractPath
    from .paths import CosineVP as CosineVP
    from .paths import Rectified as Rectified
    from .paths import TabulatedPath as TabulatedPath
    from .problem import InverseProblem as InverseProblem
    from .problem import Linear as Linear
    from .problem import Nonlinear as Nonlinear
    from .problem import Target as Target
    from .problem import blur as blur
    from .problem import denoisers as denoisers
    from .problem import downsampling as downsampling
    from .problem import inpainting as inpainting
    from .problem import random_projection as random_projection
    from .sampling import sample as sample
    from .sampling import sample_together as sample_together
    from .study.citing import cite as cite
    from .sweep import Experiment as Experiment
    from .sweep import experiment as experiment
    from .verdict import verdict as verdict
    from .verdict.data import diagnose as diagnose

# Public modules, and the public names that stand in others.
_MODULES = (
    "algorithms",
    "approximations",
    "bounds",
    "denoisers",
    "diagnostics",
    "divergences",
    "estimators",
    "exercises",
    "information",
    "kernels",
    "laws",
    "measures",
    "methods",
    "plotting",
    "problems",
    "smc",
    "sweep",
    "torch",
)
_NAMES = {
    "_checks": ("InputError", "UnsupportedError"),
    "algorithms": ("Guided", "PosteriorDraws", "Published"),
    "budget": (
        "Budget",
        "budget",
        "leading_order",
        "optimal_grid",
        "path_log_ratio",
        "reverse_kernel",
    ),
    "compare": ("Comparison", "compare"),
    "conformance": ("conformance",),
    "budget.time_grids": ("time_grid",),
    "estimate": ("Estimate",),
    "external": ("External",),
    "gaussian": ("Gaussian", "Implicit", "Mixture", "isotropic", "point"),
    "kernels": ("GuidedField",),
    "method": (
        "AbstractComposed",
        "AbstractMarkov",
        "AbstractMethod",
        "Cost",
        "ExactWhen",
        "Facts",
        "Leg",
        "Step",
        "standard_start",
    ),
    "mixture": ("GaussianMixture",),
    "paths": (
        "OU",
        "VE",
        "VP",
        "AbstractPath",
        "CosineVP",
        "Rectified",
        "TabulatedPath",
    ),
    "problem": (
        "InverseProblem",
        "Linear",
        "Nonlinear",
        "Target",
        "blur",
        "downsampling",
        "inpainting",
        "random_projection",
    ),
    "_samples": ("SampleSet",),
    "sampling": ("sample", "sample_together"),
    "study.citing": ("cite",),
    "sweep": ("Experiment", "experiment"),
    "verdict": ("verdict",),
    "verdict.data": ("diagnose",),
}
_ALIASES = {
    "denoisers": "problem.denoisers",
    "information": "budget.information",
    "problems": "testbeds",
    "torch": "external.torch",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted([*_MODULES, *_MODULE_OF])


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for."""
    if name not in __all__:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}",
            name=name,
            obj=sys.modules[__name__],
        )
    where = _MODULE_OF.get(name, _ALIASES.get(name, name))
    module = importlib.import_module(f".{where}", __name__)
    found = getattr(module, name) if name in _MODULE_OF else module
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """The public names."""
    return __all__


class _Package(types.ModuleType):
    """The package, where `budget`, `compare`, `conformance` and `verdict` are functions.

    When a module is first imported, Python sets it as an attribute of its package, in
    whatever order that happens. It must not hide the function of the same name.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _MODULE_OF and isinstance(value, types.ModuleType)):
            types.ModuleType.__setattr__(self, name, value)


sys.modules[__name__].__class__ = _Package
