r"""T52: KL of a stochastic interpolant whose drift errs, and of its two losses.

Let \(p_t\), \(0 \le t \le 1\), be the law of
\(x_t = (1-t) x_0 + t x_1 + \sqrt{ct(1-t)}\,z\), b its velocity, s its score, and
\(dX = b_F dt + \sqrt{2\epsilon}\,dB\), \(b_F = b + \epsilon s\), which has these laws.
With \(\hat b_F\) and the same start, Girsanov gives the divergence of the paths, and
the ends have no more:

\[ KL(p_1 \| \hat p_1) \le \frac1{4\epsilon} \int_0^1 E|b_F - \hat b_F|^2 dt . \]

Velocity and score are each learned by a quadratic loss,
\(L_b[\hat b] = \int E[\tfrac12|\hat b|^2 - \dot x_t\cdot\hat b]\) and
\(L_s[\hat s] = \int E[\tfrac12|\hat s|^2 + \nabla\cdot\hat s]\), with gaps to their
least values \(\tfrac12\int E|\hat b - b|^2\) and \(\tfrac12\int E|\hat s - s|^2\).
Since \(|u + \epsilon w|^2 \le 2|u|^2 + 2\epsilon^2|w|^2\),

\[ KL \le \frac1\epsilon (L_b - \min L_b) + \epsilon (L_s - \min L_s) . \]

It is quoted with \(1/(2\epsilon)\) and \(\epsilon/2\), which is right for losses
without their halves. With them it is false: let
\(\hat b - b = \epsilon(\hat s - s) = e(t)\), a shift. Then the right side is half of
\(\frac1{4\epsilon}\int E|2e|^2\), and that is attained: if A is the slope of \(b_F\),
the mean is moved by \(\int e^{\int_t^1 A} 2e\,dt\), and with e proportional to
\(e^{\int_t^1 A}\)

\[ KL = \frac{N}{\Sigma_1}\,\frac1{4\epsilon}\int |2e|^2 dt , \qquad
   N = 2\epsilon\int_0^1 e^{2\int_t^1 A} dt , \]

N the share of the variance \(\Sigma_1\) that the noise on the way has made: nearly all
of it for large \(\epsilon\) (or for a start without width), when most of the shift is
made at the end.

Here the ends are Gaussians, the first round, and both errors are multiples of
\(e^{-r(1-t)} (1 + kx)\) in each coordinate, so that all laws are Gaussian.
"""

from typing import ClassVar, NamedTuple

import numpy as np

from ..divergences.expectation import refined
from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import BUILT, AbstractBound, Case, Claim, Facts, Limit, outside
from .spaces import Between, Mixtures
from .tools.assumptions import count, has_density, isotropic
from .tools.levels import legendre

_NODES = 240
_ASSUMED = (
    "two Gaussians with densities, the first round",
    "positive epsilon",
    "errors exp(-fade (1 - t)) (1 + slope x) times drift, score",
)
_SOURCE = "Albergo, Boffi and Vanden-Eijnden 2023, arXiv:2303.08797"
_LIMITS = (Limit("epsilon", 0.01, 100.0), Limit("fade", 0.0, 500.0))
_SEARCH = {
    "start": Mixtures(components=1, least=0.05),
    "end": Mixtures(components=1, least=0.05),
    "latent": Between(0.01, 2.0),
    "epsilon": Between(0.05, 50.0),
    "drift": Between(-1.0, 1.0, by_logarithm=False),
    "score": Between(-1.0, 1.0, by_logarithm=False),
    "fade": Between(0.1, 200.0),
    "slope": Between(-0.5, 0.5, by_logarithm=False),
}
_CASES = tuple(
    {
        "epsilon": epsilon,
        "drift": drift,
        "score": score,
        "fade": fade,
        "slope": slope,
    }
    for epsilon, drift, score, fade, slope in (
        (0.3, 0.2, -0.1, 0.0, 0.0),
        (1.0, 0.3, 0.2, 1.0, 0.4),
        (3.0, -0.4, 0.3, 2.0, 0.0),
        (40.0, 4.0, 0.1, 105.0, 0.0),
    )
)


class _Interpolants(NamedTuple):
    """Both sides in nats: of the ends, and of the paths; the gaps of the two losses."""

    ends: float
    paths: float
    drift: float
    score: float


class InterpolantLosses(AbstractBound):
    """The bound by the gaps of the two losses, with the factors that are quoted."""

    facts: ClassVar[Facts] = Facts(
        statement="KL <= (1/2 eps) (L_b - min L_b) + (eps/2) (L_s - min L_s)",
        assumptions=_ASSUMED,
        source=f"{_SOURCE}, as quoted, for losses with their halves",
        status="published",
        refuted=True,
        limits=_LIMITS,
        search=_SEARCH,
    )
    cases: ClassVar[tuple[Case, ...]] = _CASES

    def setting(self, case):
        return _problem(case)

    def sides(
        self, key, start, end, latent, epsilon, drift, score, fade=0.0, slope=0.0
    ):
        """Both sides; see `InterpolantPaths.sides`."""
        kept = _kept(start, end, latent, epsilon)
        if not all(kept):
            return outside(kept)
        errors = drift, score, fade, slope
        found = divergences(start, end, latent, epsilon, *errors)
        quoted = 0.5 * found.drift / epsilon + 0.5 * epsilon * found.score
        return [_claim("losses", found.ends, quoted, kept)]


