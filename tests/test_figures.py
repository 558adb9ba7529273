"""Figures show what they say: the data of lines and pictures, and what axes are called."""

import io

import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from scipy.stats import multivariate_normal

import gmm_testbed as gt
from gmm_testbed.budget import Budget
from gmm_testbed.diagnostics import Calibration, Pairs, Uniformity
from gmm_testbed.estimate import Estimate
from gmm_testbed.plotting import History

P = gt.plotting
TIMES, X = np.array([1.0, 0.5, 0.0]), np.linspace(-2.0, 3.0, 11)


def history(shift):
    """Another density at each time, and for each shift."""
    return History(TIMES, X, np.exp(-((X - shift - TIMES[:, None]) ** 2)))


def assert_shows(axes, density):
    """A picture of density (times, x), with time to the right and x up."""
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), density.T)
    assert image.get_extent() == [1.0, 0.0, -2.0, 3.0] and image.origin == "lower"
    assert axes.get_xlim() == (1.0, 0.0)


def test_a_pair_shows_the_exact_law_and_then_that_of_the_sampler():
    exact, law = history(0.0), history(0.7)
    drawn = P.line_pair(exact, law, "a title")
    left, middle, right = drawn.axes
    assert_shows(left, exact.density)
    assert_shows(middle, law.density)
    titles = [axes.get_title(loc="left") for axes in (left, middle)]
    assert titles == ["exact $p_t(x\\,|\\,y)$", "law of the sampler"]
    labels = [axes.get_xlabel() for axes in drawn.axes]
    assert labels == ["time $t$", "time $t$", "density at the end"]
    assert left.get_ylabel() == "$x_t$"
    (line,) = right.lines
    np.testing.assert_array_equal(line.get_data(), [law.density[-1], X])
    (filled,) = right.collections  # the exact law, as an area
    corners = filled.get_paths()[0].vertices
    assert line.get_label() == "law" and filled.get_label() == "exact"
    for value, place in zip(exact.density[-1], X, strict=True):
        assert (corners == [value, place]).all(axis=1).any()


def test_heat_maps_show_each_law_under_its_name():
    exact, laws = history(0.0), {f"law {k}": history(0.3 * k) for k in (1, 2, 3, 4)}
    drawn = P.heatmaps(exact, laws, "a title")
    panels = drawn.axes[:8]
    shown = zip(panels, [exact, *laws.values()], strict=False)
    for axes, each in shown:
        assert_shows(axes, each.density)
    titles = [axes.get_title(loc="left") for axes in panels[:5]]
    assert titles == ["exact $p_t(x\\,|\\,y)$", *laws]
    assert [axes.get_xlabel() for axes in panels[4:]] == ["time $t$"] * 4
    assert panels[0].get_ylabel() == panels[4].get_ylabel() == "$x_t$"
    assert drawn.axes[-1].get_ylabel() == "density of $x_t$"  # of the colour bar


def test_a_pair_in_the_plane_shows_both_laws_where_they_are():
    covariance = np.array([[1.0, 0.3], [0.3, 0.5]])
    exact = gt.GaussianMixture.full([1.0], [[0.5, -0.2]], covariance[None])
    x, y = np.linspace(-4.0, 5.0, 19), np.linspace(-3.0, 3.0, 13)
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    law = multivariate_normal([0.9, 0.4], 0.6 * np.eye(2))
    density = gt.divergences.PlaneDensity(x, y, law.logpdf(grid), 0.0)
    left, right = P.plane_pair(exact, density, "a title").axes
    truth = multivariate_normal([0.5, -0.2], covariance).pdf(grid)
    for axes, values in ((left, truth), (right, law.pdf(grid))):
        (image,) = axes.images
        np.testing.assert_allclose(image.get_array(), values.T, rtol=1e-9)
        assert image.get_extent() == [-4.0, 5.0, -3.0, 3.0]
        assert axes.get_xlabel() == "$x_1$"
    assert left.get_ylabel() == "$x_2$" and "exact" in left.get_title(loc="left")
    assert right.get_title(loc="left") == "law of the sampler"


def test_axes_are_called_by_what_they_measure():
    steps, time = P.figure().subplots(1, 2)
    P.against_steps(steps, (10, 100), {"DPS": [0.3, 0.1]})
    P.against_time(time, {"DPS": ([1.0, 0.1], [0.5, 0.7])}, "total variation")
    assert steps.get_xlabel() == "number of steps $N$"
    assert (time.get_xlabel(), time.get_ylabel()) == ("time $t$", "total variation")
    np.testing.assert_array_equal(steps.lines[0].get_data(), [[10, 100], [0.3, 0.1]])


def test_curves_in_time_are_those_of_their_method():
    labels, methods = {"tv": "total variation"}, ("Exact", "DPS")
    curves = {
        (name, kernel, "tv"): [(1.0, 0.01 * (i + 1)), (0.1, 0.1 * (j + 2))]
        for i, name in enumerate(methods)
        for j, kernel in enumerate(("DDPM", "DDIM"))
    }
    drawn = P.in_time("title", labels, methods, ("DDPM", "DDIM"), curves)
    for axes, kernel in zip(drawn.axes, ("DDPM", "DDIM"), strict=True):
        assert axes.get_title(loc="left") == kernel
        for line, name in zip(axes.lines, methods, strict=True):
            found = np.transpose(curves[name, kernel, "tv"])
            assert line.get_label() == name
            np.testing.assert_array_equal(line.get_data(), found)


