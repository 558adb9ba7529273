"""The bridge to PyTorch: the exact denoiser as a module, in every convention.

Values and Jacobians against dense NumPy (`oracles`), which shares no line with either.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt

from .oracles import numpy_mixture as ref
from .oracles.library import from_mixture, to_target
from .oracles.problems import TEN, generic

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install torch"
)

from gmm_testbed.external import HostDenoiser  # noqa: E402

PATH = gt.VP()
RNG = np.random.default_rng(3)
ISOTROPIC = gt.GaussianMixture.isotropic(
    [0.3, 0.7], RNG.normal(size=(2, 4)), [0.2, 0.5]
)
PRIORS = {
    "line": gt.GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36]),
    "isotropic": ISOTROPIC,
    "diagonal": gt.GaussianMixture.diagonal(
        [0.3, 0.7], [[-1, 0, 2], [1, 0.5, 0]], [[0.2, 0.1, 0.5], [0.4, 1, 2]]
    ),
    "full": to_target(TEN, PATH).problem.prior,
    "low rank": ISOTROPIC.conditioned(np.eye(4)[:2], 0.1, [0.3, 0.4]),
    "atoms": gt.GaussianMixture.empirical(RNG.normal(size=(7, 3))),
    "many": gt.GaussianMixture.isotropic(
        np.full(150, 1 / 150), RNG.normal(size=(150, 30)), RNG.uniform(0.1, 0.4, 150)
    ),
}
SCALES = [(1.0, 0.05), (0.8, 0.6), (0.1, 0.99), (1.0, 30.0)]


# torch.func and azula use what PyTorch itself will give up.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")


@pytest.fixture(autouse=True)
def one_thread():
    """Small arrays: more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _places(prior, alpha, sigma, count=3):
    """Points (n, d) of the noisy law and vectors (n, d)."""
    rng = np.random.default_rng(5)
    x0 = np.asarray(prior.sample(jax.random.key(2), count))
    x = alpha * x0 + sigma * rng.normal(size=x0.shape)
    return x, rng.normal(size=x0.shape)


def _oracle(prior, x, v, alpha, sigma):
    """E[x0 | x] and its Jacobian's product with v, each (n, d)."""
    problem = ref.Problem(from_mixture(prior), None, None, None)
    means = [ref.prior_mean(problem, row, alpha, sigma) for row in x]
    slopes = [ref.denoiser_jacobian(problem, row, alpha, sigma) for row in x]
    return np.stack(means), np.stack([J.T @ w for J, w in zip(slopes, v, strict=True)])


def _asked(net, x, v, *scales, dtype=torch.float64):
    x = torch.tensor(x, dtype=dtype, requires_grad=True)
    value = net(x, *scales)
    assert value.dtype == dtype and value.shape == x.shape
    (product,) = torch.autograd.grad(value, x, torch.tensor(v, dtype=dtype))
    return value.detach().numpy(), product.numpy()


@pytest.mark.parametrize("scales", SCALES, ids=str)
@pytest.mark.parametrize("name", PRIORS)
def test_the_mean_and_its_product(name, scales):
    """Exact to 1e-12 of the largest number in double precision, 1e-5 in single."""
    prior = PRIORS[name]
    x, v = _places(prior, *scales)
    expected = _oracle(prior, x, v, *scales)
    net = gt.torch.Denoiser(prior)
    for found, exact in zip(_asked(net, x, v, *scales), expected, strict=True):
        assert_allclose(found, exact, rtol=0, atol=1e-12 * max(1, np.abs(exact).max()))
    # single precision: of the caller alone, and of the arithmetic too
    rounded = x.astype(np.float32).astype(float)
    expected = _oracle(prior, rounded, v, *scales)
    for module in (net, gt.torch.Denoiser(prior).float()):
        found = _asked(module, rounded, v, *scales, dtype=torch.float32)
        for value, exact in zip(found, expected, strict=True):
            assert_allclose(
                value, exact, rtol=0, atol=1e-5 * max(1, np.abs(exact).max())
            )


