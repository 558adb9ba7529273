r"""T17 and the first half of T16: importance sampling, its variance and its divergence.

Of n draws from the prior one is kept, by its weight \(w = p(y|x)\); \(Z = p(y)\),
\(\hat Z = \tfrac1n \sum_i w_i\). With \(\pi\) the posterior and
\(\chi^2 = \chi^2(\pi \| p_0)\),

\[ n \operatorname{Var}(\hat Z / Z) = \chi^2 , \qquad
   KL(\pi \| q_n) \le E_{cond} \log (\hat Z / Z) \le \log (1 + \chi^2/n) , \qquad
   KL(q_n \| \pi) \le -E \log (\hat Z / Z) . \]

In the conditional expectation one draw is from the posterior; its mean of
\(\hat Z / Z\) is \(1 + \chi^2/n\), and Jensen gives the second step. On the line the law
of the kept draw is known up to an average over the other weights,
\(q_n(x) = n\, p_0(x) w(x)\, E[1 / (w(x) + \sum_{i<n} w_i)]\), so both divergences are
measured (a finite average adds to both, so the check is the stricter).

Sources: Andrieu, Doucet and Holenstein 2010, J. R. Stat. Soc. B 72, 269-342; Huggins and
Roy 2015, arXiv:1503.00966; proofs above.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ..divergences import line_rule
from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts
from .spaces import MEASURED, OneOf
from .tools import line_pairs, space

_REPEATS, _GROUPS = 4000, 4
_SLOPE, _NOISE, _Y = 1.3, 0.4, 1.1


class ImportanceSampling(AbstractBound):
    """One draw of n from the prior, by its likelihood: two modes on the line, over n."""

    facts: ClassVar[Facts] = Facts(
        statement="n Var(Z^/Z) = chi2; KL(post || draw) <= log(1 + chi2/n); reverse",
        assumptions=("independent draws of the prior",),
        source="Andrieu, Doucet and Holenstein 2010; arXiv:1503.00966",
        status="proved",
        search=MEASURED | {"num": OneOf((1, 2, 8))},
    )
    cases: ClassVar[tuple[Case, ...]] = tuple({"num": n} for n in (4, 32))

    def setting(self, case):
        prior = GaussianMixture.isotropic([0.3, 0.7], [[-1.2], [0.9]], [0.3, 0.5])
        A, R = jnp.array([[_SLOPE]]), jnp.array([[_NOISE**2]])
        return {"prior": prior, "A": A, "R": R, "y": jnp.array([_Y])} | case

    def sides(self, key, prior, A, R, y, num):
        space.on_the_line(prior)
        num, observed = int(num), (A, R, y)
        ratios, chi2 = _ratios(key, prior, observed, num), float(_chi2(prior, observed))
        how = f"{_REPEATS} repeats"
        plain, kept = jnp.log(ratios.plain), jnp.log(ratios.conditional)
        bound = Estimate.mean_of(kept, how=how)
        reverse = -Estimate.mean_of(plain, how=how)
        squares = Estimate.mean_of(num * (ratios.plain - 1.0) ** 2, how=how)
        known = jnp.sqrt(_variance_of_squares(prior, observed, num) / _REPEATS)
        squares = Estimate(squares.value, jnp.maximum(squares.stderr, known), how)
        jensen = Estimate(jnp.log1p(chi2 / num), how="quadrature")
        exact = Estimate(chi2, how="quadrature")
        if num == 1:  # there are no others to average over
            forward, backward = (
                Estimate(value, how="quadrature") for value in ratios.divergences[0]
            )
        else:
            forward, backward = (
                Estimate.mean_of(v, how=how) for v in ratios.divergences.T
            )
        return [
            Claim("n Var(Z^/Z) = chi2", squares, exact, equal=True),
            Claim("KL(post || draw), conditional", forward, bound),
            Claim("conditional, log(1 + chi2/n)", bound, jensen),
            Claim("KL(draw || post)", backward, reverse),
        ]


class _Ratios(eqx.Module):
    """Z^/Z of plain and conditional draws (repeats,), both divergences (groups, 2)."""

    plain: jax.Array
    conditional: jax.Array
    divergences: jax.Array


@eqx.filter_jit
def _chi2(prior, observed):
    return line_pairs.chi2(prior.conditioned(*observed), prior)


@eqx.filter_jit
def _variance_of_squares(prior, observed, num: int):
    """Of n (Z^/Z - 1)^2, by the moments of one weight, which rare ones may carry.

    The k-th moment of w is a Gaussian integral: N(y; u, R)^k is N(y; u, R/k) times
    (2 pi R)^((1 - k)/2) / sqrt(k).
    """
    A, R, y = observed
    log_evidence = prior.log_evidence(A, R, y)

    def moment(k):
        log_peak = 0.5 * (1.0 - k) * jnp.log(2.0 * jnp.pi * R[0, 0]) - 0.5 * jnp.log(k)
        found = log_peak + prior.log_evidence(A, R / k, y)
        return jnp.exp(found - k * log_evidence)

    second, third, fourth = (moment(k) for k in (2.0, 3.0, 4.0))
    square, central = second - 1.0, fourth - 4.0 * third + 6.0 * second - 3.0
    return (central + 3.0 * (num - 1) * square**2) / num - square**2


@eqx.filter_jit
def _ratios(key, prior, observed, num: int) -> _Ratios:
    posterior, log_evidence = (
        prior.conditioned(*observed),
        prior.log_evidence(*observed),
    )

    def relative(x):
        """w / Z, the posterior density over the prior's."""
        return jnp.exp(_log_likelihood(observed, x) - log_evidence)

    key_others, key_kept = jax.random.split(key)
    others = relative(prior.sample(key_others, _REPEATS * num)[:, 0])
    others = others.reshape(_REPEATS, num)
    kept = relative(posterior.sample(key_kept, _REPEATS)[:, 0])
    rest = jnp.sum(others[:, 1:], axis=1)
    points, weights = line_rule(prior)  # as wide as the law of a draw
    weight = relative(points[:, 0])

    def measured(rest):
        shares = jax.lax.map(
            lambda w: jnp.mean(1.0 / (w + rest)), weight, batch_size=64
        )
        ratio = num * shares  # q_n / posterior at the points
        forward = ratio - 1.0 - jnp.log(ratio)
        backward = ratio * jnp.log(ratio) - ratio + 1.0
        return (weights * weight) @ jnp.stack([forward, backward], axis=1)

    divergences = jnp.stack([measured(some) for some in rest.reshape(_GROUPS, -1)])
    conditional = (kept + rest) / num
    return _Ratios(jnp.mean(others, axis=1), conditional, divergences)


def _log_likelihood(observed, x):
    """Of one measurement at points (n,)."""
    A, R, y = observed
    squares = (y[0] - A[0, 0] * x) ** 2 / R[0, 0]
    return -0.5 * (squares + jnp.log(R[0, 0]) + jnp.log(2 * jnp.pi))
