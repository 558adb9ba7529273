r"""T51: a diffusion to a reference, and back from the reference itself.

Forwards \(dX = \tfrac12 b^2 \nabla\log\pi(X) ds + b\,dB\) from p to time T, with
\(\pi = N(\mu, I/C)\) the reference; then, from \(\pi\) in place of \(p_T\), back for a
time t by \(dU = b^2[-\tfrac12\nabla\log\pi + \nabla\log p_{T-t}](U) dt + b\,dB\). If
\(-\nabla^2\log p_s \succeq C_p I\) for \(T - t \le s \le T\), two copies with one noise
come together at least as \(e^{b^2(C/2 - C_p)t}\), so that with the exact score

\[ W_2^2(\tilde q_t, q_t) \le W_2^2(p_T, \pi)\, e^{b^2 (C - 2 C_p) t} , \]

and, with \(C_p(s)\) of each time, the same with \(\int_{T-t}^T b^2 (C - 2 C_p(s)) ds\)
in the exponent. As quoted, a second term \(2 b^2 N^{-r} C_e\) counts a score that was
estimated from N draws; with the exact score it is 0. (Distances add, not their squares:
a score that errs by \(\epsilon(s)\) in \(L_2\) adds
\(b^2\int e^{b^2\int(C/2 - C_p)}\epsilon\,ds\) to \(W_2\).)

Equality: p a Gaussian as wide as the reference and elsewhere, where \(C_p = C\) at all
times; of another width the second is approached as it is farther away. A mixture of
components \(c\) wide and D apart on the line has \(C_p(s) = 1/L - \alpha^2D^2/4L^2\),
\(L = \alpha^2 c + (1-\alpha^2)/C\), \(\alpha^2 = e^{-b^2Cs}\).
"""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..divergences.expectation import refined
from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, outside
from .spaces import Between, Mixtures, Overlapping
from .tools import reverse_line
from .tools.assumptions import count, has_density, isotropic
from .tools.levels import legendre

_NODES = 64  # of the integral over time


class ReferenceStart(AbstractBound):
    """Gaussians and two modes that overlap, over the horizon and the way back."""

    facts: ClassVar[Facts] = Facts(
        statement="W2(q~_t, q_t)^2 <= W2(p_T, ref)^2 exp(b^2 (C_ref - 2 C_p) t), exact "
        "score",
        assumptions=(
            "a round Gaussian reference",
            "p is strongly log-concave: one Gaussian, or components of one round "
            "covariance with means closer than two standard deviations",
            "0 < share <= 1 of a positive horizon",
        ),
        source="Andersson and Zhao 2025, arXiv:2512.10401, Proposition 1, its first term "
        "as quoted; proof in the docstring",
        status="proved",
        search={
            "prior": Overlapping(),
            "reference": Mixtures(components=1, least=0.2),
            "b": Between(0.3, 3.0),
            "horizon": Between(0.1, 3.0),
            "share": Between(0.05, 1.0),
        },
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"law": law, "horizon": horizon, "share": share}
        for law in ("shifted", "two modes", "in space")
        for horizon, share in ((0.5, 1.0), (2.0, 0.5), (2.0, 1.0))
    )

    def setting(self, case):
        prior, reference = _laws(case["law"])
        rest = {k: case[k] for k in ("horizon", "share")}
        return {"prior": prior, "reference": reference, "b": 1.2} | rest

    def sides(self, key, prior, reference, b, horizon, share):
        """The squared distance, and both bounds.

        Args:
            key: not used.
            prior: p, one Gaussian, or a mixture on the line.
            reference: one round Gaussian.
            b: scale of the noise.
            horizon: T.
            share: t / T.
        """
        one = count(prior) == 1 and has_density(prior)
        kept = (
            _is_reference(reference, prior.dim),
            one or reverse_line.log_concave(prior),
            bool(horizon > 0.0 and 0.0 < share <= 1.0),
        )
        if not all(kept):
            return outside(kept)
        if not one:
            reverse_line.check(prior)
        times = _Times(float(reference.covariances()[0, 0, 0]), b, horizon, share)
        begun, ended = (_of_gaussian if one else _on_the_line)(prior, reference, times)
        least, spent = _curvatures(prior, one, times)
        rate = b**2 / times.wide
        exponents = {
            "": (rate - 2.0 * b**2 * least) * horizon * share,
            "in time": rate * horizon * share - 2.0 * b**2 * spent,
        }
        how = "quadrature"
        return [
            Claim(
                label,
                Estimate(ended, how=how),
                Estimate(begun * np.exp(exponent), how=how),
                assumptions=kept,
            )
            for label, exponent in exponents.items()
        ]


