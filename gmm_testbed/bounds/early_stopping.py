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

from .._types import Scalar
from ..divergences import line_expectation
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Facts, Limit, computed, outside
from .spaces import Between, Mixtures
from .tools import line_pairs, space
from .tools.assumptions import has_density

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
        search={"prior": Mixtures(least=1e-4), "v": Between(1e-3, 10.0)},
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"v": v, "dim": dim} for dim in (1, 3) for v in (1.0, 0.1, 0.03, 0.01, 0.003)
    )

    def setting(self, case):
        return {"prior": space.two_modes(case["dim"]), "v": case["v"]}

    def sides(self, key, prior, v):
        prior = space.rotated(prior)
        kept = has_density(prior.whole()), v > 0.0
        if not v > 0.0:
            return outside(kept)
        proved, orders = _sides(prior, jnp.asarray(v))
        claims = [
            computed(*sides, equal=slack > 0, tolerance=slack, assumptions=kept)
            for *sides, slack in proved
            if prior.dim == 1 or not slack  # the Gaussian is on the line
        ]
        smallest = float(jnp.min(prior.line.base))
        if not _FAINT <= v < smallest:
            return claims
        slack = v / smallest
        return claims + [
            computed(*sides, equal=True, tolerance=slack, assumptions=kept)._replace(
                status="asymptotic"
            )
            for sides in orders
        ]


@eqx.filter_jit
def _sides(rotated, v):
    # The Gaussian as equal components: all three are one program.
    prior, levels = rotated.line, jnp.stack([v, 0.5 * v, v])
    gaussian = eqx.tree_at(
        lambda mixture: (mixture.means, mixture.base),
        prior,
        (0.0 * prior.means + 0.5, 0.0 * prior.base + _GAUSSIAN),
    )
    three = jax.tree.map(lambda *leaves: jnp.stack(leaves), prior, prior, gaussian)
    squares = jax.vmap(distances_squared)(three, levels)
    plain, narrow, fair = jnp.sqrt(squares[2])
    squares = squares[:2] + jax.vmap(lambda v: _beside(rotated.variances, v))(
        levels[:2]
    )
    stopped, order = jnp.sqrt(squares[0, 0]), 0.5 * jnp.log2(squares[0] / squares[1])
    one, scale = jnp.ones_like(v), jnp.sqrt(v)
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


def distances_squared(prior: GaussianMixture, v: Scalar):
    """Squared W2 to a prior on the line: stopped, denoised and half denoised, (3,)."""
    one, scale = jnp.ones_like(v), jnp.sqrt(v)

    def costs(z, x0):
        full = prior.denoised_mean(z[None], one, scale)[0]
        ends = jnp.stack([z, full, 0.5 * (z + full)])
        return (ends - x0) ** 2

    return line_pairs.transport(prior.noised(one, scale), prior, costs)
