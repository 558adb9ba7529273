"""Programs outside of JAX: what they see, by NumPy, and what is made of their samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt
from gmm_testbed.external import HostDenoiser, host_problem

from .oracles import numpy_mixture as ref
from .oracles.library import to_target
from .oracles.problems import generic

PATH = gt.VP()
PROBLEM = generic(2, 1, 2)
TARGET = to_target(PROBLEM, PATH)
X = np.array([[0.3, -0.6], [1.2, 0.4], [-2.0, 0.1]])
V = np.array([[1.0, 0.5], [-0.3, 2.0], [0.7, -0.2]])
TIMES = gt.time_grid(PATH, 12, "log_snr", t_max=0.95, t_min=0.01)


def _rows(rule, *arguments):
    return np.stack([rule(*row) for row in zip(*arguments, strict=True)])


def test_the_denoiser_in_every_parametrisation(tolerance):
    """Against the NumPy mixture, each from its definition."""
    denoiser, alpha, sigma = HostDenoiser(TARGET), 0.8, np.array([0.6, 0.3, 1.1])

    def mean(x, s):
        return ref.prior_mean(PROBLEM, x, alpha, s)

    def score(x, s):
        return ref.score(ref.noised(PROBLEM.prior, alpha, s), x)

    m, s = _rows(mean, X, sigma), _rows(score, X, sigma)
    column, rtol = sigma[:, None], 1e3 * tolerance.identity
    assert_allclose(denoiser.x0(X, alpha, sigma), m, rtol=rtol)
    assert_allclose(denoiser.score(X, alpha, sigma), s, rtol=rtol)
    assert_allclose(denoiser.eps(X, alpha, sigma), -column * s, rtol=rtol)
    v = -alpha * column * s - column * m
    assert_allclose(denoiser.v(X, alpha, column), v, rtol=rtol)
    z = X / alpha
    assert_allclose(denoiser.edm(z, sigma / alpha), m, rtol=rtol)
    root = np.sqrt(1 - 0.8**2)
    assert_allclose(denoiser.ddpm(X, 0.64), denoiser.eps(X, 0.8, root), rtol=rtol)
    flow = _rows(lambda x: (x - ref.prior_mean(PROBLEM, x, 0.7, 0.3)) / 0.3, X)
    assert_allclose(denoiser.flow(X, 0.3), flow, rtol=rtol)


@pytest.mark.parametrize("name", ["x0", "eps", "score", "v", "edm", "flow", "ddpm"])
def test_products_with_every_jacobian(name):
    """Against central differences of the values themselves."""
    denoiser = HostDenoiser(TARGET)
    scales = {"edm": (0.7,), "flow": (0.3,), "ddpm": (0.5,)}.get(name, (0.8, 0.6))
    value, product = getattr(denoiser, name), getattr(denoiser, f"{name}_vjp")
    expected, step = np.zeros_like(X), 1e-5
    for i, e in enumerate(np.eye(2)):
        slope = value(X + step * e, *scales) - value(X - step * e, *scales)
        expected[:, i] = np.sum(slope * V, axis=1) / (2 * step)
    assert_allclose(product(X, *scales, V), expected, rtol=1e-6, atol=1e-8)


def test_another_denoiser_is_seen():
    """What the target is seen through, Jacobian included; the problem stays."""
    matrix = jnp.asarray([[0.5, 0.2], [-0.3, 0.1]])
    network = gt.denoisers.Network(lambda x, alpha, sigma: matrix @ x * alpha)
    denoiser = HostDenoiser(TARGET.seen_through(network))
    assert_allclose(denoiser.x0(X, 0.5, 0.3), 0.5 * X @ matrix.T, rtol=1e-9)
    assert_allclose(denoiser.x0_vjp(X, 0.5, 0.3, V), 0.5 * V @ matrix, rtol=1e-9)


def test_the_problem_is_plain_numpy():
    seen = host_problem(TARGET, TIMES)
    assert seen.dim == 2
    for name in ("A", "R", "y"):
        assert_allclose(getattr(seen, name), getattr(PROBLEM, name))
    assert all(type(leaf) is np.ndarray for leaf in seen[1:8])
    assert_allclose(seen.alpha**2 + seen.sigma**2, 1.0)
    assert_allclose(seen.forward(X), X @ PROBLEM.A.T + seen.b, rtol=1e-12)
    assert_allclose(seen.forward_vjp(X, V[:, :1]), V[:, :1] @ PROBLEM.A, rtol=1e-12)


def test_a_nonlinear_problem_has_a_product_and_no_matrix():
    prior = gt.GaussianMixture.empirical([[0.5, 1.0], [-2.0, 0.3]])
    measurement = gt.Nonlinear(lambda x: x[:1] * x[1:], 0.01, 1)
    target = gt.Target(gt.InverseProblem(prior, measurement, [0.4]), PATH)
    seen = host_problem(target, TIMES)
    assert seen.A is None and seen.b is None
    assert_allclose(seen.forward(X)[:, 0], X[:, 0] * X[:, 1])
    assert_allclose(seen.forward_vjp(X, V[:, :1]), V[:, :1] * X[:, ::-1])


# --- a program ----------------------------------------------------------------------


def pigdm(problem, denoiser, num, seed, starts=None):
    """PiGDM by Euler's method in the variables of EDM, z = x / alpha."""
    levels = problem.sigma / problem.alpha
    if starts is None:
        starts = np.random.default_rng(seed).normal(size=(num, problem.dim))
        starts = problem.sigma[0] * starts
    z, A = starts / problem.alpha[0], problem.A
    for u, end in zip(levels[:-1], levels[1:], strict=True):
        mean = denoiser.edm(z, u)
        spread = problem.R + u**2 / (1 + u**2) * A @ A.T
        pull = np.linalg.solve(spread, (problem.y - problem.b - mean @ A.T).T).T
        guided = mean + u**2 * denoiser.edm_vjp(z, u, pull @ A)
        z = z + (end - u) * (z - guided) / u
    return problem.alpha[-1] * z


