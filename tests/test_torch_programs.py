"""PyTorch's samplers, operators and networks, judged and used like our own."""

import importlib.util
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt

from .oracles import numpy_mixture as ref
from .oracles.library import to_target
from .oracles.problems import generic

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install torch"
)

# torch.func and azula use what PyTorch itself will give up.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")

PATH = gt.VP()
PROBLEM = generic(2, 1, 2)
TARGET = to_target(PROBLEM, PATH)
TIMES = gt.time_grid(PATH, 12, "log_snr", t_max=0.95, t_min=0.01)
OWN = gt.Guided(gt.approximations.PiGDM(), gt.kernels.DDIM(0.0))


@pytest.fixture(autouse=True)
def one_thread():
    """Small arrays: more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# --- samplers ------------------------------------------------------------------------


def pigdm(problem, denoiser, num, seed, starts=None):
    """PiGDM by DDIM, with the gradient through the denoiser and the forward map."""
    x = torch.randn(num, problem.dim, dtype=problem.y.dtype)
    x = problem.sigma[0] * x if starts is None else torch.from_numpy(starts)
    for i in range(len(problem.times) - 1):
        a, s = problem.alpha[i], problem.sigma[i]
        x = x.detach().requires_grad_()
        mean = denoiser(x, a, s)
        spread = problem.R + s**2 / (a**2 + s**2) * problem.A @ problem.A.T
        seen = problem.forward(mean)
        pull = torch.linalg.solve(spread, (problem.y - seen).T).T.detach()
        mean = mean + s**2 / a * torch.autograd.grad(seen, x, pull)[0]
        x = problem.alpha[i + 1] * mean + problem.sigma[i + 1] / s * (x - a * mean)
    return x


def test_a_program_is_the_method_of_the_catalogue(key, tolerance):
    """The same points from the same starts, though the answer has a gradient."""
    own = gt.sample(key, OWN, TARGET, TIMES, 20, trajectory=True)
    starts = np.array(own.info.trajectory)[:, 0]

    def program(problem, denoiser, num, seed):
        return pigdm(problem, denoiser, num, seed, starts)

    sampler = gt.External(program, views=gt.torch.Views())
    out = gt.sample(key, sampler, TARGET, TIMES, 20)
    assert_allclose(out.x, own.x, rtol=1e4 * tolerance.identity)


def test_the_views_are_tensors(key):
    seen = []

    def program(problem, denoiser, num, seed):
        seen.append((problem, denoiser))
        assert torch.initial_seed() == seed
        return torch.zeros(num, problem.dim)

    before = torch.random.get_rng_state()
    sampler = gt.External(program, views=gt.torch.Views(torch.float32))
    gt.sample(key, sampler, TARGET, TIMES, 3)
    assert torch.equal(torch.random.get_rng_state(), before)
    problem, denoiser = seen[0]
    assert problem.y.dtype == torch.float32 and problem.dim == 2
    assert_allclose(problem.A, PROBLEM.A, rtol=1e-6)
    assert_allclose(problem.alpha**2 + problem.sigma**2, 1.0, rtol=1e-6)
    x = torch.randn(4, 2)
    assert_allclose(problem.forward(x), x @ problem.A.T + problem.b, rtol=1e-5)
    assert denoiser(x, 0.8, 0.6).dtype == torch.float32


def test_it_is_compared_and_seeds_follow_keys(key):
    """Not told from the catalogue's own; without guidance it is."""
    views = gt.torch.Views()

    def unguided(problem, denoiser, num, seed):
        return pigdm(problem._replace(R=1e9 * problem.R), denoiser, num, seed)

    samplers = {
        "program": gt.External(pigdm, views=views),
        "own": OWN,
        "unguided": gt.External(unguided, views=views),
    }
    samples = {
        name: gt.sample(jax.random.fold_in(key, i), sampler, TARGET, TIMES, 500)
        for i, (name, sampler) in enumerate(samplers.items())
    }
    metric = gt.divergences.energy_distance
    found = gt.compare(samples, TARGET.posterior(TIMES[-1]), metric=metric)
    words = {(p.first, p.second): str(p.ranking) for p in found.pairs}
    told = [("own", "program"), ("program", "own")]
    assert not {words.get(pair) for pair in told} & {"better", "worse"}
    assert found.methods[-1].name == "unguided" and not found.methods[-1].inside
    first, again = (
        gt.sample(key, samplers["program"], TARGET, TIMES, 3).x for _ in range(2)
    )
    assert_allclose(first, again)
    assert np.abs(np.asarray(samples["program"].x[:3]) - first).min() > 0


