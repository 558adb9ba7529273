r"""Exact laws in any dimension, where the problem lives in a line or a plane.

If the means (up to a common offset c), the rows of A and the unequal variances span a
line or plane with frame V, the prior is a product: a mixture of \(V^T x\) times
\(N(c, \tau^2)\) beyond. Guidance lies in the span, so the sampler's law is a product too:

\[ q = q^V \otimes N\big(g\, m_0 + h\, c,\ v\, (I - V V^T)\big) , \]

with \(q^V\) the grid law of the problem in dimension r = 1 or 2, \(m_0\) the initial mean
beyond the span, and three scalars g, h, v that follow the transitions of a problem on the
line without information. KL, Fisher information and squared W2 add; d = 100,000 costs as
much as d = 2.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammainc
from jaxtyping import Array, Float

from ... import _display
from ..._checks import check_count, check_index, require, unsupported
from ..._types import Matrix, Scalar, Times, Vector
from ...divergences import closed_form, w2_between
from ...estimate import Between
from ...method import AbstractDescribed, require_linear
from ...mixture import GaussianMixture
from ...problem import InverseProblem, Linear, Target
from ...sampling import check_run, initial_law
from ..base import AbstractLaw, shown
from ..explicit import legs_of, require_explicit, require_no_memory
from ..grid import grid
from .check import StepsBeyond, require_split, steps_beyond
from .split import frame_of, split


class ReducedLaw(eqx.Module):
    r"""A law that is a product: `inside` along the frame, one Gaussian beyond it.

    Attributes:
        target: the problem along its path, in dimension d.
        times: (N + 1,).
        frame: (d, r), orthonormal columns, r = 1 or 2.
        inside: the law of frame^T x, from `gt.laws.grid`.
        start: (d,), initial mean beyond the frame.
        centre: (d,), the prior's mean beyond the frame.
        gains: (N + 1,), and
        shifts: (N + 1,): the mean beyond the frame is gain * start + shift * centre.
        variances: (N + 1,), of every direction beyond the frame.
    """

    target: Target
    times: Times
    frame: Float[Array, "d r"]
    inside: AbstractLaw
    start: Vector
    centre: Vector
    gains: Times
    shifts: Times
    variances: Times

    __repr__, _repr_html_ = _display.one_line, _display.html

    def _shown(self) -> _display.Shown:
        """How many steps, of which problem; the moments where a notebook asks."""
        within = _display.counted(self.frame.shape[1], "dimension")
        return shown(self, f"by quadrature in {within}, closed form beyond")

    @property
    def num_beyond(self) -> int:
        """d - r."""
        return self.frame.shape[0] - self.frame.shape[1]

    @property
    def escaped_mass(self) -> Scalar:
        """Mass that left the grid of `inside`, ()."""
        return self.inside.escaped_mass

    def mean_beyond(self, index: int = -1) -> Vector:
        """Mean beyond the frame at times[index], (d,), orthogonal to the frame."""
        check_index(index, self.gains.shape[0], "time of this law")
        return self.gains[index] * self.start + self.shifts[index] * self.centre

    def mean(self) -> Vector:
        """Mean of the output, (d,)."""
        return self.frame @ self.inside.mean() + self.mean_beyond()

    def covariance_product(self, vector: Vector) -> Vector:
        """Covariance of the output times a vector, (d,), without a d x d matrix."""
        along = self.frame.T @ vector
        excess = self.inside.covariance() @ along - self.variances[-1] * along
        return self.variances[-1] * vector + self.frame @ excess

    def covariance(self) -> Matrix:
        """Covariance of the output, (d, d): for small d."""
        excess = self.inside.covariance() - self.variances[-1] * jnp.eye(
            self.frame.shape[1], dtype=self.frame.dtype
        )
        rest = self.variances[-1] * jnp.eye(self.frame.shape[0], dtype=self.frame.dtype)
        return rest + self.frame @ excess @ self.frame.T

    def kl(self, mixture: GaussianMixture) -> Scalar:
        """KL(law || mixture) in nats, for a mixture that splits along the frame.

        Raises:
            UnsupportedError: here and below, if the mixture does not.
        """
        part = split(mixture, self.frame)
        gap = self.mean_beyond() - part.centre
        ratio = self.variances[-1] / part.variance
        return self.inside.kl(part.inside) + self._kl(ratio, gap, part.variance)

    def kl_from(self, mixture: GaussianMixture) -> Scalar:
        """KL(mixture || law) in nats."""
        part = split(mixture, self.frame)
        gap = self.mean_beyond() - part.centre
        ratio = part.variance / self.variances[-1]
        return self.inside.kl_from(part.inside) + self._kl(
            ratio, gap, self.variances[-1]
        )

    def fisher(self, mixture: GaussianMixture) -> Scalar:
        """Relative Fisher information of the law from the mixture."""
        part = split(mixture, self.frame)
        variance, other = self.variances[-1], part.variance
        gap = jnp.sum((self.mean_beyond() - part.centre) ** 2)
        beyond = self.num_beyond * (variance - other) ** 2 / (variance * other**2)
        return self.inside.fisher(part.inside) + beyond + gap / other**2

    def w2(self, mixture: GaussianMixture) -> Scalar:
        """Wasserstein-2 distance, a length, where the frame is a line (r = 1)."""
        if self.frame.shape[1] > 1:
            unsupported(
                "no exact W2 for a law that reduces to the plane",
                got="r = 2",
                expected="a problem that reduces to the line",
                hint="use w2_between, which bounds it from both sides",
            )
        part = split(mixture, self.frame)
        return jnp.hypot(self.inside.w2(part.inside), self._w2_beyond(part))

    def w2_between(self, mixture: GaussianMixture) -> Between:
        """Two lengths with W2 between them; equal for a line.

        In the plane by `divergences.w2_between`; the squares beyond it add.
        """
        if self.frame.shape[1] == 1:
            exact = self.w2(mixture)
            return Between(exact, exact)
        part = split(mixture, self.frame)
        found = w2_between(self.inside.at(-1, part.inside), part.inside)
        return Between(*(jnp.hypot(each, self._w2_beyond(part)) for each in found))

    def tv(self, mixture: GaussianMixture) -> Between:
        r"""Bounds of the total variation, equal if the laws agree in all factors but one.

        The laws are products of three: inside, along the line between the centres, and
        the rest. With the exact total variations \(\delta_i\) of the factors,

        \[ \max_i \delta_i \le TV \le 1 - \prod_i (1 - \delta_i) . \]
        """
        part = split(mixture, self.frame)
        factors = [self.inside.tv(part.inside)]
        if self.num_beyond:
            gap = jnp.sqrt(jnp.sum((self.mean_beyond() - part.centre) ** 2))
            along = gap.reshape(1), self.variances[-1].reshape(1, 1)
            there = jnp.zeros_like(along[0]), part.variance.reshape(1, 1)
            factors.append(closed_form.tv(*along, *there))
        if self.num_beyond > 1:
            rest = self.num_beyond - 1
            factors.append(_tv_centred(self.variances[-1], part.variance, rest))
        factors = jnp.stack(factors)
        return Between(jnp.max(factors), -jnp.expm1(jnp.sum(jnp.log1p(-factors))))

    def _w2_beyond(self, part):
        gap = jnp.sum((self.mean_beyond() - part.centre) ** 2)
        widths = jnp.sqrt(self.variances[-1]) - jnp.sqrt(part.variance)
        return jnp.sqrt(gap + self.num_beyond * widths**2)

    def _kl(self, ratio, gap, variance):
        widths = ratio - 1.0 - jnp.log(ratio)
        return 0.5 * (self.num_beyond * widths + jnp.sum(gap**2) / variance)


def reduced(
    sampler: AbstractDescribed,
    target: Target,
    times: Times,
    *,
    initial: GaussianMixture | None = None,
    refine: int = 1,
) -> ReducedLaw:
    r"""The law of a sampler's output in any dimension, if the problem is a line or plane.

    Args:
        sampler: a method whose steps are explicit, as `gt.laws.grid` takes it.
        target: linear measurement of a mixture whose means (up to a common offset) lie
            with the rows of A in a line or plane, with one variance beyond it.
        times: (N + 1,), decreasing.
        initial: a mixture at times[0] that splits in the same way;
            \(N(0, \sigma^2 I)\) by default.
        refine: of `gt.laws.grid`.

    Raises:
        UnsupportedError: if the problem does not reduce or is seen through another
            denoiser, the sampler couples the
            directions (a scale from the mean variance of all of them, say), or
            `gt.laws.grid` refuses the problem along the frame.
        InputError: as `gt.laws.grid`.
    """
    call = "gt.laws.reduced(sampler, target, times)"
    target, times = check_run(call, sampler, target, times)
    refine = check_count(refine, "refine")
    require_explicit(sampler)
    require_no_memory(sampler)
    if target.denoiser is not None:
        unsupported(
            "no reduced law of a target that is seen through another denoiser",
            got=f"a target seen through {type(target.denoiser).__name__}",
            expected="the exact denoiser, which splits where the prior does",
            hint="pose the problem along its line or plane, and take gt.laws.grid there",
        )
    problem = target.problem
    measurement = require_linear(sampler, target)
    frame = frame_of(problem.prior, measurement.A)
    prior = split(problem.prior, frame)
    initial = initial_law(sampler, target, times[0], initial)
    begin = split(initial, frame)
    inside, outside = _parts(target, measurement, frame, prior)
    steps = []
    for leg in legs_of(sampler):
        steps.append(steps_beyond(leg, outside, times))
        require_split(leg, target, inside, steps[-1], times, frame, prior)
    law = grid(sampler, inside, times, initial=begin.inside, refine=refine)
    gains, shifts, variances = _accumulated(steps, float(begin.variance), times.dtype)
    return ReducedLaw(
        target, times, frame, law, begin.centre, prior.centre, gains, shifts, variances
    )


@eqx.filter_jit
def _parts(target, measurement, frame, prior):
    """The problem along the frame, and one without information beyond it."""
    R, y, path = measurement.R, target.problem.y, target.path
    inside = Linear(measurement.A @ frame, R, measurement.b)
    dtype = frame.dtype
    law = GaussianMixture(
        jnp.zeros(1, dtype),
        jnp.ones((1, 1), dtype),
        prior.variance.reshape(1),
        jnp.zeros((1, 1, 0), dtype),
        jnp.zeros((1, 0), dtype),
        atomic=target.problem.prior.atomic,
    )
    blind = Linear(jnp.zeros((1, 1), dtype), jnp.ones((), dtype))
    return (
        Target(InverseProblem(prior.inside, inside, y), path),
        Target(InverseProblem(law, blind, jnp.zeros(1, dtype)), path),
    )


def _accumulated(legs: list[StepsBeyond], variance: float, dtype):
    """Gains, shifts and variances after every step of one or more legs, (N + 1,) each."""
    slack = 1e4 * float(jnp.finfo(dtype).eps)
    deviation = max(np.asarray(leg.deviation).max() for leg in legs)
    require(
        deviation <= slack,
        "a step beyond the frame is not affine",
        got=f"deviation {deviation:.3g}",
        expected=f"at most {slack:.3g}",
        hint="use gt.sample",
    )
    moves = np.stack([np.asarray(leg[:3], np.float64) for leg in legs], axis=-1)
    state = 1.0, 0.0, variance
    states = [state]
    for step in np.moveaxis(moves, 0, -1):  # (legs, 3)
        for keep, drift, scale in step:
            gain, shift, spread = state
            state = keep * gain, keep * shift + drift, keep**2 * spread + scale**2
        states.append(state)
    return jnp.asarray(np.array(states).T, dtype)


def _tv_centred(first: Scalar, second: Scalar, dim: int) -> Scalar:
    """Total variation of N(0, first I) and N(0, second I) in dimension dim.

    The densities cross on a sphere, and a squared radius is a gamma variable.
    """
    ratio = first / second
    equal = ratio == 1
    stretch = jnp.where(equal, 2.0, ratio)
    level = 0.5 * dim * jnp.log(stretch) / (stretch - 1.0)  # radius^2 / (2 first)
    half = jnp.asarray(0.5 * dim, first.dtype)
    gap = gammainc(half, level) - gammainc(half, level * stretch)
    return jnp.where(equal, 0.0, jnp.abs(gap))
