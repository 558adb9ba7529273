"""The main job: its measures at known values, its shared programs, its table."""

import csv

import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed import cli, demo, divergences, measures, named
from gmm_testbed.divergences import LineDensity

T = gt.problems.T_MIN
SHIFT = 0.125


@pytest.fixture(scope="module")
def target():
    return gt.problems.get("two-modes")


@pytest.fixture(scope="module")
def truth(target):
    return measures.shared_reference(target, T)


@pytest.fixture(scope="module")
def shifted(target):
    """The exact posterior marginal, moved: every measure of it is known."""
    posterior = target.posterior(jnp.asarray(T))
    moved = posterior.affine(jnp.eye(1), jnp.array([SHIFT]))
    x = jnp.linspace(-2.5, 3.5, 1024)
    log_density = divergences.quadrature.over_points(moved.log_prob, x[:, None])
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
def found(shifted, truth):
    return measures.final(measures.shared_grids(shifted), truth)


@pytest.mark.slow
def test_a_moved_posterior_is_off_by_how_far_it_was_moved(found, tolerance):
    for name in ("w1", "w2", "mean_error"):
        assert found[name] == pytest.approx(SHIFT, rel=1e-6), name
    assert found["spread_ratio"] == pytest.approx(1.0, rel=tolerance.identity)
    assert abs(found["variance_error"]) < tolerance.identity
    assert found["escaped_mass"] == 0.0


@pytest.mark.slow
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


@pytest.mark.slow
def test_errors_to_the_data_add_what_the_last_noise_does(found, target):
    noise = float(target.path.sigma(T)) ** 2
    shrunk = 1.0 - float(target.path.alpha(T))
    data = target.problem.posterior()
    mean, variance = float(data.mean()[0]), float(data.total_variance())
    assert found["mean_error_to_data"] == pytest.approx(SHIFT - shrunk * mean)
    expected = ((1.0 - shrunk) ** 2 - 1.0) * variance + noise
    assert found["variance_error_to_data"] == pytest.approx(expected)
    assert 0.1 < found["w1_to_data"] < found["w2_to_data"] < 0.2


@pytest.mark.slow
def test_mode_weights_of_a_mixture_written_with_three_components(target, truth, found):
    assert truth.posterior.num_components == 3
    x = jnp.array([0.37])
    posterior = target.posterior(jnp.asarray(T))
    assert float(truth.posterior.log_prob(x)) == pytest.approx(
        float(posterior.log_prob(x)), rel=1e-12
    )
    weights = np.exp(np.asarray(posterior.log_weights))
    exact = [found["mode_weight_exact[0]"], found["mode_weight_exact[1]"]]
    np.testing.assert_allclose(exact, weights, rtol=1e-9)
    gap = found["mode_weight[1]"] - weights[1]
    assert found["mode_weight_error"] == pytest.approx(gap, rel=1e-6) and gap > 1e-4


def test_fewer_nodes_keep_the_law_and_more_are_empty(shifted):
    fewer, more = measures.resized(shifted, 500), measures.resized(shifted, 2048)
    assert fewer.position.shape == (500,) and more.position.shape == (2048,)
    mean = float(divergences.mean(shifted)[0])
    for other in (fewer, more):
        assert float(divergences.mass(other)) == pytest.approx(1.0, rel=1e-9)
        assert float(divergences.mean(other)[0]) == pytest.approx(mean, rel=1e-9)
    assert bool(jnp.all(more.log_density[1024:] == -jnp.inf))


def test_w2_uses_the_finer_grid_where_the_law_needs_it(shifted):
    assert measures.shared_grids(shifted).coarse.position.shape == (256,)
    x = np.linspace(-1.0, 3.0, 1024)
    narrow = -0.5 * ((x - 1.0) / 0.008) ** 2 - np.log(0.008 * np.sqrt(2 * np.pi))
    spike = LineDensity.uniform(-1.0, 3.0, jnp.asarray(narrow))
    assert measures.shared_grids(spike).coarse.position.shape == (512,)


@pytest.fixture(scope="module")
def law(target):
    sampler = gt.Guided(gt.approximations.DPS(), gt.kernels.DDPM())
    return gt.laws.grid(sampler, target, gt.time_grid(target.path, 30, t_min=T))


def test_shared_grids_change_distances_by_less_than_1e_6(law, truth):
    own = law.at(-1)
    for name in ("tv", "w1"):
        measure = getattr(divergences, name)
        fine = float(measure(own, truth.posterior))
        shared = float(measure(measures.shared_grids(own).even, truth.posterior))
        assert shared == pytest.approx(fine, rel=1e-6) and fine > 0.1


