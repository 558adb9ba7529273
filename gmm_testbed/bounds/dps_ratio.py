r"""T50: where DPS puts its mass, as an expectation over paths of noise.

Along \(v = \sigma^2/\alpha^2\), from the exact \(p_V\) down to v, with steps that
shrink, let \(\nu_v\) be the law of the SDE of DPS: its guidance is
\(\nabla\log\hat L_v\), \(\hat L_v(z) = N(y; A m, R)\), with m and C mean and covariance
of \(x_0\) given \(z_v = z\). For any smooth \(\hat L\), \(\nu_v = p_v \hat L_v k_v\)
where, by the equation of Fokker and Planck and that of \(p_v\),

\[ \partial_v k + \tfrac12\Delta k = c\,k, \qquad
   c = \frac1{\hat L}
   \big(\tfrac12\Delta + \nabla\log p_v\cdot\nabla - \partial_v\big) \hat L . \]

The bracket is the generator of \(z_v\) backwards: it is 0 of \(p(y|z_v)\), and of m,
whose derivative is C/v. What is left of \(\hat L\) is of second order in it,

\[ c = \frac1{2v^2}
   \Big( |C A^T R^{-1}(y - Am)|^2 - \operatorname{tr}(R^{-1} A C^2 A^T) \Big) , \]

and by Feynman and Kac, with B a Brownian motion from z at v, \(\mu_v\) the exact
posterior,

\[ \frac{\nu_v}{\mu_v}(z) = p(y)\,\frac{\hat L_v(z)}{p(y|z_v = z)}\;
   E\,\frac1{\hat L_V(B_V)} \exp\Big(-\int_v^V c_u(B_u)\,du\Big) . \]

So DPS gains where it is uncertain (the trace) and loses where the uncertain directions
see a large residual, which is how far modes are lost. With \(v = e^{2t} - 1\),
\(dv/v^2 = 2 dt/(e^t - e^{-t})^2\), and \(B/\sqrt{1+v}\) is the path of Ornstein and
Uhlenbeck of the paper. Its Eq. (44) has this; as we read Eq. (8), the factor
\((e^t - e^{-t})^{-2}\) is at the trace alone. That is false, also up to a constant (so
it is judged with a mean of 1 under \(\mu\)).

On the line. Left: the law of DPS with DDPM steps, extrapolated to none. Right: half
steps of c between convolutions, extrapolated. What the last extrapolation changed is
counted as an error.
"""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from .._checks import unsupported
from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import BUILT, AbstractBound, Case, Claim, Facts, outside
from .spaces import Between, Matrices, Mixtures, OneOf, Points, one_row
from .tools.assumptions import has_density
from .tools.ratio_line import RatioOnLine

_WHERE = (-1.5, 0.0, 1.5)  # standard deviations from the mean of the posterior
_TOLERANCE = 1e-6  # relative, of what is interpolated
_ASSUMED = (
    "a prior with a density",
    "first > last > 0",
    "steps that shrink, from the exact p_V",
)
_SEARCH = {
    "prior": Mixtures(components=2, least=0.1),
    "A": OneOf((1.0,), one_row),
    "R": Matrices(1, least=0.2),
    "y": Points(1),
    "first": Between(100.0, 1000.0),
    "last": Between(0.02, 1.0),
}
_CASES = tuple(
    {"law": law, "noise": noise}
    for law in ("gaussian", "two modes", "three modes")
    for noise in (0.3, 3e3)  # of which the second says nothing: DPS is exact
)


