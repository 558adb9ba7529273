r"""How fine a grid must be for a sum of Gaussians to be an integral.

The trapezoidal rule over sources whose means are \(\rho\) standard deviations apart errs
by \(2 e^{-2\pi^2/\rho^2}\) relative to their mass (Poisson summation). The mass-weighted
sum of these terms is the aliasing error of a step; it is kept below 1e-11 on the line,
and below 1e-8 in the plane.
"""

import bisect

import numpy as np

TOLERANCE = 1e-11
COARSEST = 1.2  # nodes a standard deviation where it is the same everywhere: 1e-12
_FACTORS = 2.0 ** np.arange(3.0, -8.25, -0.25)


def aliasing(mass: np.ndarray, ratio: np.ndarray) -> float:
    """Error estimate for masses (n,) whose means are `ratio` (n,) scales apart."""
    with np.errstate(divide="ignore", over="ignore"):
        return float(2.0 * (mass * np.exp(-2.0 * (np.pi / ratio) ** 2)).sum())


def allowance(mass: np.ndarray, ratio: np.ndarray, tolerance=TOLERANCE) -> float:
    """The factor by which the spacing may grow (must shrink, if below 1)."""
    # The error grows with the factor, and the factors fall: the first that will do.
    place = bisect.bisect_left(
        _FACTORS[:-1], True, key=lambda f: aliasing(mass, ratio * f) <= tolerance
    )
    return float(_FACTORS[place])


def gap_ratio(mean: np.ndarray, scale: np.ndarray, axis: int = 0) -> np.ndarray:
    """Largest distance of a mean (n, ...) to its neighbours along an axis, in scales."""
    mean, scale = np.moveaxis(mean, axis, -1), np.moveaxis(scale, axis, -1)
    gaps = np.abs(mean[..., 1:] - mean[..., :-1])
    widest = np.zeros(mean.shape, mean.dtype)
    widest[..., 1:] = gaps
    np.maximum(widest[..., :-1], gaps, out=widest[..., :-1])
    return np.moveaxis(widest / scale, -1, axis)