TARGET = to_target(generic(2, 1, 2), PATH)
X = np.array([[0.3, -0.6], [1.2, 0.4], [-2.0, 0.1]])
V = np.array([[1.0, 0.5], [-0.3, 2.0], [0.7, -0.2]])


@pytest.mark.parametrize("name", ["x0", "eps", "score", "v", "flow"])
def test_every_parametrisation(name):
    """What NumPy programs are given, with the same products."""
    host, net = HostDenoiser(TARGET), gt.torch.Denoiser(TARGET)
    scales = (0.3,) if name == "flow" else (0.8, np.array([0.6, 0.3, 1.1]))
    method = net.forward if name == "x0" else getattr(net, name)
    value, product = _asked(method, X, V, *scales)
    assert_allclose(value, getattr(host, name)(X, *scales), rtol=1e-12, atol=1e-13)
    expected = getattr(host, f"{name}_vjp")(X, *scales, V)
    assert_allclose(product, expected, rtol=1e-12, atol=1e-12)


def test_images_and_scales_of_any_shape():
    prior = PRIORS["isotropic"]
    net, x = gt.torch.Denoiser(prior), torch.randn(3, 1, 2, 2, dtype=torch.float64)
    flat = net(x.flatten(1), 0.8, 0.6)
    assert net(x, 0.8, 0.6).shape == x.shape
    column = torch.full((3, 1, 1, 1), 0.6, dtype=torch.float64)
    for sigma in (column, column[0, 0, 0, 0], [0.6] * 3, np.full(3, 0.6)):
        assert_allclose(net(x, 0.8, sigma).flatten(1), flat, rtol=1e-12)
    sigma = torch.tensor([0.2, 0.6, 3.0], dtype=torch.float64)
    rows = [net(x[i : i + 1], 1.0, float(s)) for i, s in enumerate(sigma)]
    assert_allclose(net(x, 1.0, sigma), torch.cat(rows), rtol=1e-12)


@pytest.mark.parametrize("name", ["full", "low rank", "many", "diagonal"])
def test_derivatives_of_any_order_and_kind(name):
    """Also of the scales; backward, forward and functional."""
    net, dim = gt.torch.Denoiser(PRIORS[name]), PRIORS[name].dim
    x = torch.from_numpy(_places(PRIORS[name], 0.8, 0.6, 1)[0]).requires_grad_()
    s = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(dim, dtype=torch.float64)

    def along(h, s):  # one number of x is enough, where there are many
        return net(x.detach() + h * direction, 0.8, s)[:, :2]

    h = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(along, (h, s))
    assert torch.autograd.gradgradcheck(along, (h, s))
    jacobian = torch.func.jacrev(lambda x: net(x[None], 0.8, 0.6)[0])(x[0].detach())
    assert_allclose(jacobian, jacobian.T, atol=1e-13)  # a covariance
    ahead = torch.func.jvp(
        lambda x: net(x, 0.8, 0.6), (x.detach(),), (direction[None],)
    )
    assert_allclose(ahead[1][0], jacobian @ direction, rtol=1e-10, atol=1e-12)


# --- other denoisers, which JAX computes ---------------------------------------------