OWN = gt.Guided(gt.approximations.PiGDM(), gt.kernels.DDIM(0.0))


@pytest.mark.slow
def test_a_program_is_the_method_of_the_catalogue(key, tolerance):
    """Euler in EDM's variables is DDIM(0): the same points from the same starts."""
    own = gt.sample(key, OWN, TARGET, TIMES, 20, trajectory=True)
    starts = np.asarray(own.info.trajectory)[:, 0]

    def program(problem, denoiser, num, seed):
        return pigdm(problem, denoiser, num, seed, starts)

    out = gt.sample(key, gt.External(program), TARGET, TIMES, 20)
    assert_allclose(out.x, own.x, rtol=1e4 * tolerance.identity)
    assert out.info.num_steps == 12 and out.info.nonfinite == 0
    assert np.isnan(float(out.log_evidence)) and out.info.ess is None


@pytest.mark.slow
def test_it_is_compared_like_any_other(key, tolerance):
    """Not told from the catalogue's own; the prior is."""
    posterior = TARGET.posterior(TIMES[-1])
    samplers = {
        "program": gt.External(pigdm),
        "own": OWN,
        "prior": gt.External(lambda problem, *rest: _prior_draws(*rest)),
    }
    samples = {
        name: gt.sample(jax.random.fold_in(key, i), sampler, TARGET, TIMES, 1000)
        for i, (name, sampler) in enumerate(samplers.items())
    }
    found = gt.compare(samples, posterior, metric=gt.divergences.energy_distance)
    words = {(p.first, p.second): str(p.ranking) for p in found.pairs}
    told = [("own", "program"), ("program", "own")]
    assert not {words.get(pair) for pair in told} & {"better", "worse"}
    assert found.methods[-1].name == "prior" and not found.methods[-1].inside
    first, second = (np.asarray(samples[name].x) for name in ("own", "program"))
    error = np.sqrt((first.var(axis=0) + second.var(axis=0)) / 1000)
    gap = np.abs(first.mean(axis=0) - second.mean(axis=0))
    assert np.all(gap < tolerance.z * error)


def _prior_draws(denoiser, num, seed):
    rng = np.random.default_rng(seed)
    weights = np.exp(PROBLEM.prior.log_weights)
    chosen = rng.choice(len(weights), size=num, p=weights)
    roots = np.linalg.cholesky(PROBLEM.prior.covariances)[chosen]
    noise = rng.normal(size=(num, 2))
    return PROBLEM.prior.means[chosen] + np.einsum("nij,nj->ni", roots, noise)


def test_seeds_follow_keys(key):
    sampler = gt.External(pigdm)
    first, again = (gt.sample(key, sampler, TARGET, TIMES, 3).x for _ in range(2))
    other = gt.sample(jax.random.fold_in(key, 1), sampler, TARGET, TIMES, 3).x
    assert_allclose(first, again)
    assert np.abs(np.asarray(first) - other).min() > 0