class InterpolantPaths(AbstractBound):
    """The bounds by the drift, and by the gaps of the two losses with factors 2."""

    facts: ClassVar[Facts] = Facts(
        statement="KL <= (1/4 eps) int E|b_F - b^_F|^2 <= (1/eps) (L_b - min L_b) + "
        "eps (L_s - min L_s)",
        assumptions=_ASSUMED,
        source=f"{_SOURCE}; proof and factors in the docstring",
        status="proved",
        limits=_LIMITS,
        search=_SEARCH,
    )
    cases: ClassVar[tuple[Case, ...]] = _CASES

    def setting(self, case):
        return _problem(case)

    def sides(
        self, key, start, end, latent, epsilon, drift, score, fade=0.0, slope=0.0
    ):
        """Both sides.

        Args:
            key: not used.
            start: law of x_0, a round Gaussian.
            end: law of x_1, a Gaussian.
            latent: c, variance of what is added on the way, over t (1 - t).
            epsilon: half of the variance of the noise.
            drift: size of the error of b.
            score: size of the error of s.
            fade: r, the rate at which both are smaller before the end.
            slope: k, of both in x.
        """
        kept = _kept(start, end, latent, epsilon)
        if not all(kept):
            return outside(kept)
        errors = drift, score, fade, slope
        found = divergences(start, end, latent, epsilon, *errors)
        losses = found.drift / epsilon + epsilon * found.score
        return [
            _claim("paths", found.ends, found.paths, kept),
            _claim("losses", found.ends, losses, kept),
            _claim("losses, of the paths", found.paths, losses, kept),
        ]


def _claim(label, left, right, kept):
    sides = Estimate(left, how="quadrature"), Estimate(right, how="quadrature")
    return Claim(label, *sides, assumptions=kept)


def _kept(start, end, latent, epsilon):
    gaussian = all(count(law) == 1 and has_density(law) for law in (start, end))
    return (
        gaussian and isotropic(start) and start.dim == end.dim and bool(latent >= 0.0),
        bool(epsilon > 0.0),
        BUILT,
    )


def divergences(
    start: GaussianMixture,
    end: GaussianMixture,
    latent: float,
    epsilon: float,
    drift: float,
    score: float,
    fade: float = 0.0,
    slope: float = 0.0,
) -> _Interpolants:
    """Divergences of the ends and of the paths, and gaps of the losses, in nats.

    Args:
        start: law of x_0, a round Gaussian.
        end: law of x_1, a Gaussian.
        latent: c.
        epsilon: half of the variance of the noise.
        drift: size of the error of b.
        score: size of the error of s.
        fade: rate of both.
        slope: of both in x.
    """
    values, basis = np.linalg.eigh(np.asarray(end.covariance()))
    begin, finish = (basis.T @ np.asarray(law.mean()) for law in (start, end))
    own = float(start.covariances()[0, 0, 0])
    share, weights = legendre(refined(_NODES))

    def variance(t):
        return (1.0 - t) ** 2 * own + t**2 * values[:, None] + latent * t * (1.0 - t)

    def later(t):
        """Integrals from t (n,) to 1 of 1 / variance and of the fading, (d, n), (n,)."""
        r = t[:, None] + (1.0 - t[:, None]) * share
        inverse = (1.0 / variance(r.ravel())).reshape(-1, *r.shape) @ weights
        return (1.0 - t) * inverse, (1.0 - t) * (np.exp(-fade * (1.0 - r)) @ weights)

    error = drift + epsilon * score
    inverse, faded = later(np.append(share, 0.0))
    spread = variance(np.append(share, 0.0))
    log_gain = 0.5 * np.log(values[:, None] / spread) - epsilon * inverse
    log_gain = log_gain + error * slope * faded
    gain, whole = np.exp(log_gain[:, :-1]), np.exp(log_gain[:, -1])
    means = (1.0 - share) * begin[:, None] + share * finish[:, None]
    fading = np.exp(-fade * (1.0 - share))
    shift = (basis.T @ np.ones_like(values))[:, None] + slope * means
    moved = (gain * fading * shift) @ weights * error
    ended = whole**2 * own + 2.0 * epsilon * gain**2 @ weights
    ends = 0.5 * np.sum(
        values / ended - 1.0 - np.log(values / ended) + moved**2 / ended
    )
    square = shift**2 + slope**2 * spread[:, :-1]
    energy = np.sum(square, axis=0) * fading**2 @ weights
    return _Interpolants(
        float(ends),
        float(0.25 * error**2 * energy / epsilon),
        float(0.5 * drift**2 * energy),
        float(0.5 * score**2 * energy),
    )


def _problem(case):
    """Two Gaussians in the plane, and the errors."""
    covariance = np.array([[[0.5, 0.1], [0.1, 0.3]]])
    return {
        "start": GaussianMixture.isotropic([1.0], [[0.2, -0.3]], 0.6),
        "end": GaussianMixture.full([1.0], [[1.0, 0.4]], covariance),
        "latent": 0.4,
    } | case
