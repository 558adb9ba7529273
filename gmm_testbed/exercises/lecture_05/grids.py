"""All steps: where to put them, and how fast their cost falls with their number."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

from ..exercise import Exercise

# --- where to put them ------------------------------------------------------------------


def optimal_grid(variance, start, end, num_steps):
    r"""Levels (N + 1,) with equal increments of log(1 + variance snr).

    A step dsnr costs about dsnr^2 |mmse'| / 4. The least sum has dsnr proportional to
    |mmse'|^(-1/2), equal increments of int |mmse'|^(1/2) dsnr; for one Gaussian mmse is
    variance / (1 + variance snr) and the integral is log(1 + variance snr).
    """
    ends = jnp.log(1 + variance * jnp.stack([start, end]))
    return (jnp.exp(jnp.linspace(ends[0], ends[1], num_steps + 1)) - 1) / variance


def _of_package(variance, start, end, num_steps):
    """The levels of `gt.optimal_grid`, for a posterior of this variance."""
    prior = gt.GaussianMixture.isotropic([1.0], [[0.3]], 2.0 * variance)
    problem = gt.InverseProblem(prior, gt.Linear([[1.0]], 2.0 * variance), [0.7])
    target = gt.Target(problem, gt.VE(0.05, 20.0))
    ends = (target.path.time_at_log_snr(jnp.log(level)) for level in (start, end))
    t_max, t_min = ends
    times = gt.optimal_grid(target, num_steps, t_max, t_min)
    return jnp.exp(target.path.log_snr(times))


def _spaced(forward, backward):
    """Levels equally spaced in a function of the snr and the variance."""

    def answer(variance, start, end, num_steps):
        ends = forward(jnp.stack([start, end]), variance)
        return backward(jnp.linspace(ends[0], ends[1], num_steps + 1), variance)

    return answer


def _least_and_geometric() -> str:
    target = gt.problems.get("one-gaussian")
    sampler = gt.Guided(gt.approximations.Exact(), gt.kernels.DDPM())
    key, spent = jax.random.key(0), []
    for kind in ("optimal", "log_snr", "uniform"):
        times = gt.time_grid(target, 64, kind, t_min=1e-2)
        found = gt.budget(key, sampler, target, times)
        spent.append(float(jnp.sum(found.discretisation.value)))
    least = float(gt.leading_order(target, t_min=1e-2).value) / 64
    return (
        f"on 'one-gaussian' 64 steps cost {spent[0]:.3f} nats on the optimal grid, "
        f"{spent[1]:.3f} on the one uniform in log snr and {spent[2]:.3f} on the one "
        f"uniform in t; the theory says {least:.3f} at least."
    )


OPTIMAL_GRID = Exercise(
    title="The best grid for one Gaussian",
    asks="optimal_grid(variance, start, end, num_steps) gives the signal-to-noise "
    "ratios (num_steps + 1,), from start to end, of the grid that costs least to "
    "leading order, for one Gaussian posterior of this variance.",
    probes=lambda: [
        (0.4, 0.02, 30.0, 5),
        (1.7, 0.05, 90.0, 5),
        (0.15, 0.3, 55.0, 5),
        (3.2, 0.01, 7.0, 5),
    ],
    truth=_of_package,
    slips={
        "geometric": (
            _spaced(lambda snr, v: jnp.log(snr), lambda level, v: jnp.exp(level)),
            "equal ratios waste steps where there is hardly any signal yet: mmse does "
            "not change there.",
        ),
        "uniform": (
            _spaced(lambda snr, v: snr, lambda level, v: level),
            "equal increments of the snr itself waste steps where everything is known.",
        ),
        "no-variance": (
            _spaced(lambda snr, v: jnp.log1p(snr), lambda level, v: jnp.expm1(level)),
            "the snr counts in units of the posterior: variance times snr.",
        ),
        "mmse": (
            _spaced(
                lambda snr, v: v / (1 + v * snr), lambda level, v: (v / level - 1) / v
            ),
            "these are equal increments of mmse, as if a step cost |dmmse|; it costs "
            "dsnr |dmmse|.",
        ),
    },
    solution=optimal_grid,
    rtol=1e-6,
    scales={"variance": lambda variance, start, end, num_steps: variance},
    notice=_least_and_geometric,
    equivalent=(  # JAX takes the nearest index
        "return (jnp.exp(jnp.linspace(ends[0], ends[2], num_steps + 1)) - 1) / variance",
    ),
    hints=(
        "mmse(snr) of one Gaussian: 1 / mmse = 1 / variance + snr.",
        "Steps should have dsnr |mmse'|^(1/2) equal, to spend equally.",
        "int |mmse'|^(1/2) dsnr = log(1 + variance snr): equal increments of that.",
    ),
)


# --- how fast their cost falls ----------------------------------------------------------


def two_slopes():
    """-1 for the divergence of paths, -2 for that of the laws.

    A step is of weak order one, so densities err by O(1/N), and a KL is quadratic in the
    error: N^-2. The paths pay for each of N steps an amount that falls as N^-2: N^-1.
    """
    return -1.0, -2.0


@cache
def _measured(precision):
    target = gt.problems.get("two-modes")
    sampler = gt.Guided(gt.approximations.Exact(), gt.kernels.DDPM())
    key, counts, spent = jax.random.key(0), (64, 256), []
    for count in counts:
        times = gt.time_grid(target, count, "log_snr", t_min=1e-2)
        start = target.posterior(times[0])
        paths = gt.budget(key, sampler, target, times, initial=start).total
        law = gt.laws.grid(sampler, target, times, initial=start)
        kl = law.kl_from(target.posterior(times[-1]))
        spent.append([float(paths.value), float(kl)])
    slopes = np.diff(np.log(spent), axis=0)[0] / np.log(counts[1] / counts[0])
    return float(slopes[0]), float(slopes[1])


TWO_SLOPES = Exercise(
    title="Two slopes of one sampler",
    asks="two_slopes is a tuple (paths, law): the powers of N with which the "
    "divergence of paths and the KL of the law at the end fall, for DDPM with the "
    "exact denoiser; to 0.15.",
    kind="number",
    truth=lambda: _measured(jnp.result_type(float)),
    slips={
        "one-slope": (
            lambda: (-1.0, -1.0),
            "the law is better than the path: errors of single steps average out in "
            "it.",
        ),
        "both-two": (
            lambda: (-2.0, -2.0),
            "the steps are independent, so their costs add up: N steps of O(N^-2) "
            "each.",
        ),
        "halves": (
            lambda: (-0.5, -1.0),
            "one half is the strong order of a step with noise that depends on x; "
            "what counts here are laws.",
        ),
        "swapped": (
            lambda: (-2.0, -1.0),
            "the other way round: the law cannot be worse than the paths (data "
            "processing).",
        ),
    },
    solution=two_slopes,
    parts=("paths", "law"),
    rtol=1e-3,
    atol=0.15,
    notice=lambda: (
        "measured from N = 64 to 256: {:.2f} and {:.2f}. A bound by Girsanov's theorem "
        "bounds the paths: none is wrong, and none can be sharp for the law.".format(
            *_measured(jnp.result_type(float))
        )
    ),
    hints=(
        "What does one step of size 1/N cost, to leading order? And N of them?",
        "A density that is off by h has a KL of order h^2.",
    ),
)
