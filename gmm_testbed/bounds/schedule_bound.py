r"""T44: KL of a sampler of one law in terms of its noise schedule.

Along \(dX = -\tfrac12 \beta X dt + \sqrt\beta\,dB\) on [0, 1], with \(\gamma = N(0, I)\),
let the reverse SDE be written with the score of \(p_t\) relative to \(\gamma\),
\(-\tfrac\beta2 x + \beta \nabla\log(p_t/\gamma)\), this score frozen over each of N equal
steps h = 1/N, the rest solved exactly, and \(\gamma\) the start. For the law q of the
output, a score with the error e, and \(\beta\) that does not decrease,

\[ KL(\pi \| q) \le e^{-\int\beta} KL(\pi\|\gamma) + |e|^2 \int\beta
   + 2 h \beta(1) \max\{\tfrac{h \beta(1)}4, 1\}\, I(\pi \| \gamma), \]

I the relative Fisher information. The first term is T6 (i); the path divergence of the rest
is \(\tfrac12 \sum \int \beta E|\nabla\log(p_t/\gamma)(X_t) - (\ldots)_{t_k} - e|^2\), and
its halves are bounded apart. That the relative score is frozen is how we read the theorem:
with the score itself (the exponential integrator of `gt.kernels`) it would be false, since
for \(\pi = \gamma\) the right side is 0 and its output is not \(\gamma\).

For one Gaussian everything is a closed form by eigenvalue:
\(I = \operatorname{Tr} S + |\mu|^2 - 2d + \operatorname{Tr} S^{-1}\). For a mixture on
the line I is an integral, and q the law of the scheme by quadrature. The middle term is
twice what a constant error costs, the last one 8 times or more; nothing is tight here.
Source: Strasman et al. 2024 (arXiv:2402.04650), the bound as in the code of the authors;
that of W2 is left out.
"""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np

from .. import laws
from ..algorithms import Guided
from ..approximations import Unguided
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..paths import VP, AbstractPath
from ..problem import InverseProblem, Linear, Target
from ..problem.denoisers import Prior, ScoreError
from .base import BUILT, AbstractBound, Case, Claim, Facts, outside
from .spaces import Between, Mixtures, OneOf
from .tools import reverse_line
from .tools.assumptions import has_density
from .tools.frozen import Frozen, from_normal
from .tools.space import two_modes

_NODES = np.linspace(0.0, 1.0, 201)


def _rising(beta_max: float) -> VP:
    """A path whose rate rises from a tenth of its last one."""
    return VP(0.1 * beta_max, beta_max)


class ScheduleBound(AbstractBound):
    """The bound for correlations and for two modes, over the rates, N and an error."""

    facts: ClassVar[Facts] = Facts(
        statement="KL <= e^-B KL(pi|g) + |e|^2 B + 2 h beta max(h beta/4, 1) I(pi|g)",
        assumptions=(
            "a density; one Gaussian, or a mixture on the line",
            "variance preserving path from 0 to 1, beta does not decrease",
            "relative score frozen over equal steps, start N(0, I)",
        ),
        source="Strasman et al. 2024, arXiv:2402.04650, as in the code of the authors",
        status="published",
        search={
            "prior": Mixtures(dim=2, components=1, full=True),
            "path": OneOf((0.1, 1.0, 5.0, 20.0), _rising),
            "num_steps": OneOf((1, 3, 10, 100)),
            "error": Between(1e-3, 3.0),
        },
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {
            "law": law,
            "beta_min": low,
            "beta_max": high,
            "num_steps": N,
            "error": error,
        }
        for law, low, high, steps in (
            ("correlated", 0.1, 20.0, ((20, 0.0), (100, 0.0), (1000, 0.1))),
            ("correlated", 2.0, 2.0, ((20, 0.0), (100, 0.0), (1000, 0.1))),
            ("correlated", 0.1, 5.0, ((20, 0.0), (100, 0.0), (1000, 0.1))),
            ("two modes", 0.1, 10.0, ((20, 0.0), (100, 0.1))),
        )
        for N, error in steps
    )

    def setting(self, case):
        rest = {k: case[k] for k in ("num_steps", "error")}
        path = VP(case["beta_min"], case["beta_max"])
        prior = correlated(4) if case["law"] == "correlated" else two_modes(1).whole()
        return {"prior": prior, "path": path} | rest

    def sides(self, key, prior, path, num_steps, error):
        kept = has_density(prior), preserving(path), BUILT
        if not all(kept):
            return outside(kept)
        given = prior, path, num_steps, error
        if prior.num_components == 1:
            found = bound(prior, path, num_steps, error), initial(prior, path)
            left, how = divergence(*given), "closed form"
        else:
            *found, left = _on_the_line(*given)
            how = "quadrature"
        terms, begun = found
        total, start = Estimate(sum(terms), how=how), Estimate(begun, how=how)
        first = Estimate(terms.initialisation, how=how)
        return [
            Claim("", Estimate(left, how=how), total, assumptions=kept),
            Claim("of the start", start, first, assumptions=kept),
        ]


