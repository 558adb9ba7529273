"""Five implementations of one Euler-Maruyama step, one of them right."""

from collections.abc import Callable
from functools import cache, partial

import jax
import jax.numpy as jnp

import gmm_testbed as gt

from ..exercise import Exercise, moments_of_step


def _step(target, x, t, s, noise, f=1.0, g2=None, spread=None):
    """An Euler-Maruyama step of the reverse SDE with the exact score, or a mistake."""
    path, h = target.path, t - s
    diffusion = path.diffusion_squared(t)
    pull = diffusion if g2 is None else g2(diffusion)
    mean = x - h * (f * path.drift(t) * x - pull * target.posterior(t).score(x))
    scale = jnp.sqrt(diffusion * h) if spread is None else spread(diffusion, h)
    return mean + scale * noise


SUSPECTS: dict[str, Callable] = {
    "A": partial(_step, spread=lambda g2, h: jnp.sqrt(g2) * h),
    "B": partial(_step, f=-1.0),
    "C": partial(_step, spread=lambda g2, h: jnp.sqrt(2.0 * g2 * h)),
    "D": _step,
    "E": partial(_step, g2=jnp.sqrt),
}
"""Steps (target, x, t, s, noise) to x_s, all arrays but the target; noise (d,)."""

_CASE = jnp.array([0.4]), jnp.asarray(0.5), jnp.asarray(0.48)


def which_step_is_wrong(step, target, x, t, s):
    r"""Whether a step has the law that Euler-Maruyama has, here and now.

    The law of one step is known: `kernels.EulerMaruyama().transition` gives it. A step
    is affine in its noise, so two calls show mean and standard deviation without any
    sampling.
    """
    field = gt.GuidedField(gt.approximations.Exact(), target)
    law = gt.kernels.EulerMaruyama().transition(field, x, t, s)
    mean = step(target, x, t, s, jnp.zeros_like(x))
    spread = step(target, x, t, s, jnp.ones_like(x)) - mean
    right_mean = jnp.allclose(mean, law.mean)
    return right_mean and jnp.allclose(spread**2, jnp.diag(law.covariance()))


def _by_samples(step, target, x, t, s):
    """The same by 20,000 draws of one step, and two z-scores."""
    field = gt.GuidedField(gt.approximations.Exact(), target)
    law = gt.kernels.EulerMaruyama().transition(field, x, t, s)
    noise = jax.random.normal(jax.random.key(0), (20_000, *x.shape))
    drawn = jax.vmap(lambda noise: step(target, x, t, s, noise))(noise)
    variance = jnp.diag(law.covariance())
    count = noise.shape[0]
    z_mean = (drawn.mean(0) - law.mean) / jnp.sqrt(variance / count)
    z_variance = (drawn.var(0) / variance - 1.0) / jnp.sqrt(2.0 / count)
    return jnp.all(jnp.abs(z_mean) < 5.0) and jnp.all(jnp.abs(z_variance) < 5.0)


def _law(target, x, t, s):
    field = gt.GuidedField(gt.approximations.Exact(), target)
    law = gt.kernels.EulerMaruyama().transition(field, x, t, s)
    return law.mean, law.covariance()


@cache
def _sorted(precision):
    """Names of the steps that are right, of those with a wrong mean, and of the others."""
    target = gt.problems.get("two-modes")
    law, found = _law(target, *_CASE), ([], [], [])
    for name, step in SUSPECTS.items():
        moments = moments_of_step(step, (target, *_CASE, jnp.ones(1)))
        mean, spread = (
            bool(jnp.allclose(a, b)) for a, b in zip(moments, law, strict=True)
        )
        found[0 if mean and spread else 2 if mean else 1].append(name)
    return tuple(map(set, found))


def _judged(accepts) -> tuple[str, str]:
    """What a test does to the five: label of its blindness, and a sentence."""
    target = gt.problems.get("two-modes")
    right, wrong_mean, wrong_spread = _sorted(jnp.result_type(float))
    accepted = {
        name for name, step in SUSPECTS.items() if bool(accepts(step, target, *_CASE))
    }
    words = f"your test accepts {', '.join(sorted(accepted)) or 'none of them'}"
    if not right <= accepted:
        return "rejects-right", words + ", and not the right one."
    if accepted == right:
        return "", f"{words}, and that is the right one."
    missed = accepted - right
    words += f": {len(missed)} of these {'is' if len(missed) == 1 else 'are'} wrong."
    if missed == wrong_mean | wrong_spread:
        return "accepts-all", words
    if missed <= wrong_spread:
        return "blind-to-noise", words
    return ("blind-to-drift" if missed <= wrong_mean else "blind"), words


def _mean_only(step, target, x, t, s):
    mean, _ = _law(target, x, t, s)
    return jnp.allclose(step(target, x, t, s, jnp.zeros_like(x)), mean)


def _spread_only(step, target, x, t, s):
    _, covariance = _law(target, x, t, s)
    still = step(target, x, t, s, jnp.zeros_like(x))
    spread = step(target, x, t, s, jnp.ones_like(x)) - still
    return jnp.allclose(spread**2, jnp.diag(covariance))


def _a_glance(step, target, x, t, s):
    """Whether x_s is within three deviations of where it should be."""
    mean, covariance = _law(target, x, t, s)
    gap = step(target, x, t, s, jnp.ones_like(x)) - mean
    return jnp.all(jnp.abs(gap) < 3.0 * jnp.sqrt(jnp.diag(covariance)))


WHICH_STEP = Exercise(
    title="Four of these steps are wrong",
    asks="which_step_is_wrong(step, target, x, t, s), x (d,), says whether a step is "
    "right; step(target, x, t, s, noise) gives x_s (d,) for a standard normal noise "
    "(d,), and gt.exercises.SUSPECTS has five of them.",
    kind="witness",
    truth=_judged,
    slips={
        "blind-to-noise": (
            lambda: _mean_only,
            "it looks at the mean of the step only. Noise that is too large by "
            "sqrt(2), or a step size without its root, has the right mean.",
        ),
        "blind-to-drift": (
            lambda: _spread_only,
            "it looks at the spread of the step only. A drift with the wrong sign has "
            "the right spread.",
        ),
        "accepts-all": (
            lambda: _a_glance,
            "one draw says little: a wrong mean or spread is a fraction of the noise.",
        ),
        "rejects-right": (
            lambda: lambda step, target, x, t, s: False,
            "a test must pass what is right: compare with the law of one step, not "
            "with the posterior.",
        ),
    },
    solution=which_step_is_wrong,
    notice="the published solution of a course drew its diffusion coefficient at "
    "random, for months: a hundred thousand final samples do not show it, and a "
    "thousand draws of one step do. Test the transition.",
    equivalent=(  # on the line
        "return right_mean and jnp.allclose(spread ** 2, law.covariance())",
    ),
    hints=(
        "What is known exactly about one step, before any sampling?",
        "gt.kernels.EulerMaruyama().transition(field, x, t, s) is its Gaussian law, "
        "with field = gt.GuidedField(gt.approximations.Exact(), target).",
        "Call the step with noise 0, and with noise 1: mean and spread.",
    ),
    others=(_by_samples,),
)
