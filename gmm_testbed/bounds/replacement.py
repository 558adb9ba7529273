r"""T32: what the replacement method loses, for one Gaussian.

x = (o, u), and o, its first coordinates, is observed without noise. The method runs the
prior's reverse process and replaces the observed part at each level by a noised copy o_t of
o: it uses E[u | o_t, u_t] where E[u | o, u_t] is exact. Averaged over o, the path
divergence from the exact conditional process is by the error budget of a reverse process

\[ KL = \tfrac12 \int_0^\infty [mmse(u|o_t, u_t) - mmse(u|o, u_t)]\, d\,snr \le I(o; u) , \]

since \(mmse(u|o_t,u_t) \le mmse(u|u_t)\), and with that the integral is I(o; u), by I-MMSE.
For a Gaussian of covariance \(\Sigma\) the integral is
\(\tfrac12 [\operatorname{tr}_u \log\Sigma - \log\det\Sigma_{u|o}]\), since
\(\int_0^S (\Sigma^{-1} + s)^{-1} ds = \log(\Sigma^{-1} + S) + \log\Sigma\). With variances
1, s^2 and correlation r, and eigenpairs \((\lambda_i, e_i)\), it is
\(\tfrac12 [\sum_i e_{iu}^2 \log\lambda_i - \log(s^2(1-r^2))]\): half of I(o; u) if s = 1.

The law of u at the end, computed by its recursion with a fresh copy of o at each step, is
closer than the path (data processing).
Source: the method is Song et al. 2021 (arXiv:2011.13456), appendix I; a bound by
conditional mutual information is in Aghapour, Bayraktar and Cohen 2026 (arXiv:2605.05387).
"""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float

from .._checks import require
from ..estimate import Estimate
from .base import AbstractBound, Case, Claim, Facts, outside

_SCALE = 1.4  # s, standard deviation of u; that of o is 1
_STEPS = 4000
_TOLERANCE = 1e-6
Covariance = Float[ArrayLike, "d d"]


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
        """The covariance of one coordinate that is observed and one that is not."""
        covariance = jnp.asarray(pair(case["correlation"], _SCALE))
        return {"covariance": covariance, "observed": 1}

    def sides(self, key, covariance, observed):
        """The path divergence, its bound, and that of the law of u at the end.

        Args:
            key: not used.
            covariance: (d, d) of x; its mean makes no difference.
            observed: how many of the first coordinates are o.
        """
        covariance, o = np.asarray(covariance), int(observed)
        _require_parts(covariance, o)
        least = np.linalg.eigvalsh(covariance).min()
        kept = (bool(least > _TOLERANCE * min(1.0, np.diagonal(covariance).max())),)
        if not kept[0]:
            return outside(kept)
        covariance = covariance / covariance[0, 0]  # divergences have no unit
        path, information = path_kl(covariance, o), information_of(covariance, o)
        claims = [
            _claim("path", path_by_quadrature(covariance, o), path, True),
            _claim("path by information", path, information),
            Claim("marginal by path", without_steps(covariance, o), Estimate(path)),
        ]
        return [claim._replace(assumptions=kept) for claim in claims]


def pair(r: float, scale: float) -> np.ndarray:
    """Covariance of variances 1 and scale^2 with correlation r, (2, 2)."""
    return np.asarray([[1.0, r * scale], [r * scale, scale**2]])


def _require_parts(covariance, o) -> None:
    shape = covariance.shape
    square = covariance.ndim == 2 and shape[0] == shape[1]
    require(
        square and np.allclose(covariance, covariance.T) and 0 < o < shape[0],
        "this is no covariance of what is observed and what is not",
        got=f"shape {shape}, {o} observed",
        expected="a symmetric (d, d), and from 1 to d - 1 observed",
        hint="the first coordinates are observed",
    )


