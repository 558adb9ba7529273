"""What a deterministic step does to a law: on the line by quantiles, and its density."""

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

import gmm_testbed as gt

from ...bounds.orders import law_error
from ..exercise import Exercise

# --- monotone-map -----------------------------------------------------------------------


def monotone_map(x, start, end):
    """Where the exact flow from the law `start` to the law `end` takes x ().

    Paths of an ordinary differential equation do not cross, so the mass to the left of a
    point stays what it was: F_end(map(x)) = F_start(x).
    """
    return gt.divergences.mixture_quantile(end, gt.divergences.mixture_cdf(start, x))


def _ends(weights, means, variances, x):
    """A mixture at two noise levels of a variance-preserving path, and a point."""
    law = gt.GaussianMixture.isotropic(
        weights, jnp.asarray(means)[:, None], jnp.asarray(variances)
    )
    return jnp.asarray(x), law.noised(0.55, 0.83), law.noised(0.97, 0.24)


def _map_probes():
    two = (0.35, 0.65), (-1.2, 1.4), (0.15, 0.3)
    return {
        "two modes": [_ends(*two, x) for x in (-1.1, -0.2, 0.6, 1.9)],
        "one mode": [_ends((1.0,), (0.7,), (0.45,), -0.4)],
    }


def _exact_map(x, start, end):
    """The x of `end` with as much mass above it; by bisection on the other tail."""
    level = 1.0 - gt.divergences.mixture_cdf(_mirrored(start), -x)
    return -gt.divergences.mixture_quantile(_mirrored(end), 1.0 - level)


def _mirrored(law):
    return law.affine(-jnp.eye(1))


def _standardised(x, start, end):
    scale = jnp.sqrt(end.total_variance() / start.total_variance())
    return end.mean()[0] + scale * (x - start.mean()[0])


def _by_component(x, start, end):
    shares = start.responsibilities(x[None])
    scale = jnp.sqrt(end.base / start.base)
    return shares @ (end.means[:, 0] + scale * (x - start.means[:, 0]))


MONOTONE_MAP = Exercise(
    title="The flow, without solving it",
    asks="monotone_map(x, start, end), x (), gives the point () where x is "
    "taken by the probability flow on the line from the law `start` to the law `end`, two "
    "mixtures. Its paths do not cross.",
    probes=_map_probes,
    truth=_exact_map,
    slips={
        "backwards": (
            lambda x, start, end: gt.divergences.mixture_quantile(
                start, gt.divergences.mixture_cdf(end, x)
            ),
            "this is the way from `end` to `start`: x has the law `start`, so its "
            "level is that of the distribution function of `start`.",
        ),
        "decreasing": (
            lambda x, start, end: gt.divergences.mixture_quantile(
                end, 1.0 - gt.divergences.mixture_cdf(start, x)
            ),
            "this map has the right law at the end too, and turns the line round: a "
            "flow cannot, as paths would have to cross.",
        ),
        "two-moments": (
            _standardised,
            "that matches mean and variance, and is right for one Gaussian only.",
        ),
        "by-component": (
            _by_component,
            "each component has a map of its own, and their average is not the map of "
            "the mixture.",
        ),
        "the-level": (
            lambda x, start, end: gt.divergences.mixture_cdf(start, x),
            "this is the level of x, in (0, 1); now find the point of `end` with this "
            "level.",
        ),
    },
    solution=monotone_map,
    transforms=("jit", "vmap"),
    hints=(
        "Points do not cross, so the mass to the left of a point is the same all "
        "along.",
        "F_end(map(x)) = F_start(x), F the distribution function.",
        "gt.divergences.mixture_cdf(law, x) is F, and "
        "gt.divergences.mixture_quantile(law, level) its inverse.",
    ),
    notice=lambda: _notice_map(),
)


def _notice_map():
    error = law_error(gt.kernels.Heun(), gt.problems.get("two-modes"), 64)
    return (
        f"64 steps of Heun come to within {error:.0e} of it, root mean square over "
        "equally likely points: an oracle for every deterministic sampler on the "
        "line, without a sample."
    )


# --- log-density-after-a-step -----------------------------------------------------------