MATRIX = np.array([[0.5, 0.2], [-0.3, 0.1]])
OTHERS = {
    "network": gt.denoisers.Network(
        lambda x, a, s: jnp.tanh(jnp.asarray(MATRIX) @ x) * s
    ),
    "score error": gt.denoisers.ScoreError(
        gt.denoisers.Prior(TARGET.problem.prior), jnp.asarray([0.2, 0.1]), 0.3
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_a_target_is_seen_through(name):
    target = TARGET.seen_through(OTHERS[name])
    host, net = HostDenoiser(target), gt.torch.Denoiser(target)
    value, product = _asked(net, X, V, 0.8, 0.6)
    assert_allclose(value, host.x0(X, 0.8, 0.6), rtol=1e-12)
    assert_allclose(product, host.x0_vjp(X, 0.8, 0.6, V), rtol=1e-11)
    again = gt.torch.Denoiser(OTHERS[name], dim=2)
    assert_allclose(again(torch.from_numpy(X), 0.8, 0.6), value)


def test_derivatives_of_any_order_through_jax():
    net = gt.torch.Denoiser(OTHERS["network"], dim=2)
    x = torch.from_numpy(X).requires_grad_()
    sigma = torch.tensor([0.6], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, s: net(x, 0.8, s), (x, sigma))
    assert torch.autograd.gradgradcheck(lambda x, s: net(x, 0.8, s), (x, sigma))


# --- conventions of public code ------------------------------------------------------

BARS = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
FULL = from_mixture(TARGET.problem.prior)


def _mean(x, alpha, sigma):
    problem = ref.Problem(FULL, None, None, None)
    return np.stack([ref.prior_mean(problem, row, alpha, sigma) for row in x])


def test_edm():
    """Also what its samplers ask besides."""
    net = gt.torch.EDM(gt.torch.Denoiser(TARGET), (1, 1, 2))
    x = torch.from_numpy(X)
    assert_allclose(net(x, 0.7), _mean(X, 1.0, 0.7), rtol=1e-12)
    levels = torch.full((3, 1), 0.7, dtype=torch.float64)
    assert_allclose(net(x, levels, None, force_fp32=True), net(x, 0.7))
    assert net.sigma_min == 0 and float(net.round_sigma(0.3)) == pytest.approx(0.3)
    assert (net.img_channels, net.img_resolution) == (1, 2)


@pytest.mark.parametrize("t", [0, 400, 999])
def test_guided_diffusion(t):
    """Its own formula gives x0 back, and its interpolation the variance of a step."""
    model = gt.torch.GuidedDiffusion(gt.torch.Denoiser(TARGET), BARS, variance=-1.0)
    x = torch.from_numpy(X).reshape(3, 2, 1, 1)
    both = model(x, torch.full((3,), t), y=None)
    assert both.shape == (3, 4, 1, 1)
    noise, between = both.split(2, dim=1)
    found = np.sqrt(1 / BARS[t]) * x - np.sqrt(1 / BARS[t] - 1) * noise
    expected = _mean(X, np.sqrt(BARS[t]), np.sqrt(1 - BARS[t]))
    assert_allclose(found.flatten(1), expected, rtol=1e-10)
    assert_allclose(between, -1.0)
    plain = gt.torch.GuidedDiffusion(model.denoiser, BARS, learn_sigma=False)
    assert_allclose(plain(x, t), noise)


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_diffusers(kind):
    """Its own scheduler finds the exact x0 in each prediction."""
    diffusers = pytest.importorskip("diffusers", reason="pip install diffusers")
    scheduler = diffusers.DDIMScheduler(prediction_type=kind, clip_sample=False)
    unet = gt.torch.Diffusers(
        gt.torch.Denoiser(TARGET), scheduler.alphas_cumprod, kind, shape=(2, 1, 1)
    )
    scheduler.set_timesteps(10)
    x, t = torch.from_numpy(X).reshape(3, 2, 1, 1), scheduler.timesteps[4]
    found = scheduler.step(unet(x, t).sample, t, x).pred_original_sample
    square = float(scheduler.alphas_cumprod[t])
    expected = _mean(X, np.sqrt(square), np.sqrt(1 - square))
    assert_allclose(found.flatten(1), expected, rtol=1e-5)
    assert unet.config.in_channels == 2 and unet.dtype == torch.float64
    (same,) = unet(x, int(t), None, return_dict=False)
    assert_allclose(same, unet(x, t).sample)


@pytest.mark.slow
def test_a_pipeline_of_diffusers_draws_from_the_prior(tolerance):
    """Unmodified, in all of its 1000 steps: the weights and the spread of two modes."""
    diffusers = pytest.importorskip("diffusers", reason="pip install diffusers")
    prior = gt.GaussianMixture.isotropic([0.3, 0.7], [[-0.5] * 16, [0.5] * 16], 0.01)
    scheduler = diffusers.DDPMScheduler(clip_sample=False)
    net = gt.torch.Denoiser(prior)
    unet = gt.torch.Diffusers(net, scheduler.alphas_cumprod, shape=(1, 4, 4))
    pipeline = diffusers.DDPMPipeline(unet=unet, scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(400, torch.manual_seed(0), 1000, output_type="np").images
    x = 2 * made.reshape(400, 16) - 1  # it makes pixels in [0, 1] of x
    upper = x.mean(axis=1) > 0
    assert abs(upper.mean() - 0.7) < tolerance.z * np.sqrt(0.21 / 400)
    within = x - np.where(upper, 0.5, -0.5)[:, None]
    assert abs(within.mean()) < tolerance.z * 0.1 / 80
    assert_allclose(within.std(), 0.1, rtol=0.05)


# --- azula ---------------------------------------------------------------------------


ROOT = np.array([[0.6, 0.2, -0.1], [0.0, 0.5, 0.3], [0.1, 0.0, 0.8]])
GAUSSIAN = ref.Problem(
    ref.mixture([1.0], [[1.0, -0.5, 0.3]], [ROOT @ ROOT.T]),
    np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]]),
    0.2 * np.eye(2),
    np.array([0.4, -0.3]),
)