class BoundTerms(NamedTuple):
    """The three terms of the right side, in nats."""

    initialisation: float
    score: float
    discretisation: float


def bound(
    prior: GaussianMixture, path: AbstractPath, num_steps: int, error: float = 0.0
) -> BoundTerms:
    """The right side, by its terms.

    Args:
        prior: one Gaussian.
        path: variance preserving.
        num_steps: N, equal steps from 1 to 0.
        error: of each coordinate of the relative score, constant.
    """
    means, values, _ = _moments(prior)
    fisher = np.sum(values + means**2 - 2.0 + 1.0 / values)
    square = values.size * error**2
    return _terms(path, num_steps, square, _kl_to_normal(means, values), fisher)


def _terms(path, num_steps, square, kl, fisher) -> BoundTerms:
    """From |e|^2, and KL and Fisher divergence of the prior from N(0, I)."""
    total = -2.0 * np.log(float(path.alpha(1.0)))
    step = float(path.diffusion_squared(1.0)) / num_steps
    return BoundTerms(
        float(np.exp(-total) * kl),
        float(square * total),
        float(2.0 * step * max(0.25 * step, 1.0) * fisher),
    )


def initial(prior: GaussianMixture, path: AbstractPath) -> float:
    """KL(p_1 || N(0, I)), in nats."""
    means, values, _ = _moments(prior)
    alpha = float(path.alpha(1.0))
    return float(_kl_to_normal(alpha * means, 1.0 + alpha**2 * (values - 1.0)))


def divergence(
    prior: GaussianMixture, path: AbstractPath, num_steps: int, error: float = 0.0
) -> float:
    """KL(pi || q), in nats: q from N equal steps with the relative score frozen.

    Args:
        prior: pi, one Gaussian.
        path: variance preserving.
        num_steps: N.
        error: of each coordinate of the relative score, constant.
    """
    means, values, basis = _moments(prior)
    errors = basis.T @ np.full(values.size, error)
    times = np.linspace(1.0, 0.0, num_steps + 1)
    alphas = np.asarray(path.alpha(times))
    mean, spread = np.zeros_like(values), np.ones_like(values)
    for before, after in zip(alphas[:-1], alphas[1:], strict=True):
        ratio, w = before / after, 1.0 + before**2 * (values - 1.0)
        pull = 2.0 * (1.0 - ratio)
        gain = ratio + pull * (1.0 - 1.0 / w)
        mean = gain * mean + pull * (before * means / w + errors)
        spread = gain**2 * spread + 1.0 - ratio**2
    apart = (means - mean) ** 2 / spread
    return float(0.5 * np.sum(values / spread - 1.0 - np.log(values / spread) + apart))


def _on_the_line(prior, path, num_steps, error):
    """The terms, KL of the start, and KL of the output, of a mixture."""
    reverse_line.check(prior)
    measured = Linear([[1.0]], [[1.0]])  # which nothing asks
    target = Target(InverseProblem(prior, measured, [0.0]), path)
    seen = target.seen_through(ScoreError(Prior(prior), offset=error))
    gamma = GaussianMixture.isotropic([1.0], [[0.0]], 1.0)
    times = jnp.asarray(np.linspace(1.0, 0.0, num_steps + 1))
    law = laws.grid(Guided(Unguided(), Frozen(-1.0)), seen, times, initial=gamma)
    terms = _terms(path, num_steps, error**2, *map(float, from_normal(prior)))
    noised = prior.noised(path.alpha(times[0]), path.sigma(times[0]))
    return terms, float(from_normal(noised)[0]), float(law.kl_from(prior))


def preserving(path: AbstractPath) -> bool:
    """Whether alpha^2 + sigma^2 is 1, alpha(0) is 1, and the rate does not decrease."""
    alpha, sigma, rate = (
        np.asarray(f(_NODES)) for f in (path.alpha, path.sigma, path.diffusion_squared)
    )
    kept = np.allclose(alpha**2 + sigma**2, 1.0, atol=1e-9) and alpha[0] == 1.0
    return bool(kept and np.all(np.diff(rate) >= -1e-9 * rate.max()))


def correlated(dim: int) -> GaussianMixture:
    """N(1, S) with S_ij = 1 / sqrt(|i - j| + 1)."""
    place = np.arange(dim)
    covariance = 1.0 / np.sqrt(np.abs(place[:, None] - place[None]) + 1.0)
    return GaussianMixture.full([1.0], np.ones((1, dim)), covariance[None])


def _moments(prior):
    """Means, eigenvalues and basis of one Gaussian, means in the basis."""
    values, basis = np.linalg.eigh(np.asarray(prior.covariances()[0]))
    return basis.T @ np.asarray(prior.means[0]), values, basis


def _kl_to_normal(means, values):
    return 0.5 * np.sum(values + means**2 - 1.0 - np.log(values))
