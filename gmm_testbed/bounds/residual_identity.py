r"""T13: a twist corrected by its residual is the likelihood.

With Q, S and R of `bounds.twisted`: R = 0 if and only if the twist solves the backward
equation of the prior's reverse diffusion, as \(u = p(y|z_v)\) does, and

\[ \frac{dP^y}{dQ} = \frac{\hat Z}{p(y)}\, e^S , \qquad
   \hat Z\, E_Q[e^S f(z_\delta)] = p(y)\, E[f(z_\delta) | y] . \]

\(\log(u/\psi)\) along Q changes by a martingale part and \(-R\,dv\) minus half of its
square (Ito, with the backward equation of u), which is Girsanov's density between the two
drifts; the start contributes \(\hat Z u_T / (p(y) \psi_T)\).

For DPS and a linear measurement R is the closed form of `gt.smc.residual`, and of both
signs: positive where the pull of y is large, negative where y is met.

Source: Feynman and Kac; the residual of DPS is the reaction term of Delgadino et al.
(arXiv:2605.06538).
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import require
from ..estimate import Estimate
from ..smc import residual
from .base import AbstractBound, Case, Claim, Facts
from .tools import twisted

_PATHS = 2000
_STEPPING = 2e-3  # of weighted means, for finite steps; with 40,000 paths none is seen
_ROUNDING = 1e-9  # of second derivatives, times 1 / v^2 at most 2500


class ResidualIdentity(AbstractBound):
    """Residuals at points, and moments of the weighted diffusion of DPS on atoms."""

    facts: ClassVar[Facts] = Facts(
        statement="dP^y/dQ = (Z/p(y)) exp(int R dv) u/psi; R = 0 iff psi is a likelihood",
        assumptions=("a positive twist, whose gradient guides",),
        source="here, proof in the docstring; R of DPS: arXiv:2605.06538",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = (
        {"prior": "two modes"},
        {"prior": "atoms", "v_min": 0.3},
        {"prior": "atoms", "v_min": 1.0},
    )

    def setting(self, case):
        smooth = case["prior"] == "two modes"
        target = twisted.two_modes() if smooth else twisted.atoms(case["v_min"])
        return {"twist": twisted.TWISTS["DPS"], "target": target}

    def sides(self, key, twist, target):
        twisted.require_levels(target)
        if not target.problem.prior.atomic:
            return _pointwise(twist, target)
        found = twisted.trajectories(key, twist, target, _PATHS)
        log_y = target.problem.log_evidence()
        log_z = twisted.two_ways(twist, target).log_normaliser
        weights = jnp.exp(found.log_weight + log_z - log_y)
        law = target.posterior(jnp.zeros(()))
        mean, variance = law.mean()[0], law.total_variance()
        return [
            _sampled("evidence", weights, 1.0),
            _sampled("weighted mean", weights * found.last, mean),
            _sampled("weighted variance", weights * (found.last - mean) ** 2, variance),
        ]


def _pointwise(twist, target):
    slope = float(target.problem.measurement.A[0, 0])
    require(
        slope == 1.0,
        "the closed form of this residual is that of y = x + noise",
        got=f"y = {slope:g} x + noise",
        expected="a slope of 1",
        hint="divide y and the noise by the slope",
    )
    found, closed = _residuals(twist, target), _closed(target)
    return [
        _zero("R of the exact twist", _residuals(twisted.TWISTS["exact"], target)),
        _zero("R of DPS less its closed form", found - closed),
        _signed("somewhere positive", 0.0, jnp.max(closed)),
        _signed("somewhere negative", jnp.min(closed), 0.0),
    ]


def _grid(target):
    """Times (5,) and points (41,), wider than the prior."""
    t = jnp.linspace(0.05, 0.95, 5, dtype=target.path.sigma_min.dtype)
    return t, jnp.linspace(-4.0, 4.0, 41, dtype=t.dtype)


@eqx.filter_jit
def _residuals(twist, target):
    t, x = _grid(target)
    along = jax.vmap(lambda x, t: residual(twist, target, x[None], t), (0, None))
    return jax.vmap(along, (None, 0))(x, t)


@eqx.filter_jit
def _closed(target):
    """(|C r / R_y|^2 - C^2 / R_y) / 2 v^2."""
    t, x = _grid(target)
    noise = target.problem.measurement.R[0, 0]

    def at(x, t):
        v, spread = target.path.sigma(t) ** 2, target.prior_covariance(x[None], t)[0, 0]
        gap = (target.problem.y - target.prior_mean(x[None], t))[0]
        return 0.5 * (spread / v) ** 2 * ((gap / noise) ** 2 - 1.0 / noise)

    return jax.vmap(jax.vmap(at, (0, None)), (None, 0))(x, t)


def _zero(label, values) -> Claim:
    largest = Estimate(jnp.max(jnp.abs(values)))
    return Claim(label, largest, Estimate(0.0), True, _ROUNDING)


def _signed(label, left, right) -> Claim:
    return Claim(label, Estimate(left), Estimate(right))


def _sampled(label, terms, right) -> Claim:
    tolerance = _STEPPING * abs(float(right))
    sides = Estimate.mean_of(terms), Estimate(right)
    return Claim(label, *sides, True, tolerance)