def _is_reference(law, dim) -> bool:
    """Whether a law is one round Gaussian in so many dimensions."""
    one = count(law) == 1 and isotropic(law) and has_density(law)
    return one and law.dim == dim


class _Times(NamedTuple):
    """Variance of the reference, scale of the noise, horizon, and the way back."""

    wide: float
    b: float
    horizon: float
    share: float

    def squares(self, s):
        """alpha^2 at a time s of the way forwards."""
        return np.exp(-(self.b**2) * s / self.wide)

    @property
    def last(self) -> float:
        """T - t."""
        return (1.0 - self.share) * self.horizon


def _curvatures(prior, one, times):
    """The least C_p(s) from T - t to T, and its integral."""
    if one:
        k = int(np.argmax(np.asarray(prior.log_weights)))
        own, apart = np.linalg.eigvalsh(np.asarray(prior.covariances()[k])).max(), 0.0
    else:
        own, apart = reverse_line.curvature(prior)

    def curvature(square):
        wide = square * own + (1.0 - square) * times.wide
        return (1.0 - 0.25 * square * apart**2 / wide) / wide

    nodes, weights = legendre(refined(_NODES))
    length = times.horizon - times.last
    s = times.last + nodes * length
    ends = times.squares(np.array([times.last, times.horizon]))
    # C_p is stationary where (slope, in alpha^2, of the width L) a linear function is 0.
    slope, square = own - times.wide, 0.25 * apart**2
    flat = slope * (square - slope)
    inner = times.wide * (slope + square) / flat if flat else ends[0]
    candidates = [*ends, np.clip(inner, ends.min(), ends.max())]
    least = min(curvature(np.asarray(u)) for u in candidates)
    return float(least), float(length * weights @ curvature(times.squares(s)))


def _of_gaussian(prior, reference, times):
    """W2^2 at the start and at the end."""
    k = int(np.argmax(np.asarray(prior.log_weights)))
    values, basis = np.linalg.eigh(np.asarray(prior.covariances()[k]))
    means = basis.T @ (np.asarray(prior.means[k]) - np.asarray(reference.mean()))
    first, last = times.squares(times.horizon), times.squares(times.last)
    before = first * values + (1.0 - first) * times.wide
    after = last * values + (1.0 - last) * times.wide
    # The exact backward law: the mean is moved by gain, what it leaves is its variance.
    gain = np.sqrt(first / last) * after / before
    spread = after + gain**2 * (times.wide - before)
    begun = first * means**2 + (np.sqrt(before) - np.sqrt(times.wide)) ** 2
    ended = first * (gain * means) ** 2 + (np.sqrt(after) - np.sqrt(spread)) ** 2
    return float(np.sum(begun)), float(np.sum(ended))


def _on_the_line(prior, reference, times):
    """The same for a mixture, in z = (x - mu) / alpha, where the noise is added."""
    first, last = times.squares(times.horizon), times.squares(times.last)
    levels = [float(times.wide * (1.0 - u) / u) for u in (first, last)]
    centre = reference.mean()
    centred = GaussianMixture.isotropic(
        jnp.exp(prior.log_weights),
        prior.means - centre[None],
        prior.covariances()[:, 0, 0],
    )
    start = GaussianMixture.isotropic([1.0], jnp.zeros((1, 1)), times.wide / first)
    found = reverse_line.squares(centred, start, *levels)
    return float(first * found.start), float(last * found.sde)


def _laws(law):
    if law == "in space":
        covariance = np.array([[[0.5, 0.2, 0.0], [0.2, 0.7, -0.1], [0.0, -0.1, 0.3]]])
        prior = GaussianMixture.full([1.0], [[0.8, -0.4, 1.1]], covariance)
        return prior, GaussianMixture.isotropic([1.0], [[0.1, 0.0, -0.2]], 0.8)
    reference = GaussianMixture.isotropic([1.0], [[0.2]], 0.8)
    if law == "shifted":
        return GaussianMixture.isotropic([1.0], [[1.5]], 0.8), reference
    modes = GaussianMixture.isotropic([0.4, 0.6], [[0.6], [1.3]], 0.3)
    return modes, reference
