r"""Fourier formulas for smooth functions known at uniform nodes.

A density that has died out at both ends of its grid is band-limited to rounding as soon
as it has three nodes a standard deviation: with \(\rho\) nodes a Gaussian has
\(e^{-\pi^2 \rho^2/2}\) of its peak spectrum at the grid's highest frequency, 1.5e-5 at
1.5 and 5e-20 at 3. Fourier formulas are then exact where difference formulas are not:
the running integral by a six-point rule still errs by 1e-5 at three nodes.
The nodes are one apart here; callers scale. NumPy arrays give NumPy arrays, and compile
nothing.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Nodes = Float[Array | np.ndarray, " n"]


def upsampled(values: Nodes, factor: int) -> Array | np.ndarray:
    """Values at every 1/factor of a cell, ((n - 1) factor + 1,); zero outside."""
    return _filtered(values, np.ones_like, factor)


def derivative(values: Nodes, factor: int = 1) -> Array | np.ndarray:
    """Derivative at every 1/factor of a cell; the values must die out at both ends."""
    return _filtered(values, _slope, factor)


def running_integral(values: Nodes) -> Nodes:
    r"""\(\int_{-\infty}^{j} f\) at every node j, for values that die out at both ends.

    The trapezoidal sum plus what it lacks: on \(e^{i\theta j}\) the sum is
    \(\cot(\theta/2) / 2i\) and the integral \(1 / i\theta\). The last entry is the
    trapezoidal total, which is spectrally accurate, and so is every entry, to the
    rounding of the largest (absolutely, not relatively in the left tail).
    """
    trapezoid = values.cumsum() - 0.5 * values
    return trapezoid + _filtered(values, _lack, 1)


def _slope(angle: np.ndarray) -> np.ndarray:
    return 1j * angle


def _lack(angle: np.ndarray) -> np.ndarray:
    """(1/angle - cot(angle/2)/2) / i, by its series where the two nearly cancel."""
    near = angle < 0.1
    safe = np.where(near, 1.0, angle)
    square = angle**2
    series = angle / 12 * (1 + square / 60 * (1 + square / 42 * (1 + square / 40)))
    return -1j * np.where(near, series, 1 / safe - 0.5 / np.tan(safe / 2))


def _filtered(values, symbol, factor):
    """Multiplies the spectrum by symbol(angle), angles in radians a cell.

    The zeros that double the length, or a little more where that has large prime factors,
    keep the two ends from meeting.
    """
    from scipy.fft import next_fast_len  # scripts that only sample wait for no SciPy

    count = values.shape[0]
    length = 2 * next_fast_len(count, real=True)
    xp = np if isinstance(values, np.ndarray) else jnp
    spectrum = xp.fft.rfft(values, length)
    weights = _weights(symbol, length, factor > 1)
    spectrum = spectrum * xp.asarray(weights, spectrum.dtype)
    fine = factor * xp.fft.irfft(spectrum, length * factor)
    return fine[: (count - 1) * factor + 1]


@functools.lru_cache(maxsize=32)
def _weights(symbol, length: int, finer: bool) -> np.ndarray:
    """The symbol at the frequencies of so many nodes."""
    weights = symbol(2 * np.pi * np.fft.rfftfreq(length)).astype(np.complex128)
    # The highest frequency stands for both signs: half of it survives between nodes,
    # and an odd symbol has nothing there.
    weights[-1] = weights[-1].real * (0.5 if finer else 1.0)
    weights.flags.writeable = False  # every caller has the same array
    return weights
