"""One suite for every approximation: `gt.conformance`, and the NumPy references.

What the facts of a row claim is asked by `gt.conformance`, in both directions. Here it is
asked once more against references that know nothing of the package, and single methods
are held to what they claim beyond their facts.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt
from gmm_testbed.approximations._template import Template

from ..oracles import numpy_mixture as ref
from ..oracles.library import scales, to_target
from ..oracles.problems import LINE, SPACE

VARIANTS = {
    "PiGDM flat": functools.partial(gt.approximations.PiGDM, "flat"),
    "PiGDM data": functools.partial(gt.approximations.PiGDM, "data"),
}
ROWS = gt.approximations.CATALOGUE | VARIANTS | {"Template": Template}
PATH = gt.Rectified()  # alpha = 0 at t = 1


def _one_gaussian(covariance):
    """Three equal components: one Gaussian, in the shapes of the generic problem."""
    covariances = np.broadcast_to(covariance, (3, 3, 3))
    means = np.broadcast_to([0.8, -0.5, 1.7], (3, 3))
    prior = ref.Mixture(SPACE.prior.log_weights, means, covariances)
    return SPACE._replace(prior=prior)


# The problems that `facts.exact_when` may name.
PROBLEMS = {
    "any": SPACE,
    "one gaussian": _one_gaussian(SPACE.prior.covariances[0]),
    "isotropic gaussian": _one_gaussian(2.5 * np.eye(3)),
    "unit gaussian": _one_gaussian(np.eye(3)),
}
# Measurements that see one direction only, through two rows.
DEFICIENT = {
    "dependent rows": SPACE._replace(A=np.array([[1.0, 0.5, -0.3], [2.0, 1.0, -0.6]])),
    "zero row": SPACE._replace(A=np.array([[1.0, 0.5, -0.3], [0.0, 0.0, 0.0]])),
}

# Points at interior times, and as many times that other tests ask for.
RNG = np.random.default_rng(6)
INSIDE_TIMES = np.array([0.15, 0.4, 0.6, 0.85])
INSIDE = RNG.normal(size=(4, 3))
XS = np.concatenate([INSIDE, np.zeros((4, 3))])
TS = np.concatenate([INSIDE_TIMES, np.full(4, 0.5)])
INSIDE_AT = slice(0, 4)


@functools.cache
def _target(kind):
    return to_target((PROBLEMS | DEFICIENT)[kind], PATH)


@eqx.filter_jit
def _evaluate(approximation, target, xs, ts):
    def at(x, t):
        return {
            "guidance": approximation.guidance(target, x, t),
            "mean": approximation.posterior_mean(target, x, t),
            "covariance": approximation.covariance(target, x, t),
        }

    return jax.vmap(at)(xs, ts)


class Row:
    """One approximation and its values on every problem."""

    def __init__(self, name):
        self.name = name
        self.method = ROWS[name]()
        self.facts = self.method.facts
        self.on = {kind: self.evaluate(self.method, _target(kind)) for kind in PROBLEMS}

    def evaluate(self, method, target):
        values = _evaluate(method, target, jnp.asarray(XS), jnp.asarray(TS))
        return {key: np.asarray(value) for key, value in values.items()}


@pytest.fixture(scope="module", params=ROWS)
def row(request):
    return Row(request.param)


def _state(index):
    return XS[index], *scales(PATH, jnp.asarray(TS[index]))


def _oracle(oracle, problem, where=INSIDE_AT):
    """The reference at every point of a slice."""
    indices = range(len(XS))[where]
    return np.array([oracle(problem, *_state(index)) for index in indices])


def _gap(value, truth):
    """Relative distance over all points."""
    return np.linalg.norm(value - truth) / np.linalg.norm(truth)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == "DPS" else pytest.mark.slow) for n in ROWS],
)
def test_the_facts_are_true(name):
    report = gt.conformance(ROWS[name]())
    assert report.ok, str(report)


@pytest.mark.float32
def test_mean_and_guidance_determine_one_another(row, tolerance):
    for kind, problem in PROBLEMS.items():
        alpha, sigma = PATH.alpha(TS[INSIDE_AT]), PATH.sigma(TS[INSIDE_AT])
        gain = np.asarray(sigma**2 / alpha)[:, None]
        m = _oracle(ref.prior_mean, problem)
        values = row.on[kind]
        moved = m + gain * values["guidance"][INSIDE_AT]
        near = {"rtol": tolerance.identity, "atol": 0.1 * tolerance.identity}
        assert_allclose(values["mean"][INSIDE_AT], moved, **near)


@pytest.mark.float32
@pytest.mark.parametrize("kind", PROBLEMS)
def test_exact_exactly_where_the_facts_say_so(kind, row, tolerance):
    m_y = _oracle(ref.posterior_mean, PROBLEMS[kind])
    error = _gap(row.on[kind]["mean"][INSIDE_AT], m_y)
    wider = list(PROBLEMS)[: list(PROBLEMS).index(kind) + 1]  # each holds the next
    if any(where.problem in wider for where in row.facts.exact_when):
        assert error < tolerance.identity
    else:
        assert error > 1e-2


# Of those that have their own; for all others it is the prior's.
COVARIANCES = {"Exact": ref.posterior_covariance, "TMPD": ref.tmpd_covariance}


@pytest.mark.float32
def test_covariance_is_the_method_s_own_or_the_prior_s(row, tolerance):
    oracle = COVARIANCES.get(row.name, ref.prior_covariance)
    for kind, problem in PROBLEMS.items():
        mine = row.on[kind]["covariance"][INSIDE_AT]
        near = {"rtol": tolerance.identity, "atol": 0.01 * tolerance.identity}
        assert_allclose(mine, _oracle(oracle, problem), **near)


# --- nonlinear measurements ---------------------------------------------------------

ATOMS = np.random.default_rng(9).normal(size=(12, 3))
NOISE = np.array([[0.3, 0.1], [0.1, 0.5]])
SEEN = np.array([0.7, 0.4])


def _range_and_product(x):
    return jnp.stack([jnp.sqrt(1.0 + x[0] ** 2 + x[1] ** 2), x[1] * x[2]])


def _nonlinear_target():
    prior = gt.GaussianMixture.empirical(jnp.asarray(ATOMS))
    measurement = gt.Nonlinear(_range_and_product, jnp.asarray(NOISE), 2)
    return gt.Target(gt.InverseProblem(prior, measurement, jnp.asarray(SEEN)), PATH)


@eqx.filter_jit
def _ask(method, target, x, t):
    return method.guidance(target, x, t), method.posterior_mean(target, x, t)


@pytest.mark.parametrize("name", ["DPS", "ZetaDPS", "PiGDM", "TMPD"])
def test_nonlinear_measurement_is_linearised_at_the_denoised_point(name):
    x, t = np.array([0.3, -0.2, 0.9]), jnp.asarray(0.4)
    alpha, sigma = scales(PATH, t)
    prior = ref.mixture(np.ones(12), ATOMS, np.zeros((12, 3, 3)))
    law = ref.denoised(prior, x, alpha, sigma)
    m, C = ref.mean(law), ref.covariance(law)
    norm = np.sqrt(1 + m[0] ** 2 + m[1] ** 2)
    H = np.array([[m[0] / norm, m[1] / norm, 0], [0, m[2], m[1]]])
    r = SEEN - np.array([norm, m[1] * m[2]])
    r2 = sigma**2 / (sigma**2 + alpha**2)
    pulls = {
        "DPS": np.linalg.solve(NOISE, r),
        "ZetaDPS": 2 * 0.3 * r / np.linalg.norm(r),
        "PiGDM": np.linalg.solve(NOISE + r2 * H @ H.T, r),
        "TMPD": np.linalg.solve(NOISE + H @ C @ H.T, r),
    }
    guidance, mean = _ask(ROWS[name](), _nonlinear_target(), jnp.asarray(x), t)
    assert_allclose(mean, m + C @ H.T @ pulls[name], rtol=1e-9)
    truth = alpha / sigma**2 * C @ H.T @ pulls[name]
    assert_allclose(guidance, truth, rtol=1e-9)


# --- what single methods claim ------------------------------------------------------


def _at(method, target, xs, ts):
    """Guidance and mean at a few points, through the program of the suite."""
    count = len(ts)
    xs = np.concatenate([xs, np.zeros((len(XS) - count, 3))])
    ts = np.concatenate([ts, np.full(len(TS) - count, 0.5)])
    values = _evaluate(method, target, jnp.asarray(xs), jnp.asarray(ts))
    return np.asarray(values["guidance"])[:count], np.asarray(values["mean"])[:count]


def _interior(method, problem=SPACE):
    """Guidance and mean at the interior points."""
    return _at(method, to_target(problem, PATH), INSIDE, INSIDE_TIMES)


def test_mpgd_is_a_step_along_the_misfit_from_the_denoised_point():
    _, means = _interior(gt.approximations.MPGD(0.3))
    m = _oracle(ref.prior_mean, SPACE)
    residual = SPACE.y - m @ SPACE.A.T
    unit = residual / np.linalg.norm(residual, axis=1, keepdims=True)
    assert_allclose(means, m + 0.6 * unit @ SPACE.A, rtol=1e-9)


def test_ddnm_satisfies_the_measurement_exactly():
    _, means = _interior(gt.approximations.DDNM())
    truth = np.broadcast_to(SPACE.y, (4, 2))
    assert_allclose(means @ SPACE.A.T, truth, rtol=1e-10)


def test_diffpir_tends_to_ddnm_as_the_noise_vanishes():
    _, ddnm = _interior(gt.approximations.DDNM())
    for lam in (0.3, 4.0):
        gaps = []
        for scale in (1e-5, 1e-7):
            problem = SPACE._replace(R=scale * SPACE.R)
            _, means = _interior(gt.approximations.DiffPIR(lam), problem)
            gaps.append(_gap(means, ddnm))
        assert gaps[1] < 1e-4
        assert_allclose(gaps[0] / gaps[1], 100, rtol=0.05)


def test_diffpir_with_a_matching_weight_is_pigdm_without_the_jacobian():
    x, t = INSIDE[1], INSIDE_TIMES[1]
    alpha, sigma = scales(PATH, jnp.asarray(t))
    method = gt.approximations.DiffPIR((sigma**2 + alpha**2) / alpha**2)
    _, means = _at(method, _target("any"), [x], [t])
    r2, A = sigma**2 / (sigma**2 + alpha**2), SPACE.A
    m = ref.prior_mean(SPACE, x, alpha, sigma)
    pull = np.linalg.solve(SPACE.R + r2 * A @ A.T, SPACE.y - A @ m)
    assert_allclose(means[0], m + r2 * A.T @ pull, rtol=1e-10)


@pytest.mark.parametrize("kind", DEFICIENT)
def test_limits_without_signal_are_reached_whatever_the_rank(kind):
    """DiffPIR tends to the pseudo-inverse in units of the noise, flat PiGDM to m."""
    problem, mean = DEFICIENT[kind], ref.mean(SPACE.prior)
    whitener = np.linalg.inv(np.linalg.cholesky(problem.R))
    inverse = np.linalg.pinv(whitener @ problem.A, rcond=1e-12) @ whitener
    truth = mean + inverse @ (problem.y - problem.A @ mean)
    assert np.linalg.norm(truth - mean) > 0.1
    times = 1 - np.array([0.0, 1e-9, 1e-7])
    xs = np.repeat(INSIDE[:1], 3, axis=0)
    for method, limit in (
        (gt.approximations.DiffPIR(0.7), truth),
        (gt.approximations.PiGDM("flat"), mean),
    ):
        _, means = _at(method, _target(kind), xs, times)
        assert_allclose(means[0], limit, rtol=1e-9)
        assert_allclose(means[1:], [limit, limit], rtol=1e-5)


@pytest.mark.float32
@pytest.mark.parametrize("kind", DEFICIENT)
def test_methods_agree_with_the_references_whatever_the_rank(kind, tolerance):
    problem = DEFICIENT[kind]
    oracles = {
        "DiffPIR": lambda p, *state: ref.diffpir_mean(p, *state, 1.0),
        "DDNM": ref.ddnm_mean,
    }
    for name, oracle in oracles.items():
        _, means = _at(ROWS[name](), _target(kind), INSIDE, INSIDE_TIMES)
        assert_allclose(means, _oracle(oracle, problem), rtol=tolerance.identity)
    variances = {"PiGDM": lambda a, s: s**2 / (s**2 + a**2)}
    variances["PiGDM flat"] = lambda a, s: s**2 / a**2
    for name, r2 in variances.items():
        guidance, _ = _at(ROWS[name](), _target(kind), INSIDE, INSIDE_TIMES)
        truth = _oracle(
            lambda p, x, a, s, r2=r2: ref.pigdm(p, x, a, s, r2(a, s)), problem
        )
        assert_allclose(guidance, truth, rtol=tolerance.identity)


def test_more_measurements_than_dimensions_without_signal():
    """A A' is singular whatever A is: two measurements on the line, R not the identity."""
    state = to_target(LINE, PATH), jnp.asarray([0.4]), jnp.asarray(1.0)
    mean, weight = ref.mean(LINE.prior), np.linalg.solve(LINE.R, LINE.A)[:, 0]
    fit = mean + weight @ (LINE.y - LINE.A @ mean) / (weight @ LINE.A[:, 0])
    _, diffpir = _ask(gt.approximations.DiffPIR(), *state)
    _, flat = _ask(gt.approximations.PiGDM("flat"), *state)
    assert_allclose(diffpir, fit, rtol=1e-9)
    assert_allclose(flat, mean, rtol=1e-9)


