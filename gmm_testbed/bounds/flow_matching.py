r"""T45: what a velocity that errs costs a flow, in KL.

Let p and q follow dz = u dt and dz = v dt from one law. Since the two densities satisfy
continuity equations,

\[ \frac{d}{dt} KL(p_t\|q_t) = E_{p_t} (u - v)\cdot\nabla\log\frac{p_t}{q_t} , \]

by parts, the surface terms vanishing. With \(\epsilon^2 = \int E_p |u - v|^2 dt\) and
\(S = \int E_p |\nabla\log p_t/q_t|^2 dt\) the integral is at most \(\epsilon\sqrt S\)
(Cauchy and Schwarz), in any clock t.

Here u is the probability flow of a mixture in \(z = x/\alpha\), in the clock
\(t = -\log\kappa\), \(\kappa = \sigma/\alpha\): u = m(z) - z with m the exact denoised
mean, so that \(p_t\) is the mixture noised to \(\kappa\), and v is the same with a denoiser
that errs. The score of \(q_t\) is that of the law carried by v, by two derivatives of its
flow.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._checks import unsupported
from ..divergences import line_expectation
from ..mixture import GaussianMixture
from ..problem.denoisers import Prior, ScoreError
from .base import AbstractBound, Case, Facts, computed

_STEPS, _TIMES = 96, 32  # of a flow, of the integral over time
_INTEGRAL = 1e-7  # nats, what they leave
_WIDTH = 6.0  # standard deviations where a flow is asked for its slope


class FlowMatching(AbstractBound):
    """Two modes on the line, over errors of the score."""

    facts: ClassVar[Facts] = Facts(
        statement="KL(p_1||q_1) = int E_p (u - v).(s_p - s_q) dt <= eps sqrt(S)",
        assumptions=("both flows begin in one law", "both are injective"),
        source="Su, Hu, Pi and Liu, arXiv:2511.05480; proof in the docstring",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"relative": relative, "offset": offset}
        for relative, offset in ((0.05, 0.0), (0.2, 0.0), (-0.1, 0.2), (0.0, 0.3))
    )

    def setting(self, case):
        """A prior, a denoiser that errs, and the first and last noise level."""
        means = jnp.asarray([[-1.0], [1.5]])
        prior = GaussianMixture.isotropic([0.4, 0.6], means, [0.16, 0.36])
        erring = ScoreError(Prior(prior), case["offset"], case["relative"])
        return {"prior": prior, "denoiser": erring, "first": 3.0, "last": 0.2}

    def sides(self, key, prior, denoiser, first, last):
        """Both sides for a mixture on the line.

        Args:
            key: not used.
            prior: the mixture.
            denoiser: the one that v follows, called with alpha 1.
            first: noise level where both laws are the exact one.
            last: level where they are compared, below it.
        """
        if prior.dim != 1:
            unsupported(
                "the score of the carried law is computed on the line",
                got=f"a prior with d = {prior.dim}",
                expected="d = 1",
                hint="take a projection of the prior, or gt.laws.flow_kl",
            )
        given = jnp.asarray(float(first)), jnp.asarray(float(last))
        kl, work, square, scores, least = map(
            float, _integrals(prior, denoiser, *given)
        )
        kept = (first > last > 0.0, bool(least > 0.0))
        wide = {"tolerance": _INTEGRAL, "assumptions": kept}
        bound = float(np.sqrt(square * scores))
        return [
            computed("identity", kl, work, equal=True, **wide),
            computed("bound", kl, bound, assumptions=kept),
        ]


@eqx.filter_jit
def _integrals(prior, denoiser, first, last):
    """KL at the last level; the work, eps^2 and S over time; the least slope of a flow."""
    nodes, weights = np.polynomial.legendre.leggauss(_TIMES)
    logs = jnp.log(last) + 0.5 * (nodes + 1.0) * jnp.log(first / last)
    weights = 0.5 * jnp.asarray(weights) * jnp.log(first / last)
    start = _at(prior, jnp.log(first))

    def carried(z, log):
        """The point from which v leads to z at a level; backwards in its clock."""
        step = (jnp.log(first) - log) / _STEPS

        def slope(z, log):
            one, level = jnp.ones_like(log), jnp.exp(log)
            return z - denoiser(z[None], one, level).mean[0]

        def move(z, i):
            at = log + i * step
            a = slope(z, at)
            b = slope(z + 0.5 * step * a, at + 0.5 * step)
            c = slope(z + 0.5 * step * b, at + 0.5 * step)
            d = slope(z + step * c, at + step)
            return z + step / 6.0 * (a + 2.0 * b + 2.0 * c + d), None

        return jax.lax.scan(move, z, jnp.arange(_STEPS, dtype=z.dtype))[0]

    def log_q(z, log):
        """The log-density that v carried to z, with the slope of its flow."""
        one = jnp.ones_like(z)
        origin, stretch = jax.jvp(lambda z: carried(z, log), (z,), (one,))
        return start.log_prob(origin[None]) + jnp.log(jnp.abs(stretch)), stretch

    def at(log):
        law, one, level = _at(prior, log), jnp.ones_like(log), jnp.exp(log)

        def rates(x):
            gap = (prior.denoised_mean(x, one, level) - denoiser(x, one, level).mean)[0]
            score = jax.grad(lambda z: log_q(z, log)[0])(x[0])
            apart = law.score(x)[0] - score
            return jnp.stack([gap * apart, gap**2, apart**2])

        spread = _WIDTH * jnp.sqrt(law.covariance()[0, 0])
        places = law.mean()[0] + spread * jnp.linspace(-1.0, 1.0, 61)
        slopes = jax.vmap(lambda z: log_q(z, log)[1])(places)
        return line_expectation(law, rates), jnp.min(slopes)

    found, slopes = jax.lax.map(at, logs)
    end = _at(prior, jnp.log(last))
    kl = line_expectation(
        end, lambda x: end.log_prob(x) - log_q(x[0], jnp.log(last))[0]
    )
    return kl, *(weights @ found), jnp.min(slopes)


def _at(prior, log):
    return prior.noised(jnp.ones_like(log), jnp.exp(log))
