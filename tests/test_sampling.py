"""Sampling: laws against closed forms, and results that depend on the key alone."""

import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt
from gmm_testbed.method import standard_start
from gmm_testbed.sampling import Chains, chains, padded, sample_set

from .oracles import numpy_mixture as ref
from .oracles.library import scales, to_target
from .oracles.moments import affine_law, assert_moments
from .oracles.problems import SPACE

approximations, kernels = gt.approximations, gt.kernels
PATH = gt.VP()
# One Gaussian as three equal components: the shapes, and programs, of SPACE.
GAUSSIAN = SPACE._replace(
    prior=ref.Mixture(
        SPACE.prior.log_weights,
        np.broadcast_to([0.8, -0.5, 1.7], (3, 3)),
        np.broadcast_to(SPACE.prior.covariances[0], (3, 3, 3)),
    )
)
TIMES = np.array([1.0, 0.8, 0.55, 0.3, 0.12, 0.05])
NUM = 4000


def _matched():
    return gt.Guided(approximations.Exact(), kernels.DDPM("matched"))


def _dps():
    return gt.Guided(approximations.DPS(), kernels.DDIM(0.7))


def _posterior_at(t):
    """Mean and covariance of x_t given y for the one-Gaussian problem."""
    law = ref.noised(ref.posterior(GAUSSIAN), *scales(PATH, jnp.asarray(t)))
    return law.means[0], law.covariances[0]


# --- laws ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gaussian():
    return to_target(GAUSSIAN, PATH)


def _from_the_posterior(key, target, **kwargs):
    """Exact and matched, started from the exact law of x_1 given y."""
    start, times = target.posterior(jnp.asarray(TIMES[0])), jnp.asarray(TIMES)
    return gt.sample(key, _matched(), target, times, NUM, initial=start, **kwargs)


@pytest.mark.float32
def test_exact_and_matched_sample_the_gaussian_posterior_in_five_steps(
    gaussian, key, tolerance
):
    out = _from_the_posterior(key, gaussian)
    assert out.x.shape == (NUM, 3)
    assert_moments(out.x, *_posterior_at(TIMES[-1]), tolerance.z)
    assert_allclose(np.exp(np.asarray(out.log_weights)), 1 / NUM, rtol=1e-5)
    assert np.isnan(out.log_evidence)
    assert out.info.nonfinite == 0
    assert out.info.num_steps == 5
    assert out.info.trajectory is None


def test_law_from_the_default_start_is_its_recursion(gaussian, key, tolerance):
    """The law of x_t given y is not the start, so the matched kernel is not exact."""
    times = np.array([0.4, 0.3, 0.12])
    out = gt.sample(key, _matched(), gaussian, jnp.asarray(times), NUM)

    def transition(x, *step):
        m = ref.posterior_mean(GAUSSIAN, x, *step[:2])
        C = ref.posterior_covariance(GAUSSIAN, x, *step[:2])
        return ref.ddpm_mean(x, m, *step), ref.matched_covariance(C, *step)

    _, sigma = scales(PATH, jnp.asarray(times[0]))
    law = affine_law(PATH, times, (np.zeros(3), sigma**2 * np.eye(3)), transition)
    assert np.abs(law[0] - _posterior_at(times[-1])[0]).max() > 0.05
    assert_moments(out.x, *law, tolerance.z)


def test_inexact_sampler_has_the_law_of_its_own_recursion(gaussian, key, tolerance):
    start = gaussian.posterior(jnp.asarray(TIMES[0]))
    out = gt.sample(key, _dps(), gaussian, jnp.asarray(TIMES), NUM, initial=start)

    def transition(x, *step):
        state = (GAUSSIAN, x, *step[:2])
        m = ref.prior_mean(*state)
        mean = ref.guidance_to_mean(ref.dps(*state), m, *step[:2])
        mean, std = ref.ddim(x, mean, 0.7, *step)
        return mean, std**2 * np.eye(3)

    law = affine_law(PATH, TIMES, _posterior_at(TIMES[0]), transition)
    assert np.abs(law[1] - _posterior_at(TIMES[-1])[1]).max() > 1e-2
    assert_moments(out.x, *law, tolerance.z)


