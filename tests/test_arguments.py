"""Arguments of another kind, in the wrong order, or that JAX cannot use: what is said."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt

pytestmark = pytest.mark.usefixtures("without_shape_checks")

approximations, divergences, kernels = gt.approximations, gt.divergences, gt.kernels
KEY = jax.random.key(0)
PRIOR = gt.GaussianMixture.isotropic([0.25, 0.75], [[0.0, 1.0], [1.0, 2.0]], 0.5)
ATOMS = gt.GaussianMixture.empirical([[0.0, 1.0], [1.0, 2.0]])
LINEAR = gt.Linear([[1.0, 0.5]], 0.1)
PROBLEM = gt.InverseProblem(PRIOR, LINEAR, [0.5])
TARGET = gt.Target(PROBLEM, gt.VP())
GUIDED = gt.Guided(approximations.DPS(), kernels.DDPM())
TIMES = jnp.asarray([1.0, 0.5, 0.25])
X, Z = np.zeros((4, 2)), np.ones((5, 2))


def _measured(fn):
    measurement = gt.Nonlinear(fn, 0.1, 1)
    return gt.Target(gt.InverseProblem(ATOMS, measurement, [0.5]), gt.VP())


def _traced(argument):
    """Traces gt.sample by one of its arguments."""
    given = {"num": 4, "key": KEY, "sampler": GUIDED}

    def run(value):
        here = given | {argument: value}
        return gt.sample(here["key"], here["sampler"], TARGET, TIMES, here["num"]).x

    return jax.jit(run)


def _on_the_host(key):
    program = gt.External(lambda problem, denoiser, num, seed: np.zeros((num, 2)))
    return gt.sample(key, program, TARGET, TIMES, 4).x


ROWS = [
    # the order
    (lambda: gt.sample(TARGET, KEY, GUIDED, TIMES, 4), "key is a Target"),
    (lambda: gt.sample(TARGET, KEY, GUIDED, TIMES, 4), "target is a Guided"),
    (lambda: gt.sample(KEY, TARGET, GUIDED, TIMES, 4), "the order is gt.sample.key, s"),
    (
        lambda: gt.sample(0, GUIDED, TARGET, TIMES, 4),
        r"key is 0\n.*jax.random.key\(0\)",
    ),
    (lambda: gt.sample(jax.random.split(KEY), GUIDED, TARGET, TIMES, 4), "one random"),
    (lambda: gt.sample(KEY, gt.Guided, TARGET, TIMES, 4), "the class Guided"),
    (lambda: gt.sample(KEY, GUIDED, PROBLEM, TIMES, 4), "target is an InverseProblem"),
    (lambda: gt.sample(KEY, GUIDED, TARGET, 4, TIMES), r"shape \(\)"),
    (lambda: gt.sample_together(KEY, TARGET, {"a": GUIDED}, TIMES, 4), "methods"),
    (
        lambda: gt.Guided(kernels.DDPM(), approximations.DPS()),
        "approximation is a DDPM",
    ),
    (lambda: gt.Guided(approximations.DPS, kernels.DDPM()), r"write DPS\(\)"),
    (lambda: gt.InverseProblem(LINEAR, PRIOR, [0.5]), "prior is a Linear"),
    (lambda: gt.InverseProblem(PRIOR, [0.5], LINEAR), "y is a Linear"),
    (lambda: gt.Target(gt.VP(), PROBLEM), "path is an InverseProblem"),
    (lambda: gt.Target(PROBLEM, "VP"), "path is 'VP'"),
    (lambda: gt.time_grid(4, gt.VP()), "num_steps must be a whole number"),
    (lambda: gt.time_grid(PROBLEM, 4), "path is an InverseProblem"),
    (lambda: gt.laws.grid(TARGET, GUIDED, TIMES), "sampler is a Target"),
    (lambda: gt.laws.affine(TARGET, GUIDED, TIMES), "gt.laws.affine"),
    (lambda: gt.laws.reduced(TARGET, GUIDED, TIMES), "gt.laws.reduced"),
    (lambda: gt.laws.flow_kl(GUIDED, KEY, TARGET, TIMES, 4), "key is a Guided"),
    (lambda: gt.budget(GUIDED, TARGET, TIMES, KEY), "key is a Guided"),
    (
        lambda: gt.diagnostics.calibrate(
            KEY, LINEAR, PRIOR, gt.VP(), GUIDED, TIMES, 20, 9
        ),
        "prior is a Linear, measurement is a GaussianMixture",
    ),
    (
        lambda: gt.smc.log_evidences(KEY, TARGET, gt.smc.Bootstrap(), TIMES, 4, 2),
        "model is a Target",
    ),
    # numbers that are none
    (lambda: gt.laws.grid(GUIDED, TARGET, TIMES, refine=0), "refine 0"),
    (lambda: gt.laws.reduced(GUIDED, TARGET, TIMES, refine=0.5), "refine 0.5"),
    (lambda: gt.sample(KEY, GUIDED, TARGET, TIMES, True), "num True"),
    (lambda: gt.sample(KEY, GUIDED, TARGET, TIMES, 4, batch_size=0), "batch_size 0"),
    (lambda: _traced("num")(4), r"num cannot be traced[\s\S]*static_argnames"),
    (
        lambda: gt.diagnostics.calibrate(
            KEY, PRIOR, LINEAR, gt.VP(), GUIDED, TIMES, 0, 9
        ),
        "num_pairs 0",
    ),
    (
        lambda: gt.diagnostics.simulate(
            KEY, PRIOR, LINEAR, gt.VP(), GUIDED, TIMES, 4, 0
        ),
        "num_draws 0",
    ),
    # the initial law
    (
        lambda: gt.sample(KEY, GUIDED, TARGET, TIMES, 4, initial=X),
        r"an array \(4, 2\)[\s\S]*target.marginal",
    ),
    # no truth, or no samples
    (lambda: divergences.energy_distance(X, Z), "GaussianMixture.empirical"),
    (lambda: divergences.mmd_squared(X, Z), "GaussianMixture.empirical"),
    (lambda: divergences.sliced_wasserstein(KEY, X, Z), "GaussianMixture.empirical"),
    (lambda: divergences.kernel_stein_discrepancy(X, Z), "GaussianMixture.empirical"),
    (lambda: divergences.mean_error(X, Z), "GaussianMixture.empirical"),
    (lambda: gt.compare({"a": X, "b": X}, [Z]), "GaussianMixture.empirical"),
    (
        lambda: divergences.floor(divergences.energy_distance, KEY, Z, 4),
        "GaussianMixture.empirical",
    ),
    (lambda: divergences.energy_distance(PRIOR, X), "samples is a GaussianMixture"),
    (lambda: divergences.sliced_wasserstein(X, KEY, PRIOR), "samples is a random key"),
    (lambda: divergences.tv(PRIOR, PRIOR), "mixture_tv"),
    (lambda: divergences.kl_to(PRIOR, PRIOR), "mixture_kl"),
    (lambda: divergences.kl_from(PRIOR, PRIOR), "mixture_kl"),
    (lambda: divergences.mixture_kl(PRIOR, X), r"q is an array \(4, 2\)"),
    # forward models
    (lambda: _measured(lambda x: np.sin(x[:1])), r"jnp.sin[\s\S]*pure_callback"),
    (lambda: _measured(lambda x: x[:1] if x[0] > 0 else -x[:1]), "jnp.where"),
    (lambda: _measured(lambda x: float(x[0])), "JAX cannot trace fn"),
    (lambda: _measured(lambda x: {"y": x[0]}), "a dict"),
    (lambda: _measured(lambda x: x[0]), r"got: +\(\)"),
    (lambda: _measured(lambda x: [x[0], x[1]]), r"\(2,\)"),
    # programs that cannot be traced
    (lambda: jax.jit(_on_the_host)(KEY), "outside of them"),
]


@pytest.mark.parametrize(("call", "words"), ROWS)
def test_message_says_which_argument_got_what(call, words):
    with pytest.raises(gt.InputError, match=words) as caught:
        call()
    lines = str(caught.value).splitlines()
    labels = [line.split()[0] for line in lines[-3:]]
    assert labels == ["got:", "expected:", "hint:"]
    assert all(len(line.split()) > 1 for line in lines[-3:])


def test_arguments_of_another_kind_are_type_errors():
    with pytest.raises(TypeError, match="key is a Target"):
        gt.sample(TARGET, KEY, GUIDED, TIMES, 4)


def test_whole_numbers_of_numpy_and_jax_are_numbers_of_samples():
    made = [
        gt.sample(KEY, GUIDED, TARGET, TIMES, num).x
        for num in (4, np.int64(4), jnp.asarray(4), np.array(4))
    ]
    for other in made[1:]:
        np.testing.assert_array_equal(made[0], other)


@pytest.mark.parametrize("fn", [lambda x: [x[0] ** 2], lambda x: (x[0] ** 2,)])
def test_forward_models_may_return_lists(fn):
    """As the array: the posterior weights of two atoms, by hand."""
    weights = np.exp(_measured(fn).problem.posterior().log_weights)
    by_hand = np.exp(-0.5 * (0.5 - np.array([0.0, 1.0])) ** 2 / 0.1)
    np.testing.assert_allclose(weights, by_hand / by_hand.sum(), rtol=1e-12)
