"""Theorems whose two sides are computed: one file each, `CATALOGUE`, and `check`."""

from collections.abc import Callable, Iterable, Iterator

import jax

from .._checks import choose
from .._loading import load
from .._types import Key
from . import kept, search
from .base import AbstractBound as AbstractBound
from .base import BoundReport as BoundReport
from .base import Case as Case
from .base import Claim as Claim
from .base import Facts as Facts
from .base import Limit as Limit
from .base import Reports as Reports
from .base import Verdict as Verdict
from .base import judge as judge
from .base import report as report
from .collapse import Collapse as Collapse
from .component_brackets import ComponentBrackets as ComponentBrackets
from .condition_number import ConditionNumber as ConditionNumber
from .contraction import Contraction as Contraction
from .denoising_lipschitz import DenoisingLipschitz as DenoisingLipschitz
from .density_sandwich import DensitySandwich as DensitySandwich
from .divergence_inequalities import DivergenceInequalities as DivergenceInequalities
from .doubling import once, twice
from .dps_density import DensityBound as DensityBound
from .dps_density import PublishedDensityBound as PublishedDensityBound
from .dps_limit import DPSLimit as DPSLimit
from .dps_ratio import DPSRatio as DPSRatio
from .dps_ratio import PublishedRatio as PublishedRatio
from .early_stopping import EarlyStopping as EarlyStopping
from .entropy_sandwich import EntropySandwich as EntropySandwich
from .euler_moments import EulerMoments as EulerMoments
from .findings import Attack as Attack
from .findings import Finding as Finding
from .findings import in_words as in_words
from .flow_curvature import FlowCurvature as FlowCurvature
from .flow_density import FlowDensity as FlowDensity
from .flow_matching import FlowMatching as FlowMatching
from .frozen_score import FrozenScore as FrozenScore
from .gronwall import Gronwall as Gronwall
from .guided_density import GuidedDensity as GuidedDensity
from .guided_dimension import GuidedDimension as GuidedDimension
from .guided_dimension import GuidedDimensionCorrected as GuidedDimensionCorrected
from .guided_modes import GuidedModes as GuidedModes
from .guided_modes import GuidedModesCorrected as GuidedModesCorrected
from .importance import ImportanceSampling as ImportanceSampling
from .information_bound import InformationBound as InformationBound
from .initialisation import Initialisation as Initialisation
from .interpolants import InterpolantLosses as InterpolantLosses
from .interpolants import InterpolantPaths as InterpolantPaths
from .jeffreys import Jeffreys as Jeffreys
from .kept import Tightest as Tightest
from .labels import LabelDecomposition as LabelDecomposition
from .log_concave_start import LogConcaveStart as LogConcaveStart
from .log_sobolev import LogSobolev as LogSobolev
from .mixture_landscape import MixtureLandscape as MixtureLandscape
from .mixture_landscape import PublishedPoincare as PublishedPoincare
from .orders import Orders as Orders
from .particle_filters import ParticleFilters as ParticleFilters
from .path_identity import PathIdentity as PathIdentity
from .plain_start import PlainStart as PlainStart
from .posterior_covariance import PosteriorCovariance as PosteriorCovariance
from .prior_baseline import PriorBaseline as PriorBaseline
from .reference_start import ReferenceStart as ReferenceStart
from .relative_score import FrozenRelativeScore as FrozenRelativeScore
from .replacement import Replacement as Replacement
from .residual_divergence import ResidualDivergence as ResidualDivergence
from .residual_identity import ResidualIdentity as ResidualIdentity
from .reverse_paths import ReversePaths as ReversePaths
from .schedule_bound import ScheduleBound as ScheduleBound
from .score_lipschitz import ScoreLipschitz as ScoreLipschitz
from .speciation import Speciation as Speciation
from .split_gibbs import SplitGibbs as SplitGibbs
from .stated import Stated as Stated
from .stated import as_bound
from .stein import SteinDiscrepancy as SteinDiscrepancy
from .tan_schedule import TanSchedule as TanSchedule
from .tilted_transport import TiltedTransport as TiltedTransport
from .tools.given import Asked, settings
from .tools.given import on_target as on_target
from .tools.given import parameters as parameters
from .training_posterior import TrainingPosterior as TrainingPosterior
from .training_prior import TrainingPrior as TrainingPrior
from .training_score import TrainingScore as TrainingScore
from .transport_brackets import TransportBrackets as TransportBrackets
from .two_ways import TwoWays as TwoWays

