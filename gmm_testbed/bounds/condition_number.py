r"""T43: W2 of diffusion and of Langevin for one Gaussian, with all constants.

For N(0, S) in dimension d, the exact score and N steps. The reverse heat flow
\(Y_k = Y_{k-1} + \eta_k s_{\tau_{k-1}}(Y_{k-1}) + \sqrt{\eta_k}\,\xi\) starts from
N(0, T I), with \(\eta_k = \tau_{k-1} - \tau_k\) and \(\tau_k = T (\delta/T)^{k/N}\): DDPM
with the large variance on a VE path, equal steps of log-SNR. ULA of step \(\eta\) starts
from the origin.

- Theorem 3: \(T = (\operatorname{Tr} S^5/\operatorname{Tr} S)^{1/4} \sqrt N\),
  \(\delta = \operatorname{Tr} S/(d N^2)\):
  \(W_2 \le \frac{\sqrt{\operatorname{Tr} S}}N [\frac58 a_N \rho^{1/N} \log(\rho^{2/5} N)
  + 1 + \sqrt8]\), \(\rho = d \lambda_{max}/\operatorname{Tr} S\),
  \(a_N = \sqrt{1 + 4/N^2}\, N^{5/(2N)}\).
- Proposition 4: \(T = \lambda_{max} \sqrt N\), \(\delta = \lambda_{max}/N^2\):
  \(W_2 \le \frac{\sqrt{d \lambda_{max}}}N [5 \cdot 2^{-5/4} \log N + (5/4)^{3/2} + 1]\).
- Theorem 1: ULA with \(\eta = \lambda_{max} \log N/(2N)\), where
  \(N \ge \frac\kappa2 \log N\):
  \(W_2 \le \frac{\lambda_{max} \sqrt{\operatorname{Tr} S^{-1}}}N (\frac14 \log N +
  \sqrt2)\).
- Corollary 5: \(W_2 \le \varepsilon\) from
  \(N \ge \frac\kappa2 \max(1, \lambda_{min} \sqrt{\operatorname{Tr} S^{-1}}/\varepsilon)
  \log(\sqrt{8 \operatorname{Tr} S}/\varepsilon)\) with
  \(\eta = \min(\lambda_{min}, \varepsilon/\sqrt{\operatorname{Tr} S^{-1}})\) for ULA, and
  from \(N \ge \frac{3e}4 \sqrt{\operatorname{Tr} S + 4\varepsilon^2/9}\;\varepsilon^{-1}
  \log(T/\delta)\) with \(\delta = \varepsilon^2/(9d)\),
  \(T = \sqrt{3/\varepsilon}\,(\operatorname{Tr} (S + \delta)^3 S^2)^{1/4}\) for diffusion.

The variance of ULA is \(\lambda (1 - q^N)/(1 - \eta/2\lambda)\) with
\(q = (1 - \eta/\lambda)^2\), and its excess over \(\lambda\) is had without a difference of
powers, at any N. None of the bounds is tight: Theorem 3 is twice the truth at best here.
Source: Perbost, Bach and Marion 2026 (arXiv:2610.12052); underdamped Langevin is left out.
"""

from typing import ClassVar

import numpy as np
from jaxtyping import ArrayLike, Float

from ..algorithms import Guided
from ..approximations import Unguided
from ..estimate import Estimate
from ..kernels import DDPM
from ..laws import EigenProblem, spectral
from ..paths import VE
from ..paths.grids import time_grid
from .base import BUILT, AbstractBound, Case, Claim, Facts, outside
from .spaces import AbstractSpace, Between, Coordinates, OneOf

Eigenvalues = Float[ArrayLike, " d"]
_POSITIVE, _LONG = "positive eigenvalues", "N >= kappa log(N) / 2"


class Spectra(AbstractSpace):
    """Five eigenvalues from 1e-4 to 1, the largest 1; z = 0 is a round Gaussian."""

    @property
    def size(self) -> int:
        """One coordinate an eigenvalue."""
        return 5

    def at(self, z: Coordinates) -> Eigenvalues:
        """Eigenvalues (5,)."""
        return np.maximum(np.exp(2.0 * (z - z.max())), 1e-4)


class ConditionNumber(AbstractBound):
    """The five bounds for a log-uniform spectrum, over kappa, d, N and the accuracy."""

    facts: ClassVar[Facts] = Facts(
        statement="W2 <= C/N log N: diffusion C ~ (5/8) Tr S^(1/2), ULA lambda_max "
        "(Tr S^-1)^(1/2)/4",
        assumptions=(_POSITIVE, "exact score of N(0, S)"),
        source="Perbost, Bach and Marion 2026, with its number in the docstring",
        status="published",
        search={
            "eigenvalues": Spectra(),
            "num_steps": OneOf((2, 5, 20, 100, 1000)),
            "accuracy": Between(0.01, 2.0),
        },
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"kappa": kappa, "dim": dim, "num_steps": N, "accuracy": accuracy}
        for kappa, dim in ((10.0, 5), (1e4, 5), (30.0, 100))
        for N, accuracy in ((10, 0.5), (100, 0.1), (1000, 0.02))
    )

    def setting(self, case):
        dim = case["dim"]
        place = np.arange(dim) / max(dim - 1, 1)
        rest = {k: case[k] for k in ("num_steps", "accuracy")}
        return {"eigenvalues": case["kappa"] ** -place} | rest

    def sides(self, key, eigenvalues, num_steps, accuracy):
        values, N = np.asarray(eigenvalues, float), num_steps
        if not np.all(values > 0):
            return outside((False, BUILT))
        wanted = accuracy * np.sqrt(values.sum())
        flow, chain = corollary(values, wanted)
        step = langevin_step(values, N)
        long = bool(step <= values.min()), BUILT, True
        claims = [
            _claim(name, heat_flow(values, N, *ends(values, N, name)), right)
            for name, right in (
                ("Theorem 3", theorem_3(values, N)),
                ("Proposition 4", proposition_4(values, N)),
            )
        ]
        ula = _claim("Theorem 1", langevin(values, N, step), theorem_1(values, N))
        asked = _LONG, *self.facts.assumptions[::-1]
        claims.append(ula._replace(assumptions=long, asked=asked))
        return [
            *claims,
            _claim("Corollary 5, diffusion", heat_flow(values, *flow), wanted),
            _claim("Corollary 5, ULA", langevin(values, *chain), wanted),
        ]