def _exact(sharper):
    """Draws of the posterior by PyTorch, each component's spread divided by sharper."""

    def program(problem, denoiser, num, seed):
        law = ref.posterior(PROBLEM._replace(y=problem.y.numpy()))
        chosen = torch.multinomial(
            torch.from_numpy(np.exp(law.log_weights)), num, replacement=True
        )
        roots = torch.linalg.cholesky(torch.from_numpy(law.covariances))[chosen]
        noise = torch.randn(num, 2, 1, dtype=torch.float64) / sharper
        return torch.from_numpy(law.means)[chosen] + (roots @ noise)[..., 0]

    return program


def test_it_is_calibrated(key):
    """Exact draws pass; those that are too sure of themselves do not."""
    problem = TARGET.problem.prior, TARGET.problem.measurement, PATH
    times = jnp.asarray([0.9, 0.01])
    for sharper, passes in ((1.0, True), (3.0, False)):
        sampler = gt.External(_exact(sharper), "data", views=gt.torch.Views())
        found = gt.diagnostics.calibrate(key, *problem, sampler, times, 100, 19)
        assert (float(found.coverage.distance_p) > 1e-4) == passes


@pytest.mark.parametrize(
    "made, words",
    [
        (torch.zeros(3, 5), "wrong shape"),
        (torch.zeros(5, 1, 2), "flatten images"),
        (torch.zeros(5, 2) * 1j, "is complex"),
        (torch.zeros(5, 2, requires_grad=True), None),
    ],
)
def test_what_a_program_returns_is_checked(made, words, key):
    sampler = gt.External(lambda *_: made, views=gt.torch.Views())
    if words is None:
        gt.sample(key, sampler, TARGET, TIMES, 5)
        with pytest.raises(gt.InputError, match="views=gt.torch.Views"):
            gt.sample(key, gt.External(lambda *_: made), TARGET, TIMES, 5)
        return
    with pytest.raises(gt.InputError, match=words):
        gt.sample(key, sampler, TARGET, TIMES, 5)


def test_nan_is_counted_and_views_are_objects(key):
    made = torch.tensor([[0.1, float("nan")], [0.2, 0.3]])
    with pytest.warns(UserWarning, match="1 of 2"):
        out = gt.sample(
            key, gt.External(lambda *_: made, views=gt.torch.Views()), TARGET, TIMES, 2
        )
    assert out.info.nonfinite == 1
    with pytest.raises(gt.InputError, match="gt.torch.Views()"):
        gt.External(pigdm, views=gt.torch.Views)


# --- measurements --------------------------------------------------------------------