@pytest.mark.slow
def test_shared_grids_of_narrow_peaks_in_a_wide_range_keep_three_digits():
    """Peaks of standard deviation 0.1, as at t = 0.01, within 44 units."""
    weights, means = np.array([0.3, 0.7]), np.array([-20.5, 20.5])
    law, other = (
        gt.GaussianMixture.isotropic(w, means[:, None] + shift, 0.1**2)
        for w, shift in ((weights, 0.02), (weights[::-1], 0.0))
    )
    x = jnp.linspace(-22.0, 22.0, 4096)
    density = LineDensity.uniform(
        -22.0, 22.0, divergences.quadrature.over_points(law.log_prob, x[:, None])
    )
    even = measures.shared_grids(density).even
    assert even.position.shape[0] < 4096
    for name in ("tv", "w1"):
        measure = getattr(divergences, name)
        fine, shared = float(measure(density, other)), float(measure(even, other))
        assert shared == pytest.approx(fine, rel=1e-3) and fine > 0.1


# Laws.


@pytest.fixture(scope="module")
def samplers():
    kernels = tuple(demo.KERNELS.values())
    tmpd = gt.approximations.TMPD()
    return [
        (gt.Guided(tmpd, gt.kernels.Selected(kernels, i)), gt.Guided(tmpd, kernel))
        for i, kernel in enumerate(kernels)
    ]


def test_the_selected_kernel_is_the_kernel(target, samplers, tolerance):
    x, t, s = jnp.array([0.7]), jnp.asarray(0.4), jnp.asarray(0.3)
    means = set()
    for selected, direct in samplers:
        found = selected.transition(target, x, t, s)
        expected = direct.transition(target, x, t, s)
        np.testing.assert_allclose(found.mean, expected.mean, rtol=tolerance.identity)
        scale = np.ravel(expected.scale)[0]
        assert float(found.scale) == pytest.approx(scale, rel=tolerance.identity)
        means.add((round(float(found.mean[0]), 6), round(float(found.scale), 6)))
    assert len(means) == len(samplers)


def test_one_compiled_program_serves_the_four_kernels(target):
    traces = []

    class Counted(gt.approximations.AbstractCorrection):
        facts = gt.approximations.Unguided.facts

        def correction(self, target, x, t):
            traces.append(None)
            return jnp.zeros_like(x)

        def covariance(self, target, x, t):
            return target.prior_covariance(x, t)

    kernels = tuple(demo.KERNELS.values())
    times = gt.time_grid(target.path, 6, t_min=0.1)
    counts = []
    for i in range(len(kernels)):
        sampler = gt.Guided(Counted(), gt.kernels.Selected(kernels, i))
        gt.laws.grid(sampler, target, times)
        counts.append(len(traces))
    assert counts[0] > 0 and counts[-1] == counts[0]


@pytest.mark.slow
def test_what_is_followed_in_time_agrees_with_the_accurate_measures(target, law):
    times, curves = measures.passing(law, target)
    assert times[0] == 1.0 and times[-1] == T and np.all(np.diff(times) < 0)
    place = int(np.argmin(np.abs(times - 0.3)))
    index = int(np.argmin(np.abs(np.asarray(law.times) - times[place])))
    density, posterior = law.native(index), target.posterior(law.times[index])
    weights = np.asarray(density.weights())
    x, _, exact = plain(density, posterior)
    cell = x[1] - x[0]
    tv = 0.5 * np.abs(weights - cell * exact).sum()
    ratio = float(divergences.variance(density) / posterior.total_variance())
    error = float(gt.diagnostics.mode_weight_error(density, posterior))
    assert curves["tv"][place] == pytest.approx(tv, rel=1e-9) and tv > 0.1
    accurate = float(divergences.tv(law.at(index), posterior))
    assert curves["tv"][place] == pytest.approx(accurate, rel=1e-3)
    assert curves["spread_ratio"][place] == pytest.approx(ratio, rel=1e-6)
    assert curves["mode_weight_error"][place] == pytest.approx(error, rel=1e-4)
    w1 = float(divergences.w1(law.at(index), target.problem.posterior()))
    assert curves["w1_to_data"][place] == pytest.approx(w1, rel=1e-3) and w1 > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two-modes", "three-atoms"])
def test_masses_followed_in_time_are_those_of_the_diagnostics(name):
    """Where every mode is possible and where one is ruled out; near and far from data."""
    target = gt.problems.get(name)
    times = gt.time_grid(target.path, 40, t_min=T)
    sampler = gt.Guided(gt.approximations.ZetaDPS(), gt.kernels.DDPM())
    law = gt.laws.grid(sampler, target, times)
    found, curves = measures.passing(law, target)
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


@pytest.mark.slow
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
    grids = measures.shared_grids(shifted)
    of_atoms = measures.final(grids, measures.shared_reference(atoms, T))
    assert {name for name in found if "data" in name} - of_atoms.keys() == {
        "kl_to_data",
        "kl_from_data",
        "tv_to_data",
        "fisher_to_data",
    }