def _claim(name, left, right) -> Claim:
    sides = Estimate(left, how="closed form"), Estimate(right, how="closed form")
    return Claim(name, *sides, assumptions=(True, BUILT))


# --- the laws ---------------------------------------------------------------------------


def heat_flow(values: Eigenvalues, num_steps: int, start: float, end: float) -> float:
    """W2 of the reverse heat flow from N(0, diag(values)).

    Args:
        values: (d,) of the covariance.
        num_steps: N.
        start: T, the first noise variance.
        end: delta, the last.
    """
    path = VE(np.sqrt(end), np.sqrt(start))
    problem = EigenProblem(path, values)
    times = time_grid(path, num_steps, "log_snr", t_min=0.0)
    law = spectral(Guided(Unguided(), DDPM("large")), problem, times)
    return float(law.w2(problem.prior()))


def langevin(values: Eigenvalues, num_steps: int | float, step: float) -> float:
    r"""W2 of ULA from the origin, from N(0, diag(values)), at any number of steps.

    Args:
        values: (d,) of the covariance.
        num_steps: N.
        step: eta, below twice the smallest value for a law that settles.
    """
    values = np.asarray(values, float)
    half = 0.5 * step / values
    small = half < 0.25
    with np.errstate(divide="ignore"):
        far = np.log(np.abs(1.0 - 2.0 * np.where(small, 0.0, half)))
    log_rate = np.where(small, np.log1p(-2.0 * np.where(small, half, 0.0)), far)
    with np.errstate(over="ignore"):  # it does not settle
        left = np.exp(2.0 * num_steps * log_rate)
    excess = (half - left) / (1.0 - half)
    return from_excess(values, excess)


def from_excess(values: Eigenvalues, excess: Eigenvalues) -> float:
    """W2 of N(0, values (1 + excess)) from N(0, values), to the digits of the excess."""
    near = np.abs(excess) < 1.0
    e = np.where(near, excess, 0.0)
    ratio = np.where(near, e / (np.sqrt(1.0 + e) + 1.0), np.sqrt(1.0 + excess) - 1.0)
    apart = np.sqrt(values) * ratio
    return float(np.sqrt(np.sum(apart**2)))


# --- what they are bounded by, and for which noise --------------------------------------


def ends(
    values: Eigenvalues, num_steps: int | float, tuning: str
) -> tuple[float, float]:
    """Noise variances T and delta of the tuning "Theorem 3" or "Proposition 4"."""
    values, N = np.asarray(values, float), num_steps
    top, total = values.max(), values.sum()
    if tuning == "Theorem 3":
        start = (np.sum(values**5) / total) ** 0.25 * np.sqrt(N)
        return float(start), float(total / (values.size * N**2))
    return float(top * np.sqrt(N)), float(top / N**2)


def langevin_step(values: Eigenvalues, num_steps: int | float) -> float:
    """The step of Theorem 1, which holds where it is at most the smallest value."""
    return float(0.5 * np.max(values) * np.log(num_steps) / num_steps)


def theorem_1(values: Eigenvalues, num_steps: int | float) -> float:
    """The bound of ULA."""
    values, N = np.asarray(values, float), num_steps
    scale = values.max() * np.sqrt(np.sum(1.0 / values)) / N
    return float(scale * (0.25 * np.log(N) + np.sqrt(2.0)))


def theorem_3(values: Eigenvalues, num_steps: int | float) -> float:
    """The bound of the reverse heat flow."""
    values, N = np.asarray(values, float), num_steps
    total = values.sum()
    rho, a = values.size * values.max() / total, np.sqrt(1 + 4 / N**2) * N ** (2.5 / N)
    inside = 0.625 * a * rho ** (1.0 / N) * np.log(rho**0.4 * N) + 1.0 + np.sqrt(8.0)
    return float(np.sqrt(total) / N * inside)


def proposition_4(values: Eigenvalues, num_steps: int | float) -> float:
    """The bound of the reverse heat flow that knows the largest value only."""
    values, N = np.asarray(values, float), num_steps
    inside = 5.0 / 2.0**1.25 * np.log(N) + 1.25**1.5 + 1.0
    return float(np.sqrt(values.size * values.max()) / N * inside)


def corollary(values: Eigenvalues, wanted: float):
    """Steps and noise variances, and steps and step of ULA, for W2 <= wanted."""
    total, dim, least = np.sum(values), np.size(values), np.min(values)
    end = wanted**2 / (9.0 * dim)
    start = np.sqrt(3.0 / wanted) * np.sum((values + end) ** 3 * values**2) ** 0.25
    decades = np.log(start / end)
    needed = 0.75 * np.e * np.sqrt(total + 4.0 * wanted**2 / 9.0) / wanted * decades
    inverse = np.sqrt(np.sum(1.0 / values))
    slow = 0.5 * np.max(values) / least * max(1.0, least * inverse / wanted)
    slow = slow * np.log(np.sqrt(8.0 * total) / wanted)
    step = min(least, wanted / inverse)
    flow = int(np.ceil(needed)), float(start), float(end)
    return flow, (float(np.ceil(slow)), float(step))