def test_initial_law_may_be_any_mixture(gaussian, key, tolerance):
    """A step of length almost zero keeps the law it starts from."""
    initial = gt.GaussianMixture.isotropic(
        jnp.asarray([0.25, 0.75]), jnp.asarray([[3.0, 0, 0], [0, -2.0, 1.0]]), 0.3
    )
    times = jnp.asarray([0.5, 0.5 - 1e-12])
    out = gt.sample(key, _matched(), gaussian, times, NUM, initial=initial)
    mean, covariance = np.asarray(initial.mean()), np.asarray(initial.covariance())
    assert_moments(out.x, mean, covariance, tolerance.z)


# --- what does not change the samples -----------------------------------------------


def _drawn(key, num=NUM, **kwargs):
    target, times = to_target(SPACE, PATH), jnp.asarray(TIMES)
    return np.asarray(gt.sample(key, _dps(), target, times, num, **kwargs).x)


def _assert_same_samples(samples, others):
    """Equal but for rounding, which a vector of another length may do differently.

    DPS multiplies it: a step at small noise stretches distances hundreds of times.
    """
    assert_allclose(samples, others, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_samples_do_not_depend_on_the_batch_size(batch_size, key):
    parts = _drawn(key, batch_size=batch_size)
    _assert_same_samples(parts, _drawn(key))


def test_first_samples_do_not_depend_on_how_many_follow(key):
    few = _drawn(key, num=20)
    _assert_same_samples(few, _drawn(key)[:20])
    assert np.all(_drawn(jax.random.fold_in(key, 1))[:20] != few)


def test_samplers_together_give_what_each_gives_alone(key):
    target, times = to_target(SPACE, PATH), jnp.asarray(TIMES)
    samplers = {
        "dps": _dps(),
        "unguided": gt.Guided(approximations.Unguided(), kernels.DDIM(0.7)),
    }
    found = gt.sample_together(
        key, samplers, target, times, 20, batch_size=8, trajectory=True
    )
    assert list(found) == list(samplers)
    for name, sampler in samplers.items():
        alone = gt.sample(key, sampler, target, times, 20, trajectory=True)
        _assert_same_samples(found[name].x, alone.x)
        _assert_same_samples(found[name].info.trajectory, alone.info.trajectory)
    apart = np.abs(np.asarray(found["dps"].x - found["unguided"].x))
    assert apart.min() > 0.0


@pytest.mark.parametrize("samplers", [{}, {"filter": gt.smc.Bootstrap()}])
def test_only_chains_run_together(samplers, key, without_shape_checks):
    with pytest.raises(gt.InputError, match="do not run together"):
        gt.sample_together(
            key, samplers, to_target(SPACE, PATH), jnp.asarray(TIMES), 20
        )


SCRIPT = """
import jax, numpy as np
jax.config.update("jax_enable_x64", True)
import gmm_testbed as gt
from gmm_testbed.sampling import spread
rng = np.random.default_rng(0)
prior = gt.GaussianMixture.isotropic([0.3, 0.7], rng.normal(size=(2, 3)), [0.4, 0.9])
measurement = gt.Linear(rng.normal(size=(2, 3)), 0.2)
target = gt.Target(gt.InverseProblem(prior, measurement, np.ones(2)), gt.VP())
sampler = gt.Guided(gt.approximations.TMPD(), gt.kernels.DDPM())
times = gt.time_grid(gt.VP(), 6, "log_snr")
parts = spread(jax.numpy.zeros((30, 3)), None)[0]
# 30 is not a multiple of 4; 3 a batch makes several batches a device.
out = gt.sample(jax.random.key(5), sampler, target, times, 30, batch_size=3)
numbers = np.asarray(out.x).ravel()
used = len(parts.sharding.device_set)
print(used, len(out.x.devices()), *(number.hex() for number in numbers.tolist()))
"""


def _run_on(devices: int) -> np.ndarray:
    """The samples of SCRIPT in a process of its own with that many CPU devices."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    root = Path(gt.__file__).parents[1]
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {
        "XLA_FLAGS": flags,
        "NPROC": "4",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": path,
    }
    command = [sys.executable, "-c", SCRIPT]
    out = subprocess.run(
        command,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    used, held, *numbers = out.stdout.split()
    assert int(used) == devices  # at work
    assert int(held) == 1  # where the result is
    return np.array([float.fromhex(number) for number in numbers])


@pytest.mark.slow
def test_samples_do_not_depend_on_the_number_of_devices():
    here = {}
    exec(SCRIPT, here)
    one, four = here["numbers"], _run_on(4)
    assert len(one) == 90 and np.all(np.isfinite(one))
    # Not to the bit: parts of another size are computed in another order.
    assert_allclose(four, one, rtol=1e-14, atol=1e-14)


# --- compilation --------------------------------------------------------------------

TRACES = []


class Counting(approximations.AbstractApproximation):
    """A field that notes each time it is traced."""

    strength: jax.Array = eqx.field(converter=jnp.asarray)

    facts: ClassVar = approximations.Unguided.facts

    def guidance(self, target, x, t):
        raise NotImplementedError

    def posterior_mean(self, target, x, t):
        TRACES.append("mean")
        return self.strength * target.prior_mean(x, t)

    def covariance(self, target, x, t):
        raise NotImplementedError


def test_one_compilation_serves_all_step_counts_and_hyper_parameters(key):
    """A compilation traces the field; a run that finds its program does not."""
    target = to_target(SPACE, PATH)

    def traces(target, strength, eta, steps, kind="uniform"):
        TRACES.clear()
        sampler = gt.Guided(Counting(strength), kernels.DDIM(eta))
        times = gt.time_grid(PATH, steps, kind)
        out = gt.sample(key, sampler, target, times, 10)
        assert out.info.num_steps == steps
        return len(TRACES), np.asarray(out.x)

    first, x = traces(target, 0.9, 0.3, 5)
    assert first > 0
    other = to_target(SPACE._replace(y=SPACE.y + 1), PATH)
    for arguments in (
        (target, 0.9, 0.3, 40),
        (target, 0.9, 0.3, 40, "log_snr"),
        (target, 0.5, 0.3, 5),
        (target, 0.9, 0.8, 5),
        (other, 0.9, 0.3, 7),
    ):
        count, changed = traces(*arguments)
        assert count == 0
        assert np.abs(changed - x).max() > 1e-3


def test_numbers_of_samples_share_programs(key):
    """Sixteen numbers in an octave at most: each program stays in memory."""
    target, times = to_target(SPACE, PATH), gt.time_grid(PATH, 3)
    sampler = gt.Guided(Counting(0.9), kernels.DDIM(0.3))

    def traces(num, **options):
        TRACES.clear()
        out = gt.sample(key, sampler, target, times, num, trajectory=True, **options)
        assert out.x.shape[0] == out.info.trajectory.shape[0] == num
        return bool(TRACES), np.asarray(out.x)

    compiled, most = traces(208)
    assert compiled
    for num in (201, 203, 207):
        again, x = traces(num)
        assert not again
        assert_allclose(x, most[:num], rtol=1e-12)
    _, batches = traces(201, batch_size=100)  # three of 68, of which 3 are left out
    _assert_same_samples(batches, most[:201])


@pytest.mark.parametrize(
    ("num", "most", "found"),
    [(1, 4096, (1, 1)), (31, 31, (31, 31)), (1000, 4096, (1024, 1024))]
    + [(10_000, 4096, (3_456, 10_368)), (201, 100, (68, 204)), (7, 1, (1, 7))],
)
def test_a_sixteenth_of_the_samples_is_left_out_at_most(num, most, found):
    assert chains.rounded(num, most) == found


# --- what comes back ----------------------------------------------------------------


def test_trajectory_holds_every_state_and_ends_at_the_samples(gaussian, key, tolerance):
    out = _from_the_posterior(key, gaussian, trajectory=True)
    states = np.asarray(out.info.trajectory)
    assert states.shape == (NUM, 6, 3)
    assert np.array_equal(states[:, -1], np.asarray(out.x))
    for j, t in enumerate(TIMES):
        assert_moments(states[:, j], *_posterior_at(t), tolerance.z)
    plain = _from_the_posterior(key, gaussian)
    assert_allclose(plain.x, out.x, rtol=1e-12, atol=1e-13)


class Cliff(approximations.AbstractApproximation):
    """No number wherever the first coordinate is positive, infinity below -1."""

    facts: ClassVar = approximations.Unguided.facts

    def guidance(self, target, x, t):
        raise NotImplementedError

    def posterior_mean(self, target, x, t):
        bad = jnp.where(x[0] > 0, jnp.nan, jnp.where(x[0] < -1, jnp.inf, 0.0))
        return x + bad

    def covariance(self, target, x, t):
        raise NotImplementedError


def test_samples_that_are_not_finite_are_counted_and_kept(key, tolerance):
    """From the default start, which is N(0, sigma^2 I) and not N(0, I)."""
    target = to_target(GAUSSIAN, gt.VE(0.01, 3.0))
    sampler = gt.Guided(Cliff(), kernels.DDIM())
    times = jnp.asarray([1.0, 0.5])
    out = gt.sample(key, sampler, target, times, NUM, trajectory=True)
    start = np.asarray(out.info.trajectory)[:, 0]
    assert_moments(start, np.zeros(3), 9 * np.eye(3), tolerance.z)
    bad = (start[:, 0] > 0) | (start[:, 0] < -1)
    assert 0 < bad.sum() < NUM
    assert out.info.nonfinite == bad.sum()
    assert out.x.shape == (NUM, 3)
    assert np.array_equal(~np.isfinite(np.asarray(out.x)).all(axis=1), bad)


class Walk(gt.AbstractMarkov):
    """N(x, I)."""

    facts: ClassVar[gt.Facts] = gt.Facts("a random walk", "test")
    start = standard_start

    def transition(self, target, x, t, s):
        return gt.gaussian.isotropic(x, jnp.ones((), x.dtype))


def test_every_step_of_a_chain_has_a_noise_of_its_own(gaussian, key, tolerance):
    """One chain a key, as calibration draws them: variances of two steps add."""
    times, keys = jnp.asarray([0.9, 0.5, 0.2]), jax.random.split(key, NUM)
    chains = Chains(Walk())

    @jax.jit
    def drawn(keys):
        return chains.draws(keys, gaussian, padded(times), jnp.asarray(2), 1)

    variance = float(PATH.sigma(0.9)) ** 2 + 2.0
    assert_moments(drawn(keys), np.zeros(3), variance * np.eye(3), tolerance.z)


def test_weights_that_are_nan_are_counted_once_with_their_samples():
    """Of five: one NaN, one half infinite with a NaN weight, one with a NaN weight."""
    x = np.array([[0.0, 1.0], [np.nan, 2.0], [1.0, -np.inf], [2.0, 2.0], [3.0, 0.0]])
    log_weights = np.log(0.2) + np.array([0.0, 0.0, np.nan, np.nan, 0.0])

    def count(x, log_weights):
        return sample_set(x, log_weights, jnp.zeros(()), 1).info.nonfinite

    for counted in (count, jax.jit(count)):  # on the host, and traced
        assert int(counted(jnp.asarray(x), jnp.asarray(log_weights))) == 3
        died = jnp.full(5, -jnp.inf)  # a weight of zero is a number
        assert int(counted(jnp.asarray(x), died)) == 2


def test_a_sample_set_brings_its_weights():
    """As samples.x with its log_weights would; equal ones are as none."""
    x = jnp.linspace(-1.0, 2.0, 60)[:, None] ** 2
    mixture = gt.GaussianMixture.isotropic([1.0], [[0.5]], 1.0)
    for weights in (np.linspace(1.0, 2.0, 60) / 90.0, np.full(60, 1 / 60)):
        made = sample_set(x, jnp.log(weights), jnp.zeros(()), 1)
        found = gt.divergences.mean_error(made, mixture)
        assert_allclose(found.value, weights @ np.asarray(x) - 0.5, rtol=1e-12)


def test_a_step_is_the_transition_with_the_noise_put_in(gaussian):
    x, noise = jnp.asarray([0.3, -1.0, 0.4]), jnp.asarray([0.5, 1.5, -0.7])
    t, s = jnp.asarray(0.6), jnp.asarray(0.4)
    transition = eqx.filter_jit(_matched().transition)(gaussian, x, t, s)
    stepped = eqx.filter_jit(transition.at)(noise)
    truth = np.asarray(transition.mean) + np.asarray(transition.root.factor) @ noise
    assert_allclose(stepped, truth, rtol=1e-12)


def test_the_standard_start_has_the_variance_of_the_noise(gaussian):
    start = standard_start(_matched(), gaussian, jnp.asarray(0.4))
    _, sigma = scales(PATH, jnp.asarray(0.4))
    assert abs(sigma - sigma**2) > 0.05
    np.testing.assert_allclose(start.covariance(), sigma**2 * np.eye(3), rtol=1e-6)
    np.testing.assert_array_equal(start.mean, 0.0)
