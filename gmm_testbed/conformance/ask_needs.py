"""Questions to a method about what it needs of the problem and of the grid."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..problem.denoisers import Prior, ScoreError
from . import probes
from .ask_all import need_is_real, refusal
from .probes import Program
from .report import Reply, skip
from .steps import WHERE, Stepper, streams


def finite(stepper: Stepper) -> Reply:
    """Are steps finite near both ends?"""
    bad = [
        key
        for key, value in stepper.values("any").items()
        if key != "alone" and not np.all(np.isfinite(value[WHERE["near"]]))
    ]
    return Reply("finite", ", ".join(bad) or "everywhere", not bad)


def _where(stepper: Stepper, part: str):
    return [
        stepper.at("any", key, part)
        for key in ("mean", "covariance", "draw")
        if key in stepper.values("any")
    ]


def signal(stepper: Stepper) -> Reply:
    """Does it need alpha > 0 at the start exactly if the facts say so?"""
    return need_is_real(stepper, "signal", lambda: _where(stepper, "without signal"))


def noise(stepper: Stepper) -> Reply:
    """Does it need sigma > 0 at the end exactly if the facts say so?"""
    return need_is_real(stepper, "noise", lambda: _where(stepper, "without noise"))


def _shape(stepper: Stepper, target):
    """Traces a first step on a target, without compiling it."""
    x, t, s = stepper.state()
    x = x[: target.problem.prior.dim]

    def moved(x, t, s):
        return stepper.first(target, x, t, s, streams(1)).law.draw(streams(1))

    eqx.filter_eval_shape(moved, x, t, s)
    return ()


def nonlinear(stepper: Stepper) -> Reply:
    """Is a nonlinear measurement served, or refused as the facts say?"""
    target, (x, t, s) = probes.atoms(), stepper.state()
    if "linear" in stepper.facts.needs:
        reason = refusal(stepper.method, target, jnp.stack([t, s]))
        if not reason:
            return Reply("says needing linear", "not refused", False)

    def one(target, x, t, s):
        return stepper.first(target, x, t, s, streams(1)).law.draw(streams(1))

    return need_is_real(stepper, "linear", lambda: Program(one)(target, x, t, s))


def another_denoiser(stepper: Stepper) -> Reply:
    """Does a denoiser that gives a point serve, or is it refused as the facts say?"""
    target = probes.target("any")
    target = target.seen_through(ScoreError(Prior(target.problem.prior), 0.1))
    return need_is_real(stepper, "law of x0", lambda: _shape(stepper, target))


def posterior(stepper: Stepper) -> Reply:
    """Does it need a posterior that is a mixture exactly if the facts say so?"""
    if "linear" in stepper.facts.needs:
        return skip("with a linear measurement the posterior is a mixture")

    def shape():
        eqx.filter_eval_shape(lambda: _built(stepper))
        return ()

    return need_is_real(stepper, "posterior", shape)


def _built(stepper):
    target, (x, t, s) = probes.without_posterior(), stepper.state()
    return stepper.first(target, x[:2], t, s, streams(1)).law.draw(streams(1))


QUESTIONS = (
    finite,
    signal,
    noise,
    nonlinear,
    another_denoiser,
    posterior,
)
