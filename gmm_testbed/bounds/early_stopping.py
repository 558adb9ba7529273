r"""T36: what stopping at noise level v > 0 costs, and half denoising.

With \(v = \sigma^2/\alpha^2\) and z = x/alpha of law p_v = p_0 * N(0, v I):

- as it is: \(W_2(p_v, p_0) \le \sqrt{dv}\), by the coupling \(x_0 + \sqrt v \varepsilon\);
- denoised, m(z) = E[x_0 | z]: \(Var\,m(z) \le Var\,x_0\) (law of total variance), too
  narrow, at a distance O(v);
- half denoised, \(z + \tfrac v2 \nabla\log p_v(z)\), half of the way to m: O(v^2), as the
  flow \(dz = -\tfrac12 \nabla\log p_v\, dv\) takes p_v to p_0 and this is one Euler step.

For \(N(\mu, s^2)\) the three distances are
\(\sqrt{s^2+v} - s\), \(s - s^2/\sqrt{s^2+v}\) and \((s^2 + v/2)/\sqrt{s^2+v} - s\).

Orders are measured between v and v/2, and claimed where v is below the smallest variance
c of a component, up to v/c: the first term that the orders leave out. In space two
Gaussians stand beside the mixture, and the squares of distances add up.
Source of the last: Beyler and Bach 2025 (arXiv:2503.12966).
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ..divergences import line_expectation
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Facts, Limit, computed, outside
from .tools import line_pairs, space
from .tools.assumptions import has_density

_SMALLEST = 0.16  # variance of a component
_MIXTURE = (-1.0, 1.5), (_SMALLEST, 0.36)  # means and variances
_GAUSSIAN = 0.6  # variance of the Gaussian
_DIGITS = 1e-7  # of a transport distance
_FAINT = 1e-4  # v from which half denoising leaves a distance that is resolved


class EarlyStopping(AbstractBound):
    """Stopping a mixture and a Gaussian at v, over v and d."""

    facts: ClassVar[Facts] = Facts(
        statement="W2(p_v, p_0) <= sqrt(d v); denoised narrow; as v -> 0: denoised O(v), "
        "half denoised O(v^2)",
        assumptions=("p_0 has a density", "v > 0"),
        source="Beyler and Bach 2025, arXiv:2503.12966; proofs in the docstring",
        status="proved",
        limits=(Limit("dim", only=(1, 3)),),
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"v": v, "dim": dim} for dim in (1, 3) for v in (1.0, 0.1, 0.03, 0.01, 0.003)
    )

    def claims(self, key, case):
        v, prior = case["v"], space.two_modes(case["dim"])
        kept = has_density(prior.whole()), v > 0.0
        if not v > 0.0:
            return outside(kept)
        proved, orders = _sides(prior, jnp.asarray(v))
        claims = [
            computed(*sides, equal=slack > 0, tolerance=slack, assumptions=kept)
            for *sides, slack in proved
            if case["dim"] == 1 or not slack  # the Gaussian is on the line
        ]
        if not _FAINT <= v < _SMALLEST:
            return claims
        slack = v / _SMALLEST
        return claims + [
            computed(*sides, equal=True, tolerance=slack, assumptions=kept)._replace(
                status="asymptotic"
            )
            for sides in orders
        ]


@eqx.filter_jit
def _sides(rotated, v):
    # The Gaussian as two equal components: all three are one program.
    both = _MIXTURE, _MIXTURE, ((0.5, 0.5), (_GAUSSIAN, _GAUSSIAN))
    means, variances = map(jnp.asarray, zip(*both, strict=True))
    levels = jnp.stack([v, 0.5 * v, v])
    squares = jax.vmap(distances_squared)(means, variances, levels)
    plain, narrow, fair = jnp.sqrt(squares[2])
    squares = squares[:2] + jax.vmap(lambda v: _beside(rotated.variances, v))(
        levels[:2]
    )
    stopped, order = jnp.sqrt(squares[0, 0]), 0.5 * jnp.log2(squares[0] / squares[1])
    prior, scale = rotated.line, jnp.sqrt(v)
    one = jnp.ones_like(v)
    second = line_expectation(
        prior.noised(one, scale), lambda z: prior.denoised_mean(z, one, scale) ** 2
    )
    variance = second[0] - prior.mean()[0] ** 2
    variance += jnp.sum(rotated.variances**2 / (rotated.variances + v))
    s, wide = _GAUSSIAN**0.5, jnp.sqrt(_GAUSSIAN + v)
    orders = [
        ("order of denoising", order[1], one),
        ("order of half denoising", order[2], 2.0 * one),
    ]
    proved = [
        ("stopped", stopped, jnp.sqrt(rotated.dim * v), 0.0),
        ("denoised is narrow", variance, rotated.whole().total_variance(), 0.0),
        ("Gaussian, stopped", plain, wide - s, _DIGITS),
        ("Gaussian, denoised", narrow, s - s**2 / wide, _DIGITS),
        ("Gaussian, half denoised", fair, (s**2 + 0.5 * v) / wide - s, _DIGITS),
    ]
    return proved, orders


def _beside(variances, v):
    """Squares of the three distances of the Gaussians beside the mixture, (3,)."""
    s, wide = jnp.sqrt(variances), jnp.sqrt(variances + v)
    gaps = jnp.stack([wide - s, s - s**2 / wide, (s**2 + 0.5 * v) / wide - s])
    return jnp.sum(gaps**2, axis=1)


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
