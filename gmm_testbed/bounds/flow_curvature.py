r"""T40: the probability flow of no law bends more than a constant over the noise.

Along \(\dot x_s = (x - E[x_0|x_s = x])/s = v\), the flow of \(x_0 + s\varepsilon\), and
in the clock \(\eta = s^\rho\), for every law of \(x_0\) in \(R^d\)

\[ \Big\|\frac{d^2 x}{d\eta^2}\Big\|_{L_2}
   \le \rho^{-2} \sqrt d\,\big(|1 - \rho| + 4(d + 3)\big)\, s^{1 - 2\rho} , \]

so that one step of DDIM from the exact law errs by no more than

\[ \delta \le 4 \sqrt d\,(d + 3)\,\big(s - s' - s' \log(s/s')\big) \]

(Brosse and Dalalyan, arXiv:2610.10190, theorem 2 and lemma 3). With e = E[eps | x], the
variance C and the third cumulant \(\kappa\) of x_0 given x, on the line
\(s\,\dot v = e\,C/s^2 - \kappa/s^3\), and the left side is \(\rho^{-2} s^{1-2\rho}
\|s\dot v + (1 - \rho) v\|\). Steps and flow are increasing maps: \(\delta\) is the
Wasserstein distance of their images. In space two Gaussians stand beside a mixture, and
squares add up.

The constant is far from attained on the line, where it is 16 for \(\rho = 1\): one Gaussian
reaches \(2/\sqrt{27} = .385\), two equal atoms 1.02 at a distance of four s, and the most
that was found is 1.36, of nine equal atoms four s apart.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Real

from .._types import Scalar
from ..divergences import line_expectation
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Facts, Limit, computed, outside
from .tools import line_pairs, space
from .tools.assumptions import finite_moments

LAWS = ("two modes", "one Gaussian", "two atoms", "nine atoms")
Level = Real[ArrayLike, ""]
_SPACING = 4.0  # of the atoms, at s = 1
_NEAR = 1e-12  # variance of what stands for an atom


class FlowCurvature(AbstractBound):
    """Bend of the flow and error of a step, over laws, noise, steps, clocks and d."""

    facts: ClassVar[Facts] = Facts(
        statement="||x''|| <= sqrt(d) (|1 - rho| + 4 (d + 3)) s^(1 - 2 rho) / rho^2; "
        "one step <= 4 sqrt(d) (d + 3) (s - s' - s' log(s / s'))",
        assumptions=("finite second moments", "s > s' > 0, rho > 0"),
        source="Brosse and Dalalyan 2026, arXiv:2610.10190, theorem 2 and lemma 3",
        status="published",
        limits=(Limit("dim", only=(1, 3)),),
    )
    cases: ClassVar[tuple[Case, ...]] = (
        *(
            {"law": law, "s": s, "next": 0.7, "rho": 1.0, "dim": 1}
            for law, s in zip(LAWS, (0.3, 0.7, 1.0, 1.0), strict=True)
        ),
        *(
            {"law": "two modes", "s": s, "next": 0.5, "rho": rho, "dim": 3}
            for s, rho in ((0.1, 1 / 7), (0.5, 0.5), (3.0, 2.0))
        ),
    )

    def setting(self, case):
        """The objects of a case: prior, noise before and after the step, and clock."""
        s = jnp.asarray(case["s"])
        prior = law_of(case["law"], case["dim"])
        return {"prior": prior, "s": s, "after": case["next"] * s, "rho": case["rho"]}

    def sides(self, key, prior, s: Level, after: Level, rho: Level):
        """Both sides of the bend at noise s, and of a step of DDIM from s.

        Args:
            key: not used.
            prior: of x_0, with components that differ along one axis.
            s: () noise scale before the step.
            after: () noise scale after it.
            rho: () power of the noise scale that is the clock.
        """
        s, after, rho = jnp.asarray(s), jnp.asarray(after), jnp.asarray(rho)
        prior = space.rotated(prior)
        kept = (
            finite_moments(prior.whole()),
            bool((s > after) & (after > 0) & (rho > 0)),
        )
        if not all(kept):
            return outside(kept)
        d = prior.dim
        clock = rho**-2 * s ** (1.0 - 2.0 * rho)
        most = np.sqrt(d) * (jnp.abs(1.0 - rho) + 4.0 * (d + 3)) * clock
        step = 4.0 * np.sqrt(d) * (d + 3) * (s - after - after * jnp.log(s / after))
        return [
            computed("bend", clock * bend(prior, s, rho), most, assumptions=kept),
            computed("one step", bias(prior, s, after), step, assumptions=kept),
        ]


def law_of(name: str, dim: int) -> space.Rotated:
    """One of `LAWS`, with two Gaussians beside it in three dimensions."""
    if name == "two modes":
        return space.two_modes(dim)
    count = {"one Gaussian": 1, "two atoms": 2, "nine atoms": 9}[name]
    means = _SPACING * (np.arange(count) - 0.5 * (count - 1))[:, None]
    variance = 1.0 if count == 1 else _NEAR
    line = GaussianMixture.isotropic(np.full(count, 1.0 / count), means, variance)
    return space.beside(line, dim, (0.7, -0.3), (0.25, 0.6))


@eqx.filter_jit
def bend(prior: space.Rotated, s: Scalar, rho: Scalar) -> Scalar:
    r"""\(\|s\dot v + (1 - \rho) v\|\), the norm in L2, ().

    Args:
        prior: of x_0.
        s: () noise scale.
        rho: () power of the clock.
    """
    one = jnp.ones_like(s)

    def square(x):
        at = prior.line.denoised(x, one, s)
        weights, means = jnp.exp(at.log_weights), at.means[:, 0]
        mean, variances = weights @ means, at.covariances()[:, 0, 0]
        gaps = means - mean
        variance = weights @ (variances + gaps**2)
        third = weights @ (3.0 * variances * gaps + gaps**3)
        noise = (x[0] - mean) / s
        pull = noise * variance / s**2 - third / s**3
        return (pull + (1.0 - rho) * noise) ** 2

    line = line_expectation(prior.line.noised(one, s), square)
    wide = prior.variances + s**2
    beside = s**2 / wide * (prior.variances / wide + 1.0 - rho) ** 2
    return jnp.sqrt(line + jnp.sum(beside))


@eqx.filter_jit
def bias(prior: space.Rotated, s: Scalar, after: Scalar) -> Scalar:
    """Root mean square distance between a step of DDIM and the flow, ().

    Args:
        prior: of x_0.
        s: () noise scale before the step, where the law is exact.
        after: () noise scale after it.
    """
    one, share = jnp.ones_like(s), 1.0 - after / s

    def cost(x, z):
        mean = prior.line.denoised_mean(x[None], one, s)[0]
        return ((1.0 - share) * x + share * mean - z) ** 2

    before, exact = prior.line.noised(one, s), prior.line.noised(one, after)
    line = line_pairs.transport(before, exact, cost)
    wide = prior.variances + s**2
    slope = 1.0 - share + share * prior.variances / wide
    flow = jnp.sqrt((prior.variances + after**2) / wide)
    return jnp.sqrt(line + jnp.sum(wide * (slope - flow) ** 2))