def test_a_measurement_is_a_module():
    """Linear and not, with second derivatives."""
    x = torch.randn(3, 1, 2, dtype=torch.float64, requires_grad=True)
    linear = gt.torch.Forward(gt.Linear(PROBLEM.A, 0.1, [0.5]), 2)
    rows = x.detach().numpy().reshape(3, 2)
    assert_allclose(linear(x).detach(), rows @ PROBLEM.A.T + 0.5, rtol=1e-12)
    other = gt.torch.Forward(gt.Nonlinear(lambda x: x[:1] ** 2 * x[1:], 0.1, 1), 2)
    assert_allclose(other(x).detach()[:, 0], rows[:, 0] ** 2 * rows[:, 1])
    assert torch.autograd.gradcheck(other, x)
    assert torch.autograd.gradgradcheck(other, x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_linear_function_has_its_matrix(dtype):
    """A blur of images with an offset, by a module whose precision is found."""
    torch.manual_seed(0)
    module = torch.nn.Conv2d(1, 1, (2, 1)).to(dtype)
    found = gt.torch.linear(module, 0.3, (1, 3, 2))
    first, second = module.weight.detach().double().numpy()[0, 0, :, 0]
    expected = np.zeros((4, 6))
    for i in range(4):  # rows of pixels are two apart
        expected[i, i], expected[i, i + 2] = first, second
    eps = torch.finfo(dtype).eps
    assert_allclose(found.A, expected, atol=4 * eps)
    assert_allclose(found.b, np.full(4, module.bias.item()), rtol=eps)
    assert_allclose(found.R, 0.3 * np.eye(4))


def test_a_nonlinear_function_is_that_of_jax(key):
    """The same samples as of the same function in JAX, and the same Hessian."""
    atoms = gt.GaussianMixture.empirical(np.random.default_rng(1).normal(size=(20, 2)))
    torched = gt.torch.nonlinear(lambda x: (x[:, 0] * x[:, 1].sin())[:, None], 0.1, 2)
    own = gt.Nonlinear(lambda x: (x[0] * jnp.sin(x[1]))[None], 0.1, 1)
    sampler = gt.Guided(gt.approximations.PiGDM(), gt.kernels.DDPM())
    times = gt.time_grid(PATH, 20, t_min=0.05)
    samples = [
        gt.sample(
            key, sampler, gt.Target(gt.InverseProblem(atoms, m, [0.4]), PATH), times, 20
        ).x
        for m in (torched, own)
    ]
    assert_allclose(*samples, atol=1e-9)
    x = jnp.asarray([0.3, 0.7])
    hessians = [jax.hessian(lambda x, m=m: m.apply(x)[0])(x) for m in (torched, own)]
    assert_allclose(*hessians, atol=1e-12)


def test_nan_at_a_sample_is_passed_on():
    """A sampler that diverges is to be counted, not stopped."""
    root = gt.torch.nonlinear(lambda x: (x + 3).sqrt().sum(1, keepdim=True), 0.1, 2)
    assert np.isnan(float(root.apply(jnp.asarray([-9.0, 0.0]))[0]))


def test_a_network_is_seen(key):
    """The exact denoiser, sent to PyTorch and back, gives the same samples."""
    exact = gt.torch.EDM(gt.torch.Denoiser(TARGET))
    network = gt.torch.Network(lambda x, a, s: exact(x / a, s / a), (1, 2, 1))
    sampler = gt.Guided(gt.approximations.TMPD(), gt.kernels.DDPM())
    seen = gt.sample(key, sampler, TARGET.seen_through(network), TIMES, 10)
    assert_allclose(seen.x, gt.sample(key, sampler, TARGET, TIMES, 10).x, atol=1e-10)


# --- deepinv -------------------------------------------------------------------------


class GaussianNoise:
    """What a physics of deepinv says of its noise."""

    def __init__(self, sigma):
        self.sigma = torch.tensor(sigma)


class Inpainting(torch.nn.Module):
    """A physics by deepinv's protocol: A, without noise, and a noise model."""

    def __init__(self, mask, sigma):
        torch.nn.Module.__init__(self)
        self.register_buffer("mask", mask)
        self.noise_model = GaussianNoise(sigma)

    def A(self, x):
        return self.mask * x

    def forward(self, x):
        return self.A(x) + self.noise_model.sigma * torch.randn_like(x)


def test_a_physics_is_a_measurement():
    mask = torch.tensor([[1.0, 0.0], [0.0, 1.0]])[None, None]
    physics = Inpainting(mask, 0.3)
    found = gt.torch.from_physics(physics, (1, 2, 2))
    assert isinstance(found, gt.Linear)
    assert_allclose(found.A, np.diag([1.0, 0, 0, 1]))
    assert_allclose(found.R, 0.09 * np.eye(4), rtol=1e-6)
    physics.A = lambda x: (physics.mask * x).abs()
    assert isinstance(gt.torch.from_physics(physics, (1, 2, 2), R=0.2), gt.Nonlinear)


@pytest.mark.parametrize("rows", [2, 4, 6])
def test_the_decomposition_that_a_physics_has(rows):
    """A = U s V^T on images, with all of V, for any number of measurements."""
    from gmm_testbed.external.torch.operators import Decomposed

    A = np.random.default_rng(rows).normal(size=(rows, 4))
    parts = Decomposed(A, (1, 2, 2), torch.float64)
    x = torch.randn(3, 1, 2, 2, dtype=torch.float64)
    y = torch.randn(3, rows, dtype=torch.float64)
    seen = parts.U(parts.singular * parts.V_adjoint(x))
    assert_allclose(seen, x.numpy().reshape(3, 4) @ A.T, rtol=1e-12, atol=1e-13)
    back = parts.V(parts.singular * parts.U_adjoint(y))
    assert_allclose(back.flatten(1), y.numpy() @ A, rtol=1e-12, atol=1e-13)
    assert_allclose(parts.V(parts.V_adjoint(x)), x, atol=1e-13)


def _deepinv():
    try:
        import deepinv
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"deepinv cannot be imported: {error}")
    return deepinv


@pytest.mark.slow
def test_deepinv_runs_on_it():
    """DDRM, DiffPIR and DPS, unmodified, on a mixture of 4 x 4 images."""
    deepinv = _deepinv()
    ones = np.ones(16)
    prior = gt.GaussianMixture.isotropic([0.4, 0.6], [-ones, ones], 0.25)
    A = np.eye(16)[[0, 5, 10, 15]]
    problem = gt.InverseProblem(prior, gt.Linear(A, 0.09), [0.9, 0.4, -0.2, 0.8])
    physics = gt.torch.physics(problem.measurement, (1, 4, 4))
    again = gt.torch.from_physics(physics, (1, 4, 4))
    assert_allclose(again.A, A, atol=1e-6)
    net = gt.torch.EDM(gt.torch.Denoiser(prior))
    y = torch.tensor(np.asarray(problem.y), dtype=torch.float32).repeat(200, 1)
    sampling, fidelity = deepinv.sampling, deepinv.optim.L2()
    torch.manual_seed(0)
    for sampler in (
        sampling.DDRM(net, sigmas=np.geomspace(10, 0.02, 50)),
        sampling.DiffPIR(net, data_fidelity=fidelity, sigma=0.3, max_iter=50),
        sampling.DPS(net, schedule="vp", num_steps=100),
    ):
        x = sampler(y, physics).detach().double().numpy().reshape(200, 16)
        found = gt.divergences.energy_distance(jnp.asarray(x), problem.posterior())
        assert 0.01 < float(found.value) < 2.0  # none of them is exact on a mixture


