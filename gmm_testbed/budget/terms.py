r"""One step of the budget, at one point.

Let \(x_s | x_t, y\) have the exact mean \(M(x) = a x + c\, m^y(x)\) and the sampler's
step be \(N(a(x), S)\). Given \(x_0\) the exact step is \(N(a x + c x_0, \tilde b I)\), so
with \(I\) the information about \(x_0\) (in nats) and \(C^y = Cov[x_0 | x_t, y]\)

\[ E\, KL(p(x_s | x_t, y) \| N(a, S)) = \tfrac12 E \big[ \log |S / \tilde b|
   + \tilde b \operatorname{tr} S^{-1} - d + c^2 \operatorname{tr} S^{-1} C^y
   + \|a - M\|^2_{S^{-1}} \big] - (I_s - I_t) . \]

The last square is split along \(a - M = (a - a_0) + (a_0 - a_*) + (a_* - M)\), where
\(a_0\) is the step of the method with the exact denoiser and \(a_*\) that of the exact
field in the same kernel, or M itself where there is no kernel.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from .._types import Scalar, Vector
from ..algorithms import Guided
from ..approximations import Exact
from ..gaussian import AbstractRoot, Spectral
from ..kernels.base import bridge
from ..method import AbstractMarkov
from ..problem import Target


class Terms(NamedTuple):
    """Parts of the divergence of one step, () each, or stacked.

    Attributes:
        approximation: half the square of the method's error of the mean.
        score: half the square of what the score error adds to it.
        cross: what the squares leave out; zero for a DDPM mean and the exact score.
        discretisation: the rest: the exact field, one Gaussian for a mixture.
    """

    approximation: Scalar
    score: Scalar
    cross: Scalar
    discretisation: Scalar


def step_terms(
    sampler: AbstractMarkov,
    target: Target,
    x: Vector,
    t: Scalar,
    s: Scalar,
    gain: Scalar,
) -> tuple[Terms, Scalar]:
    """The terms of the step from t to s at x_t = x, and the smallest scale of the step.

    Args:
        sampler: its kernel is random; the terms are infinite or NaN if it is not.
        target: with a posterior that is a mixture.
        x: (d,).
        t: time.
        s: the next time, s < t.
        gain: information gained in the step, at this point.
    """
    dim = jnp.asarray(x.shape[0], x.dtype)
    path, step = target.path, bridge(target.path, t, s)
    law = target.exact_posterior.denoised(x, path.alpha(t), path.sigma(t))
    mean = step.a * x + step.c * law.mean()
    made = sampler.transition(target, x, t, s)
    without, ideal = made.mean, mean
    if target.denoiser is not None:
        without = sampler.transition(target.seen_exactly, x, t, s).mean
    if isinstance(sampler, Guided):
        if isinstance(sampler.approximation, Exact):
            ideal = without  # no error, not one of rounding
        else:
            exact = Guided(Exact(), sampler.kernel)
            ideal = exact.transition(target.seen_exactly, x, t, s).mean
    root = made.root
    score, approximation, kernel = (
        root.whiten(part)
        for part in (made.mean - without, without - ideal, ideal - mean)
    )
    cross = approximation @ score + kernel @ (approximation + score)
    rest = 0.5 * kernel @ kernel + _spread(root, step, law)
    rest += root.log_det() - 0.5 * dim * (jnp.log(step.variance) + 1.0) - gain
    terms = Terms(0.5 * approximation @ approximation, 0.5 * score @ score, cross, rest)
    return terms, root.least()


def _spread(root: AbstractRoot, step, law) -> Scalar:
    """Half the trace of (S S^T)^{-1} (variance I + c^2 C), ()."""
    dim = jnp.asarray(law.dim, law.means.dtype)
    if isinstance(root, Spectral) and root.spectrum.shape[0] == 0:
        total = dim * step.variance + step.c**2 * law.total_variance()
        return 0.5 * total / root.base
    eye = jnp.eye(law.dim, dtype=law.means.dtype)
    columns = jax.vmap(root.whiten)(eye)  # W^T
    rows = columns.T
    carried = jax.vmap(law.covariance_product)(rows)
    return 0.5 * (
        step.variance * jnp.sum(rows**2) + step.c**2 * jnp.sum(carried * rows)
    )
