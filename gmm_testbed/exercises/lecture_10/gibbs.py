"""Noise that is moved between y and x: the bias of split Gibbs, and tilted transport."""

import itertools

import jax.numpy as jnp

import gmm_testbed as gt

from ...bounds.tilted_transport import largest_level
from ..exercise import Exercise

# --- inflated-noise ---------------------------------------------------------------------


def inflated_noise(A, R, rho):
    r"""Covariance (m, m) of y - A x where split Gibbs stands still: R + rho^2 A A^T.

    The joint law of x and z is p_0(x) N(z; x, rho^2 I) N(y; A z, R) up to a factor.
    Integrate over z: y = A z + N(0, R) with z = x + N(0, rho^2 I), so y given x has the
    mean A x and both noises.
    """
    return R + rho**2 * A @ A.T


def _operators():
    wide = jnp.asarray([[0.7, -1.2, 0.4], [0.25, 0.6, -0.9]])
    noise = jnp.asarray([[0.3, 0.08], [0.08, 0.22]])
    row, number = jnp.asarray([[0.8, -0.45]]), jnp.asarray([[1.3]])
    return {
        "two measurements in three dimensions": [
            (wide, noise, 0.35),
            (wide, noise, 0.7),
        ],
        "one measurement in the plane": [(row, jnp.asarray([[0.25]]), 0.6)],
        "the line": [(number, jnp.asarray([[0.16]]), 0.45)],
    }


def _of_y(A, R, rho):
    """The covariance of A z + N(0, R) for z from N(x, rho^2 I), whatever x is."""
    x = jnp.full((1, A.shape[1]), 0.3)
    return gt.GaussianMixture.isotropic([1.0], x, rho**2).affine(A, R=R).covariance()


INFLATED_NOISE = Exercise(
    title="Where split Gibbs stands still",
    asks="inflated_noise(A, R, rho), A (m, d), R (m, m), gives the covariance (m, m) "
    "for which the x-marginal of p_0(x) N(z; x, rho^2 I) N(y; A z, R) is the "
    "posterior p_0(x) N(y; A x, covariance).",
    probes=_operators,
    truth=_of_y,
    slips={
        "no-operator": (
            lambda A, R, rho: R + rho**2 * jnp.eye(R.shape[0]),
            "z is rho away from x, and y sees A z: the noise of z passes through A.",
        ),
        "rho-not-squared": (
            lambda A, R, rho: R + rho * A @ A.T,
            "rho is a standard deviation; covariances add.",
        ),
        "deflated": (
            lambda A, R, rho: R - rho**2 * A @ A.T,
            "that is tilted transport, which takes noise away from y. Here z has a "
            "noise of its own, and y has both.",
        ),
        "precisions": (
            lambda A, R, rho: jnp.linalg.inv(
                jnp.linalg.inv(R) + jnp.linalg.inv(rho**2 * A @ A.T)
            ),
            "precisions add where two measurements are of the same thing; here one "
            "noise comes after the other, and covariances add.",
        ),
        "coupling-only": (
            lambda A, R, rho: rho**2 * A @ A.T,
            "the noise of the measurement is there as well.",
        ),
    },
    solution=inflated_noise,
    scales={"rho": lambda A, R, rho: rho},
    terms=lambda A, R, rho: {"R": R, "rho^2 A A^T": rho**2 * A @ A.T},
    hints=(
        "Integrate the joint law over z; only two of its factors contain z.",
        "The integral over z of N(z; x, rho^2 I) N(y; A z, R) is the density of y "
        "given x: what are its mean and covariance?",
        "y = A (x + rho eps) + noise.",
    ),
    notice=lambda: _notice_noise(),
)


def _notice_noise():
    case = _operators()["two measurements in three dimensions"][1]
    grown = jnp.trace(inflated_noise(*case)) / jnp.trace(case[1])
    return (
        f"with rho = 0.7 the sampler behaves as if the noise had {float(grown):.1f} "
        "times its variance: a posterior, exact and of another problem."
    )


# --- bias-order -------------------------------------------------------------------------

_SMALL = 0.05


def bias(rho):
    """KL(posterior || law where split Gibbs with this rho stands still), on two-modes."""
    problem = gt.problems.get("two-modes").problem
    A, y = problem.measurement.A, problem.y
    noise = inflated_noise(A, 0.3**2 * jnp.eye(1), rho)
    stationary = problem.prior.conditioned(A, noise, y)
    return gt.divergences.mixture_kl(problem.posterior(), stationary).value


def bias_order():
    """The covariance of y changes by rho^2 A A^T, so the log-density changes by O(rho^2).

    KL is quadratic in a small change of the log-density.
    """
    return 4


def _order():
    """Between rho and rho/2; how far the next halving moves it is its error."""
    found = [float(bias(_SMALL / 2**k)) for k in range(3)]
    first, second = (float(jnp.log2(a / b)) for a, b in itertools.pairwise(found))
    return gt.Estimate(second, abs(second - first), how="measured at small rho")