def _left(covariance: Covariance, o: int) -> np.ndarray:
    """Covariance of u given o, (d - o, d - o)."""
    seen, cross = covariance[:o, :o], covariance[:o, o:]
    return covariance[o:, o:] - cross.T @ np.linalg.solve(seen, cross)


def path_kl(covariance: Covariance, o: int) -> float:
    """The integral in closed form."""
    values, vectors = np.linalg.eigh(covariance)
    first = np.sum(vectors[o:] ** 2 @ np.log(values))
    return float(0.5 * (first - np.linalg.slogdet(_left(covariance, o))[1]))


def information_of(covariance: Covariance, o: int) -> float:
    """I(o; u) in nats."""
    before, after = covariance[o:, o:], _left(covariance, o)
    return float(0.5 * (np.linalg.slogdet(before)[1] - np.linalg.slogdet(after)[1]))


def path_by_quadrature(covariance: Covariance, o: int) -> float:
    """The integral over the log-SNR, by the trapezoidal rule."""
    log_snr = np.linspace(-25.0, 25.0, 2001)
    snr = np.exp(log_snr)
    values, vectors = np.linalg.eigh(covariance)
    share = np.sum(vectors[o:] ** 2, axis=0)  # of each eigenvector in u
    both = np.sum(share / (1.0 / values + snr[:, None]), axis=1)
    left = np.linalg.eigvalsh(_left(covariance, o))
    exact = np.sum(1.0 / (1.0 / left + snr[:, None]), axis=1)
    return float(0.5 * (log_snr[1] - log_snr[0]) * np.sum(snr * (both - exact)))


def without_steps(covariance: Covariance, o: int) -> Estimate:
    """The divergence by 4000 and twice as many steps, of order one; and how far apart."""
    coarse, fine = (marginal_kl(covariance, o, n) for n in (_STEPS, 2 * _STEPS))
    how = f"{_STEPS} steps, extrapolated"
    return Estimate(2.0 * fine - coarse, abs(fine - coarse), how)


def marginal_kl(covariance: Covariance, o: int, steps: int = _STEPS) -> float:
    """KL(exact || method) of u given o, averaged over o, after so many steps."""
    levels = np.geomspace(1e6, 1e-6, steps + 1)  # v
    values, vectors = np.linalg.eigh(covariance)
    shrink = values / (values + levels[:-1, None])  # of x_t to E[x | x_t]
    gains = np.einsum("ui,ni,xi->nux", vectors[o:], shrink, vectors)
    kept = levels[1:] / levels[:-1]
    unknown = np.eye(len(values) - o)
    factors = (
        kept[:, None, None] * unknown + (1.0 - kept)[:, None, None] * gains[..., o:]
    )
    pulls = (1.0 - kept)[:, None, None] * gains[..., :o]
    fresh = (levels[1:] * (1.0 - kept))[:, None, None] * unknown
    fresh = fresh + levels[:-1, None, None] * pulls @ np.swapaxes(pulls, 1, 2)
    # u_s = kept u + (1 - kept) E[u | o_t, u_t] + noise: mean is slope o.
    slope, variance = np.zeros(pulls.shape[1:]), levels[0] * unknown
    for factor, pull, noise in zip(factors, pulls, fresh, strict=True):
        slope = factor @ slope + pull
        variance = factor @ variance @ factor.T + noise
    exact, seen = _left(covariance, o), covariance[:o, :o]
    gap = np.linalg.solve(seen, covariance[:o, o:]).T - slope
    ratio = np.linalg.solve(variance, exact)
    square = np.trace(np.linalg.solve(variance, gap @ seen @ gap.T))
    log_ratio = np.linalg.slogdet(ratio)[1]
    return float(0.5 * (np.trace(ratio) - len(unknown) - log_ratio + square))


def _claim(label, left, right, equal=False):
    sides = Estimate(left, how="quadrature"), Estimate(right)
    tolerance = _TOLERANCE if equal else 0.0
    return Claim(label, *sides, equal, tolerance)
