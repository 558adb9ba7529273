r"""T12: the bound on densities of the DPS paper, as printed and with its constant repaired.

DPS replaces \(p(y|x_t)\) by \(p(y | x_0 = m)\), \(m = E[x_0|x_t]\). With noise
\(N(0, s^2 I)\), \(m_1 = E[\|x_0 - m\| \mid x_t]\) and d the dimension (1 below), Theorem 1
of Chung et al. bounds the error of the density by

\[ |p(y|x_t) - p(y|x_0=m)| \le \frac{d}{\sqrt{2\pi s^2}} e^{-1/(2s^2)} \|\nabla A\| m_1 . \]

The argument is that the error is at most the Lipschitz constant of
\(x_0 \mapsto N(y; A x_0, s^2 I)\) times \(m_1\), and it is sound. The constant is not: the
slope of \(N(\cdot; 0, s^2)\) is largest at distance s, where it is
\(e^{-1/2} / (s\sqrt{2\pi s^2})\), while Lemma 2 there puts the distance 1. For d = 1 the
printed constant is at least the slope for s >= 1 and too small below, more so the smaller
the noise; it also changes with the units of y. Two atoms at a distance a s either side of
their mean, and y there, leave an error of \((1 - e^{-a^2/2})/a\) in units of
\(m_1/(s\sqrt{2\pi s^2})\), at most b = 0.45126 at a = 1.585: so the printed inequality
fails for every s < 0.8716. Nothing is worse than these two atoms:

\[ |p(y|x_t) - p(y|x_0=m)| \le \frac{b}{s\,(2\pi s^2)^{n/2}} \|A\| m_1, \qquad
   b = \max_a \frac{1 - e^{-a^2/2}}{a} \]

for y in n dimensions. As \(E[x_0 - m] = 0\), a linear function may be taken off: with
\(f(u) = e^{-|u|^2/2}\) and \(u = (y - A x_0)/s\), \(v = (y - A m)/s\),

\[ |E f(u) - f(v)| = |E[f(u) - f(v) - \lambda\cdot(u - v)]|
   \le \sup_u \frac{|f(u) - f(v) - \lambda\cdot(u - v)|}{|u - v|}\, E|u - v| \]

for every \(\lambda\). Along v the best \(\lambda\) leaves a supremum that is b at v = 0
and less elsewhere, .445 at |v| = .3 and .384 at 1, in a plane as on the line, and all of
space is the planes through v: a search over three numbers, which a test repeats. The
Lipschitz constant \(e^{-1/2} = 0.607\), the argument of the paper, is 1.34 times b. So it
is the constant that fails, not the statement that a concentrated \(p(x_0|x_t)\) makes the
error small. The left is a mixture in y and a Gaussian, and \(m_1\) is one integral
(`radial`), in any dimension.
"""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, Limit, outside
from .spaces import Between, Mixtures, OneOf, Points, one_row
from .tools import space
from .tools.radial import mean_distance

_SLOPE, _OFFSET, _Y = 1.3, -0.2, 0.5  # y = 1.3 x - 0.2 + N(0, noise^2)
_ROOT_TAU = math.sqrt(2.0 * math.pi)
SHARP = 0.45125623407830817  # max over a of (1 - exp(-a^2/2)) / a
_POINTS = 18  # along each axis of the grid of (x_t, v)
_SEARCH = {
    "prior": Mixtures(components=2, least=1e-4),
    "A": OneOf((1.0,), one_row),
    "y": Points(1),
    "noise": Between(0.05, 5.0),
}
_CASES = tuple({"noise": noise} for noise in (0.1, 0.25, 0.5, 1.0, 2.0))


class PublishedDensityBound(AbstractBound):
    """The theorem with its printed constant, at the worst of 324 points (x_t, v)."""

    facts: ClassVar[Facts] = Facts(
        statement="|p(y|x_t) - p(y|x_0=m)| <= d exp(-1/(2 s^2)) / sqrt(2 pi s^2) |A| m_1",
        assumptions=("noise N(0, s^2 I), s > 0",),
        source="Chung et al. 2023, arXiv:2209.14687, Theorem 1",
        status="published",
        refuted=True,
        search=_SEARCH,
    )
    cases: ClassVar[tuple[Case, ...]] = _CASES

    def setting(self, case):
        return _problem(1) | case

    def sides(self, key, prior, A, y, noise):
        if not noise > 0.0:
            return outside((False,))
        constant = -0.5 / noise**2 - math.log(_ROOT_TAU * noise)
        return _worst(prior, A, y, noise, constant + math.log(A.shape[1]))


class DensityBound(AbstractBound):
    """The theorem with the smallest constant, at its worst point."""

    facts: ClassVar[Facts] = Facts(
        statement="|p(y|x_t) - p(y|x_0=m)| <= b / (s (2 pi s^2)^(n/2)) |A| m_1, "
        "b = max (1 - exp(-a^2/2)) / a = .4513",
        assumptions=("noise N(0, s^2 I), s > 0",),
        source="here; the argument of arXiv:2209.14687, Theorem 1",
        status="proved",
        limits=(Limit("dim", only=(1, 3)),),
        search=_SEARCH,
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {**case, "dim": dim} for dim in (1, 3) for case in _CASES
    )

    def setting(self, case):
        return _problem(case["dim"]) | {"noise": case["noise"]}

    def sides(self, key, prior, A, y, noise):
        if not noise > 0.0:
            return outside((False,))
        constant = math.log(SHARP / noise) - A.shape[0] * math.log(_ROOT_TAU * noise)
        return _worst(prior, A, y, noise, constant)


def _worst(prior, A, y, noise, log_constant) -> list[Claim]:
    """The point where the error is largest beside its bound, named in the label.

    Found by logarithms: for little noise densities are below the smallest number.
    """
    grid = gaps_and_moments(prior, A, y, jnp.asarray(noise))
    x, v, log_gap, moment = (np.asarray(part).ravel() for part in grid)
    log_bound = log_constant + np.log(np.linalg.norm(A, 2) * moment)
    worst = int(np.argmax(log_gap - log_bound))
    over = int(np.sum(log_gap > log_bound))
    label = f"x_t = {x[worst]:.3g} at v = {v[worst]:.3g}, worst of {x.size}"
    label += f", {over} above the bound" if over else ""
    sides = (Estimate(np.exp(logs[worst])) for logs in (log_gap, log_bound))
    return [Claim(label, *sides, assumptions=(True,))]


def _problem(dim):
    """Prior, A and y: two modes on the line; in space, and two measurements."""
    if dim == 1:
        prior, A = space.two_modes(1).whole(), jnp.asarray([[_SLOPE]])
        y = jnp.asarray([_Y - _OFFSET])
    else:
        prior, A, _, y = space.observed()
    return {"prior": prior, "A": A, "y": y}


@eqx.filter_jit
def gaps_and_moments(prior, A, y, noise):
    r"""x_t, v, log |p(y|x_t) - p(y|m)| and m_1 on the grid, each (18, 18); alpha = 1.

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
        apart = jnp.log(-jnp.expm1(-jnp.abs(exact - single)))
        return x, v, jnp.maximum(exact, single) + apart, mean_distance(law, mean)

    xs = jnp.linspace(-4.0 * one, 4.0 * one, _POINTS)
    vs = jnp.exp(jnp.linspace(jnp.log(0.01 * one), jnp.log(30.0 * one), _POINTS))
    return jax.lax.map(lambda v: jax.vmap(lambda x: at(x, v))(xs), vs)