def _azula(target, steps, num, dtype=torch.float64):
    """azula's DDPM with MMPS, whose m iterations are exact for a Gaussian prior."""
    pytest.importorskip("azula", reason="azula is not installed: pip install azula")
    from azula.guidance.mmps import MMPSDenoiser
    from azula.linalg.covariance import IsotropicCovariance
    from azula.sample import DDPMSampler

    def program(problem, denoiser, num, seed):
        plain = gt.torch.Azula(denoiser, PATH)
        noise = IsotropicCovariance(problem.R[0, 0])
        arguments = plain, problem.y, problem.forward, noise
        guided = MMPSDenoiser(*arguments, iterations=len(problem.y))
        sampler = DDPMSampler(
            guided, start=1.0, stop=0.01, steps=steps, silent=True, dtype=dtype
        )
        x = torch.randn(num, problem.dim, dtype=dtype)
        return sampler(problem.sigma[0] * x)

    sampler = gt.External(program, views=gt.torch.Views(dtype))
    times = gt.time_grid(PATH, steps, t_min=0.01)
    return gt.sample(jax.random.key(1), sampler, target, times, num), times


def _law_of_ddpm(problem, times):
    """Mean and covariance after these steps, which are affine for a Gaussian prior."""
    scales = [_scales(t) for t in times]
    dim = len(problem.prior.means[0])
    mean, covariance = np.zeros(dim), scales[0][1] ** 2 * np.eye(dim)
    for (a, s), (a_next, s_next) in zip(scales[:-1], scales[1:], strict=True):
        offset = ref.posterior_mean(problem, np.zeros(dim), a, s)
        columns = [ref.posterior_mean(problem, e, a, s) - offset for e in np.eye(dim)]
        keep = a / a_next * (s_next / s) ** 2
        step = (a_next - keep * a) * np.stack(columns, axis=1) + keep * np.eye(dim)
        mean = step @ mean + (a_next - keep * a) * offset
        added = s_next**2 * (1 - (a / a_next * s_next / s) ** 2)
        covariance = step @ covariance @ step.T + added * np.eye(dim)
    return mean, covariance


def test_azula_has_the_law_that_theory_gives_it(tolerance):
    """The mean and covariance after 20 steps, which are known in closed form."""
    num = 4000
    found, times = _azula(to_target(GAUSSIAN, PATH), 20, num)
    mean, covariance = _law_of_ddpm(GAUSSIAN, times)
    x = np.asarray(found.x)
    error = np.sqrt(np.diag(covariance) / num)
    assert np.all(np.abs(x.mean(axis=0) - mean) < tolerance.z * error)
    spread = np.diag(covariance)
    error = np.sqrt((np.outer(spread, spread) + covariance**2) / num)
    assert np.all(np.abs(np.cov(x.T) - covariance) < tolerance.z * error)
    # twenty steps are too few: what is met is their law, not the posterior
    exact = ref.covariance(ref.noised(ref.posterior(GAUSSIAN), *_scales(times[-1])))
    assert np.abs(np.cov(x.T) - exact).max() > 10 * error.max()