CATALOGUE: dict[str, AbstractBound] = {
    "T1-path-identity": PathIdentity(),
    "T2-reverse-paths": ReversePaths(),
    "T3-information": InformationBound(),
    "T4-relative-score": FrozenRelativeScore(),
    "T5-frozen-score": FrozenScore(),
    "T6-initialisation": Initialisation(),
    "T7-contraction": Contraction(),
    "T8-gronwall": Gronwall(),
    "T11-dps-limit": DPSLimit(),
    "T12-dps-density": PublishedDensityBound(),
    "T12-dps-density-corrected": DensityBound(),
    "T13-residual": ResidualIdentity(),
    "T14-residual-divergence": ResidualDivergence(),
    "T15-two-ways": TwoWays(),
    "T16-particle-filters": ParticleFilters(),
    "T17-importance-sampling": ImportanceSampling(),
    "T18-jeffreys": Jeffreys(),
    "T19-density-sandwich": DensitySandwich(),
    "T20-training-prior": TrainingPrior(),
    "T21-training-posterior": TrainingPosterior(),
    "T22-collapse": Collapse(),
    "T23-training-score": TrainingScore(),
    "T24-speciation": Speciation(),
    "T25-flow-density": FlowDensity(),
    "T26-orders": Orders(),
    "T27-log-sobolev": LogSobolev(),
    "T28-stein": SteinDiscrepancy(),
    "T29-tilted-transport": TiltedTransport(),
    "T31-split-gibbs": SplitGibbs(),
    "T32-replacement": Replacement(),
    "T35-labels": LabelDecomposition(),
    "T36-early-stopping": EarlyStopping(),
    "T37-guided-density": GuidedDensity(),
    "T38-guided-modes": GuidedModes(),
    "T38-guided-modes-corrected": GuidedModesCorrected(),
    "T39-guided-dimension": GuidedDimension(),
    "T39-guided-dimension-corrected": GuidedDimensionCorrected(),
    "T40-flow-curvature": FlowCurvature(),
    "T41-plain-start": PlainStart(),
    "T42-tan-schedule": TanSchedule(),
    "T43-condition-number": ConditionNumber(),
    "T44-schedule": ScheduleBound(),
    "T45-flow-matching": FlowMatching(),
    "T46-posterior-covariance": PosteriorCovariance(),
    "T47-denoising-lipschitz": DenoisingLipschitz(),
    "T48-landscape": MixtureLandscape(),
    "T48-poincare": PublishedPoincare(),
    "T49-log-concave-start": LogConcaveStart(),
    "T50-dps-ratio": PublishedRatio(),
    "T50-dps-ratio-corrected": DPSRatio(),
    "T51-reference-start": ReferenceStart(),
    "T52-interpolants": InterpolantLosses(),
    "T52-interpolants-corrected": InterpolantPaths(),
    "T53-euler-moments": EulerMoments(),
    "C18-prior-baseline": PriorBaseline(),
    "C20-entropy": EntropySandwich(),
    "C21-components": ComponentBrackets(),
    "C22-score-lipschitz": ScoreLipschitz(),
    "C23-transport": TransportBrackets(),
    "C24-divergences": DivergenceInequalities(),
}


def find(name: "str | AbstractBound | Callable") -> tuple[str, AbstractBound]:
    """A theorem and its name.

    Args:
        name: of `CATALOGUE`, or its number, as "T36"; "my_module:name" of a bound of your
            own, or the bound itself: a class as these, or a function that gives both
            sides (see `Stated`).

    Raises:
        InputError: for an unknown name; the message has the nearest one.
    """
    if not isinstance(name, str):
        bound = as_bound(name)
        return getattr(name, "__name__", type(bound).__name__), bound
    if ":" in name:
        return name, as_bound(load(name))
    full = [known for known in CATALOGUE if known.startswith(f"{name.upper()}-")]
    chosen = full[0] if len(full) == 1 else name
    return chosen, choose(chosen, CATALOGUE, "bound")


def check(
    name: "str | AbstractBound | Callable",
    key: Key | None = None,
    *,
    doubled: bool = False,
    **given,
) -> Reports:
    """Both sides of a theorem and the verdict: over its sweep, or on your own problem.

    Args:
        name: of `CATALOGUE`, its number, or a bound of your own; see `find`.
        key: of what is sampled; `jax.random.key(0)` by default.
        doubled: whether all is computed again with twice the nodes of every quadrature:
            the verdict counts what changes as an error, as it does a standard error.
        **given: labels and numbers of one case, the others as in the first of the sweep;
            or what they stand for: a parameter of the theorem's `sides`, as
            `prior=my_mixture`, or `target=my_target` and `times`, from which a theorem
            takes what it needs, one case a time where it speaks of one level of noise.
            The whole sweep if there are none.

    Returns:
        A `BoundReport` for each claim of each case, in a list that shows itself as a
        table.

    Raises:
        InputError: for an unknown name or label; the message has the nearest one, or what
            the theorem takes. For a value that is no number, not one of the words of its
            label, or beyond one of the limits in `facts`; for a problem on which the
            sides are not computed, such as one in space where they are for the line.
    """
    name, bound = find(name)
    key = jax.random.key(0) if key is None else key
    if given:
        cases = settings(name, bound, given)
    else:
        cases = (Asked(case, bound.setting(case)) for case in bound.cases)
    sides = twice if doubled else once
    return Reports(
        report(name, bound, asked.case, claim)
        for index, asked in enumerate(cases)
        for claim in sides(bound, jax.random.fold_in(key, index), asked.setting)
    )


def attack(name: "str | AbstractBound | Callable", **options) -> Attack:
    """The tightest case of each claim of a theorem, by search within its assumptions.

    Args:
        name: of `CATALOGUE`, its number, or a bound of your own; see `find`.
        **options: of `search.attack`: evaluations, seconds, key, fixed.

    Returns:
        An `Attack`: one finding a claim, with what gives it, and whether a violation was
        confirmed.

    Raises:
        InputError: for an unknown name; the message has the nearest one.
    """
    return search.attack(*find(name), **options)


def tightest(name: str) -> list[Tightest]:
    """The tightest case of each claim of a theorem that attacks have found.

    Args:
        name: of `CATALOGUE`, or its number.

    Returns:
        A `Tightest` for each claim: label, left / right, and the setting that gives it.

    Raises:
        InputError: for an unknown name; the message has the nearest one.
    """
    return kept.read(*find(name))


def each_case(
    bound: AbstractBound, cases: Iterable[Case], key: Key | None = None
) -> Iterator[tuple[Case, list[Claim]]]:
    """Every case and its claims, one after another, each with a key of its own."""
    key = jax.random.key(0) if key is None else key
    for index, case in enumerate(cases):
        yield case, bound.claims(jax.random.fold_in(key, index), case)
