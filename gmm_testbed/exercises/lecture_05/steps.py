"""One step: what it costs, and the variance that costs least."""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp

import gmm_testbed as gt

from .. import cases
from ..exercise import Exercise

_METHOD = gt.approximations.TMPD()

# --- its cost ---------------------------------------------------------------------------


def step_kl(target, t, s, error):
    r"""(dsnr / 2) (mmse_y(snr_t) + error) - (I(snr_s) - I(snr_t)).

    Given x0 the exact step is N(c x_t + rho x0, btilde), and rho^2 / btilde = dsnr. Against
    one Gaussian with rho M in the place of rho x0 that costs (dsnr / 2) E|x0 - M|^2, and
    E|x0 - M|^2 = mmse + error. The exact step knows as much more as x_s tells of x0: the
    information gained is taken off.
    """
    posterior, path = target.exact_posterior, target.path
    early, late = jnp.exp(path.log_snr(t)), jnp.exp(path.log_snr(s))
    mmse = gt.information.mmse(posterior, early).value
    gained = gt.information.mutual_information(
        posterior, jnp.stack([early, late])
    ).value
    return (late - early) / 2 * (mmse + error) - (gained[1] - gained[0])


def _cost(target, t, s, mmse_at=0, factor=0.5, error=0.0, gain=1.0, sign=1.0):
    """The formula, with the mistakes that the arguments allow."""
    levels = jnp.exp(target.path.log_snr(jnp.stack([t, s])))
    mmse = gt.information.mmse(target.exact_posterior, levels).value
    known = gt.information.mutual_information(target.exact_posterior, levels).value
    spent = sign * factor * (levels[1] - levels[0]) * (mmse[mmse_at] + error)
    return spent - gain * (known[1] - known[0])


def _of_budget(target, t, s, error):
    """Approximation and discretisation of this step, from the budget of TMPD."""
    sampler = gt.Guided(_METHOD, gt.kernels.DDPM())
    found = gt.budget(jax.random.key(0), sampler, target, jnp.stack([t, s]))
    return found.approximation[0] + found.discretisation[0]


@eqx.filter_jit
def squared_error(target, t):
    """E|M - m^y|^2 of TMPD at time t, under the exact posterior marginal."""
    rule = gt.divergences.line_rule(target.posterior(t), 201)

    def gap(x):
        return _METHOD.posterior_mean(target, x, t) - target.posterior_mean(x, t)

    return rule[1] @ jnp.sum(jax.vmap(gap)(rule[0]) ** 2, axis=1)


@cache
def _steps(precision):
    target = cases.two_components()
    pairs = (0.62, 0.5), (0.4, 0.31), (0.25, 0.12), (0.17, 0.15)
    times = [tuple(map(jnp.asarray, pair)) for pair in pairs]
    return [(target, t, s, squared_error(target, t)) for t, s in times]


def _probes():
    return _steps(jnp.result_type(float))


def _where_it_is_spent() -> str:
    target = gt.problems.get("two-modes")
    sampler = gt.Guided(gt.approximations.DPS(), gt.kernels.DDPM())
    times = gt.time_grid(target.path, 64, "log_snr", t_min=1e-2)
    found = gt.budget(jax.random.key(0), sampler, target, times)
    spent = found.approximation.value
    top = int(jnp.argmax(spent))
    return (
        f"of DPS's {float(found.total.value):.1f} nats on 'two-modes' with 64 steps, "
        f"{float(jnp.sum(found.discretisation.value)):.2f} are the price of steps. "
        f"Its dearest step, with {float(spent[top]):.1f}, is the one from t = "
        f"{float(times[top]):.2f}."
    )


