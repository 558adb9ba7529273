"""Theorems whose two sides are computed: one file each, `CATALOGUE`, and `check`."""

from collections.abc import Iterable, Iterator

import jax

from .._checks import choose
from .._types import Key
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
from .contraction import Contraction as Contraction
from .density_sandwich import DensitySandwich as DensitySandwich
from .divergence_inequalities import DivergenceInequalities as DivergenceInequalities
from .dps_density import DensityBound as DensityBound
from .dps_density import PublishedDensityBound as PublishedDensityBound
from .dps_limit import DPSLimit as DPSLimit
from .early_stopping import EarlyStopping as EarlyStopping
from .entropy_sandwich import EntropySandwich as EntropySandwich
from .flow_curvature import FlowCurvature as FlowCurvature
from .flow_density import FlowDensity as FlowDensity
from .frozen_score import FrozenScore as FrozenScore
from .gronwall import Gronwall as Gronwall
from .importance import ImportanceSampling as ImportanceSampling
from .information_bound import InformationBound as InformationBound
from .initialisation import Initialisation as Initialisation
from .jeffreys import Jeffreys as Jeffreys
from .labels import LabelDecomposition as LabelDecomposition
from .log_sobolev import LogSobolev as LogSobolev
from .orders import Orders as Orders
from .particle_filters import ParticleFilters as ParticleFilters
from .path_identity import PathIdentity as PathIdentity
from .plain_start import PlainStart as PlainStart
from .prior_baseline import PriorBaseline as PriorBaseline
from .relative_score import FrozenRelativeScore as FrozenRelativeScore
from .replacement import Replacement as Replacement
from .residual_divergence import ResidualDivergence as ResidualDivergence
from .residual_identity import ResidualIdentity as ResidualIdentity
from .reverse_paths import ReversePaths as ReversePaths
from .score_lipschitz import ScoreLipschitz as ScoreLipschitz
from .speciation import Speciation as Speciation
from .split_gibbs import SplitGibbs as SplitGibbs
from .stein import SteinDiscrepancy as SteinDiscrepancy
from .tilted_transport import TiltedTransport as TiltedTransport
from .tools.cases import complete
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
    "T40-flow-curvature": FlowCurvature(),
    "T41-plain-start": PlainStart(),
    "C18-prior-baseline": PriorBaseline(),
    "C20-entropy": EntropySandwich(),
    "C21-components": ComponentBrackets(),
    "C22-score-lipschitz": ScoreLipschitz(),
    "C23-transport": TransportBrackets(),
    "C24-divergences": DivergenceInequalities(),
}


def check(name: str, key: Key | None = None, **case) -> Reports:
    """Both sides of a theorem and the verdict, for one case or its whole sweep.

    Args:
        name: of `CATALOGUE`.
        key: of what is sampled; `jax.random.key(0)` by default.
        **case: labels and numbers of one case, the others as in the first of the sweep;
            the whole sweep if there are none.

    Returns:
        A `BoundReport` for each claim of each case, in a list that shows itself as a
        table.

    Raises:
        InputError: for an unknown name or label; the message has the nearest one. For a
            value that is no number, not one of the words of its label, or beyond one of the
            limits in `facts`.
    """
    bound = choose(name, CATALOGUE, "bound")
    cases = (
        [complete(name, bound.cases, case, bound.facts.limits)] if case else bound.cases
    )
    return Reports(
        report(name, bound, values, claim)
        for values, claims in each_case(bound, cases, key)
        for claim in claims
    )


def each_case(
    bound: AbstractBound, cases: Iterable[Case], key: Key | None = None
) -> Iterator[tuple[Case, list[Claim]]]:
    """Every case and its claims, one after another, each with a key of its own."""
    key = jax.random.key(0) if key is None else key
    for index, case in enumerate(cases):
        yield case, bound.claims(jax.random.fold_in(key, index), case)
