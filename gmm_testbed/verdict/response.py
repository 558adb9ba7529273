"""How samples answer to y, to R and to the origin, on one Gaussian on the line.

Of any sampler that can be run again with the same random numbers: by its mean and its
width one knows the noise level that it takes.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from .._types import Times
from ..conformance.probes import gap
from ..method import Facts
from ..mixture import GaussianMixture
from ..paths import VP
from ..paths.grids import time_grid
from ..problem import InverseProblem, Linear, Target
from .record import Finding

Run = Callable[..., np.ndarray]
"""Samples (n,) of `problem(**case)`, always with the same random numbers."""

_MEAN, _VARIANCE, _NOISE, _Y = 0.3, 1.0, 0.5, 1.1
_FAR = 5.0  # a shift of the origin
END = 0.01  # last time
STEPS = 100  # equal in log-SNR, where the width is known to a tenth
SAME = 1e-6  # relative
_SCALES = {
    0.25: "a quarter of R: half the noise level",
    0.5: "half of R: a noise level divided by sqrt(2), or the likelihood counted twice",
    2.0: "twice R: R is counted twice",
    4.0: "four times R: twice the noise level",
}


def problem(y=_Y, noise=_NOISE, shift=0.0) -> Target:
    """A Gaussian prior on the line, measured with noise, and moved by a shift."""
    prior = GaussianMixture.isotropic(
        jnp.ones(1), jnp.full((1, 1), _MEAN + shift), jnp.asarray(_VARIANCE)
    )
    measurement = Linear(jnp.ones((1, 1)), jnp.asarray(noise))
    observed = InverseProblem(prior, measurement, jnp.full(1, y + shift))
    return Target(observed, VP(beta_min=0.01, beta_max=20.0))


def grid(target: Target) -> Times:
    """The times of a run, (STEPS + 1,)."""
    return time_grid(target.path, STEPS, "log_snr", t_min=END)


def findings(run: Run, facts: Facts) -> list[Finding]:
    """What the runs say of the sign, the noise level and clipping.

    Args:
        run: from changes of `problem` to samples.
        facts: `uses_noise` is claimed.
    """
    x = run()
    bad = int((~np.isfinite(x)).sum())
    if bad:
        words = (
            f"no: {bad} of {x.size} samples are not, on one Gaussian in {STEPS} steps."
        )
        words += " Look for a division by 0, or steps that are too long at the start."
        return [Finding("Are the samples finite?", words, "failed", {"nonfinite": bad})]
    return [*_response(run, x, facts), _origin(run, x)]


def _response(run: Run, x, facts: Facts) -> list[Finding]:
    """How the mean follows y and how wide the samples are: the noise level it takes."""
    gain = float(np.mean(run(y=_Y + 1.0) - x))
    variance = float(np.var(x, ddof=1))
    path = problem().path
    scales = (path.alpha, path.sigma)
    alpha, sigma = (float(scale(jnp.asarray(END, float))) for scale in scales)
    gain, variance = gain / alpha, max((variance - sigma**2) / alpha**2, 0.0)
    exact = _VARIANCE / (_VARIANCE + _NOISE)
    numbers = {"gain": gain, "gain_exact": exact, "variance": variance}
    numbers["variance_exact"] = exact * _NOISE
    seen = f"{gain:.2f} for each unit of y, exactly {exact:.2f}"
    question = "Does the mean follow y?"
    if not np.isfinite(gain) or gain < -0.02:
        words = f"the wrong way ({seen}): the sign of the guidance is wrong."
        return [Finding(question, words, "failed", numbers)]
    if gain < 0.02:
        status = "failed" if facts.uses_noise else "noted"
        return [Finding(question, f"no: it ignores y ({seen}).", status, numbers)]
    found = [Finding(question, f"yes: {seen}.", "noted", numbers)]
    question = "Does it use the noise level R?"
    effect = gap(run(noise=2 * _NOISE), x)
    if not effect > SAME:
        words = "no: it ignores the noise level, twice R changes nothing."
        status = "failed" if facts.uses_noise else "noted"
        return [*found, Finding(question, words, status, {"effect": effect})]
    words = (
        f"yes; its variance on one Gaussian is {variance / (exact * _NOISE):.2f} of "
    )
    words += "the exact one."
    taken = _noise_taken(gain, variance)
    for scale, meaning in _SCALES.items():
        by_mean, by_width = (abs(np.log(each / scale)) for each in taken)
        if by_mean < 0.12 and by_width < 0.35:
            words = f"not as it is: mean and width are those of {meaning} (measured "
            words += f"{taken[0]:.2f} and {taken[1]:.2f} of R)."
            return [*found, Finding(question, words, "failed", numbers)]
    return [*found, Finding(question, words, "noted", numbers)]


def _noise_taken(gain: float, variance: float) -> tuple[float, float]:
    """The noise variance over R that would give this mean, and this width."""
    by_mean = _VARIANCE * (1.0 / gain - 1.0) / _NOISE if gain < 1 else 0.0
    wide = variance >= _VARIANCE
    by_width = (
        0.0 if not variance else 1.0 / (1.0 / variance - 1.0 / _VARIANCE) / _NOISE
    )
    return max(by_mean, 1e-9), np.inf if wide else max(by_width, 1e-9)


def _origin(run: Run, x) -> Finding:
    """Whether it works as well far from the origin."""
    question = "Does it work far from the origin?"
    far = run(shift=_FAR)
    exact = _MEAN + (_Y - _MEAN) * _VARIANCE / (_VARIANCE + _NOISE)
    near_error, far_error = abs(x.mean() - exact), abs(far.mean() - exact - _FAR)
    numbers = {"near": near_error, "far": far_error, "mean": float(far.mean())}
    seen = f"mean {far.mean():.2f} where the posterior has {exact + _FAR:.2f}"
    if not far_error > 3.0 * near_error + 1.0:
        return Finding(question, f"yes: {seen}.", "noted", numbers)
    words = (
        f"no: {seen}, and {x.mean():.2f} for {exact:.2f} near it. It clips to [-1, 1], "
    )
    words += "or to about that: data need not lie there."
    return Finding(question, words, "failed", numbers)
