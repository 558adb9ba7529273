"""A method of one's own: one formula, and what is asked of it."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

import gmm_testbed as gt

from .. import cases
from ..exercise import Exercise

STEPS = 20
_PROBLEM = "two-modes"
_DIGITS = 1e-8


def capstone(target, x, t):
    """Kalman's update with the covariance within components, and none between them.

    Cov[x0 | x_t] = mean of the covariances of the components + covariance of their means.
    The second part says "it may be the other mode", and a Gaussian turns that into "it may
    be in between". Left out, the update stays inside of the modes.
    """
    law, measurement = target.denoised(x, t), target.problem.measurement
    within = jnp.tensordot(jnp.exp(law.log_weights), law.covariances(), 1)
    cross = within @ measurement.A.T
    spread = measurement.A @ cross + measurement.R
    residual = target.problem.y - measurement.apply(law.mean())
    return cross @ jnp.linalg.solve(spread, residual)


class Own(gt.approximations.AbstractCorrection):
    """A formula for the correction of the denoised mean, as an approximation.

    Attributes:
        formula: of (target, x (d,), t), the correction (d,).
    """

    formula: Callable = eqx.field(static=True)
    facts: ClassVar[gt.Facts] = gt.Facts(
        summary="a formula of one's own",
        reference="lecture 10",
        needs=frozenset({"linear", "law of x0"}),
        exact_when=(gt.ExactWhen("one gaussian"),),
        cost=gt.Cost(denoiser=1),
    )

    def correction(self, target, x, t):
        return self.formula(target, x, t)

    def covariance(self, target, x, t):
        return target.denoise(x, t).covariance()


def tv_after(approximation, steps=STEPS):
    """Total variation from the truth after so many steps of DDPM on two-modes."""
    target = gt.problems.get(_PROBLEM)
    times = gt.time_grid(target.path, steps, t_min=1e-2)
    law = gt.laws.grid(gt.Guided(approximation, gt.kernels.DDPM()), target, times)
    return float(law.tv(target.posterior(times[-1])))


def _error(formula, reference, probes) -> float:
    """Largest difference of two corrections, relative to the largest of the second."""
    gaps, sizes = [], []
    for target, x, t in probes:
        exact = reference(target, x, t)
        gaps.append(float(jnp.max(jnp.abs(formula(target, x, t) - exact))))
        sizes.append(float(jnp.max(jnp.abs(exact))))
    return max(gaps) / max(sizes)


def _gaussians():
    """One Gaussian on the line, and one in three dimensions with two measurements."""
    line, space = cases.probes()[cases.ONE], cases.space()
    prior = gt.GaussianMixture.full(
        [1.0], [[0.6, -0.4, 0.3]], space.problem.prior.covariances()[:1]
    )
    problem = gt.InverseProblem(prior, space.problem.measurement, space.problem.y)
    target = gt.Target(problem, space.path)
    return [*line, (target, jnp.asarray([0.35, -0.25, 0.15]), jnp.asarray(0.45))]


def _of(kind):
    """The correction of one of the testbed's approximations, as an answer."""

    def corrected(target, x, t):
        return kind().posterior_mean(target, x, t) - target.prior_mean(x, t)

    return corrected


