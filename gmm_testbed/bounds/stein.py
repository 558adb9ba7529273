r"""T28: kernelised Stein discrepancy is below Fisher, and as blind.

With \(d = \nabla \log (q/p)\) and a positive definite kernel of \(k(x, x) \le 1\),

\[ KSD^2(q, p) = E_{x, x' \sim q}[d(x) \cdot d(x')\, k(x, x')]
   \le (E_q \|d\|)^2 \le FI(q\|p) , \]

by \(|k| \le 1\). Integration by parts removes the score of q, which makes it computable
from samples of q:

\[ KSD^2 = E_{x,x' \sim q}\, s_p(x) s_p(x') k + s_p(x) \partial_{x'} k
   + s_p(x') \partial_x k + \partial_x \partial_{x'} k . \]

Both are double integrals here. For two separated modes with wrong weights KSD vanishes
with the Fisher divergence (`log_sobolev`), while the total variation is
\(|w - u|\,(2\Phi(a) - 1)\), by the sign of x.

Source: Liu, Lee and Jordan 2016 (arXiv:1602.03253).
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import erf

from ..divergences import line_rule
from ..estimate import Estimate
from .base import AbstractBound, Case, Claim, Facts, Limit, computed
from .log_sobolev import blindness, fisher_of, same_two_modes, wrong_weights
from .spaces import Mixtures
from .tools import line_pairs, space

_WIDTH = 0.8  # of the Gaussian kernel
_ROUNDING = 1e-12  # absolute: the Stein kernel has terms of order one
_CROSSING = 1e-7  # of the total variation, where the densities cross


class SteinDiscrepancy(AbstractBound):
    """KSD of two modes with wrong weights, over the separation."""

    facts: ClassVar[Facts] = Facts(
        statement="KSD^2(q, p) <= FI(q || p), and both miss the weights of far modes",
        assumptions=("k(x, x) <= 1",),
        source="Liu, Lee and Jordan 2016, arXiv:1602.03253; proof in the docstring",
        status="proved",
        limits=(Limit("separation", -20.0, 20.0),),
        search={"q": Mixtures(components=2), "p": Mixtures(components=2)},
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"separation": a} for a in (0.5, 1.0, 2.0, 3.0, 4.0)
    )

    def setting(self, case):
        return wrong_weights(case["separation"])

    def sides(self, key, q, p):
        space.on_the_line(q, p)
        claims, largest = _claims(q, p)
        if same_two_modes(q, p):
            claims += _of_two_modes(claims[0].left.value, q, p)
        kept = (bool(largest <= 1.0),)
        return [claim._replace(assumptions=kept) for claim in claims]


@eqx.filter_jit
def _claims(q, p):
    x, weights = line_rule(q)
    score = jax.vmap(p.score)(x)[:, 0]
    gap = jax.vmap(q.score)(x)[:, 0] - score
    r = (x - x.T) / _WIDTH
    gaussian, inverse = jnp.exp(-0.5 * r**2), 1.0 / jnp.sqrt(1.0 + r**2)
    slope = -r / _WIDTH  # of the logarithm of the Gaussian kernel in x
    stein = score[:, None] * score[None] - slope * (score[:, None] - score[None])
    stein = (stein + 1.0 / _WIDTH**2 - slope**2) * gaussian

    def averaged(values):
        return weights @ values @ weights

    products = gap[:, None] * gap[None]
    squares = averaged(products * gaussian)
    fisher, other = fisher_of(q, p), averaged(products * inverse)
    claims = [
        Claim("Gaussian kernel", Estimate(squares, how="quadrature"), fisher),
        Claim("inverse multiquadric", Estimate(other, how="quadrature"), fisher),
        computed("by parts", averaged(stein), squares, equal=True, tolerance=_ROUNDING),
    ]
    diagonals = jnp.diagonal(gaussian), jnp.diagonal(inverse)
    return claims, jnp.max(jnp.stack(diagonals))


@eqx.filter_jit
def _of_two_modes(squares, q, p):
    """What holds for two modes with other weights."""
    change = jnp.abs(jnp.exp(q.log_weights[0]) - jnp.exp(p.log_weights[0]))
    seen = change * jnp.abs(erf(p.means[1, 0] / jnp.sqrt(2.0)))
    found = {"left": line_pairs.tv(q, p), "right": seen, "tolerance": _CROSSING}
    return [
        computed("blind as Fisher", squares, blindness(q, p)),
        computed("total variation sees it", **found, equal=True),
    ]
