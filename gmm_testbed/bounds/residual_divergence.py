r"""T14: divergences of paths from the residual alone, without the exact posterior's drift.

With Q and S of `bounds.twisted`, and the law of S under Q only,

\[ KL(Q \| P^y) = \log E_Q e^S - E_Q S, \qquad
   KL(P^y \| Q) = \frac{E_Q S e^S}{E_Q e^S} - \log E_Q e^S , \]

both one line from T13. Where R is bounded, as for atoms, with
\(\Omega = \int \operatorname{osc}_x R_v\,dv + \operatorname{osc}_x \log(u/\psi)_\delta\),

\[ KL(Q \| P^y),\; KL(P^y \| Q) \le \Omega^2/8, \qquad
   KL(Q \| P^y) + KL(P^y \| Q) \le \Omega \tanh(\Omega/4) , \]
\[ \sup_x |\log(u/\psi)|_v \le \sup_x |\log(u/\psi)|_\delta
   + \int_\delta^v \sup_x |R|\,dv : \]

Hoeffding's lemma for S under Q and for -S under \(P^y\). The sum of both is
\(E_{P^y} S - E_Q S \le \Omega\,TV\), and densities whose ratio \(e^S/E_Q e^S\) varies by
a factor of at most \(e^\Omega\) have \(TV \le \tanh(\Omega/4)\), as two points show that
have masses \(1/(1 + e^{\Omega/2})\) and the rest exchanged: nothing smaller would do for
the sum. The last is the representation of \(u/\psi\) by T13, started at z. The
oscillations are those on a grid of points that holds the atoms at every level.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ..estimate import Estimate
from ..smc import residual
from .base import BUILT, AbstractBound, Case, Claim, Facts
from .tools import twisted

_PATHS = 2000
_POINTS = 4001
_STEPPING = 2e-3  # nats, for finite steps; with 40,000 paths none is seen


class ResidualDivergence(AbstractBound):
    """DPS on atoms, over the level at which it stops: R grows like 1 / v^2."""

    facts: ClassVar[Facts] = Facts(
        statement="KL(Q||P) = log E e^S - E S, KL(P||Q) = E S e^S/E e^S - log E e^S, "
        "each <= osc(S)^2 / 8, both <= osc(S) tanh(osc(S) / 4)",
        assumptions=(
            "a positive twist, whose gradient guides",
            "bounded R, as for atoms",
        ),
        source="here, proof in the docstring; Hoeffding's lemma",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = ({"v_min": 0.3}, {"v_min": 1.0})

    def setting(self, case):
        return {"twist": twisted.TWISTS["DPS"], "target": twisted.atoms(case["v_min"])}

    def sides(self, key, twist, target):
        twisted.require_levels(target)
        exact = twisted.two_ways(twist, target)
        found = twisted.trajectories(key, twist, target, _PATHS)
        S = found.log_weight
        log_mean = jax.nn.logsumexp(S) - jnp.log(_PATHS)
        weights = jnp.exp(S - log_mean)
        tilted = jnp.mean(weights * S)
        reverse = _estimate(log_mean - jnp.mean(S), weights - S)
        forward = _estimate(tilted - log_mean, weights * (S - tilted - 1.0))
        missing = target.problem.log_evidence() - exact.log_normaliser
        drifts = Estimate.mean_of(found.girsanov) + missing
        quadrature = _exact(exact.girsanov)
        kept = BUILT, target.problem.prior.atomic
        end, grown, start = _extremes(twist, target)
        osc = end[0] + grown[0]
        both = osc * jnp.tanh(0.25 * osc)
        claims = [
            _claim("KL(Q || P)", reverse, drifts, True),
            _claim("KL(P || Q)", forward, quadrature, True),
            _claim("KL(Q || P), oscillation", drifts, _exact(osc**2 / 8.0)),
            _claim("KL(P || Q), oscillation", quadrature, _exact(osc**2 / 8.0)),
            _claim("both, oscillation", drifts + quadrature, _exact(both)),
            _claim("log(u / psi)", _exact(start), _exact(end[1] + grown[1])),
        ]
        return [claim._replace(assumptions=kept) for claim in claims]


@eqx.filter_jit
def _extremes(twist, target):
    """Oscillation and supremum over x, of three things.

    log(u / psi) at the end; R, integrated; the supremum of log(u / psi) at the start.
    """

    def over_points(function, t):
        # Shares of atoms change over a few v / distance, distances being 0.7 and more.
        reach = 3.0 + 20.0 * target.path.sigma(t) ** 2
        x = reach * jnp.linspace(-1.0, 1.0, _POINTS, dtype=t.dtype)
        values = jax.vmap(lambda x: function(twist, target, x[None], t))(x)
        least, most = _highest(-values), _highest(values)
        return jnp.stack([least + most, jnp.maximum(least, most)])

    last = jnp.zeros_like(target.path.sigma_min)
    grown = twisted.over_levels(lambda t: over_points(residual, t), target)
    ends = [over_points(twisted.log_ratio, t) for t in (last, last + 1.0)]
    return ends[0], grown, ends[1][1]


def _highest(values):
    """The largest of a smooth function at equal distances (n,): of a parabola there."""
    at = jnp.clip(jnp.argmax(values), 1, values.shape[0] - 2)
    before, here, after = values[at - 1], values[at], values[at + 1]
    bend = 2.0 * here - before - after
    rise = (after - before) ** 2 / (8.0 * jnp.where(bend > 0, bend, 1.0))
    return jnp.maximum(jnp.max(values), here + jnp.where(bend > 0, rise, 0.0))


def _estimate(value, terms) -> Estimate:
    """A function of means, with the error of `terms`, its derivative along the samples."""
    return Estimate(value, Estimate.mean_of(terms).stderr, f"{_PATHS} samples")


def _exact(value) -> Estimate:
    return Estimate(value, how="quadrature")


def _claim(label, left, right, equal=False) -> Claim:
    return Claim(label, left, right, equal, _STEPPING * equal)
