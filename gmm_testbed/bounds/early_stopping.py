r"""T36: what stopping at noise level v > 0 costs, and half denoising.

With \(v = \sigma^2/\alpha^2\) and z = x/alpha of law p_v = p_0 * N(0, v I):

- as it is: \(W_2(p_v, p_0) \le \sqrt{dv}\), by the coupling \(x_0 + \sqrt v \varepsilon\);
- denoised, m(z) = E[x_0 | z]: \(Var\,m(z) \le Var\,x_0\) (law of total variance), too
  narrow, at a distance O(v);
- half denoised, \(z + \tfrac v2 \nabla\log p_v(z)\), half of the way to m: O(v^2), as the
  flow \(dz = -\tfrac12 \nabla\log p_v\, dv\) takes p_v to p_0 and this is one Euler step.

For \(N(\mu, s^2)\) the three distances are
\(\sqrt{s^2+v} - s\), \(s - s^2/\sqrt{s^2+v}\) and \((s^2 + v/2)/\sqrt{s^2+v} - s\).

Orders are measured between v and v/2, and claimed where v is below a tenth of the
smallest variance of a component.
Source of the last: Beyler and Bach 2025 (arXiv:2503.12966).
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ..divergences import line_expectation
from ..mixture import GaussianMixture
from . import line_pairs
from .assumptions import has_density
from .base import AbstractBound, Case, Facts, computed

_SMALLEST = 0.16  # variance of a component
_MIXTURE = (-1.0, 1.5), (_SMALLEST, 0.36)  # means and variances
_GAUSSIAN = 0.6  # variance of the Gaussian
_ORDER = 0.2  # of a measured order
_DIGITS = 1e-7  # of a transport distance


class EarlyStopping(AbstractBound):
    """Stopping a mixture and a Gaussian at v, over v."""

    facts: ClassVar[Facts] = Facts(
        statement="W2(p_v, p_0) <= sqrt(d v); denoised O(v), narrow; half denoised O(v^2)",
        assumptions=("p_0 has a density", "orders: small v"),
        source="Beyler and Bach 2025, arXiv:2503.12966; proofs in the docstring",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple({"v": v} for v in (1.0, 0.1, 0.01))

    def claims(self, key, case):
        small = case["v"] <= 0.1 * _SMALLEST
        dense = has_density(_prior(*_MIXTURE))
        sides = _sides(jnp.asarray(case["v"]))
        return [
            computed(
                label,
                left,
                right,
                equal=tolerance > 0,
                tolerance=tolerance,
                assumptions=(dense, small or "order" not in label),
            )
            for label, left, right, tolerance in sides
        ]


@eqx.filter_jit
def _sides(v):
    # The Gaussian as two equal components: all three are one program.
    both = _MIXTURE, _MIXTURE, ((0.5, 0.5), (_GAUSSIAN, _GAUSSIAN))
    means, variances = map(jnp.asarray, zip(*both, strict=True))
    levels = jnp.stack([v, 0.5 * v, v])
    squares = jax.vmap(distances_squared)(means, variances, levels)
    stopped = jnp.sqrt(squares[0, 0])
    order = 0.5 * jnp.log2(squares[0] / squares[1])
    plain, narrow, fair = jnp.sqrt(squares[2])
    prior, scale = _prior(means[0], variances[0]), jnp.sqrt(v)
    one = jnp.ones_like(v)
    second = line_expectation(
        prior.noised(one, scale), lambda z: prior.denoised_mean(z, one, scale) ** 2
    )
    variance = second[0] - prior.mean()[0] ** 2
    s, wide = _GAUSSIAN**0.5, jnp.sqrt(_GAUSSIAN + v)
    return [
        ("stopped", stopped, jnp.sqrt(v), 0.0),
        ("denoised is narrow", variance, prior.total_variance(), 0.0),
        ("order of denoising", order[1], one, _ORDER),
        ("order of half denoising", order[2], 2.0 * one, _ORDER),
        ("Gaussian, stopped", plain, wide - s, _DIGITS),
        ("Gaussian, denoised", narrow, s - s**2 / wide, _DIGITS),
        ("Gaussian, half denoised", fair, (s**2 + 0.5 * v) / wide - s, _DIGITS),
    ]


def distances_squared(means, variances, v):
    """Squared W2 to the prior: stopped, denoised and half denoised, (3,)."""
    prior, one, scale = _prior(means, variances), jnp.ones_like(v), jnp.sqrt(v)

    def costs(z, x0):
        full = prior.denoised_mean(z[None], one, scale)[0]
        ends = jnp.stack([z, full, 0.5 * (z + full)])
        return (ends - x0) ** 2

    return line_pairs.transport(prior.noised(one, scale), prior, costs)


def _prior(means, variances):
    means = jnp.asarray(means)[:, None]
    return GaussianMixture.isotropic([0.4, 0.6], means, variances)