# Rows and tables.


def row(steps, value, measure="tv", note=""):
    return demo.Row("two-modes", "DPS", "DDPM", steps, measure, T, value, note)


def test_rows_are_written_one_a_line_and_read_back(tmp_path):
    rows = [row(5, 0.125), row(10, float("nan"), demo.UNRESOLVED, "too stiff, by far")]
    demo.write(rows, tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == list(demo.Row._fields)
    assert float(read[0]["value"]) == 0.125 and read[0]["note"] == ""
    assert read[1]["note"] == "too stiff, by far" and read[1]["value"] == "nan"


def test_unresolved_laws_are_gathered_by_reason():
    rows = [row(n, float("nan"), demo.UNRESOLVED, "too stiff") for n in (5, 10)]
    rows += [row(20, float("nan"), demo.UNRESOLVED, "other"), row(50, 0.5)]
    assert demo.unresolved(rows) == [
        "two-modes, DPS with DDPM, N = 5, 10: too stiff",
        "two-modes, DPS with DDPM, N = 20: other",
    ]


def test_a_case_without_a_law_becomes_a_row_with_the_reason(truth):
    sampler = gt.Guided(gt.approximations.DPS(), gt.kernels.DDIM(0.0))
    times = gt.time_grid(truth.target.path, 5, t_min=T)
    key = ("two-modes", "DPS", "DDIM", 5)
    law, rows = demo._case(truth, sampler, times, None, key)
    assert law is None and len(rows) == 1
    assert rows[0].measure == demo.UNRESOLVED and np.isnan(rows[0].value)
    assert "folds the line: step" in rows[0].note


# Names.


def test_options_are_numbers_or_names_by_their_default():
    zeta = named.from_text("ZetaDPS:zeta=0.5", gt.approximations.CATALOGUE, "x")
    assert float(zeta.zeta) == 0.5 and isinstance(zeta, gt.approximations.ZetaDPS)
    large = named.from_text("DDPM: variance = large", gt.kernels.CATALOGUE, "x")
    assert large.variance == gt.kernels.DDPM("large").variance
    assert large.variance != gt.kernels.DDPM().variance


@pytest.mark.parametrize(
    "text,words",
    [
        ("DDPN", ["unknown kernel", "did you mean 'DDPM'?"]),
        ("DDIM:etta=1", ["unknown option of DDIM", "did you mean 'eta'?"]),
        ("DDIM:eta", ["has no value", "'eta'", "option=value"]),
        ("DDIM:eta=half", ["takes a number", "'half'"]),
        ("DDPM:variance=mached", ["unknown variance", "did you mean 'matched'?"]),
        ("Heun:order=2", ["Heun has no options", "write Heun"]),
    ],
)
def test_a_wrong_text_is_refused_with_the_nearest_right_one(text, words):
    with pytest.raises(gt.InputError) as caught:
        named.from_text(text, gt.kernels.CATALOGUE, "kernel")
    assert all(word in str(caught.value) for word in words)


@pytest.mark.slow
def test_every_measure_has_a_meaning(found):
    assert {name.partition("[")[0] for name in found} <= set(
        gt.plotting.tables.MEANINGS
    )


@pytest.mark.slow
def test_two_problems_in_two_processes(tmp_path):
    """Rows in the order of the plan, in double precision, and all figures."""
    plan = demo.Plan(
        ("one-gaussian", "two-modes"), ("Exact",), ("DDPM",), (5,), "DDPM", 5
    )
    told = []
    rows = demo.run(plan, tmp_path, told.append, cli._settings)
    assert told.count(demo.LAWS) == 2
    assert told.count(demo.FIGURES) == 2 * demo.FIGURES_EACH
    assert [r.problem for r in rows if r.measure == "tv"] == list(plan.problems)
    values = {(r.problem, r.measure): r.value for r in rows}
    target = gt.problems.get("one-gaussian")
    sampler = gt.Guided(gt.approximations.Exact(), gt.kernels.DDPM())
    exact = gt.laws.affine(sampler, target, gt.time_grid(target.path, 5, t_min=T))
    kl = float(exact.kl(target.posterior(jnp.asarray(T))))
    assert values["one-gaussian", "kl"] == pytest.approx(kl, rel=1e-6)
    assert abs(values["two-modes", "escaped_mass"]) < 1e-10  # not in single precision
    # There is nothing beside the truth to draw as heat-maps.
    assert len(list(tmp_path.glob("*.pdf"))) == 2 * (demo.FIGURES_EACH - 1)


def test_the_plan_counts_its_cases():
    assert demo.FULL.size == 2 * 8 * 4 * 8 and demo.QUICK.size == 4