def test_flat_pigdm_of_a_nonlinear_measurement_without_signal_is_the_prior_mean():
    """Two equal outputs: H H' is singular everywhere."""
    prior = gt.GaussianMixture.empirical(jnp.asarray(ATOMS))
    twice = gt.Nonlinear(lambda x: jnp.stack([x[0] * x[1]] * 2), jnp.asarray(NOISE), 2)
    target = gt.Target(gt.InverseProblem(prior, twice, jnp.asarray(SEEN)), PATH)
    state = target, jnp.asarray([0.3, -0.2, 0.9]), jnp.asarray(1.0)
    guidance, mean = _ask(gt.approximations.PiGDM("flat"), *state)
    assert_allclose(mean, ATOMS.mean(axis=0), rtol=1e-9)
    assert np.all(np.asarray(guidance) == 0)


def test_flat_variant_of_pigdm_becomes_exact_as_the_prior_becomes_flat():
    gaps = []
    for variance in (1e3, 1e5):
        problem = _one_gaussian(variance * np.eye(3))
        guidance, _ = _interior(gt.approximations.PiGDM("flat"), problem)
        gaps.append(_gap(guidance, _oracle(ref.exact_guidance, problem)))
    assert gaps[0] < 0.1
    assert_allclose(gaps[0] / gaps[1], 100, rtol=0.1)


