"""What a sampler returns, and how functions of samples take it."""

import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

from . import _display
from ._checks import concrete, promoted, require
from ._types import Scalar


class SampleInfo(NamedTuple):
    """What happened.

    Attributes:
        nonfinite: number of samples with NaN or infinity, or with a weight that is NaN;
            they are kept in x.
        num_steps: N.
        trajectory: (num, N + 1, d), the states that led to each sample, or None.
        ess: (N + 1,), effective sample size at every time before resampling, or None
            where particles do not meet.
        point: whether x are estimates, and no draws of a law.
        clean: whether x are at the level of the data, and not at that of the last time.
    """

    nonfinite: int | Int[Array, ""]
    num_steps: int
    trajectory: Float[Array, "num times d"] | None
    ess: Float[Array, " times"] | None = None
    point: bool = False
    clean: bool = False


class SampleSet(NamedTuple):
    """Samples of a sampler.

    Attributes:
        x: (num, d).
        log_weights: (num,), normalised; uniform where particles do not meet.
        log_evidence: () estimate of log p(y), NaN where the sampler gives none.
        info: `SampleInfo`.
    """

    x: Float[Array, "num d"]
    log_weights: Float[Array, " num"]
    log_evidence: Scalar
    info: SampleInfo

    __repr__, _repr_html_ = _display.one_line, _display.html

    def _shown(self) -> _display.Shown:
        """How many samples, what became of them, and their moments by coordinate."""
        x, log_weights = np.asarray(self.x), np.asarray(self.log_weights)
        num, dim = x.shape
        even = equal_weights(self.log_weights)
        weights = np.full(num, 1.0 / num) if even else np.exp(log_weights)
        mean = weights @ x
        spread = np.sqrt(weights @ (x - mean) ** 2)
        steps = _display.counted(int(self.info.num_steps), "step")
        what = "estimate" if self.info.point else "sample"
        parts = [f"{_display.counted(num, what)} in dimension {dim} after {steps}"]
        if not even:
            parts.append(f"{1.0 / np.sum(weights**2):.4g} effective by weight")
        if bad := int(self.info.nonfinite):
            parts.append(f"{bad} not finite")
        if np.isfinite(evidence := float(self.log_evidence)):
            parts.append(f"log-evidence {evidence:.4g}")
        moments = f"mean {_display.numbers(mean)}, sd {_display.numbers(spread)}"
        rows = zip(mean, spread, x.min(axis=0), x.max(axis=0), strict=True)
        cells = [(i, *(f"{value:.6g}" for value in row)) for i, row in enumerate(rows)]
        heads = "coordinate", "mean", "sd", "smallest", "largest"
        line = f"SampleSet: {', '.join(parts)}; {moments}"
        return _display.Shown(line, (_display.table(heads, cells),))


def equal_weights(log_weights: Float[Array, " num"]) -> bool:
    """Whether log-weights (num,) are known to be the same."""
    return concrete(log_weights) and bool(np.ptp(np.asarray(log_weights)) == 0.0)


def takes_sample_sets(function: Callable) -> Callable:
    """A function of `samples` and `log_weights` that takes a `SampleSet` for both.

    Arrays are promoted to the precision in use. Equal weights are left out, so that chains
    run the program of samples without weights.

    Raises:
        InputError: of the function made: if log-weights come with a `SampleSet`.
    """
    place = list(inspect.signature(function).parameters).index("samples")

    @functools.wraps(function)
    def made(*args, **kwargs):
        args, kwargs = promoted((args, kwargs))
        given = args[place] if len(args) > place else kwargs.get("samples")
        if not isinstance(given, SampleSet):
            return function(*args, **kwargs)
        require(
            kwargs.pop("log_weights", None) is None,
            "a SampleSet has weights of its own",
            got="a SampleSet and log_weights",
            expected="a SampleSet alone, or samples (n, d) with log_weights (n,)",
            hint="pass samples.x with other weights",
        )
        if not equal_weights(given.log_weights):
            kwargs["log_weights"] = given.log_weights
        if len(args) > place:
            args = (*args[:place], given.x, *args[place + 1 :])
        else:
            kwargs["samples"] = given.x
        return function(*args, **kwargs)

    return made