BIAS_ORDER = Exercise(
    title="How fast does the bias vanish?",
    asks="bias_order is a number: the power p of KL(posterior || law where split "
    "Gibbs stands still) = O(rho^p) as rho goes to 0. The check measures it between "
    "two small rho.",
    truth=_order,
    slips={
        "first": (
            lambda: 1.0,
            "rho enters squared, and KL is quadratic on top of that.",
        ),
        "second": (
            lambda: 2.0,
            "the law changes by O(rho^2): that is the order of TV and of the mean. KL "
            "is quadratic in a small change.",
        ),
        "third": (
            lambda: 3.0,
            "nothing is odd in rho: change its sign and nothing happens.",
        ),
        "sixth": (
            lambda: 6.0,
            "the first term does not cancel: the log-likelihood changes by O(rho^2).",
        ),
    },
    solution=bias_order,
    kind="number",
    hints=(
        "By how much does inflated_noise differ from R?",
        "KL(p || p (1 + e h)) is about e^2 Var_p(h)/2.",
        "Put e = rho^2.",
    ),
    notice=lambda: _notice_bias(),
)


def _notice_bias():
    small, large = float(bias(0.05)), float(bias(0.5))
    return (
        f"{small:.1g} nats at rho = 0.05 and {large:.2g} at 0.5. The bias is soon "
        "negligible; what is paid for a small rho is slow mixing."
    )


# --- v-star -----------------------------------------------------------------------------


def v_star(A, R):
    """Largest v () for which R - v A A^T is still a covariance: 1 / |R^(-1/2) A|^2.

    y = A x_v + N(0, R - v A A^T) with x_v = x_0 + N(0, v I). R - v A A^T is positive
    semi-definite while v |A^T u|^2 <= u^T R u for all u, and the largest ratio
    |A^T u|^2 / u^T R u is the largest eigenvalue of A^T R^(-1) A.
    """
    eigenvalues = jnp.linalg.eigvalsh(A.T @ jnp.linalg.solve(R, A))
    return 1 / eigenvalues[-1]


def _level_probes():
    return {group: [p[:2] for p in several] for group, several in _operators().items()}


def _eigenvalues(A, R):
    return jnp.linalg.eigvalsh(A.T @ jnp.linalg.solve(R, A))


V_STAR = Exercise(
    title="How much noise can be moved?",
    asks="v_star(A, R), A (m, d), R (m, m), gives the largest v (): the noise of y "
    "can be split as A N(0, v I) and an independent N(0, R - v A A^T) while the "
    "latter is a covariance.",
    probes=_level_probes,
    truth=lambda A, R: jnp.asarray(largest_level(jnp.asarray(A), jnp.asarray(R))),
    slips={
        "not-inverted": (
            lambda A, R: _eigenvalues(A, R)[-1],
            "this has the units of 1/x^2; a variance is asked for: its inverse.",
        ),
        "trace": (
            lambda A, R: 1 / jnp.trace(A.T @ jnp.linalg.solve(R, A)),
            "the worst direction decides, not the sum over directions.",
        ),
        "average": (
            lambda A, R: R.shape[0] / jnp.trace(A.T @ jnp.linalg.solve(R, A)),
            "that is the average direction, and R - v A A^T must be a covariance in "
            "the worst one.",
        ),
        "best-direction": (
            lambda A, R: (
                1
                / jnp.linalg.eigvalsh(
                    jnp.linalg.solve(jnp.linalg.cholesky(R), A)
                    @ jnp.linalg.solve(jnp.linalg.cholesky(R), A).T
                )[0]
            ),
            "the direction that is measured worst would allow this much; the one that "
            "is measured best allows less.",
        ),
        "precision-for-covariance": (
            lambda A, R: 1 / jnp.linalg.eigvalsh(A.T @ R @ A)[-1],
            "R is a covariance: A^T R^(-1) A is the precision that y has about x.",
        ),
        "unit-noise": (
            lambda A, R: 1 / jnp.linalg.eigvalsh(A.T @ A)[-1],
            "R is missing: the more noise y has, the more can be moved.",
        ),
    },
    solution=v_star,
    transforms=("jit", "vmap"),
    hints=(
        "R - v A A^T must have no negative eigenvalue.",
        "In units of the noise: I - v B B^T with B = R^(-1/2) A.",
        "The largest eigenvalue of B B^T is that of B^T B = A^T R^(-1) A.",
    ),
    notice=lambda: _notice_level(),
)


def _notice_level():
    A, R, _ = _operators()["two measurements in three dimensions"][0]
    v = v_star(A, R)
    least = float(jnp.linalg.eigvalsh(R - v * A @ A.T)[0])
    return (
        f"at v* = {float(v):.3f} the least eigenvalue of R - v A A^T is "
        f"{abs(least):.0e}: in one direction y has no noise left, and the boosted "
        "posterior is log-concave there, whatever the prior."
    )