def _exact(level):
    """Draws of the posterior in closed form, at the data or at the last time."""

    def program(problem, denoiser, num, seed):
        rng = np.random.default_rng(seed)
        law = ref.posterior(PROBLEM._replace(y=problem.y))
        weights = np.exp(law.log_weights)
        chosen = rng.choice(len(weights), size=num, p=weights / weights.sum())
        roots = np.linalg.cholesky(law.covariances)[chosen]
        noise = rng.normal(size=(num, 2))
        x = law.means[chosen] + np.einsum("nij,nj->ni", roots, noise)
        if level == "data":
            return x
        return problem.alpha[-1] * x + problem.sigma[-1] * rng.normal(size=x.shape)

    return program


@pytest.mark.parametrize("level", ["t", "data"])
@pytest.mark.slow
def test_it_is_calibrated_on_the_host(level, key):
    """Exact draws at either level pass; those of the data, taken for noisy, do not."""
    times = jnp.asarray([0.9, 0.5])  # far from the data: the level matters
    problem = TARGET.problem.prior, TARGET.problem.measurement, PATH
    sampler = gt.External(_exact(level), level=level, needs=("linear",))
    assert sampler.facts.level == level
    found = gt.diagnostics.calibrate(key, *problem, sampler, times, 150, 19)
    assert np.all(np.asarray(found.sbc.distance_p) > 1e-4)
    assert float(found.coverage.distance_p) > 1e-4
    if level == "data":
        wrong = gt.External(_exact(level))
        found = gt.diagnostics.calibrate(key, *problem, wrong, times, 150, 19)
        assert float(found.coverage.distance_p) < 1e-4


def test_clean_samples_say_so(key):
    out = gt.sample(key, gt.External(_exact("data"), "data"), TARGET, TIMES, 3)
    assert out.info.clean and not out.info.point
    assert not gt.sample(key, gt.External(_exact("t")), TARGET, TIMES, 3).info.clean


@gt.experiment(grid={"method": ["program", "own"]}, seeds=2, version="1")
def swept(key, method):
    sampler = {"program": gt.External(pigdm), "own": OWN}[method]
    return {"mean": float(gt.sample(key, sampler, TARGET, TIMES, 50).x.mean())}


@pytest.mark.slow
def test_it_is_swept(tmp_path):
    with gt.sweep.Store(tmp_path / "all.sqlite") as store:
        gt.sweep.run(swept, store, show=False)
        frame = store.frame(swept)
    means = frame.groupby("method")["value"].agg(["mean", "nunique"])
    assert list(means["nunique"]) == [2, 2]
    assert abs(means["mean"]["program"] - means["mean"]["own"]) < 0.5


@pytest.mark.parametrize(
    "made, words",
    [
        (np.zeros((3, 5)), "wrong shape"),
        (np.zeros(2), "wrong shape"),
        (np.zeros((5, 2), complex), "is complex"),
        (np.zeros((5, 2), int), "no real numbers"),
        ((np.zeros((5, 2)), 1.0), "no array"),
        (None, "no real numbers"),
    ],
)
def test_what_a_program_returns_is_checked(made, words, key):
    with pytest.raises(gt.InputError, match=words) as caught:
        gt.sample(key, gt.External(lambda *_: made), TARGET, TIMES, 5)
    assert "hint" in str(caught.value)


def test_what_is_not_finite_is_counted_and_said(key):
    x = np.array([[0.1, np.nan], [0.2, 0.3], [np.inf, 0.0]])
    with pytest.warns(UserWarning, match="2 of 3"):
        out = gt.sample(key, gt.External(lambda *_: x), TARGET, TIMES, 3)
    assert out.info.nonfinite == 2
    assert_allclose(out.x, x)


def test_what_a_program_asks_is_checked():
    denoiser = HostDenoiser(TARGET)
    for call, words in (
        (lambda: denoiser.x0(X[0], 0.8, 0.6), "batch of one"),
        (lambda: denoiser.x0(X[:, :1], 0.8, 0.6), r"\(n, 2\)"),
        (lambda: denoiser.x0(X, 0.8, np.ones(2)), "2,.*3 points"),
        (lambda: denoiser.x0_vjp(X, 0.8, 0.6, V[:2]), "one row for each"),
    ):
        with pytest.raises(gt.InputError, match=words):
            call()


def test_what_no_program_can_do_is_refused(key, without_shape_checks):
    sampler = gt.External(pigdm)
    with pytest.raises(gt.UnsupportedError, match="keeps its states"):
        gt.sample(key, sampler, TARGET, TIMES, 3, trajectory=True)
    with pytest.raises(gt.UnsupportedError, match="starts by itself"):
        gt.sample(key, sampler, TARGET, TIMES, 3, initial=TARGET.marginal(TIMES[0]))
    with pytest.raises(gt.InputError, match="level"):
        gt.External(pigdm, level="clean")
    with pytest.raises(gt.InputError, match="function"):
        gt.External(3.0)
