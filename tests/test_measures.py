"""Measures at known values, by every way to a law, and on the way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed import divergences
from gmm_testbed.densities.line_parts import Parts
from gmm_testbed.divergences import LineDensity
from gmm_testbed.divergences import on_the_host as host
from gmm_testbed.divergences.on_the_host import HostDensity
from gmm_testbed.measures import measures

T = gt.problems.T_MIN
SHIFT = 0.125


@pytest.fixture(scope="module")
def target():
    return gt.problems.get("two-modes")


@pytest.fixture(scope="module")
def shifted(target):
    """The exact posterior marginal, moved: every measure of it is known."""
    posterior = target.posterior(jnp.asarray(T))
    moved = posterior.affine(jnp.eye(1), jnp.array([SHIFT]))
    x = jnp.linspace(-2.5, 3.5, 1024)
    log_density = divergences.grid.over_points(moved.log_prob, x[:, None])
    return LineDensity.uniform(-2.5, 3.5, log_density)


def plain(density, mixture):
    """Points, and both densities there, by NumPy."""
    x = np.asarray(density.position)
    weights, means = np.exp(np.asarray(mixture.log_weights)), np.asarray(mixture.means)
    variances = np.asarray(mixture.covariances())[:, 0, 0]
    parts = np.exp(-0.5 * (x[:, None] - means[:, 0]) ** 2 / variances)
    exact = (parts / np.sqrt(2 * np.pi * variances)) @ weights
    return x, np.exp(np.asarray(density.log_density)), exact


# Measures.


@pytest.fixture(scope="module")
def found(shifted, target):
    values = measures.scalars(measures.of(shifted, target, T))
    assert all(e.how == "quadrature" and e.stderr == 0 for e in values.values())
    return {name: float(e.value) for name, e in values.items()}


def test_a_moved_posterior_is_off_by_how_far_it_was_moved(found, tolerance):
    for name in ("w1", "w2", "mean_error"):
        assert found[name] == pytest.approx(SHIFT, rel=1e-6), name
    assert found["spread_ratio"] == pytest.approx(1.0, rel=tolerance.identity)
    assert abs(found["variance_error"]) < tolerance.identity
    assert found["escaped_mass"] == 0.0


def test_divergences_agree_with_plain_sums(found, shifted, target):
    x, law, exact = plain(shifted, target.posterior(jnp.asarray(T)))
    cell = x[1] - x[0]
    kl = cell * np.sum(law * np.log(law / exact))
    kl_from = cell * np.sum(exact * np.log(exact / law))
    score = np.gradient(np.log(law / exact), cell)
    assert found["kl"] == pytest.approx(kl, rel=1e-6)
    assert found["kl_from"] == pytest.approx(kl_from, rel=1e-6)
    assert found["kl"] != pytest.approx(kl_from, rel=0.02)
    assert found["tv"] == pytest.approx(
        0.5 * cell * np.abs(law - exact).sum(), rel=1e-4
    )
    assert found["fisher"] == pytest.approx(cell * np.sum(law * score**2), rel=1e-3)


def test_errors_to_the_data_add_what_the_last_noise_does(found, target):
    noise = float(target.path.sigma(T)) ** 2
    shrunk = 1.0 - float(target.path.alpha(T))
    data = target.problem.posterior()
    mean, variance = float(data.mean()[0]), float(data.total_variance())
    assert found["mean_error_to_data"] == pytest.approx(SHIFT - shrunk * mean)
    expected = ((1.0 - shrunk) ** 2 - 1.0) * variance + noise
    assert found["variance_error_to_data"] == pytest.approx(expected)
    assert 0.1 < found["w1_to_data"] < found["w2_to_data"] < 0.2


def test_mode_weights_and_masses(target, found):
    weights = np.exp(np.asarray(target.posterior(jnp.asarray(T)).log_weights))
    exact = [found["mode_weight_exact[0]"], found["mode_weight_exact[1]"]]
    np.testing.assert_allclose(exact, weights, rtol=1e-9)
    gap = found["mode_weight[1]"] - weights[1]
    assert found["mode_weight_error"] == pytest.approx(gap, rel=1e-6) and gap > 1e-4


def test_every_measure_has_a_meaning_and_its_place(found):
    order = list(measures.MEASURES)
    places = [order.index(measures.base(name)) for name in found]
    assert places == sorted(places) and len(found) == 27


# The same numbers, in NumPy and by compiled programs.

PAIRS = {
    "tears": ([0.3, 0.7], [-0.8, 1.1], [0.09, 0.5]),
    "has a tail": ([0.999, 0.001], [0.2, 3.0], [0.3, 0.02]),
}


@pytest.fixture(scope="module", params=PAIRS)
def pair(request):
    """A law on a grid, and a mixture with other modes."""
    weights, means, variances = map(np.array, PAIRS[request.param])
    law = gt.GaussianMixture.isotropic(weights, means[:, None], variances)
    other = gt.GaussianMixture.isotropic([0.4, 0.6], [[-1.4], [0.9]], [0.2, 0.1])
    x = jnp.linspace(-8.0, 8.0, 1024)
    log_density = divergences.grid.over_points(law.log_prob, x[:, None])
    return LineDensity.uniform(-8.0, 8.0, log_density), other


@pytest.mark.parametrize("name", ["kl_to", "kl_from", "tv", "w1", "w2", "fisher"])
@pytest.mark.slow
def test_numpy_and_jax_agree(pair, name):
    density, mixture = pair
    expected = float(getattr(divergences, name)(density, mixture))
    found = getattr(host, name)(HostDensity(density), Parts.of(mixture))
    assert found == pytest.approx(expected, rel=1e-8) and found > 0.05


def test_moments_of_the_host_are_those_of_the_mixture(pair):
    mixture, parts = pair[1], Parts.of(pair[1])
    assert parts.mean() == pytest.approx(float(mixture.mean()[0]), rel=1e-13)
    variance = float(mixture.covariance()[0, 0])
    assert parts.variance() == pytest.approx(variance, rel=1e-13)


@pytest.mark.parametrize("name", ["w1", "w2"])
def test_numpy_and_jax_agree_on_atoms(pair, name):
    density, _ = pair
    atoms = gt.GaussianMixture.empirical([[1.3], [-0.9], [0.2]], [0.3, 0.2, 0.5])
    expected = float(getattr(divergences, name)(density, atoms))
    found = getattr(host, name)(HostDensity(density), Parts.of(atoms))
    assert found == pytest.approx(expected, rel=1e-8) and found > 0.1


def test_escaped_mass_counts_as_in_jax(pair):
    density, mixture = pair
    position, log_density = density.position, density.log_density + np.log(0.98)
    leaky = LineDensity.uniform(position[0], position[-1], log_density, 0.02)
    law, parts = HostDensity(leaky), Parts.of(mixture)
    for name in ("kl_to", "tv", "w1", "w2"):
        expected = float(getattr(divergences, name)(leaky, mixture))
        whole = getattr(host, name)(HostDensity(density), parts)
        found = getattr(host, name)(law, parts)
        assert found == pytest.approx(expected, rel=1e-7), name
        assert abs(found - whole) > 1e-3, name


def test_kl_from_is_infinite_where_the_law_is_unknown(pair):
    density, _ = pair
    wide = gt.GaussianMixture.isotropic([1.0], [[0.0]], 4.0)
    assert host.kl_from(HostDensity(density), Parts.of(wide)) == np.inf


def test_the_sums_agree_with_those_of_jax(shifted, target, found):
    density = measures._of_density(shifted, target, jnp.asarray(T))
    named = {name: gt.Estimate(value) for name, value in density.items()}
    for name, e in measures.scalars(named).items():
        value = float(e.value)
        assert found[name] == pytest.approx(value, rel=1e-7, abs=1e-12), name
    assert len(density) == len(measures.of(shifted, target, T))


def test_one_program_serves_laws_on_grids_of_any_size(target):
    compiled = gt.sweep.compilations()
    counts = []
    for nodes in (700, 800, 900):
        x = np.linspace(-4.0, 4.0, nodes)
        density = LineDensity.uniform(-4.0, 4.0, jnp.asarray(-0.5 * x**2 - 0.919))
        before = len(compiled)
        measures.at_the_end(HostDensity(density), target, T)
        counts.append(len(compiled) - before)
    assert counts[1:] == [0, 0]


# Samples.


@pytest.mark.slow
def test_weights_of_samples_count(target, key):
    """Samples of another mixture with importance weights, and without them."""
    posterior = target.posterior(jnp.asarray(T))
    wide = gt.GaussianMixture.isotropic([1.0], posterior.mean()[None], 1.0)
    x = wide.sample(key, 4000)
    log_weights = jax.vmap(posterior.log_prob)(x) - jax.vmap(wide.log_prob)(x)
    plain = gt.SampleSet(x, jnp.full(4000, -np.log(4000.0)), jnp.zeros(()), None)
    weighted = plain._replace(log_weights=jax.nn.log_softmax(log_weights))
    right, wrong = (measures.of(s, target, T) for s in (weighted, plain))
    ratio = right["spread_ratio"]
    assert abs(ratio.value - 1.0) < 4.5 * ratio.stderr and ratio.stderr < 0.1
    assert wrong["spread_ratio"].value > 3.0
    for name in ("mean_error", "mode_weight"):
        exact = right["mode_weight_exact"].value if name == "mode_weight" else 0.0
        gap = np.abs(np.asarray(right[name].value) - np.asarray(exact))
        assert np.all(gap < 4.5 * np.asarray(right[name].stderr))
    assert right["sliced_w2"].value < 0.3 * wrong["sliced_w2"].value


# On the way.


@pytest.fixture(scope="module")
def law(target):
    sampler = gt.Guided(gt.approximations.DPS(), gt.kernels.DDPM())
    return gt.laws.grid(sampler, target, gt.time_grid(target.path, 30, t_min=T))


def test_what_is_followed_in_time_agrees_with_the_accurate_measures(target, law):
    times, curves = measures.in_time(law, target)
    assert times[0] == 1.0 and times[-1] == T and np.all(np.diff(times) < 0)
    place = int(np.argmin(np.abs(times - 0.3)))
    index = int(np.argmin(np.abs(np.asarray(law.times) - times[place])))
    density, posterior = law.native(index), target.posterior(law.times[index])
    ratio = float(divergences.variance(density) / posterior.total_variance())
    error = float(gt.diagnostics.mode_weight_error(density, posterior))
    accurate = float(divergences.tv(law.at(index), posterior))
    assert curves["tv"][place] == pytest.approx(accurate, rel=1e-3) and accurate > 0.1
    assert curves["spread_ratio"][place] == pytest.approx(ratio, rel=1e-6)
    assert curves["mode_weight_error"][place] == pytest.approx(error, rel=1e-4)
    w1 = float(divergences.w1(law.at(index), target.problem.posterior()))
    assert curves["w1_to_data"][place] == pytest.approx(w1, rel=1e-3) and w1 > 0.1


@pytest.mark.parametrize(
    "name, approximation, kernel, steps",
    [
        ("three-atoms", "DPS", "EulerMaruyama", 10),  # a thousand times wider
        ("three-atoms", "PiGDM", "EulerMaruyama", 50),
        ("two-modes", "DDNM", "DDPM", 5),  # narrower, and it misses a mode
    ],
)
def test_what_is_followed_is_right_for_laws_far_wider_or_narrower(
    name, approximation, kernel, steps
):
    target = gt.problems.get(name)
    field = gt.methods.build(approximation, "approximation")
    sampler = gt.Guided(field, gt.methods.build(kernel, "kernel"))
    law = gt.laws.grid(sampler, target, gt.time_grid(target.path, steps, t_min=T))
    found, accurate = measures.in_time(law, target)[1], measures.of(law, target, T)
    followed = "tv", "mode_weight_error", "hallucinated_prior_mass", "w1_to_data"
    for measure in followed:
        value = float(accurate[measure].value)
        assert found[measure][-1] == pytest.approx(value, abs=1e-3), measure
    ratio = float(accurate["spread_ratio"].value)
    assert found["spread_ratio"][-1] == pytest.approx(ratio, rel=1e-9)
    assert found["tv"].max() <= 1.0


@pytest.mark.parametrize("name", ["two-modes", "three-atoms"])
@pytest.mark.slow
def test_masses_followed_in_time_are_those_of_the_diagnostics(name):
    """Where every mode is possible and where one is ruled out; near and far from data."""
    target = gt.problems.get(name)
    times = gt.time_grid(target.path, 40, t_min=T)
    sampler = gt.Guided(gt.approximations.ZetaDPS(), gt.kernels.DDPM())
    law = gt.laws.grid(sampler, target, times)
    found, curves = measures.in_time(law, target)
    largest = 0.0
    for place in (0, len(found) // 2, -1):
        index = int(np.argmin(np.abs(np.asarray(law.times) - found[place])))
        density, t = law.native(index), law.times[index]
        for mass in ("hallucinated_prior_mass", "hallucinated_likelihood_mass"):
            accurate = float(getattr(gt.diagnostics, mass)(density, target, t).law)
            value = curves[mass][place]
            assert value == pytest.approx(accurate, rel=2e-2, abs=1e-5), (mass, place)
            largest = max(largest, value)
    assert largest > 5e-4
    data = target.problem.posterior()
    accurate = float(divergences.w1(law.at(-1), data))
    assert curves["w1_to_data"][-1] == pytest.approx(accurate, rel=2e-3)


def test_divergences_from_the_posterior_at_time_0(found, shifted, target):
    """Plain sums against the mixture without noise; of atoms there are W1 and W2 only."""
    x, law, exact = plain(shifted, target.problem.posterior())
    cell = x[1] - x[0]
    kl, kl_from = (
        cell * np.sum(p * np.log(p / q)) for p, q in ((law, exact), (exact, law))
    )
    assert found["kl_to_data"] == pytest.approx(kl, rel=1e-6)
    assert found["kl_from_data"] == pytest.approx(kl_from, rel=1e-6)
    tv = 0.5 * cell * np.abs(law - exact).sum()
    assert found["tv_to_data"] == pytest.approx(tv, rel=1e-4)
    score = np.gradient(np.log(law / exact), cell)
    assert found["fisher_to_data"] == pytest.approx(
        cell * np.sum(law * score**2), rel=1e-3
    )
    atoms = gt.problems.get("three-atoms")
    of_atoms = measures.of(shifted, atoms, T)
    assert {name for name in found if "data" in name} - of_atoms.keys() == {
        "kl_to_data",
        "kl_from_data",
        "tv_to_data",
        "fisher_to_data",
    }