class PublishedRatio(AbstractBound):
    """Eq. (8) as we read it: shares of the ratio at three points."""

    facts: ClassVar[Facts] = Facts(
        statement="nu/mu ~ E exp int (tr(C A'R^-1 A C)/(e^t - e^-t)^2 - |C A'r|^2) dt over "
        "OU paths, r = R^-1 (y - A m)",
        assumptions=_ASSUMED,
        source="Delgadino et al. 2026, arXiv:2605.06538, Eq. (8) as we read it",
        status="published",
        refuted=True,
        search=_SEARCH,
    )
    cases: ClassVar[tuple[Case, ...]] = _CASES

    def setting(self, case):
        return _problem(case)

    def sides(self, key, prior, A, R, y, first, last):
        kept = _kept(prior, A, R, y, first, last)
        if not all(kept):
            return outside(kept)
        given = RatioOnLine.of(prior, A, R, y, first, last)
        printed = given.by_paths(lambda v: 1.0 / (1.0 + v))
        return _claims(given, printed.normalised(), kept)


class DPSRatio(AbstractBound):
    """Eq. (44): the ratio at three points, and its mean, which is 1."""

    facts: ClassVar[Facts] = Facts(
        statement="nu/mu = p(y) L^/p(y|z) E[exp(-int c dv)/L^_V] over Brownian paths, "
        "c = (|C A'r|^2 - tr(C A'R^-1 A C))/(2 v^2), r = R^-1 (y - A m)",
        assumptions=_ASSUMED,
        source="Delgadino et al. 2026, arXiv:2605.06538, Eq. (44); proof in the docstring",
        status="proved",
        search=_SEARCH,
    )
    cases: ClassVar[tuple[Case, ...]] = _CASES

    def setting(self, case):
        return _problem(case)

    def sides(self, key, prior, A, R, y, first, last):
        """The ratio by the sampler and by paths.

        Args:
            key: not used.
            prior: on the line.
            A: (1, 1), the measurement.
            R: (1, 1), covariance of its noise.
            y: (1,), what was seen.
            first: V, where the sampler starts.
            last: v, where it ends.
        """
        kept = _kept(prior, A, R, y, first, last)
        if not all(kept):
            return outside(kept)
        given = RatioOnLine.of(prior, A, R, y, first, last)
        found = given.by_paths(lambda v: 1.0 / v**2)
        value, error = found.mean()
        one = Estimate(value, how="quadrature"), Estimate(1.0)
        mean = Claim("mean under the posterior", *one, True, _TOLERANCE, kept)
        return [*_claims(given, found, kept), mean._replace(error=error)]


def _claims(given, found, kept):
    claims = []
    for place, (left, error) in zip(_WHERE, given.by_sampler(_WHERE), strict=True):
        right, other = found.at(given.place(place))
        sides = Estimate(left, how="extrapolated"), Estimate(right, how="quadrature")
        label = f"{place:+g} sd" if place else "at the mean"
        tolerance = _TOLERANCE * max(left, right)
        claim = Claim(label, *sides, True, tolerance, kept)
        claims.append(claim._replace(error=error + other))
    return claims


def _kept(prior, A, R, y, first, last):
    if (prior.dim, *map(np.shape, (A, R, y))) != (1, (1, 1), (1, 1), (1,)):
        unsupported(
            "the ratio is computed on the line, of one measurement",
            got=f"d = {prior.dim}, A {np.shape(A)}, R {np.shape(R)}, y {np.shape(y)}",
            expected="d = 1, A (1, 1), R (1, 1), y (1,)",
            hint="take a direction of the problem",
        )
    return has_density(prior), bool(first > last > 0.0), BUILT


def _problem(case):
    laws_of = {
        "gaussian": ([1.0], [0.4], [0.7]),
        "two modes": ([0.4, 0.6], [-1.0, 1.2], [0.3, 0.5]),
        "three modes": ([0.3, 0.3, 0.4], [-2.0, 0.3, 1.8], [0.4, 0.3, 0.3]),
    }
    weights, means, variances = laws_of[case["law"]]
    return {
        "prior": GaussianMixture.isotropic(
            weights, np.array(means)[:, None], variances
        ),
        "A": jnp.asarray([[1.2]]),
        "R": jnp.asarray([[case["noise"]]]),
        "y": jnp.asarray([0.9]),
        "first": 300.0,
        "last": 0.05,
    }
