"""Every bad input is refused, with what was got, what was expected and a hint."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt

from .oracles.library import to_target
from .oracles.problems import SPACE, golden

gm, approximations, kernels = gt.GaussianMixture, gt.approximations, gt.kernels
WEIGHTS = np.array([0.25, 0.75])
MEANS = np.array([[0.0, 1.0, 2.0], [1.0, -1.0, 0.5]])
EYES = np.broadcast_to(np.eye(3), (2, 3, 3))
LOPSIDED = EYES + np.array([[0, 0.5, 0], [0, 0, 0], [0, 0, 0]])
INDEFINITE = np.stack([np.eye(3), np.diag([1.0, -0.2, 0.5])])
A = SPACE.A
SINGULAR = np.array([[1.0, 1.0], [1.0, 1.0]])


def _mixture():
    return gm.isotropic(WEIGHTS, MEANS, 1.0)


def _condition(A=A, R=0.1, y=(0.0, 1.0)):
    return _mixture().conditioned(jnp.asarray(A), jnp.asarray(R), jnp.asarray(y))


def _affine(**kwargs):
    return _mixture().affine(jnp.asarray(A), **kwargs)


def _nonlinear_target(fn=lambda x: x[:1] ** 2, dim_y=1):
    prior = gm.empirical(jnp.asarray(MEANS))
    measurement = gt.Nonlinear(fn, 0.1, dim_y)
    return gt.Target(gt.InverseProblem(prior, measurement, jnp.ones(dim_y)), gt.VP())


def _sample(times, path=None, kernel=None, approximation=None, num=4, **kwargs):
    target = to_target(SPACE, path or gt.VP())
    sampler = gt.Guided(
        approximation or approximations.Exact(), kernel or kernels.DDIM()
    )
    return gt.sample(jax.random.key(0), sampler, target, times, num, **kwargs)


BAD = {
    # mixtures
    "more weights than means": lambda: gm.isotropic(np.ones(3) / 3, MEANS, 1.0),
    "means of one dimension": lambda: gm.isotropic(WEIGHTS, np.array([0.0, 1.0]), 1.0),
    "no components": lambda: gm.empirical(np.zeros((0, 2))),
    "negative weight": lambda: gm.isotropic(np.array([-0.5, 1.5]), MEANS, 1.0),
    "NaN weight": lambda: gm.isotropic(np.array([np.nan, 1.0]), MEANS, 1.0),
    "weights sum to 0.9": lambda: gm.isotropic(np.array([0.4, 0.5]), MEANS, 1.0),
    "infinite mean": lambda: gm.isotropic(WEIGHTS, MEANS + [[0], [np.inf]], 1.0),
    "zero variance": lambda: gm.isotropic(WEIGHTS, MEANS, 0.0),
    "negative variance": lambda: gm.isotropic(WEIGHTS, MEANS, np.array([1.0, -1.0])),
    "three variances for two": lambda: gm.isotropic(WEIGHTS, MEANS, np.ones(3)),
    "diagonal takes (K, d)": lambda: gm.diagonal(WEIGHTS, MEANS, np.ones(2)),
    "negative diagonal": lambda: gm.diagonal(WEIGHTS, MEANS, MEANS),
    "full takes (K, d, d)": lambda: gm.full(WEIGHTS, MEANS, np.ones((2, 3))),
    "not symmetric": lambda: gm.full(WEIGHTS, MEANS, LOPSIDED),
    "not positive": lambda: gm.full(WEIGHTS, MEANS, INDEFINITE),
    "NaN covariance": lambda: gm.full(WEIGHTS, MEANS, EYES * np.nan),
    "weights of atoms": lambda: gm.empirical(MEANS, np.array([0.2, 0.2])),
    "point of another dimension": lambda: _mixture().log_prob(jnp.zeros(2)),
    "many points at once": lambda: _mixture().score(jnp.zeros((5, 3))),
    "a number for a point": lambda: _mixture().log_prob(0.5),
    "a number for the score": lambda: _mixture().score(0.5),
    "a list of another dimension": lambda: _mixture().log_prob([0.0, 1.0]),
    "a point of another dimension to denoise": lambda: _mixture().denoised_mean(
        jnp.zeros(2), 0.8, 0.6
    ),
    "scales of many laws at once": lambda: _mixture().noised(jnp.ones(2), 0.5),
    "scales of many denoised laws": lambda: _mixture().denoised(
        jnp.zeros(3), 0.5, jnp.ones(2)
    ),
    # measurements of a mixture
    "A of another dimension": lambda: _condition(A=np.ones((2, 4))),
    "A is a row": lambda: _condition(A=np.ones(3)),
    "y of another length": lambda: _condition(y=(1.0, 2.0, 3.0)),
    "noise of another shape": lambda: _condition(R=np.ones(3)),
    "singular noise": lambda: _condition(R=SINGULAR),
    "zero noise": lambda: _condition(R=0.0),
    "y that is not a number": lambda: _condition(y=(0.0, np.nan)),
    "A that is not finite": lambda: _condition(A=A * [1, 1, np.inf]),
    "negative noise": lambda: _condition(R=np.array([0.1, -0.1])),
    "affine of another dimension": lambda: _mixture().affine(jnp.ones((2, 4))),
    "affine with an offset of one entry": lambda: _affine(b=np.ones(1)),
    "affine with a long offset": lambda: _affine(b=np.ones(3)),
    "affine with noise of another shape": lambda: _affine(R=np.eye(3)),
    "affine with a negative variance": lambda: _affine(R=-1.0),
    "affine with negative variances": lambda: _affine(R=np.array([0.1, -0.1])),
    "affine with NaN noise": lambda: _affine(R=np.nan),
    "affine with indefinite noise": lambda: _affine(R=np.diag([1.0, -1.0])),
    "affine with lopsided noise": lambda: _affine(R=np.eye(2) + np.eye(2, k=1) / 2),
    # measurements and problems
    "Linear with a row": lambda: gt.Linear(np.ones(3), 0.1),
    "Linear with NaN": lambda: gt.Linear(A * np.nan, 0.1),
    "Linear with an infinite offset": lambda: gt.Linear(A, 0.1, np.array([0, np.inf])),
    "Linear with singular noise": lambda: gt.Linear(A, SINGULAR),
    "Linear with indefinite noise": lambda: gt.Linear(A, np.diag([1.0, -1.0])),
    "Linear with lopsided noise": lambda: gt.Linear(A, SINGULAR * [[1, 0.1], [0.3, 1]]),
    "Linear with zero noise": lambda: gt.Linear(A, 0.0),
    "Linear with a long offset": lambda: gt.Linear(A, 0.1, np.ones(3)),
    "Nonlinear with singular noise": lambda: gt.Nonlinear(lambda x: x, SINGULAR, 2),
    "Nonlinear with noise of another shape": lambda: gt.Nonlinear(
        lambda x: x, np.ones(3), 2
    ),
    "fn returns a scalar": lambda: _nonlinear_target(lambda x: x[0] ** 2),
    "fn returns too much": lambda: _nonlinear_target(lambda x: x, 2),
    "even blur": lambda: gt.blur([0.5, 0.5], 8, 0.1),
    "blur longer than the vector": lambda: gt.blur(np.ones(9) / 9, 8, 0.1),
    "factor does not divide": lambda: gt.downsampling(3, 8, 0.1),
    "y does not fit the measurement": lambda: gt.InverseProblem(
        _mixture(), gt.Linear(A, 0.1), jnp.ones(3)
    ),
    "y is NaN": lambda: gt.InverseProblem(
        _mixture(), gt.Linear(A, 0.1), jnp.asarray([0.2, np.nan])
    ),
    "A does not fit the prior": lambda: gt.InverseProblem(
        _mixture(), gt.Linear(np.ones((2, 4)), 0.1), jnp.ones(2)
    ),
    # times
    "t above one": lambda: to_target(SPACE, gt.VP()).marginal(jnp.asarray(1.2)),
    "t below zero": lambda: to_target(SPACE, gt.VP()).posterior(jnp.asarray(-0.1)),
    "t outside for the mean": lambda: to_target(SPACE, gt.VP()).posterior_mean(
        jnp.zeros(3), jnp.asarray(7.0)
    ),
    "t outside for the guidance": lambda: to_target(SPACE, gt.VP()).guidance(
        jnp.zeros(3), jnp.asarray(-1e-9)
    ),
    "t outside for the reference's error": lambda: to_target(
        SPACE, gt.VP()
    ).reference_error(jnp.zeros(3), 1.5),
    "x of another dimension for the reference's error": lambda: to_target(
        SPACE, gt.VP()
    ).reference_error(jnp.zeros(2), 0.5),
    "t outside without guidance": lambda: approximations.Unguided().guidance(
        to_target(SPACE, gt.VP()), jnp.zeros(3), 1.5
    ),
    "x of another dimension without guidance": lambda: (
        approximations.Unguided().guidance(
            to_target(SPACE, gt.VP()), jnp.zeros(2), jnp.asarray(0.5)
        )
    ),
    "grid of two and a half steps": lambda: gt.time_grid(gt.VP(), 2.5),
    "grid of a text of steps": lambda: gt.time_grid(gt.VP(), "10"),
    "grid of no steps": lambda: gt.time_grid(gt.VP(), 0),
    "best grid of two and a half steps": lambda: gt.time_grid(
        to_target(SPACE, gt.VP()), 2.5, "optimal"
    ),
    "grid increases": lambda: _sample(jnp.asarray([0.1, 0.5, 1.0])),
    "grid repeats a time": lambda: _sample(jnp.asarray([1.0, 0.5, 0.5, 0.1])),
    "grid leaves [0, 1]": lambda: _sample(jnp.asarray([1.1, 0.5, 0.1])),
    "grid of one time": lambda: _sample(jnp.asarray([1.0])),
    "grid of grids": lambda: _sample(jnp.asarray([[1.0, 0.5]])),
    "initial law of another dimension": lambda: _sample(
        jnp.asarray([1.0, 0.5]), initial=gm.isotropic(np.ones(1), np.zeros((1, 2)), 1.0)
    ),
    "no samples": lambda: _sample(jnp.asarray([1.0, 0.5]), num=0),
    "fewer than no samples": lambda: _sample(jnp.asarray([1.0, 0.5]), num=-1),
    "half a sample": lambda: _sample(jnp.asarray([1.0, 0.5]), num=0.5),
    "kernel and approximation swapped": lambda: gt.Guided(
        kernels.DDIM(), approximations.DPS()
    ),
    # hyper-parameters
    "eta above one": lambda: kernels.DDIM(2.0),
    "eta below zero": lambda: kernels.DDIM(-0.1),
    "eta for each particle": lambda: kernels.DDIM(jnp.asarray([0.1, 0.2])),
    "negative zeta": lambda: approximations.ZetaDPS(-0.3),
    "NaN zeta": lambda: approximations.ZetaDPS(np.nan),
    "infinite zeta": lambda: approximations.ZetaDPS(np.inf),
    "negative lam": lambda: approximations.DiffPIR(-1.0),
    "zero lam": lambda: approximations.DiffPIR(0.0),
    "negative threshold": lambda: gt.smc.ParticleFilter(
        gt.smc.Bootstrap(), threshold=-0.5
    ),
    "threshold above one": lambda: gt.smc.ParticleFilter(
        gt.smc.Bootstrap(), threshold=50.0
    ),
    "infinite error of the score": lambda: gt.denoisers.ScoreError(
        gt.denoisers.Prior(gm.isotropic(WEIGHTS, MEANS, 1.0)), np.inf
    ),
    "relative errors by coordinate": lambda: gt.denoisers.ScoreError(
        gt.denoisers.Prior(gm.isotropic(WEIGHTS, MEANS, 1.0)), 0.0, jnp.ones(3)
    ),
    # names
    "unknown variance": lambda: kernels.DDPM("tiny"),
    "unknown r2": lambda: approximations.PiGDM("sharp"),
    "unknown grid": lambda: gt.time_grid(gt.VP(), 10, "karas"),
}


def _message_of(call, kind=gt.InputError):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def _assert_three_lines(message):
    headline, *lines = message.splitlines()
    assert headline.strip()
    for label, line in zip(("got:", "expected:", "hint:"), lines[-3:], strict=True):
        name, _, text = line.strip().partition(" ")
        assert name == label
        assert text.strip()


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_what_to_do(name, without_shape_checks):
    _assert_three_lines(_message_of(BAD[name]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (BAD["weights sum to 0.9"], ["sum 0.9", "1 to within 1e-6"]),
        (BAD["negative weight"], ["smallest weight -0.5"]),
        (BAD["more weights than means"], ["(3,)", "(2, 3)"]),
        (BAD["means of one dimension"], ["means[:, None]"]),
        (BAD["not positive"], ["smallest eigenvalue -0.2"]),
        (BAD["not symmetric"], ["0.5"]),
        (BAD["A of another dimension"], ["(2, 4)", "(m, 3)"]),
        (BAD["many points at once"], ["(5, 3)", "vmap"]),
        (BAD["t above one"], ["1.2", "[0, 1]"]),
        (BAD["grid repeats a time"], ["times[1] 0.5", "0.5"]),
        (BAD["unknown variance"], ["tiny"]),
        (BAD["unknown grid"], ["'karras'"]),
        (BAD["zero variance"], ["empirical"]),
        (BAD["eta above one"], ["eta", "2", "<= 1"]),
        (BAD["zero lam"], ["lam > 0"]),
        (BAD["grid of two and a half steps"], ["num_steps", "2.5"]),
        (BAD["no samples"], ["num", "at least 1"]),
        (
            BAD["kernel and approximation swapped"],
            ["approximation is a DDIM", "kernel is a DPS"],
        ),
    ],
)
def test_message_names_the_values(call, words, without_shape_checks):
    message = _message_of(call)
    for word in words:
        assert word in message


def _linear_only():
    catalogue = approximations.CATALOGUE
    return [name for name in catalogue if "linear" in catalogue[name]().facts.needs]


@pytest.mark.parametrize("name", _linear_only())
@pytest.mark.parametrize("ask", ["guidance", "posterior_mean"])
def test_linear_method_refuses_a_nonlinear_measurement(name, ask):
    method = getattr(approximations.CATALOGUE[name](), ask)
    state = (_nonlinear_target(), jnp.zeros(3), jnp.asarray(0.5))
    message = _message_of(lambda: method(*state), gt.UnsupportedError)
    _assert_three_lines(message)
    assert name in message
    assert "Nonlinear" in message


def test_some_methods_are_linear_only():
    assert {"DDNM", "DiffPIR"} <= set(_linear_only())


def test_sampling_refuses_before_it_starts():
    """The sampler, the problem and the grid are checked together."""
    sampler = gt.Guided(approximations.DDNM(), kernels.DDIM())
    times = jnp.asarray([1.0, 0.5])
    key, target = jax.random.key(0), _nonlinear_target()
    _assert_three_lines(
        _message_of(
            lambda: gt.sample(key, sampler, target, times, 4), gt.UnsupportedError
        )
    )


@pytest.mark.parametrize(
    "kernel", [kernels.EulerMaruyama(), kernels.ProbabilityFlow(), kernels.Heun()]
)
def test_kernels_that_divide_by_alpha_refuse_to_start_without_signal(kernel):
    times = jnp.asarray([1.0, 0.5])
    message = _message_of(
        lambda: _sample(times, gt.Rectified(), kernel), gt.UnsupportedError
    )
    _assert_three_lines(message)
    assert "t_max" in message


def test_heun_refuses_to_end_without_noise():
    """Also where a law is asked for: `check` comes before what the law needs."""
    times = jnp.asarray([1.0, 0.5, 0.0])
    heun = gt.Guided(approximations.Exact(), kernels.Heun())
    target = gt.problems.get("two-modes")
    for ask in (
        lambda: _sample(times, kernel=kernels.Heun()),
        lambda: gt.laws.grid(heun, target, times),
    ):
        message = _message_of(ask, gt.UnsupportedError)
        _assert_three_lines(message)
        assert "t_min" in message
        assert "Exact with Heun divides by sigma" in message


def test_unsupported_is_an_input_error_and_an_input_error_a_value_error():
    assert issubclass(gt.UnsupportedError, gt.InputError)
    assert issubclass(gt.InputError, ValueError)


def test_values_are_not_checked_under_jit():
    """Inside jit they are unknown; the shapes still are checked."""
    build = jax.jit(lambda weights: gm.isotropic(weights, jnp.asarray(MEANS), 1.0))
    assert np.all(np.isfinite(np.asarray(build(jnp.asarray([0.5, 0.6])).log_weights)))


def test_hyper_parameters_are_not_checked_under_jit():
    def variance(eta):
        return kernels.DDIM(eta).eta + approximations.DiffPIR(-eta).lam

    assert jax.jit(variance)(jnp.asarray(2.0)) == 0


def test_numbers_and_lists_are_points_and_scales(without_shape_checks):
    mix, x = _mixture(), [0, 1, 2]
    point = jnp.asarray(x, float)
    for ask in ("log_prob", "score", "responsibilities"):
        assert np.all(getattr(mix, ask)(x) == getattr(mix, ask)(point))
    scales = jnp.asarray(0.8), jnp.asarray(0.6)
    law, same = mix.denoised(x, 0.8, 0.6), mix.denoised(point, *scales)
    assert np.all(law.means == same.means)
    means = mix.denoised_mean(x, 0.8, 0.6), mix.denoised_mean(point, *scales)
    assert np.all(means[0] == means[1])


def test_a_whole_number_of_numpy_is_a_number_of_steps(without_shape_checks):
    assert gt.time_grid(gt.VP(), np.int64(3)).shape == (4,)


def test_good_input_is_accepted():
    """Beside each refusal: a weight of zero, rounding in the sum, R of 1e-12."""
    gm.isotropic(np.array([0.0, 1.0]), MEANS, 1.0)
    gm.isotropic(np.array([0.3, 0.7 + 1e-8]), MEANS, 1e-12)
    gm.full(WEIGHTS, MEANS, np.stack([np.eye(3), np.diag([1.0, 0.0, 0.5])]))
    gm.empirical(np.array([[0.0], [0.0], [1.0]]), np.array([0.0, 0.0, 1.0]))
    gt.Linear(golden().A, np.diag([1e-12, 1.0]))
    kernels.DDIM(0.0), kernels.DDIM(1.0), gt.Published(approximations.ZetaDPS(0.0))
    approximations.ZetaDPS(0.0), approximations.DiffPIR(1e-12)
    assert not _sample(jnp.asarray([1.0, 0.5, 0.0])).info.nonfinite
    gt.Target(gt.InverseProblem(_mixture(), gt.Linear(A, 0.1), jnp.ones(2)), gt.VP())
    to_target(SPACE, gt.VP()).marginal(jnp.asarray(1.0))
    to_target(SPACE, gt.VP()).marginal(jnp.asarray(0.0))
