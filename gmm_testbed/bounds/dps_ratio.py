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
steps of c between convolutions, extrapolated.
"""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp, softmax

from .. import approximations, kernels, laws
from .._checks import unsupported
from ..algorithms import Guided
from ..divergences.expectation import refined
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..paths import VE
from ..problem import InverseProblem, Linear, Target
from .base import AbstractBound, Case, Claim, Facts, outside
from .spaces import Between, Matrices, Mixtures, OneOf, Points, one_row
from .tools.assumptions import has_density

_STEPS = 100  # of the sampler, and twice and four times as many
_LEVELS, _POINTS, _REACH, _HERMITE = 200, 1201, 9.0, 10
_WHERE = (-1.5, 0.0, 1.5)  # standard deviations from the mean of the posterior
_TOLERANCE = 1e-3  # relative, of the extrapolation
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
        kept = _kept(prior, first, last)
        if not all(kept):
            return outside(kept)
        given = _Setting.of(prior, A, R, y, first, last)
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
        kept = _kept(prior, first, last)
        if not all(kept):
            return outside(kept)
        given = _Setting.of(prior, A, R, y, first, last)
        found = given.by_paths(lambda v: 1.0 / v**2)
        one = Estimate(found.mean(), how="quadrature"), Estimate(1.0)
        mean = Claim("mean under the posterior", *one, True, _TOLERANCE, kept)
        return [*_claims(given, found, kept), mean]


def _claims(given, found, kept):
    claims = []
    for place, left in zip(_WHERE, given.by_sampler(), strict=True):
        right = float(np.exp(found.log_ratio(given.at(place))))
        sides = Estimate(left, how="extrapolated"), Estimate(right, how="quadrature")
        label = f"{place:+g} sd" if place else "at the mean"
        tolerance = _TOLERANCE * max(left, right)
        claims.append(Claim(label, *sides, True, tolerance, kept))
    return claims


class _Ratio(NamedTuple):
    """log nu/mu as a spline, and nodes and weights of the posterior."""

    log_ratio: CubicSpline
    points: np.ndarray
    weights: np.ndarray

    def mean(self) -> float:
        return float(self.weights @ np.exp(self.log_ratio(self.points)))

    def normalised(self) -> "_Ratio":
        total = np.log(self.mean())
        x = self.log_ratio.x
        return self._replace(log_ratio=CubicSpline(x, self.log_ratio(x) - total))


class _Setting(NamedTuple):
    """The line: y = a x + N(0, r), and levels."""

    prior: GaussianMixture
    a: float
    r: float
    y: float
    first: float
    last: float

    @classmethod
    def of(cls, prior, A, R, y, first, last):
        numbers = (float(jnp.ravel(each)[0]) for each in (A, R, y))
        return cls(prior, *numbers, float(first), float(last))

    def target(self) -> Target:
        measurement = Linear([[self.a]], [[self.r]])
        path = VE(np.sqrt(self.last), np.sqrt(self.first))
        return Target(InverseProblem(self.prior, measurement, [self.y]), path)

    def at(self, place) -> float:
        law = self.target().posterior(0.0)
        return float(law.mean()[0] + place * np.sqrt(law.covariance()[0, 0]))

    def by_sampler(self) -> list[float]:
        """nu/mu at the three points, by laws of the sampler at three numbers of steps."""
        target, begin = self.target(), jnp.ones(())
        exact, start = target.posterior(0.0), target.marginal(begin)
        sampler = Guided(approximations.DPS(), kernels.DDPM())
        points = np.array([self.at(place) for place in _WHERE])
        found = []
        for count in (_STEPS, 2 * _STEPS, 4 * _STEPS):
            times = np.linspace(1.0, 0.0, refined(count) + 1)
            density = laws.grid(sampler, target, times, initial=start).at(-1, exact)
            curve = CubicSpline(
                *map(np.asarray, (density.position, density.log_density))
            )
            found.append(curve(points))
        coarse, middle, fine = found
        first, second = 2.0 * middle - coarse, 2.0 * fine - middle
        logs = (4.0 * second - first) / 3.0
        mu = np.asarray(jax.vmap(exact.log_prob)(jnp.asarray(points)[:, None]))
        return np.exp(logs - mu).tolist()

    def by_paths(self, factor) -> _Ratio:
        """nu/mu with factor(v) at the square and 1/v^2 at the trace.

        Args:
            factor: of a level, half of which the square term is multiplied by.
        """
        x, coarse = self._solved(refined(_LEVELS), factor)
        _, fine = self._solved(2 * refined(_LEVELS), factor)
        log_k = (4.0 * fine - coarse) / 3.0
        approximate = self._log_approximate(x, self.last)
        logs = log_k + approximate - self._log_likelihood(x, self.last)
        logs = logs + float(self.target().problem.log_evidence())
        law = self.target().posterior(0.0)
        points = np.linspace(x[0], x[-1], 4 * x.size)
        weights = np.exp(jax.vmap(law.log_prob)(jnp.asarray(points)[:, None]))
        spacing = points[1] - points[0]
        return _Ratio(CubicSpline(x, logs), points, np.asarray(weights) * spacing)

    def _parts(self, z, v):
        """Shares of components (n, K), mean and variance of x_0 given z at v (n,)."""
        w = np.asarray(self.prior.log_weights)
        means = np.asarray(self.prior.means)[:, 0]
        own = np.asarray(self.prior.covariances())[:, 0, 0]
        wide = own + v
        logs = w - 0.5 * (z[:, None] - means) ** 2 / wide - 0.5 * np.log(wide)
        shares = softmax(logs, axis=1)
        each = means + own / wide * (z[:, None] - means)
        mean = np.sum(shares * each, axis=1)
        spread = own * v / wide + (each - mean[:, None]) ** 2
        return shares, each, mean, np.sum(shares * spread, axis=1)

    def _log_approximate(self, z, v):
        mean = self._parts(z, v)[2]
        return _log_normal(self.y - self.a * mean, self.r)

    def _log_likelihood(self, z, v):
        shares, each, *_ = self._parts(z, v)
        own = np.asarray(self.prior.covariances())[:, 0, 0]
        wide = self.r + self.a**2 * own * v / (own + v)
        return logsumexp(np.log(shares) + _log_normal(self.y - self.a * each, wide), 1)

    def _rate(self, z, v, factor):
        """c at points z (n,)."""
        *_, mean, spread = self._parts(z, v)
        pull = (spread * self.a * (self.y - self.a * mean) / self.r) ** 2
        trace = (self.a * spread) ** 2 / self.r
        return 0.5 * (factor(v) * pull - trace / v**2)

    def _solved(self, count, factor):
        """Points at the last level, and log k there, with so many levels."""
        centre = float(self.prior.mean()[0])
        own = float(self.prior.covariance()[0, 0])
        unit = np.linspace(-_REACH, _REACH, _POINTS)
        nodes, shares = np.polynomial.hermite_e.hermegauss(_HERMITE)
        log_shares = np.log(shares / shares.sum())
        levels = np.geomspace(self.first, self.last, count + 1)
        x = centre + unit * np.sqrt(own + levels[0])
        log_k = -self._log_approximate(x, levels[0])
        for high, low in zip(levels[:-1], levels[1:], strict=True):
            step = high - low
            curve = CubicSpline(
                x, log_k - 0.5 * step * self._rate(x, high, factor), bc_type="natural"
            )
            ends = curve(x[[0, -1]]), curve(x[[0, -1]], 1)
            x = centre + unit * np.sqrt(own + low)
            at = x[:, None] + np.sqrt(step) * nodes
            near = np.clip(at, *curve.x[[0, -1]])
            side = (at > near).astype(int)  # beyond the points the curve is a line
            value = curve(near) + (at - near) * ends[1][side]
            log_k = logsumexp(value + log_shares, axis=1)
            log_k = log_k - 0.5 * step * self._rate(x, low, factor)
        return x, log_k


def _log_normal(gap, variance):
    return -0.5 * (gap**2 / variance + np.log(2.0 * np.pi * variance))


def _kept(prior, first, last):
    if prior.dim != 1:
        unsupported(
            "the ratio is computed on the line",
            got=f"a prior with d = {prior.dim}",
            expected="d = 1",
            hint="take a direction of the problem",
        )
    return has_density(prior), bool(first > last > 0.0), True


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
