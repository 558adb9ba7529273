r"""T5: what freezing the score over a step costs.

In the account of `frozen`, F is \(J_t = E\|\nabla\log p_t\|^2 \le d/\sigma_t^2\), and at
most the mean over components of \(\operatorname{tr} C_k^{-1}\). It does not tend to zero
as t grows, while that of the relative score (T4) does. For these two modes the relative
score is the better one to freeze; for N(0, 4) and T = 0.3 it is five times the worse.

Source: Chen et al. (2023, arXiv:2209.11215) up to constants, which are proved here.
"""

from typing import ClassVar

import jax.numpy as jnp

from ..paths import OU
from .base import AbstractBound, Case, Facts, computed
from .spaces import Between, OneOf, Problems
from .tools.frozen import moments, sides
from .tools.line_paths import two_modes


class FrozenScore(AbstractBound):
    """T5 for two modes, over the time T and a constant error of the score."""

    facts: ClassVar[Facts] = Facts(
        statement="path KL = sum of int J_t - (2 e^-u - 1) J_k du, J = E|score|^2 <= d/s^2",
        assumptions=("Ornstein-Uhlenbeck path", "finite Fisher information"),
        source="constants here; scheme: Chen et al. 2023, arXiv:2209.11215",
        status="proved",
        search={
            "problem": Problems(),
            "T": Between(0.3, 3.0),
            "error": OneOf((0.0, 0.3)),
        },
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"T": T, "error": error} for error in (0.0, 0.3) for T in (0.7, 1.2, 2.0)
    )

    def setting(self, case):
        return {"problem": two_modes(OU(1.0)).problem} | case

    def sides(self, key, problem, T, error):
        found = sides(problem, 1.0, T, error)
        shown = []
        path, posterior = OU(T), problem.posterior()
        for t in (0.1, 0.8):
            alpha, sigma = path.alpha(t), path.sigma(t)
            square = moments(posterior, alpha, sigma, jnp.ones(()))[0]
            shares = jnp.exp(posterior.log_weights)
            noisy = alpha**2 * posterior.covariances()[:, 0, 0] + sigma**2
            shown.append((f"J at {t}, components", square, shares @ (1 / noisy)))
            shown.append((f"J at {t}, noise", square, 1.0 / sigma**2))
        claims = found.claims(shown)
        if not error:
            both = sides(problem, -1.0, T, 0.0).cells, found.cells
            better = computed("the relative score is the better one", *both)
            better = better._replace(assumptions=found.kept, status="observed")
            claims.append(better)
        return claims