def _judged(formula):
    mixtures = [p for several in cases.probes_of_mixtures().values() for p in several]
    for target, x, t in (*_gaussians(), *mixtures):
        found = formula(target, x, t)
        if found is ...:
            raise NotImplementedError
        if jnp.shape(found) != x.shape:
            return "shape", f"shape {jnp.shape(found)}, expected {x.shape}, as x has"
    exact = _of(gt.approximations.Exact)
    if max(float(jnp.max(jnp.abs(formula(*p)))) for p in mixtures) < _DIGITS:
        return "unguided", "the correction is zero everywhere: y is not used"
    error = _error(formula, exact, _gaussians())
    if not error < _DIGITS:
        return "not-exact", (
            f"for one Gaussian the correction is off by {100 * error:.2g} % of the "
            "exact one, C A^T (A C A^T + R)^(-1) (y - A m)"
        )
    if _error(formula, exact, mixtures) < _DIGITS:
        return "exact", "for mixtures too this is E[x0 | x_t, y] itself"
    if _error(formula, _of(gt.approximations.TMPD), mixtures) < _DIGITS:
        return "tmpd", "this is TMPD, to all digits"
    own, dps = tv_after(Own(formula)), tv_after(gt.approximations.DPS())
    words = (
        f"total variation after {STEPS} steps on {_PROBLEM}: {own:.3f}, DPS {dps:.3f}"
    )
    if not own < dps:
        return "worse-than-dps", words
    return "", f"exact for one Gaussian; {words}"


def _prior_as_one_gaussian(target, x, t):
    """Kalman's update as if the prior were one Gaussian of its mean and covariance."""
    law, measurement = target.problem.prior, target.problem.measurement
    alpha, sigma = target.path.alpha(t), target.path.sigma(t)
    one = gt.GaussianMixture.full([1.0], law.mean()[None], law.covariance()[None])
    seen = measurement.A, measurement.R, target.problem.y
    return one.denoised(x, alpha, sigma).conditioned(*seen).mean() - target.prior_mean(
        x, t
    )


def _too_much(target, x, t):
    """TMPD's with four times the spread between components."""
    law, measurement = target.denoised(x, t), target.problem.measurement
    within = jnp.tensordot(jnp.exp(law.log_weights), law.covariances(), 1)
    spread = 4.0 * law.covariance() - 3.0 * within
    cross = spread @ measurement.A.T
    residual = target.problem.y - measurement.apply(law.mean())
    return cross @ jnp.linalg.solve(measurement.A @ cross + measurement.R, residual)


CAPSTONE = Exercise(
    title="A method of your own",
    asks="capstone(target, x, t), x (d,), gives a correction (d,), what is to be "
    "added to E[x0 | x_t = x]: exact if the prior is one Gaussian, neither the exact "
    f"posterior mean nor TMPD, and closer to the truth than DPS after {STEPS} steps "
    "of DDPM on two-modes.",
    truth=_judged,
    slips={
        "unguided": (
            lambda: lambda target, x, t: jnp.zeros_like(x),
            "the samples would be those of the prior.",
        ),
        "not-exact": (
            lambda: _of(gt.approximations.DPS),
            "for one Gaussian x0 given x_t has one covariance C, and the exact "
            "correction is Kalman's: C A^T (A C A^T + R)^(-1) (y - A m). DPS leaves "
            "out A C A^T.",
        ),
        "exact": (
            lambda: _of(gt.approximations.Exact),
            "that is the truth, and needs the whole law of x0 given x_t, which no "
            "network gives. Ask for less of it.",
        ),
        "tmpd": (
            lambda: _of(gt.approximations.TMPD),
            "a good method, and not yours: change what stands for C where the prior "
            "is a mixture.",
        ),
        "worse-than-dps": (
            lambda: _prior_as_one_gaussian,
            "exact where it claims to be, and worse elsewhere: that happens to the "
            "best of papers.",
        ),
        "shape": (
            lambda: lambda target, x, t: jnp.zeros(()),
            "a correction is added to the denoised mean: one number for each "
            "coordinate.",
        ),
    },
    solution=capstone,
    kind="witness",
    hints=(
        "For one Gaussian, C A^T (A C A^T + R)^(-1) (y - A m) is exact, C = Cov[x0 | "
        "x_t].",
        "For a mixture something else may stand in the place of C, if it is C for one "
        "component.",
        "Cov[x0 | x_t] = mean of the covariances of the components + covariance of "
        "their means. Try the first alone.",
    ),
    notice="a formula that is exact for one Gaussian can fail in any way at all for "
    "two: only the law tells.",
)
