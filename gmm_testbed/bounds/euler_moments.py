r"""T53: a small error of the score in \(L_2\) does not keep moments of a sampler small.

For \(x_0 \sim N(0, s^2)\), along \(v = \sigma^2/\alpha^2\), \(p_v = N(0, w^2)\),
\(w^2 = s^2 + v\). Let the score err by \(e_v(z) = \delta (z/w)^3/\sqrt{15}\), so that
\(E_{p_v} e_v^2 = \delta^2\) at every level: as accurate as one likes. Euler's steps of
the reverse SDE, from the exact law, with \(h_k = v_k - v_{k+1}\),

\[ z_{k+1} = \Big(1 - \frac{h_k}{w_k^2}\Big) z_k + c_k z_k^3 + \sqrt{h_k}\,\xi_k, \qquad
   c_k = \frac{h_k \delta}{\sqrt{15}\,w_k^3} , \]

give a symmetric law. If no step is longer than \(w_k^2\), every term of
\(E z_{k+1}^{2n}\), a sum of products of even moments, is positive, and
\(E z_{k+1}^{2n} \ge c_k^{2n} E z_k^{6n}\). So

\[ E z_N^2 \ge (2 \cdot 3^N - 1)!!\; w_0^{2 \cdot 3^N}
   \prod_{k<N} c_k^{2 \cdot 3^{N-1-k}} . \]

The powers of the c add up to \(3^N - 1\), so that the logarithm is at least
\(3^N (N \log 3 + \log(2/e) + 2 \log w_0 - \max_k |\log c_k|)\), and for N steps of one
ratio of \(w^2\) (as here) \(|\log c|\) grows as \(\log N\) only: however small
\(\delta\), the second moment tends to infinity as the steps shrink, while by Girsanov
the exact paths differ from those of the erring SDE by \(\delta^2 V/2\) nats. An error
in \(L_2(p_v)\) says nothing of the tails, to which such steps go.

Equality is approached for large \(\delta\) at N = 1. Idea as quoted from Zhou
(arXiv:2607.08757): score accuracy does not certify stability; statement and proof are
ours.
"""

from typing import ClassVar

import numpy as np
from scipy.special import gammaln, logsumexp

from ..estimate import Estimate
from .base import BUILT, AbstractBound, Case, Claim, Facts, Limit, outside

_MOST = 4  # steps: 81 moments


class EulerMoments(AbstractBound):
    """The second moment after a few steps, over their number and the error."""

    facts: ClassVar[Facts] = Facts(
        statement="E z_N^2 >= (2 3^N - 1)!! w_0^(2 3^N) prod c_k^(2 3^(N-1-k)), "
        "c_k = h_k delta/(sqrt(15) w_k^3), at an error delta of the score in L2(p_v)",
        assumptions=(
            "no step longer than w^2 = s^2 + v",
            "start in the exact law",
        ),
        source="here, proof and source of the idea in the docstring",
        status="proved",
        limits=(
            Limit("num_steps", only=tuple(range(1, _MOST + 1))),
            Limit("variance", 1e-3, 100.0),
            Limit("first", 1e-2, 200.0),
            Limit("error", 1e-4, 10.0),
        ),
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"variance": 0.5, "first": first, "num_steps": N, "error": error}
        for first, N, error in (
            (2.0, 1, 0.1),
            (200.0, 1, 10.0),
            (2.0, 3, 0.3),
            (2.0, 4, 0.01),
            (50.0, 4, 0.1),
            (50.0, 4, 3.0),
        )
    )

    def setting(self, case):
        return case

    def sides(self, key, variance, first, num_steps, error):
        """The bound, and the moment; and its share of that with the exact score.

        Args:
            key: not used.
            variance: s^2.
            first: V; the steps are of one ratio of s^2 + v, down to s^2.
            num_steps: N.
            error: delta.
        """
        squares = np.geomspace(variance + first, variance, int(num_steps) + 1)
        steps = -np.diff(squares)
        if not (variance > 0.0 and first > 0.0 and error > 0.0):
            return outside((False, BUILT))
        moment = np.exp(log_moment(squares, steps, error))
        least = np.exp(log_bound(squares, steps, error))
        kept = bool(np.all(steps <= squares[:-1])), BUILT
        sides = Estimate(least, how="closed form"), Estimate(moment, how="closed form")
        return [Claim("", *sides, assumptions=kept)]


def log_bound(squares: np.ndarray, steps: np.ndarray, error: float) -> float:
    """Logarithm of the right side, of any number of steps.

    Args:
        squares: (N + 1,) w^2 from the start.
        steps: (N,) h.
        error: delta.
    """
    N = len(steps)
    power = 3.0**N
    logs = np.log(steps * error / np.sqrt(15.0)) - 1.5 * np.log(squares[:-1])
    powers = 2.0 * 3.0 ** np.arange(N - 1, -1, -1)
    return float(_log_even(power) + power * np.log(squares[0]) + powers @ logs)


def log_moment(squares: np.ndarray, steps: np.ndarray, error: float) -> float:
    """Logarithm of the second moment after the steps, by all moments before.

    Args:
        squares: (N + 1,) w^2 from the start.
        steps: (N,) h, none longer than its w^2.
        error: delta.
    """
    N = len(steps)
    order = np.arange(3**N + 1)
    logs = _log_even(order) + order * np.log(squares[0])
    for k, h in enumerate(steps):
        gain = 1.0 - h / squares[k]
        cubic = h * error / np.sqrt(15.0) / squares[k] ** 1.5
        with np.errstate(divide="ignore"):
            scales = np.log([gain, cubic])
        logs = np.array(
            [_moved(n, logs, *scales, np.log(h)) for n in range(3 ** (N - 1 - k) + 1)]
        )
    return float(logs[1])


def _moved(n, logs, log_gain, log_cubic, log_step):
    """log E (g z + c z^3 + sqrt(h) xi)^2n from log E z^2m."""
    if n == 0:
        return 0.0
    cubes, noises = np.meshgrid(
        np.arange(2 * n + 1), np.arange(0, 2 * n + 1, 2), indexing="ij"
    )
    inside = cubes + noises <= 2 * n
    j, m = cubes[inside], noises[inside]
    i = 2 * n - j - m
    many = gammaln(2 * n + 1) - gammaln(i + 1) - gammaln(j + 1) - gammaln(m + 1)
    linear = np.where(i > 0, i * max(log_gain, -1e300), 0.0)  # a gain of 0, to the 0
    noise = _log_even(m // 2) + 0.5 * m * log_step
    return logsumexp(many + linear + j * log_cubic + logs[(i + 3 * j) // 2] + noise)


def _log_even(n):
    """log (2n - 1)!!, of the 2n-th moment of N(0, 1)."""
    return gammaln(2.0 * n + 1.0) - n * np.log(2.0) - gammaln(n + 1.0)
