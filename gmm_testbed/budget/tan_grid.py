r"""The time grid with the least divergence of the deterministic sampler's output.

For data \(N(m, c^2 I)\), the exact field and the exact law at the start, the output of N
Euler steps in \(\sigma/\alpha\) (DDIM without noise) diverges least from the truth with
equal steps of the angle \(\arctan(\sigma/(\alpha c))\). With \(\delta\) a step of it,

\[ KL(p \| q) = \tfrac d2 (f - 1 - \log f), \qquad f = \cos(\delta)^{-2N} . \]

A step from angle a to b multiplies x by \(\cos(a - b) \cos a / \cos b\) in these variables,
so that the variance of the output is the exact one times \(\prod \cos^2(a_i - a_{i+1})\),
and \(-\log\cos\) is convex. Source: Sabour, Fidler and Kreis 2024 (arXiv:2404.14507),
Theorem 3.1; the form of f is our own.
"""

import jax.numpy as jnp
from jaxtyping import ArrayLike, Real

from .._checks import require
from .._types import Times
from ..paths.grids import check_times, time_grid
from ..problem import Target


def tan_grid(
    target: Target,
    num_steps: int,
    t_max: Real[ArrayLike, ""] = 1.0,
    t_min: Real[ArrayLike, ""] = 1e-3,
) -> Times:
    r"""Times (num_steps + 1,) equally spaced in \(\arctan(\sigma/(\alpha c))\).

    Args:
        target: with a posterior that is a mixture; \(c^2\) is its mean variance, over
            dimensions and components. The theorem is for one of variance \(c^2 I\).
        num_steps: N, at least 1.
        t_max: (), first time.
        t_min: (), last time.

    Raises:
        InputError: as `gt.time_grid`, or if the posterior is a single point.
        UnsupportedError: if the posterior is not a mixture.
    """
    ends = time_grid(target.path, 1, t_max=t_max, t_min=t_min)
    posterior = target.problem.posterior()
    scale = jnp.sqrt(posterior.total_variance() / posterior.dim)
    require(
        bool(scale > 0),
        "a tan grid needs a spread of the data",
        got="a posterior that is one point",
        expected="a posterior with a variance",
        hint='take "log_snr", the limit of small variances',
    )
    angles = jnp.arctan(jnp.exp(-0.5 * target.path.log_snr(ends)) / scale)
    spaced = jnp.linspace(angles[0], angles[1], num_steps + 1)[1:-1]
    inner = target.path.time_at_log_snr(-2.0 * jnp.log(scale * jnp.tan(spaced)))
    times = jnp.concatenate([ends[:1], inner, ends[1:]])
    check_times(times)
    return times