def log_density_after_a_step(start, step, x):
    """log q(step(x)) where x (d,) has the law `start` and q is the law of step(x).

    The mass start(x) dx of a small volume dx is the mass of its image, whose volume is
    |det D step(x)| dx.
    """
    jacobian = jax.jacfwd(step)(x)
    return start.log_prob(x) - jnp.linalg.slogdet(jacobian)[1]


def bent(strength, matrix, x):
    """A step that is one-to-one and not linear: M x + strength tanh(x)."""
    return matrix @ x + strength * jnp.tanh(x)


def _step_probes():
    plane = gt.GaussianMixture.full(
        [0.4, 0.6],
        [[-1.1, 0.5], [0.8, -0.7]],
        [[[0.5, 0.2], [0.2, 0.3]], [[0.4, -0.1], [-0.1, 0.7]]],
    )
    line = gt.GaussianMixture.isotropic([1.0], [[0.4]], 0.6)
    tilt, turn = [[0.7, 0.2], [-0.3, 0.5]], [[-0.6, 0.25], [0.15, 0.45]]
    return {
        "two modes in the plane": [
            (plane, Partial(bent, 0.35, jnp.asarray(tilt)), jnp.asarray([0.3, -0.9])),
            (plane, Partial(bent, 0.15, jnp.asarray(turn)), jnp.asarray([-1.2, 0.4])),
        ],
        "one mode on the line": [
            (line, Partial(bent, 0.4, jnp.asarray([[0.55]])), jnp.asarray([0.9])),
        ],
    }


def _pushed(start, step, x):
    return start.log_prob(x) - _log_volume(step, x)


def _log_volume(step, x):
    """log |det| by hand, d at most 2."""
    J = jax.jacrev(step)(x)
    return jnp.log(jnp.abs(_determinant(J)))


def _determinant(J):
    return J[0, 0] if J.shape == (1, 1) else J[0, 0] * J[1, 1] - J[0, 1] * J[1, 0]


LOG_DENSITY = Exercise(
    title="The density after a step",
    asks="log_density_after_a_step(start, step, x), x (d,), gives a number (): x has "
    "the law `start`, a mixture; `step` takes (d,) to (d,), one to one. The "
    "log-density at step(x) of the law of step(x).",
    probes=_step_probes,
    truth=_pushed,
    slips={
        "sign": (
            lambda start, step, x: start.log_prob(x) + _log_volume(step, x),
            "a step that contracts makes the density larger: divide by |det|.",
        ),
        "no-volume": (
            lambda start, step, x: start.log_prob(x),
            "the mass is kept, the volume is not: |det| of the Jacobian is missing.",
        ),
        "no-logarithm": (
            lambda start, step, x: start.log_prob(x) - jnp.exp(_log_volume(step, x)),
            "the density is divided by |det|, so its logarithm loses log |det|.",
        ),
        "jacobian-at-the-image": (
            lambda start, step, x: start.log_prob(x) - _log_volume(step, step(x)),
            "the derivative of the step is taken where the step begins, at x.",
        ),
        "density-at-the-image": (
            lambda start, step, x: start.log_prob(step(x)) - _log_volume(step, x),
            "the law `start` is that of x: its density is taken at x.",
        ),
        "trace-for-determinant": (
            lambda start, step, x: start.log_prob(x) - jnp.trace(jax.jacrev(step)(x)),
            "the trace belongs to the continuous flow, per unit of time; a discrete "
            "step has a determinant.",
        ),
    },
    solution=log_density_after_a_step,
    transforms=("jit",),
    hints=(
        "Mass is kept: q(step(x)) times the new volume is start(x) times the old.",
        "The ratio of volumes is |det D|, D the Jacobian of the step at x.",
        "jax.jacfwd(step)(x) is D, and jnp.linalg.slogdet(D)[1] is log |det D|.",
    ),
    notice=lambda: _notice_density(),
)


def _notice_density():
    target = gt.problems.get("two-modes")
    times = gt.time_grid(target.path, 32, "log_snr", t_max=0.99, t_min=1e-2)
    sampler = gt.Guided(gt.approximations.Exact(), gt.kernels.DDIM(0.0))
    kl = float(gt.laws.grid(sampler, target, times).kl(target.posterior(times[-1])))
    return (
        f"added up over 32 DDIM steps it gives KL(q || p) = {kl:.2g} nats on "
        "two-modes, of the discrete sampler itself and not of the ODE that it "
        "follows."
    )
