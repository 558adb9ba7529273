r"""T32: what the replacement method loses, for one Gaussian.

x = (o, u), and o is observed without noise. The method runs the prior's reverse process and
replaces the observed part at each level by a noised copy o_t of o: it uses
E[u | o_t, u_t] where E[u | o, u_t] is exact. Averaged over o, the path divergence from the
exact conditional process is by the error budget of a reverse process

\[ KL = \tfrac12 \int_0^\infty [mmse(u|o_t, u_t) - mmse(u|o, u_t)]\, d\,snr \le I(o; u) , \]

since \(mmse(u|o_t,u_t) \le mmse(u|u_t)\), and with that the integral is I(o; u), by I-MMSE.
For a Gaussian with variances 1, s^2 and correlation r, and eigenpairs
\((\lambda_i, e_i)\) of the covariance, the integral is
\(\tfrac12 [\sum_i e_{iu}^2 \log\lambda_i - \log(s^2(1-r^2))]\): half of I(o; u) if s = 1.

The law of u at the end, computed by its recursion with a fresh copy of o at each step, is
closer than the path (data processing).
Source: the method is Song et al. 2021 (arXiv:2011.13456), appendix I; a bound by
conditional mutual information is in Aghapour, Bayraktar and Cohen 2026 (arXiv:2605.05387).
"""

from typing import ClassVar

import numpy as np

from ..estimate import Estimate
from .base import AbstractBound, Case, Claim, Facts, outside

_SCALE = 1.4  # s, standard deviation of u; that of o is 1
_STEPS = 4000
_TOLERANCE = 1e-6


class Replacement(AbstractBound):
    """Path and marginal divergence of the method, over the correlation."""

    facts: ClassVar[Facts] = Facts(
        statement="KL <= path KL = integral of two mmse's / 2 <= I(o; u)",
        assumptions=("one Gaussian, with a density",),
        source="here, proof in the docstring; cf. arXiv:2605.05387",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"correlation": r} for r in (0.2, 0.5, 0.8, 0.95)
    )

    def setting(self, case):
        return case

    def sides(self, key, correlation):
        r = correlation
        kept = (bool(_eigen(r, _SCALE)[0].min() > _TOLERANCE),)
        if not kept[0]:
            return outside(kept)
        path, information = path_kl(r, _SCALE), -0.5 * np.log1p(-(r**2))
        claims = [
            _claim("path", path_by_quadrature(r, _SCALE), path, True),
            _claim("path by information", path, information),
            Claim("marginal by path", without_steps(r, _SCALE), Estimate(path)),
        ]
        return [claim._replace(assumptions=kept) for claim in claims]


def path_kl(r: float, scale: float) -> float:
    """The integral in closed form."""
    values, vectors = _eigen(r, scale)
    last = np.log(scale**2 * (1.0 - r**2))
    return float(0.5 * (vectors[1] ** 2 @ np.log(values) - last))


def path_by_quadrature(r: float, scale: float) -> float:
    """The integral over the log-SNR, by the trapezoidal rule."""
    log_snr = np.linspace(-25.0, 25.0, 2001)
    snr = np.exp(log_snr)
    both = _gain(r, scale, 1.0 / snr)[2]
    exact = 1.0 / (1.0 / (scale**2 * (1.0 - r**2)) + snr)
    return float(0.5 * (log_snr[1] - log_snr[0]) * np.sum(snr * (both - exact)))


def without_steps(r: float, scale: float) -> Estimate:
    """The divergence by 4000 and twice as many steps, of order one; and how far apart."""
    coarse, fine = (marginal_kl(r, scale, steps) for steps in (_STEPS, 2 * _STEPS))
    how = f"{_STEPS} steps, extrapolated"
    return Estimate(2.0 * fine - coarse, abs(fine - coarse), how)


def marginal_kl(r: float, scale: float, steps: int = _STEPS) -> float:
    """KL(exact || method) of u given o, averaged over o, after so many steps."""
    levels = np.geomspace(1e6, 1e-6, steps + 1)  # v
    own, other, _ = _gain(r, scale, levels[:-1])
    kept = levels[1:] / levels[:-1]
    # u_s = kept u + (1 - kept) E[u | o_t, u_t] + noise: mean is slope o.
    slope, variance = 0.0, levels[0]
    for k in range(steps):
        factor = kept[k] + (1.0 - kept[k]) * own[k]
        pull = (1.0 - kept[k]) * other[k]
        fresh = levels[k + 1] * (1.0 - kept[k]) + pull**2 * levels[k]
        slope, variance = factor * slope + pull, factor**2 * variance + fresh
    ratio = scale**2 * (1.0 - r**2) / variance
    gap = (r * scale - slope) ** 2 / variance
    return float(0.5 * (ratio - 1.0 - np.log(ratio) + gap))


def _eigen(r, scale):
    return np.linalg.eigh(np.asarray([[1.0, r * scale], [r * scale, scale**2]]))


def _gain(r, scale, v):
    """Factors of u_t and o_t in E[u | o_t, u_t], and Var[u | o_t, u_t], at levels v."""
    first, second, cross = 1.0 + v, scale**2 + v, r * scale
    determinant = first * second - cross**2
    own = (scale**2 * first - cross**2) / determinant
    other = cross * v / determinant
    return own, other, v * own


def _claim(label, left, right, equal=False):
    sides = Estimate(left, how="quadrature"), Estimate(right)
    tolerance = _TOLERANCE if equal else 0.0
    return Claim(label, *sides, equal, tolerance)