def _scales(t):
    return float(PATH.alpha(t)), float(PATH.sigma(t))


def test_azula_is_asked_for_where_it_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "azula", None)
    with pytest.raises(gt.UnsupportedError, match="pip install azula"):
        gt.torch.Azula  # noqa: B018


def test_azula_takes_its_own_schedule_or_a_path(without_shape_checks):
    azula = pytest.importorskip("azula.noise", reason="pip install azula")
    net, x = gt.torch.Denoiser(TARGET), torch.from_numpy(X)
    t = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    found = gt.torch.Azula(net, PATH)(x, t).mean
    alpha, sigma = np.transpose([_scales(time) for time in t.tolist()])
    assert_allclose(found, net(x, alpha, sigma), rtol=1e-12)
    schedule = azula.CosineSchedule()
    assert_allclose(gt.torch.Azula(net, schedule)(x, t).mean, net(x, *schedule(t)))
    with pytest.raises(gt.InputError, match=r"gt.VP\(\)"):
        gt.torch.Azula(net, "vp")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_azula_reaches_the_floor(dtype):
    """With exact guidance and 200 steps; the prior is far above."""
    target = to_target(GAUSSIAN, PATH)
    found, times = _azula(target, 200, 1000, dtype)
    truth = target.posterior(times[-1])
    distance = gt.divergences.energy_distance(found.x, truth)
    assert abs(float(distance.value)) < 4.5 * float(distance.stderr)
    assert float(distance.stderr) < 0.002
    prior = target.marginal(times[-1]).sample(jax.random.key(2), 1000)
    assert float(gt.divergences.energy_distance(prior, truth).value) > 0.1


# --- bad inputs ----------------------------------------------------------------------


def _images(count=2):
    return torch.zeros(count, 1, 2, 2)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda net: net(torch.zeros(4), 1.0, 1.0), "batch of one"),
        (lambda net: net(torch.zeros(2, 3), 1.0, 1.0), "with 4 numbers each"),
        (
            lambda net: net(torch.zeros(2, 4, dtype=torch.int64), 1.0, 1.0),
            "real numbers",
        ),
        (lambda net: net(torch.zeros(2, 4) * 1j, 1.0, 1.0), "stack real and imaginary"),
        (lambda net: net(np.zeros((2, 4)), 1.0, 1.0), "torch.as_tensor"),
        (lambda net: net(_images(), 1.0, torch.ones(3)), "3,.*2 points"),
        (lambda net: net(_images(), 1.0, -0.3), "sigma from -0.3"),
        (lambda net: net(_images(), float("nan"), 0.3), "alpha from nan"),
        (lambda net: net.eps(_images(), 1.0, 0.0), "sigma = 0"),
        (lambda net: gt.torch.Denoiser(3.0), "GaussianMixture, a Target"),
        (lambda net: gt.torch.Denoiser(OTHERS["network"]), "dim=..."),
        (lambda net: gt.torch.GuidedDiffusion(net, BARS[::-1]), "alphas_cumprod"),
        (lambda net: gt.torch.GuidedDiffusion(net, BARS)(_images(), 1000), "0 to 999"),
        (
            lambda net: gt.torch.GuidedDiffusion(net, BARS)(_images(), 0.5),
            "whole number",
        ),
        (lambda net: gt.torch.GuidedDiffusion(net, BARS, variance=2.0), "-1"),
        (lambda net: gt.torch.Diffusers(net, BARS, "noise"), "prediction_type"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(call, words, without_shape_checks):
    with pytest.raises(gt.InputError, match=words) as caught:
        call(gt.torch.Denoiser(PRIORS["isotropic"]))
    assert "hint" in str(caught.value)


def test_atoms_have_no_mean_without_noise():
    """A prior with density has: it is x itself."""
    x = torch.from_numpy(X)
    assert_allclose(gt.torch.Denoiser(TARGET)(x, 0.5, 0.0), 2 * X, rtol=1e-12)
    atoms = gt.torch.Denoiser(gt.GaussianMixture.empirical(X))
    with pytest.raises(gt.InputError, match="without density"):
        atoms(x, 0.5, 0.0)