def test_dps_is_exact_only_towards_the_data_and_too_strong_before():
    """One Gaussian, A A' = I, R = r I: DPS is 1 + C / r times the exact guidance."""
    v, r = 1.4, 0.5
    problem = _one_gaussian(v * np.eye(3))
    problem = problem._replace(A=np.eye(3)[1:], R=r * np.eye(2))
    guidance, _ = _interior(gt.approximations.DPS(), problem)
    alpha, sigma = PATH.alpha(INSIDE_TIMES), PATH.sigma(INSIDE_TIMES)
    C = np.asarray(v * sigma**2 / (sigma**2 + alpha**2 * v))
    truth = _oracle(ref.exact_guidance, problem)
    assert_allclose(guidance, (1 + C / r)[:, None] * truth, rtol=1e-9, atol=1e-12)


def test_error_of_dps_falls_like_the_noise_variance_near_the_data():
    x, times = INSIDE[0], np.array([2e-3, 1e-3])
    guidance, _ = _at(gt.approximations.DPS(), _target("any"), [x, x], times)
    gaps = [
        _gap(mine, ref.exact_guidance(SPACE, x, *scales(PATH, jnp.asarray(t))))
        for mine, t in zip(guidance, times, strict=True)
    ]
    assert abs(np.log2(gaps[0] / gaps[1]) - 2) < 0.05


