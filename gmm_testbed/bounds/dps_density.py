r"""T12: the bound on densities of the DPS paper, as printed and with its constant repaired.

DPS replaces \(p(y|x_t)\) by \(p(y | x_0 = m)\), \(m = E[x_0|x_t]\). With noise
\(N(0, s^2 I)\), \(m_1 = E[\|x_0 - m\| \mid x_t]\) and d the dimension (1 below), Theorem 1
of Chung et al. bounds the error of the density by

\[ |p(y|x_t) - p(y|x_0=m)| \le \frac{d}{\sqrt{2\pi s^2}} e^{-1/(2s^2)} \|\nabla A\| m_1 . \]

The argument is that the error is at most the Lipschitz constant of
\(x_0 \mapsto N(y; A x_0, s^2 I)\) times \(m_1\), and it is sound. The constant is not: the
slope of \(N(\cdot; 0, s^2)\) is largest at distance s, where it is
\(e^{-1/2} / (s\sqrt{2\pi s^2})\), while Lemma 2 there puts the distance 1. For d = 1 the
printed constant is large enough for s >= 1 and too small below, more so the smaller the
noise; it also changes with the units of y. With the slope at distance s,

\[ |p(y|x_t) - p(y|x_0=m)| \le \frac{e^{-1/2}}{s\,(2\pi s^2)^{n/2}} \|A\| m_1 \]

for y in n dimensions. So it is the constant that fails, not the statement that a
concentrated \(p(x_0|x_t)\) makes the error small. The left is a mixture in y and a
Gaussian, and \(m_1\) is one integral (`radial`), in any dimension.
"""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts
from .tools import space
from .tools.radial import mean_distance

_SLOPE, _OFFSET, _Y = 1.3, -0.2, 0.5  # y = 1.3 x - 0.2 + N(0, noise^2)
_ROOT_TAU = math.sqrt(2.0 * math.pi)
_POINTS = 18  # along each axis of the grid of (x_t, v)
_CASES = tuple({"noise": noise} for noise in (0.1, 0.25, 0.5, 1.0, 2.0))


class PublishedDensityBound(AbstractBound):
    """The theorem with its printed constant, at the worst of 324 points (x_t, v)."""

    facts: ClassVar[Facts] = Facts(
        statement="|p(y|x_t) - p(y|x_0=m)| <= d exp(-1/(2 s^2)) / sqrt(2 pi s^2) |A| m_1",
        assumptions=("noise N(0, s^2 I), s > 0",),
        source="Chung et al. 2023, arXiv:2209.14687, Theorem 1",
        status="published",
        refuted=True,
    )
    cases: ClassVar[tuple[Case, ...]] = _CASES

    def claims(self, key, case):
        noise = case["noise"]
        return _worst(noise, math.exp(-0.5 / noise**2) / (_ROOT_TAU * noise))


class DensityBound(AbstractBound):
    """The theorem with the Lipschitz constant of a Gaussian density, at its worst point."""

    facts: ClassVar[Facts] = Facts(
        statement="|p(y|x_t) - p(y|x_0=m)| <= exp(-1/2) / (s (2 pi s^2)^(n/2)) |A| m_1",
        assumptions=("noise N(0, s^2 I), s > 0",),
        source="here; the argument of arXiv:2209.14687, Theorem 1",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {**case, "dim": dim} for dim in (1, 3) for case in _CASES
    )

    def claims(self, key, case):
        noise, dim = case["noise"], case["dim"]
        seen = 1 if dim == 1 else 2  # n of y
        return _worst(
            noise, math.exp(-0.5) / (noise * (_ROOT_TAU * noise) ** seen), dim
        )


def _worst(noise, constant, dim=1) -> list[Claim]:
    """The point where the error is largest beside its bound, named in the label."""
    prior, A, y = _problem(dim)
    grid = gaps_and_moments(prior, A, y, jnp.asarray(noise))
    x, v, gap, moment = (np.asarray(part).ravel() for part in grid)
    bound = constant * np.linalg.norm(A, 2) * moment
    with np.errstate(divide="ignore", invalid="ignore"):
        worst = int(np.argmax(np.log(gap) - np.log(bound)))
    over = int(np.sum(gap > bound))
    label = f"x_t = {x[worst]:.3g} at v = {v[worst]:.3g}, worst of {x.size}"
    label += f", {over} above the bound" if over else ""
    sides = Estimate(gap[worst]), Estimate(bound[worst])
    return [Claim(label, *sides, assumptions=(noise > 0,))]


def _problem(dim):
    """Prior, A and y: two modes on the line; in space, and two measurements."""
    if dim == 1:
        prior = space.two_modes(1).whole()
        return prior, jnp.asarray([[_SLOPE]]), jnp.asarray([_Y - _OFFSET])
    prior, A, _, y = space.observed()
    return prior, A, y


@eqx.filter_jit
def gaps_and_moments(prior, A, y, noise):
    r"""x_t, v, |p(y|x_t) - p(y|m)| and m_1 on the grid, each (18, 18); alpha = 1.

    In space x_t is on the first axis.
    """
    one, zero = jnp.ones_like(noise), jnp.zeros_like(y)
    R = noise**2 * jnp.eye(y.shape[0], dtype=y.dtype)
    still = GaussianMixture.isotropic([1.0], zero[None], noise**2)

    def at(x, v):
        point = jnp.zeros(prior.dim, x.dtype).at[0].set(x)
        law = prior.denoised(point, one, jnp.sqrt(v))
        mean = law.mean()
        exact, single = law.log_evidence(A, R, y), still.log_prob(y - A @ mean)
        gap = jnp.abs(jnp.exp(exact) - jnp.exp(single))
        return x, v, gap, mean_distance(law, mean)

    xs = jnp.linspace(-4.0 * one, 4.0 * one, _POINTS)
    vs = jnp.exp(jnp.linspace(jnp.log(0.01 * one), jnp.log(30.0 * one), _POINTS))
    return jax.lax.map(lambda v: jax.vmap(lambda x: at(x, v))(xs), vs)