@pytest.fixture(scope="module")
def calibrated():
    """Three tests of which nothing is the same; their p-values are made up."""
    rng = np.random.default_rng(5)

    def tested(p, levels):
        shape = levels.shape[:-1]
        counts = rng.integers(1, 40, size=(*shape, 10))
        p = p + 0.1 * np.arange(2) if shape else np.asarray(p)
        return Uniformity(levels, counts, 9.0 * p, p, 0.1 * p, p + 0.05, None)

    sbc, coverage, tarp = (
        tested(p, rng.uniform(size=shape))
        for p, shape in ((0.2, (2, 200)), (0.5, (200,)), (0.7, (200,)))
    )
    zeros = jnp.zeros((200, 2))
    densities = zeros[:, 0], jnp.zeros((200, 7))
    pairs = Pairs(zeros, zeros, jnp.zeros((200, 7, 2)), *densities, zeros, 0)
    return Calibration(sbc, coverage, tarp, pairs)


def test_each_panel_of_a_calibration_shows_its_own_test(calibrated):
    drawn = P.calibration("a title", calibrated)
    first, second, coverage, tarp = drawn.axes
    for index, axes in enumerate((first, second)):
        counts = [stairs.get_data().values for stairs in axes.patches[-2:]]
        np.testing.assert_array_equal(counts, [calibrated.sbc.counts[index]] * 2)
        assert axes.get_xlabel() == f"rank of $x_{index + 1}$"
        p = P.p_value(calibrated.sbc.chi_square_p[index])
        assert axes.get_title(loc="left") == p and axes.get_ylabel() == "pairs"
    for axes, test, label in (
        (coverage, calibrated.coverage, "level of densest region"),
        (tarp, calibrated.tarp, "level of ball (TARP)"),
    ):
        diagonal, steps = axes.lines
        np.testing.assert_array_equal(diagonal.get_data(), [[0, 1], [0, 1]])
        inner = steps.get_xdata()[1:-1]
        np.testing.assert_array_equal(inner, np.sort(test.levels))
        share = np.append(np.arange(201) / 200, 1.0)
        np.testing.assert_array_equal(steps.get_ydata(), share)
        assert axes.get_xlabel() == label and axes.get_ylabel() == "truths inside"
        assert axes.get_title(loc="left") == P.p_value(test.distance_p)
    assert "200 pairs, 7 draws each" in drawn.get_suptitle()


def test_one_observation_shows_the_exact_density_over_the_draws():
    axes = P.figure().subplots()
    x, draws = np.linspace(-3.0, 3.0, 31), np.array([0.1, 0.3, -1.2])
    P.one_observation(axes, P.Example(x, np.exp(-(x**2)), draws))
    np.testing.assert_array_equal(axes.lines[0].get_data(), [x, np.exp(-(x**2))])
    bars = np.array([[bar.get_x(), bar.get_width()] for bar in axes.patches])
    heights = np.array([bar.get_height() for bar in axes.patches])
    full = heights > 0
    assert full.sum() == 3 and np.isclose(heights @ bars[:, 1], 1.0)
    for draw in draws:
        inside = (bars[:, 0] <= draw) & (draw < bars.sum(axis=1))
        assert heights[inside] > 0


def test_each_panel_of_budgets_has_its_own_bars_and_curve():
    def spent(scale):
        parts = [Estimate(scale * np.array(row)) for row in
                 ((0.1, 0.2), (0.05, 0.0), (0.0, 0.01), (0.3, 0.1))]  # fmt: skip
        total = scale * (0.4 + 0.76)
        start = Estimate(0.4 * scale)
        return Budget(jnp.asarray([1.0, 0.5, 0.1]), start, *parts, Estimate(total))

    levels = np.array([-3.0, 0.0, 2.0])
    found = {"one": spent(1.0), "ten": spent(10.0)}
    measured = {"one": [0.1, 0.2, 0.3], "ten": [1.5]}
    drawn = P.budgets("a title", levels, found, measured)
    for axes, (name, budget) in zip(drawn.axes, found.items(), strict=True):
        assert axes.get_title(loc="left") == name
        total, _, curve = axes.lines
        assert total.get_ydata()[0] == budget.total.value
        places = levels[-len(measured[name]) :]
        np.testing.assert_array_equal(curve.get_data(), [places, measured[name]])
        bars = {group.get_label(): group for group in axes.containers}
        tops = [bar.get_y() + bar.get_height() for bar in bars["score"]]
        scale = float(budget.total.value) / 1.16
        np.testing.assert_allclose(tops, scale * np.array([0.85, 1.15]))
        assert axes.get_xlabel() == r"$\log(\alpha^2/\sigma^2)$, noise to data"
    assert drawn.axes[0].get_ylabel() == "divergence so far, nats"


def test_floors_stand_beside_their_values():
    values = {"sliced_w2": Estimate(0.31, 0.02), "kl": Estimate(0.5)}
    table = P.tables.measures("", "how", values, {"sliced_w2": Estimate(0.11, 0.03)})
    console = Console(file=io.StringIO(), width=100)
    console.print(table)
    lines = console.file.getvalue().splitlines()
    row = next(line for line in lines if line.startswith("sliced_w2"))
    assert row.split()[1:7] == ["0.31", "±", "0.02", "0.11", "±", "0.03"]
    row = next(line for line in lines if line.startswith("kl"))
    assert row.split()[:3] == ["kl", "0.5", "KL(law"]
