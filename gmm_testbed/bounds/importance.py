r"""T17 and the first half of T16: importance sampling, its variance and its divergence.

Of n draws from the prior one is kept, by its weight \(w = p(y|x)\); \(Z = p(y)\),
\(\hat Z = \tfrac1n \sum_i w_i\). With \(\pi\) the posterior and
\(\chi^2 = \chi^2(\pi \| p_0)\),

\[ n \operatorname{Var}(\hat Z / Z) = \chi^2 , \qquad
   KL(\pi \| q_n) \le E_{cond} \log (\hat Z / Z) \le \log (1 + \chi^2/n) , \qquad
   KL(q_n \| \pi) \le -E \log (\hat Z / Z) . \]

In the conditional expectation one draw is from the posterior; its mean of
\(\hat Z / Z\) is \(1 + \chi^2/n\), and Jensen gives the second step. The law
of the kept draw is known up to an average over the other weights,
\(q_n(x) = n\, p_0(x) w(x)\, E[1 / (w(x) + \sum_{i<n} w_i)]\), so both divergences are
measured (a finite average adds to both, so the check is the stricter): by a rule on the
line, at draws of the prior in space.

Sources: Andrieu, Doucet and Holenstein 2010, J. R. Stat. Soc. B 72, 269-342; Huggins and
Roy 2015, arXiv:1503.00966; proofs above.
"""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Scalar
from ..divergences import line_rule
from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import BUILT, AbstractBound, Case, Claim, Facts, outside
from .spaces import MEASURED, OneOf
from .tools import line_pairs
from .tools.measured_gaussian import has_inverse

_REPEATS, _GROUPS = 4000, 4
_MORE, _DRAWS = 16, 1024  # groups in space, and draws of the prior in each
_SLOPE, _NOISE, _Y = 1.3, 0.4, 1.1


class ImportanceSampling(AbstractBound):
    """One draw of n from the prior, by its likelihood: two modes on the line, over n."""

    facts: ClassVar[Facts] = Facts(
        statement="n Var(Z^/Z) = chi2; KL(post || draw) <= log(1 + chi2/n); reverse",
        assumptions=("independent draws of the prior", "noise with a density"),
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
        said = BUILT, has_inverse(R)
        if not all(said):
            return outside(said)
        num, observed = int(num), Observed.of(A, R, y)
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
        if num == 1 and prior.dim == 1:  # there are no others to average over
            forward, backward = (
                Estimate(value, how="quadrature") for value in ratios.divergences[0]
            )
        else:
            forward, backward = (
                Estimate.mean_of(v, how=how) for v in ratios.divergences.T
            )
        claims = [
            Claim("n Var(Z^/Z) = chi2", squares, exact, equal=True),
            Claim("KL(post || draw), conditional", forward, bound),
            Claim("conditional, log(1 + chi2/n)", bound, jensen),
            Claim("KL(draw || post)", backward, reverse),
        ]
        return [claim._replace(assumptions=said) for claim in claims]


class Observed(NamedTuple):
    """A linear measurement y = A x + N(0, R).

    Attributes:
        A: (m, d).
        R: (m, m).
        y: (m,).
        precision: (m, m), the inverse of R.
        log_peak: logarithm of the largest density of the noise.
    """

    A: Float[Array, "m d"]
    R: Float[Array, "m m"]
    y: Float[Array, " m"]
    precision: Float[Array, "m m"]
    log_peak: Scalar

    @classmethod
    def of(cls, A, R, y) -> "Observed":
        """With what follows from R."""
        noise = np.asarray(R)
        log_peak = -0.5 * np.linalg.slogdet(2.0 * np.pi * noise)[1]
        rest = np.linalg.inv(noise), log_peak
        return cls(*(jnp.asarray(part) for part in (A, R, y, *rest)))

    def log_likelihood(self, x: Float[Array, "n d"]) -> Float[Array, " n"]:
        """log p(y | x) at points (n, d)."""
        gaps = self.y[None] - x @ self.A.T
        return self.log_peak - 0.5 * jnp.sum((gaps @ self.precision) * gaps, axis=1)


class _Ratios(eqx.Module):
    """Z^/Z of plain and conditional draws (repeats,), both divergences (groups, 2)."""

    plain: jax.Array
    conditional: jax.Array
    divergences: jax.Array


@eqx.filter_jit
def _chi2(prior, observed):
    """By quadrature on the line, else the second moment of one weight, less 1."""
    if prior.dim == 1:
        return line_pairs.chi2(prior.conditioned(*observed[:3]), prior)
    return _moment(prior, observed, 2.0) - 1.0


def _moment(prior, observed, k):
    """E (w / Z)^k of a draw of the prior, a Gaussian integral.

    N(y; u, R)^k is N(y; u, R/k) times N(0; 0, R)^(k - 1) / k^(m/2).
    """
    A, R, y = observed[:3]
    scale = (k - 1.0) * observed.log_peak - 0.5 * y.shape[0] * jnp.log(k)
    found = scale + prior.log_evidence(A, R / k, y)
    return jnp.exp(found - k * prior.log_evidence(A, R, y))


@eqx.filter_jit
def _variance_of_squares(prior, observed, num: int):
    """Of n (Z^/Z - 1)^2, by the moments of one weight, which rare ones may carry."""
    second, third, fourth = (_moment(prior, observed, k) for k in (2.0, 3.0, 4.0))
    square, central = second - 1.0, fourth - 4.0 * third + 6.0 * second - 3.0
    return (central + 3.0 * (num - 1) * square**2) / num - square**2


@eqx.filter_jit
def _ratios(key, prior, observed, num: int) -> _Ratios:
    posterior, log_evidence = (
        prior.conditioned(*observed[:3]),
        prior.log_evidence(*observed[:3]),
    )

    def relative(x):
        """w / Z, the posterior density over the prior's, at points (n, d)."""
        return jnp.exp(observed.log_likelihood(x) - log_evidence)

    key_others, key_kept = jax.random.split(key)
    others = relative(prior.sample(key_others, _REPEATS * num))
    others = others.reshape(_REPEATS, num)
    kept = relative(posterior.sample(key_kept, _REPEATS))
    rest = jnp.sum(others[:, 1:], axis=1)
    if prior.dim == 1:
        points, weights = line_rule(prior)  # as wide as the law of a draw
        weight = relative(points)
        at = [(weight, weights * weight)] * _GROUPS
    else:
        draws = prior.sample(jax.random.fold_in(key_kept, 1), _MORE * _DRAWS)
        each = relative(draws).reshape(_MORE, _DRAWS)
        at = [(weight, weight / _DRAWS) for weight in each]

    def measured(rest, weight, mass):
        shares = jax.lax.map(
            lambda w: jnp.mean(1.0 / (w + rest)), weight, batch_size=64
        )
        ratio = num * shares  # q_n / posterior at the points
        forward = ratio - 1.0 - jnp.log(ratio)
        backward = ratio * jnp.log(ratio) - ratio + 1.0
        return mass @ jnp.stack([forward, backward], axis=1)

    groups = zip(rest.reshape(len(at), -1), at, strict=True)
    divergences = jnp.stack([measured(some, *rule) for some, rule in groups])
    conditional = (kept + rest) / num
    return _Ratios(jnp.mean(others, axis=1), conditional, divergences)
