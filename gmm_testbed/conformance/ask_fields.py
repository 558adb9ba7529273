"""Questions to an approximation of E[x0 | x_t, y]."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._checks import UnsupportedError
from ..problem.denoisers import Prior, ScoreError
from . import probes
from .ask_all import (
    facts_are_complete,
    hyper_parameters_have_an_effect,
    need_is_real,
    noise_enters,
    one_program_serves_all_values,
)
from .fields import COUNT, DELTA, INSIDE, SHARE, TIMES, WHERE, Field
from .probes import KINDS, PATH, Program, gap, tolerance
from .report import Reply, both_ways, skip


def shapes(field: Field) -> Reply:
    """Are guidance, mean (d,) and covariance (d, d) of the shapes they must have?"""
    values, count = field.values("any"), COUNT
    shapes = [values[key].shape for key in ("guidance", "mean", "covariance")]
    expected = [(count, 3), (count, 3), (count, 3, 3)]
    return Reply("(d,), (d,), (d, d)", f"{[s[1:] for s in shapes]}", shapes == expected)


def single_and_batch_agree(field: Field) -> Reply:
    """Is one point alone the same as in a batch?"""
    values = field.values("any")
    error = gap(values["mean"][0], values["single"])
    return Reply("vmap agrees", f"differs by {error:.1g}", error < tolerance())


def mean_and_guidance_agree(field: Field) -> Reply:
    """Is the mean m + (sigma^2 / alpha) guidance?"""
    gain = np.asarray(PATH.sigma(TIMES) ** 2 / PATH.alpha(TIMES))[:, None]
    errors = []
    for kind in KINDS:
        other = field.truth(kind, "prior") + gain * field.at(kind, "guidance", "inside")
        errors.append(gap(field.at(kind, "mean", "inside"), other))
    error = max(errors)
    return Reply("one determines the other", f"off by {error:.1g}", error < tolerance())


def covariance_is_one(field: Field) -> Reply:
    """Is the covariance symmetric, with no negative variance?"""
    worst = 0.0
    for kind in KINDS:
        found = field.at(kind, "covariance", "inside")
        size = np.abs(found).max()
        skew = np.abs(found - np.swapaxes(found, 1, 2)).max() / size
        least = (
            np.linalg.eigvalsh(0.5 * (found + np.swapaxes(found, 1, 2))).min() / size
        )
        worst = max(worst, skew, -least)
    return Reply("a covariance", f"off by {worst:.1g}", worst < 100 * tolerance())


def _exact(field: Field, kind: str) -> Reply:
    error = gap(field.at(kind, "mean", "inside"), field.truth(kind, "posterior"))
    wider = list(KINDS)[: list(KINDS).index(kind) + 1]  # each holds the next
    claimed = any(where.problem in wider for where in field.facts.exact_when)
    found = error < tolerance() if claimed else error < 1e-3
    return both_ways(claimed, found, "exact", f"relative error {error:.1g}")


def exact_on_any(field: Field) -> Reply:
    """Is it exact on a generic mixture exactly if the facts say so?"""
    return _exact(field, "any")


def exact_on_one_gaussian(field: Field) -> Reply:
    """Is it exact on one Gaussian exactly if the facts say so?"""
    return _exact(field, "one gaussian")


def exact_on_isotropic(field: Field) -> Reply:
    """Is it exact on an isotropic Gaussian exactly if the facts say so?"""
    return _exact(field, "isotropic gaussian")


def exact_on_unit(field: Field) -> Reply:
    """Is it exact on a Gaussian of covariance I exactly if the facts say so?"""
    return _exact(field, "unit gaussian")


def gradient(field: Field) -> Reply:
    """Is the guidance a gradient exactly if the facts say so?"""
    jacobian = field.at("any", "in x", "inside")
    skew = np.linalg.norm(jacobian - np.swapaxes(jacobian, 1, 2), axis=(1, 2))
    size = np.linalg.norm(jacobian, axis=(1, 2))
    share = float(np.max(skew / np.where(size > 0, size, 1.0)))
    if field.facts.gradient is None:
        return Reply("says nothing", "an approximation has a guidance", False)
    found = share < (tolerance() if field.facts.gradient else 1e-3)
    return both_ways(
        field.facts.gradient, found, "a gradient", f"skew part {share:.1g}"
    )


def affine(field: Field) -> Reply:
    """Is the mean affine on one Gaussian exactly if the facts say so?"""
    one, other, between = (
        field.at("one gaussian", "mean", part) for part in ("one", "other", "between")
    )
    error = gap(between, SHARE * one + (1 - SHARE) * other)
    found = error < (tolerance() if field.facts.affine else 1e-4)
    return both_ways(field.facts.affine, found, "affine", f"deviates by {error:.1g}")


def no_information(field: Field) -> Reply:
    """Does an observation without information leave the unguided mean?"""
    if not field.facts.uses_noise:
        return skip("R does not enter")
    mean = field.at("no information", "mean", "inside")
    error = gap(mean, field.truth("any", "prior"))
    found = f"off by {error:.1g} for R times 1e12"
    return Reply("M tends to m", found, error < max(1e-8, tolerance()))


def finite(field: Field) -> Reply:
    """Are values and derivatives finite near both ends, whatever the measurement?"""
    bad = []
    for kind in (*KINDS, "dependent rows", "zero row", "no information"):
        for key, value in field.values(kind).items():
            inside = value if key == "single" else value[WHERE["near"]]
            if not np.all(np.isfinite(inside)):
                bad.append(f"{key} ({kind})")
    return Reply("finite", ", ".join(bad) or "everywhere", not bad)


def signal(field: Field) -> Reply:
    """Does it need alpha > 0 exactly if the facts say so?"""
    keys = ("mean", "guidance")
    return need_is_real(
        field,
        "signal",
        lambda: [field.at("any", key, "without signal") for key in keys],
    )


def derivatives(field: Field) -> Reply:
    """Does JAX differentiate it rightly, in x and in t?"""
    if jnp.zeros(()).dtype != jnp.float64:
        return skip("finite differences need double precision")
    shifted = field.at("any", "guidance", "shifted")
    in_x = ((shifted[:3] - shifted[3:6]) / (2 * DELTA)).T
    in_t = (shifted[6] - shifted[7]) / (2 * DELTA)
    mine = [field.values("any")[key][1] for key in ("in x", "in t")]
    pairs = zip(mine, (in_x, in_t), strict=True)
    error = max(float(np.abs(a - b).max() / (1 + np.abs(b).max())) for a, b in pairs)
    return Reply("as finite differences", f"off by {error:.1g}", error < 1e-6)


def smooth(field: Field) -> Reply:
    """Does it jump where the residual vanishes exactly if the facts say so?"""
    m = field.truth("any", "prior")[1]
    numbers = KINDS["any"]
    met = numbers._replace(y=numbers.A @ m)
    one, other = field.on(probes.build(met))["mean"][WHERE["kink"]]
    jump = float(np.linalg.norm(one - other) / (1 + np.linalg.norm(one)))
    evidence = f"jump {jump:.1g} over {2e-6:.0g}"
    return both_ways(field.facts.smooth, jump < 1e-3, "smooth", evidence)


def nonlinear(field: Field) -> Reply:
    """Is a nonlinear measurement served, or refused as the facts say?"""
    target = probes.atoms()
    x, t = jnp.asarray([0.3, -0.2, 0.9], float), jnp.asarray(0.4, float)
    if "linear" in field.facts.needs:
        for ask in (field.method.guidance, field.method.posterior_mean):
            try:
                ask(target, x, t)
            except UnsupportedError:
                continue
            except Exception as error:
                return Reply("refused", f"raised {type(error).__name__}", False)
            return Reply("says needing linear", "served", False)
        return Reply("says needing linear", "refused with UnsupportedError")

    def both(target, x, t):
        return field.method.guidance(target, x, t), field.method.posterior_mean(
            target, x, t
        )

    return need_is_real(field, "linear", lambda: Program(both)(target, x, t))


def another_denoiser(field: Field) -> Reply:
    """Does a denoiser that gives a point serve, or is it refused as the facts say?"""
    target = probes.target("any")
    target = target.seen_through(ScoreError(Prior(target.problem.prior), 0.1))
    x, t = jnp.asarray(INSIDE[1], float), jnp.asarray(TIMES[1], float)

    def shape():
        def both(x, t):
            mean = field.method.posterior_mean(target, x, t)
            return mean, field.method.guidance(target, x, t)

        eqx.filter_eval_shape(both, x, t)
        return ()

    return need_is_real(field, "law of x0", shape)


QUESTIONS = (
    facts_are_complete,
    shapes,
    single_and_batch_agree,
    mean_and_guidance_agree,
    covariance_is_one,
    exact_on_any,
    exact_on_one_gaussian,
    exact_on_isotropic,
    exact_on_unit,
    gradient,
    affine,
    smooth,
    noise_enters,
    no_information,
    finite,
    signal,
    derivatives,
    nonlinear,
    another_denoiser,
    one_program_serves_all_values,
    hyper_parameters_have_an_effect,
)