STEP_KL = Exercise(
    title="What one step costs",
    asks="step_kl(target, t, s, error) gives the expected KL (nats) of the exact "
    "posterior step from t to s and DDPM's with the small variance, whose denoiser "
    "has the mean squared error `error` = E|M - m^y|^2; from gt.information.mmse and "
    "mutual_information of target.exact_posterior.",
    probes=_probes,
    truth=_of_budget,
    slips={
        "late-mmse": (
            lambda target, t, s, error: _cost(target, t, s, 1, error=error),
            "the sampler sees x_t when it makes the step, so the error of the mean is "
            "that at t, the noisier end.",
        ),
        "no-half": (
            lambda target, t, s, error: _cost(target, t, s, factor=1.0, error=error),
            "the KL of two Gaussians with one variance is half the squared distance "
            "of their means over it.",
        ),
        "no-error": (
            lambda target, t, s, error: _cost(target, t, s),
            "this is the cost with the exact denoiser; the method's own error comes "
            "on top: E|x0 - M|^2 = mmse + error.",
        ),
        "no-gain": (
            lambda target, t, s, error: _cost(target, t, s, error=error, gain=0.0),
            "this takes the exact step to be one Gaussian around x0. It is a mixture, "
            "and the information that it gains is taken off.",
        ),
        "sign": (
            lambda target, t, s, error: _cost(target, t, s, error=error, sign=-1.0),
            "dsnr is positive: from t to s < t the signal grows.",
        ),
    },
    solution=step_kl,
    rtol=1e-6,
    transforms=(),
    notice=_where_it_is_spent,
    equivalent=(  # JAX takes the nearest index
        "return (late - early) / 2 * (mmse + error) - (gained[2] - gained[0])",
    ),
    hints=(
        "Given x0 both steps are Gaussian with variance btilde: what is their KL?",
        "rho^2 / (2 btilde) |x0 - M|^2, and rho^2 / btilde = snr_s - snr_t.",
        "Averaged over x0 that is too much: KL of the averages is less by the "
        "information I(x0; x_s | x_t) = I(snr_s) - I(snr_t).",
    ),
)


# --- its best variance ------------------------------------------------------------------


def lambda_star(target, t, s, error):
    r"""1 + dsnr (mmse + error) / d, times btilde.

    The best variance is the mean squared distance of x_s from the mean of the step, for
    each dimension. It is btilde, for what is unknown even with x0, and rho^2 E|x0 -
    M|^2 / d for x0. With rho^2 / btilde = dsnr that is btilde times the formula.
    """
    path = target.path
    early, late = jnp.exp(path.log_snr(t)), jnp.exp(path.log_snr(s))
    mmse = gt.information.mmse(target.exact_posterior, early).value
    return 1 + (late - early) * (mmse + error) / target.problem.prior.dim


def _by_moments(target, t, s, error):
    """E|x_s - mean of TMPD's step|^2 over btilde, from the exact reverse kernel."""
    kernel = gt.kernels.DDPM()
    rule = gt.divergences.line_rule(target.posterior(t), 201)

    def square(x):
        step = kernel.transition(gt.GuidedField(_METHOD, target), x, t, s)
        exact = gt.reverse_kernel(target, x, t, s)
        gap = jnp.sum((exact.mean() - step.mean) ** 2)
        return (exact.total_variance() + gap) / step.covariance()[0, 0]

    del error  # TMPD's own is in its mean
    return rule[1] @ jax.vmap(square)(rule[0])


def _factor(formula):
    """A formula of dsnr, the two mmse and the error, as an answer."""

    def answer(target, t, s, error):
        levels = jnp.exp(target.path.log_snr(jnp.stack([t, s])))
        mmse = gt.information.mmse(target.exact_posterior, levels).value
        return formula(levels[1] - levels[0], mmse[0], mmse[1], error)

    return answer


LAMBDA_STAR = Exercise(
    title="The variance that costs least",
    asks="lambda_star(target, t, s, error) gives the factor before btilde at which "
    "the step of step_kl costs least.",
    probes=_probes,
    truth=_by_moments,
    slips={
        "one": (
            _factor(lambda d, early, late, error: 1.0 + 0.0 * d),
            "this is the small variance, right if x0 were known: the denoiser's "
            "uncertainty comes on top.",
        ),
        "no-one": (
            _factor(lambda d, early, late, error: d * (early + error)),
            "even with x0 known, btilde remains: 1 + ...",
        ),
        "no-error": (
            _factor(lambda d, early, late, error: 1.0 + d * early),
            "the method's own error spreads x_s around its mean as well.",
        ),
        "half": (
            _factor(lambda d, early, late, error: 1.0 + 0.5 * d * (early + error)),
            "a variance is the whole mean square; the half belongs to the divergence.",
        ),
        "late-mmse": (
            _factor(lambda d, early, late, error: 1.0 + d * (late + error)),
            "what is unknown at t counts, where the step begins.",
        ),
    },
    solution=lambda_star,
    rtol=1e-6,
    transforms=(),
    notice="this is the variance of Analytic-DPM, and averaged over x_t: kernels.DDPM "
    "with the variance 'matched' takes it at each x_t, and is of order two.",
    equivalent=(  # on the line
        "return 1 + (late - early) * (mmse + error)",
        "return 1 + (late - early) * (mmse + error) * target.problem.prior.dim",
    ),
    hints=(
        "The best Gaussian for a law has its mean and its variance. Here the mean is "
        "given.",
        "E|x_s - mean|^2 = btilde + rho^2 E|x0 - M|^2, on the line.",
        "Divide by btilde: rho^2 / btilde = dsnr.",
    ),
)
