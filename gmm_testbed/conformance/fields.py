"""Questions to an approximation of E[x0 | x_t, y]."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._checks import UnsupportedError
from ..denoisers import Prior, ScoreError
from ..problem import Target
from . import probes
from .common import (
    facts_are_complete,
    hyper_parameters_have_an_effect,
    need_is_real,
    noise_enters,
    one_program_serves_all_values,
)
from .probes import KINDS, PATH, Memo, Program, gap, tolerance
from .report import Verdict, both_ways, skip

# Points: inside, two ends of a segment and between, around one state, near the ends.
_TIMES = np.array([0.15, 0.4, 0.6, 0.85])
_INSIDE = probes.points(6, 4, 3)
_ENDS = probes.points(7, 2, 2, 3)
_SHARE = 0.3
_BETWEEN = _SHARE * _ENDS[0] + (1 - _SHARE) * _ENDS[1]
_DELTA = 1e-5
_SHIFTS = _DELTA * np.concatenate([np.eye(3), -np.eye(3), np.zeros((2, 3))])
_TIME_SHIFTS = _DELTA * np.array([0, 0, 0, 0, 0, 0, 1.0, -1.0])
_NEAR = np.array([1e-6, 1e-4, 1e-2, 0.99, 0.9999])
_ALONG = 1e-6 * np.array([[0.6, -0.3, 0.7], [-0.6, 0.3, -0.7]])
_PARTS = {
    "inside": (_INSIDE, _TIMES),
    "one": (_ENDS[0], [0.3, 0.7]),
    "other": (_ENDS[1], [0.3, 0.7]),
    "between": (_BETWEEN, [0.3, 0.7]),
    "shifted": (_INSIDE[1] + _SHIFTS, _TIMES[1] + _TIME_SHIFTS),
    "near": (probes.points(8, 5, 3), _NEAR),
    "without signal": (probes.points(9, 1, 3), [1.0]),
    "kink": (_INSIDE[1] + _ALONG, _TIMES[[1, 1]]),
}
_BOUNDS = np.cumsum([0, *(len(times) for _, times in _PARTS.values())])
_WHERE = dict(zip(_PARTS, map(slice, _BOUNDS[:-1], _BOUNDS[1:]), strict=True))


def _states():
    """All points (n, 3) and times (n,)."""
    xs, ts = (np.concatenate([part[i] for part in _PARTS.values()]) for i in range(2))
    return jnp.asarray(xs, float), jnp.asarray(ts, float)


def _evaluate(approximation, target, xs, ts):
    def guidance(state):
        return approximation.guidance(target, state[:3], state[3])

    def at(x, t):
        slopes = jax.jacfwd(guidance)(jnp.append(x, t))
        return {
            "guidance": approximation.guidance(target, x, t),
            "mean": approximation.posterior_mean(target, x, t),
            "covariance": approximation.covariance(target, x, t),
            "in x": slopes[:, :3],
            "in t": slopes[:, 3],
        }

    single = approximation.posterior_mean(target, xs[0], ts[0])
    return jax.vmap(at)(xs, ts) | {"single": single}


def _moments(target, xs, ts):
    means = jax.vmap(target.posterior_mean)(xs, ts), jax.vmap(target.prior_mean)(xs, ts)
    return dict(zip(("posterior", "prior"), means, strict=True))


_truths = eqx.filter_jit(_moments)


@functools.cache
def _truth(kind: str, dtype) -> dict:
    """The exact posterior mean and prior mean at all points."""
    del dtype  # of the session: a key of the cache
    values = _truths(probes.target(kind), *_states())
    return jax.tree.map(np.asarray, values)


class Field:
    """An approximation, and its values on the problems that questions need.

    Args:
        approximation: that is asked.
    """

    def __init__(self, approximation):
        self.method = approximation
        self.facts = approximation.facts
        self.program = Program(_evaluate)
        self._memo = Memo()

    def evaluate(self, approximation, kind: str):
        """Values at all points, through the one program."""
        return self.program(approximation, probes.target(kind), *_states())

    def values(self, kind: str):
        """Those of the approximation itself, on a problem by its name."""
        return self._memo(kind, lambda: self.evaluate(self.method, kind))

    def on(self, target: Target):
        """Values on another target, of the shapes of those with a name."""
        return self.program(self.method, target, *_states())

    def at(self, kind: str, key: str, part: str):
        """One value at a part of the points."""
        return self.values(kind)[key][_WHERE[part]]

    def truth(self, kind: str, key: str, part: str = "inside"):
        """The exact one."""
        return _truth(kind, jnp.zeros(()).dtype)[key][_WHERE[part]]


def shapes(field: Field) -> Verdict:
    """Are guidance, mean (d,) and covariance (d, d) of the shapes they must have?"""
    values, count = field.values("any"), _BOUNDS[-1]
    shapes = [values[key].shape for key in ("guidance", "mean", "covariance")]
    expected = [(count, 3), (count, 3), (count, 3, 3)]
    return Verdict(
        "(d,), (d,), (d, d)", f"{[s[1:] for s in shapes]}", shapes == expected
    )


def single_and_batch_agree(field: Field) -> Verdict:
    """Is one point alone the same as in a batch?"""
    values = field.values("any")
    error = gap(values["mean"][0], values["single"])
    return Verdict("vmap agrees", f"differs by {error:.1g}", error < tolerance())


def mean_and_guidance_agree(field: Field) -> Verdict:
    """Is the mean m + (sigma^2 / alpha) guidance?"""
    gain = np.asarray(PATH.sigma(_TIMES) ** 2 / PATH.alpha(_TIMES))[:, None]
    errors = []
    for kind in KINDS:
        other = field.truth(kind, "prior") + gain * field.at(kind, "guidance", "inside")
        errors.append(gap(field.at(kind, "mean", "inside"), other))
    error = max(errors)
    return Verdict(
        "one determines the other", f"off by {error:.1g}", error < tolerance()
    )


def covariance_is_one(field: Field) -> Verdict:
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
    return Verdict("a covariance", f"off by {worst:.1g}", worst < 100 * tolerance())


def _exact(field: Field, kind: str) -> Verdict:
    error = gap(field.at(kind, "mean", "inside"), field.truth(kind, "posterior"))
    wider = list(KINDS)[: list(KINDS).index(kind) + 1]  # each holds the next
    claimed = any(where.problem in wider for where in field.facts.exact_when)
    found = error < tolerance() if claimed else error < 1e-3
    return both_ways(claimed, found, "exact", f"relative error {error:.1g}")


def exact_on_any(field: Field) -> Verdict:
    """Is it exact on a generic mixture exactly if the facts say so?"""
    return _exact(field, "any")


def exact_on_one_gaussian(field: Field) -> Verdict:
    """Is it exact on one Gaussian exactly if the facts say so?"""
    return _exact(field, "one gaussian")


def exact_on_isotropic(field: Field) -> Verdict:
    """Is it exact on an isotropic Gaussian exactly if the facts say so?"""
    return _exact(field, "isotropic gaussian")


def exact_on_unit(field: Field) -> Verdict:
    """Is it exact on a Gaussian of covariance I exactly if the facts say so?"""
    return _exact(field, "unit gaussian")


def gradient(field: Field) -> Verdict:
    """Is the guidance a gradient exactly if the facts say so?"""
    jacobian = field.at("any", "in x", "inside")
    skew = np.linalg.norm(jacobian - np.swapaxes(jacobian, 1, 2), axis=(1, 2))
    size = np.linalg.norm(jacobian, axis=(1, 2))
    share = float(np.max(skew / np.where(size > 0, size, 1.0)))
    if field.facts.gradient is None:
        return Verdict("says nothing", "an approximation has a guidance", False)
    found = share < (tolerance() if field.facts.gradient else 1e-3)
    return both_ways(
        field.facts.gradient, found, "a gradient", f"skew part {share:.1g}"
    )


def affine(field: Field) -> Verdict:
    """Is the mean affine on one Gaussian exactly if the facts say so?"""
    one, other, between = (
        field.at("one gaussian", "mean", part) for part in ("one", "other", "between")
    )
    error = gap(between, _SHARE * one + (1 - _SHARE) * other)
    found = error < (tolerance() if field.facts.affine else 1e-4)
    return both_ways(field.facts.affine, found, "affine", f"deviates by {error:.1g}")


def no_information(field: Field) -> Verdict:
    """Does an observation without information leave the unguided mean?"""
    if not field.facts.uses_noise:
        return skip("R does not enter")
    mean = field.at("no information", "mean", "inside")
    error = gap(mean, field.truth("any", "prior"))
    found = f"off by {error:.1g} for R times 1e12"
    return Verdict("M tends to m", found, error < max(1e-8, tolerance()))


def finite(field: Field) -> Verdict:
    """Are values and derivatives finite near both ends, whatever the measurement?"""
    bad = []
    for kind in (*KINDS, "dependent rows", "zero row", "no information"):
        for key, value in field.values(kind).items():
            inside = value if key == "single" else value[_WHERE["near"]]
            if not np.all(np.isfinite(inside)):
                bad.append(f"{key} ({kind})")
    return Verdict("finite", ", ".join(bad) or "everywhere", not bad)


def signal(field: Field) -> Verdict:
    """Does it need alpha > 0 exactly if the facts say so?"""
    keys = ("mean", "guidance")
    return need_is_real(
        field,
        "signal",
        lambda: [field.at("any", key, "without signal") for key in keys],
    )


def derivatives(field: Field) -> Verdict:
    """Does JAX differentiate it rightly, in x and in t?"""
    if jnp.zeros(()).dtype != jnp.float64:
        return skip("finite differences need double precision")
    shifted = field.at("any", "guidance", "shifted")
    in_x = ((shifted[:3] - shifted[3:6]) / (2 * _DELTA)).T
    in_t = (shifted[6] - shifted[7]) / (2 * _DELTA)
    mine = [field.values("any")[key][1] for key in ("in x", "in t")]
    pairs = zip(mine, (in_x, in_t), strict=True)
    error = max(float(np.abs(a - b).max() / (1 + np.abs(b).max())) for a, b in pairs)
    return Verdict("as finite differences", f"off by {error:.1g}", error < 1e-6)


def smooth(field: Field) -> Verdict:
    """Does it jump where the residual vanishes exactly if the facts say so?"""
    m = field.truth("any", "prior")[1]
    numbers = KINDS["any"]
    met = numbers._replace(y=numbers.A @ m)
    one, other = field.on(probes.build(met))["mean"][_WHERE["kink"]]
    jump = float(np.linalg.norm(one - other) / (1 + np.linalg.norm(one)))
    evidence = f"jump {jump:.1g} over {2e-6:.0g}"
    return both_ways(field.facts.smooth, jump < 1e-3, "smooth", evidence)


def nonlinear(field: Field) -> Verdict:
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
                return Verdict("refused", f"raised {type(error).__name__}", False)
            return Verdict("says needing linear", "served", False)
        return Verdict("says needing linear", "refused with UnsupportedError")

    def both(target, x, t):
        return field.method.guidance(target, x, t), field.method.posterior_mean(
            target, x, t
        )

    return need_is_real(field, "linear", lambda: Program(both)(target, x, t))


def another_denoiser(field: Field) -> Verdict:
    """Does a denoiser that gives a point serve, or is it refused as the facts say?"""
    target = probes.target("any")
    target = target.seen_through(ScoreError(Prior(target.problem.prior), 0.1))
    x, t = jnp.asarray(_INSIDE[1], float), jnp.asarray(_TIMES[1], float)

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