@eqx.filter_jit
def _gradients(target, x, t, noise, spread):
    """Gradients in x of the functions that three methods differentiate."""

    def residual(x):
        return target.problem.y - target.problem.measurement.A @ target.prior_mean(x, t)

    def square(x, precision):
        return residual(x) @ precision @ residual(x)

    return {
        "DPS": jax.grad(lambda x: -0.5 * square(x, noise))(x),
        "PiGDM": jax.grad(lambda x: -0.5 * square(x, spread))(x),
        "ZetaDPS": jax.grad(lambda x: -0.6 * jnp.linalg.norm(residual(x)))(x),
    }


def test_gradient_methods_are_the_gradients_they_are_named_after():
    target = _target("any")
    state = jnp.asarray(INSIDE[2]), jnp.asarray(INSIDE_TIMES[2])
    alpha, sigma = scales(PATH, state[1])
    spread = SPACE.R + sigma**2 / (sigma**2 + alpha**2) * SPACE.A @ SPACE.A.T
    precisions = (jnp.asarray(np.linalg.inv(matrix)) for matrix in (SPACE.R, spread))
    for name, gradient in _gradients(target, *state, *precisions).items():
        guidance, _ = _at(ROWS[name](), target, INSIDE[2:3], INSIDE_TIMES[2:3])
        assert_allclose(guidance[0], gradient, rtol=1e-9)


def test_zeta_dps_is_zero_at_a_zero_residual():
    """Atoms at plus and minus a, seen from the origin: the denoised point is 0."""
    atoms = jnp.asarray([[1.0, -0.5, 2.0], [-1.0, 0.5, -2.0]])
    prior, state = gt.GaussianMixture.empirical(atoms), (jnp.zeros(3), jnp.asarray(0.5))
    guidance = []
    for y in (jnp.zeros(2), jnp.asarray([0.3, 0.1])):
        problem = gt.InverseProblem(prior, gt.Linear(SPACE.A, SPACE.R), y)
        method = gt.approximations.ZetaDPS(1.0)
        guidance.append(_ask(method, gt.Target(problem, PATH), *state)[0])
    assert np.all(np.asarray(guidance[0]) == 0)
    assert np.all(np.asarray(guidance[1]) != 0)