def test_what_has_no_name_in_deepinv_is_said():
    with pytest.raises(gt.UnsupportedError, match=r"gt.Linear\(W @ A, 1.0\)"):
        gt.torch.physics(gt.Linear(np.eye(2), [0.1, 0.2]), (1, 1, 2))
    with pytest.raises(gt.InputError, match="subtract b"):
        gt.torch.physics(gt.Linear(np.eye(2), 0.1, [0.1, 0.2]), (1, 1, 2))
    with pytest.raises(gt.InputError, match=r"\(C, H, W\)"):
        gt.torch.physics(gt.Linear(np.eye(4), 0.1), (1, 1, 2))


# --- the page ------------------------------------------------------------------------


@pytest.mark.slow
def test_the_page_runs(capsys):
    """And its sampler is found out."""
    known = {}
    page = Path(__file__).parents[1] / "docs" / "torch.md"
    for snippet in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        if "azula" not in snippet or importlib.util.find_spec("azula"):
            exec(compile(snippet, str(page), "exec"), known)
    out = capsys.readouterr().out
    assert "exact is better than mine" in out and out.endswith("(10, 16)\n")


# --- bad inputs ----------------------------------------------------------------------


class Detached(torch.nn.Module):
    """A network whose parameters have a gradient, and whose argument has none."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.weight = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))

    def forward(self, x):
        return self.weight * x.detach()


DETACHED = Detached()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: gt.torch.linear(lambda x: x**2, 0.1, 2), "nonlinear"),
        (lambda: gt.torch.linear(lambda x: x.clamp(-30, 30), 0.1, 2), "not affine"),
        (lambda: gt.torch.linear(lambda x: x - x.mean(0), 0.1, 2), "couples"),
        (lambda: gt.torch.nonlinear(lambda x: x / x.norm(), 0.1, 2), "couples"),
        (lambda: gt.torch.nonlinear(lambda x, y: x, 0.1, 2), "TypeError"),
        (lambda: gt.torch.nonlinear(DETACHED, 0.1, 2), "leave out detach"),
        (
            lambda: gt.torch.Network(lambda x, a, s: a * x.detach(), 2),
            "leave out detach",
        ),
        (lambda: gt.torch.Network(lambda x, a, s: torch.randn_like(x), 2), "eval"),
        (lambda: gt.torch.linear(torch.randn_like, 0.1, 2), "physics.A, not physics"),
        (lambda: gt.torch.linear(3.0, 0.1, 2), "function"),
        (lambda: gt.torch.linear(lambda x: x * 1j, 0.1, 2), "view_as_real"),
        (lambda: gt.torch.linear(lambda x: [x, x], 0.1, 2), "torch.cat"),
        (lambda: gt.torch.linear(lambda x: x.sum(), 0.1, 2), "keep the batch"),
        (lambda: gt.torch.linear(lambda x: x.flatten(), 0.1, 2), "first axis"),
        (lambda: gt.torch.linear(lambda x: x / 0, 0.1, 2), "NaN or infinity"),
        (lambda: gt.torch.linear(lambda x: x @ torch.eye(2), 0.1, 2), "float32"),
        (lambda: gt.torch.linear(lambda x: x @ torch.eye(3), 0.1, 2), "shape of one"),
        (lambda: gt.torch.nonlinear(lambda x: x.detach(), 0.1, 2), "leave out detach"),
        (lambda: gt.torch.nonlinear(lambda x: x * 1j, 0.1, 2), "view_as_real"),
        (lambda: gt.torch.nonlinear(torch.randn_like, 0.1, 2), "two answers"),
        (lambda: gt.torch.Network(lambda x, a, s: x[:, :1], 2), "wrong shape"),
        (lambda: gt.torch.Network(lambda x, a, s: x / 0, 2), "NaN or infinity"),
        (
            lambda: gt.torch.from_physics(torch.nn.Identity(), (1, 1, 2)),
            "no forward map",
        ),
        (
            lambda: gt.torch.from_physics(Inpainting(torch.ones(2), 0.0), (1, 1, 2)),
            "pass R=",
        ),
    ],
)
def test_bad_input_is_refused_with_what_to_do(call, words, without_shape_checks):
    with pytest.raises(gt.InputError, match=words) as caught:
        call()
    assert "hint" in str(caught.value)
