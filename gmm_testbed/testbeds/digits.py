r"""Images of 8 x 8 pixels: inpainting, blur and super-resolution of handwritten digits.

The prior is a mixture of 16 Gaussians with full covariances in d = 64, fitted by EM to the
first 1500 of scikit-learn's bundled digits, pixels from -1 (paper) to 1 (ink), with
0.02 I added to every covariance. The other 297 are truths to be measured, so the prior is
as wrong about them as a trained model is; the posterior of this prior is exact all the
same. Data: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine
Learning Repository (1998).

Images are vectors, row by row. Measurements have noise of standard deviation 0.2.
"""

import functools
from collections.abc import Callable

import equinox as eqx
import numpy as np

from .._checks import choose, fail, require
from ..mixture import GaussianMixture
from ..paths import VP
from ..problem import InverseProblem, Linear, Target

SIDE, TRAINED, COMPONENTS = 8, 1500, 16
NOISE, REGULARISATION = 0.2, 0.02


def _upper_half() -> np.ndarray:
    """The lower four rows of pixels are missing, (32, 64)."""
    return np.eye(SIDE * SIDE)[: SIDE * SIDE // 2]


def _blurred() -> np.ndarray:
    """Binomial weights 1 4 6 4 1 over rows and columns, circular, (64, 64)."""
    shifts = zip((1.0, 4.0, 6.0, 4.0, 1.0), range(-2, 3), strict=True)
    line = sum(weight / 16.0 * np.roll(np.eye(SIDE), by, 1) for weight, by in shifts)
    return np.kron(line, line)


def _coarse() -> np.ndarray:
    """Means of squares of 2 x 2 pixels, (16, 64)."""
    line = np.kron(np.eye(SIDE // 2), [[0.5, 0.5]])
    return np.kron(line, line)


TASKS: dict[str, tuple[Callable[[], np.ndarray], int]] = {
    "inpainting": (_upper_half, 70),
    "blur": (_blurred, 7),
    "superresolution": (_coarse, 87),
}
"""By name: the operator A, and the held-out digit measured by default, one of those that
leave two components of the prior likely."""


def digits(task: str, index: int | None = None) -> Target:
    """One digit to be restored, along VP with beta from 0.1 to 20.

    Args:
        task: "inpainting" (lower half missing, m = 32), "blur" (m = 64, 15 directions of
            the image lost altogether) or "superresolution" (m = 16).
        index: of the held-out digit, 0 to 296; by default that of `TASKS`. The noise
            depends on it and on m alone.

    Raises:
        InputError: for an unknown task or digit, or without scikit-learn (the extra
            `data`).
    """
    operator, usual = choose(task, TASKS, "task")
    A, truths = operator(), digit_images()
    index = usual if index is None else index
    require(
        0 <= index < len(truths),
        "no such digit",
        got=f"index {index}",
        expected=f"a held-out digit, 0 to {len(truths) - 1}",
        hint="the others are those that the prior was fitted to",
    )
    noise = np.random.default_rng([index, len(A)]).standard_normal(len(A))
    return _target(*_fitted(), A, A @ truths[index] + NOISE * noise)


def digit_images() -> np.ndarray:
    """The held-out digits, (297, 64), from -1 to 1.

    Raises:
        InputError: without scikit-learn.
    """
    return _images()[TRAINED:]


@eqx.filter_jit
def _target(weights, means, covariances, A, y) -> Target:
    """Built by one program, in half the time."""
    prior = GaussianMixture.full(weights, means, covariances)
    return Target(InverseProblem(prior, Linear(A, NOISE**2), y), VP())


@functools.cache
def _images() -> np.ndarray:
    """All digits, (1797, 64)."""
    datasets, _ = _scikit_learn()
    return datasets.load_digits().data / 8.0 - 1.0


@functools.cache
def _fitted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (16,), means and covariances by EM: about a second, once a process."""
    _, mixture = _scikit_learn()
    from threadpoolctl import threadpool_limits  # scikit-learn requires it

    with threadpool_limits(1):  # small matrices: threads would wait for each other
        found = mixture.GaussianMixture(
            COMPONENTS, reg_covar=REGULARISATION, random_state=0
        ).fit(_images()[:TRAINED])
    return found.weights_, found.means_, found.covariances_


def _scikit_learn():
    try:
        from sklearn import datasets, mixture
    except ImportError:
        fail(
            "scikit-learn is not installed",
            got="no module named sklearn",
            expected="the extra `data`, for the digits",
            hint="pip install 'gmm_testbed[data]'",
        )
    return datasets, mixture
