"""Figures and tables: what they contain, and that they leave no trace behind."""

import io
import itertools
import math

import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from rich.console import Console

import gmm_testbed as gt
from gmm_testbed import methods
from gmm_testbed.estimate import Estimate
from gmm_testbed.methods import Entry
from gmm_testbed.plotting import tables
from gmm_testbed.plotting.style import is_method


@pytest.fixture(scope="module")
def two_modes():
    return gt.problems.get("two-modes")


@pytest.fixture(scope="module")
def law(two_modes):
    sampler = gt.Guided(gt.approximations.Exact(), gt.kernels.DDPM())
    times = gt.time_grid(two_modes.path, 12, t_min=gt.problems.T_MIN)
    return gt.laws.grid(sampler, two_modes, times)


def pixels(path):
    return matplotlib.image.imread(path)


# Style.


def _look(name):
    """The colour as three numbers, and the marker."""
    colour = gt.plotting.colour(name)
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return parts, gt.plotting.marker(name)


def _same_looks(names):
    """Pairs with one marker whose colours are hard to tell apart."""
    looks = {name: _look(name) for name in names}
    return [
        (one, other)
        for one, other in itertools.combinations(names, 2)
        if looks[one][1] == looks[other][1]
        and np.linalg.norm(looks[one][0] - looks[other][0]) < 0.12
    ]


def test_every_method_of_the_table_looks_different():
    assert not _same_looks(list(gt.methods.CATALOGUE))
    approximations = list(gt.approximations.CATALOGUE)
    assert len({gt.plotting.marker(name) for name in approximations[:15]}) >= 8


def test_sixty_methods_more_look_different_and_families_share_hues(monkeypatch):
    sizes = {"approximation": 30, "method": 16, "filter": 14}
    rows = {
        f"{family} {number}": Entry(family, object)
        for family, size in sizes.items()
        for number in range(size)
    }
    monkeypatch.setattr(methods, "CATALOGUE", methods.CATALOGUE | rows)
    assert not _same_looks(list(methods.CATALOGUE))
    for family, channel in (("method", 2), ("filter", 1)):  # blue, green
        mine = [_look(name)[0] for name in rows if name.startswith(family)]
        assert np.mean([np.argmax(colour) == channel for colour in mine]) > 0.9


def test_options_keep_the_look_and_unknown_names_have_a_stable_one():
    for text in ("ZetaDPS:zeta=1", "ZetaDPS(zeta=1)"):
        assert gt.plotting.colour(text) == gt.plotting.colour("ZetaDPS")
    assert gt.plotting.colour("Mine") == gt.plotting.colour("Mine")
    assert gt.plotting.colour("Mine") not in gt.plotting.COLOURS.values()
    assert is_method("TDS(twist=DPS)") and not is_method("two-modes")


def test_the_style_holds_inside_a_drawing_function_only():
    @gt.plotting.styled
    def inside():
        return matplotlib.rcParams["axes.spines.top"]

    before = dict(matplotlib.rcParams)
    assert before["axes.spines.top"] and not inside()
    assert dict(matplotlib.rcParams) == before


def test_a_figure_is_saved_as_png_and_pdf(tmp_path):
    figure = gt.plotting.figure(3.0, 2.0)
    gt.plotting.against_steps(figure.subplots(), (5, 50), {"DPS": [0.3, 0.2]})
    files = gt.plotting.save(figure, tmp_path / "name_0.5", dpi=100)
    assert [file.name for file in files] == ["name_0.5.png", "name_0.5.pdf"]
    assert pixels(files[0]).shape[:2] == (200, 300)
    assert files[1].read_bytes().startswith(b"%PDF")


# Curves.


def test_a_reference_slope_has_its_slope():
    axes = gt.plotting.figure().subplots()
    gt.plotting.against_steps(axes, (10, 1000), {"Exact": [0.1, 1e-3]})
    gt.plotting.reference_slope(axes, (10, 1000), 0.05, -2)
    x, y = axes.lines[-1].get_data()
    assert np.log(y[1] / y[0]) / np.log(x[1] / x[0]) == pytest.approx(-2.0)
    assert y[0] == 0.05 and axes.texts[0].get_text() == "$N^{-2}$"
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_time_runs_from_noise_to_data_in_every_panel():
    panels = gt.plotting.figure().subplots(1, 2, sharex=True)
    for axes in panels:
        gt.plotting.against_time(axes, {"DPS": ([1.0, 0.1], [0.5, 0.7])}, "label")
    for axes in panels:
        left, right = axes.get_xlim()
        assert left > right


def test_convergence_shows_each_value_in_the_panel_of_its_kernel():
    steps, methods = (10, 100, 1000), ("Exact", "DPS")
    kernels = ("DDPM", "DDPM:variance=matched")

    def value(name, kernel, count, measure):
        scale = {"kl": 1.0, "tv": 0.1}[measure] * (2.0 if kernel == "DDPM" else 1.0)
        return scale if name == "DPS" else scale / count

    keys = itertools.product(methods, kernels, steps, ("kl", "tv"))
    values = {key: value(*key) for key in keys if key[0::2] != ("DPS", 10)}
    drawn = gt.plotting.convergence("title", steps, methods, kernels, values)
    panels = np.array(drawn.axes).reshape(2, 2)
    for row, scale in zip(panels, (1.0, 0.1), strict=True):
        for axes, times in zip(row, (2.0, 1.0), strict=True):
            lines = {line.get_label(): line.get_ydata() for line in axes.lines}
            np.testing.assert_allclose(lines["DPS"], [np.nan, *[scale * times] * 2])
            np.testing.assert_allclose(lines["Exact"], scale * times / np.array(steps))
    orders = [axes.texts[0].get_text() for axes in panels.ravel()]
    assert orders == ["$N^{-2}$", "$N^{-4}$", "$N^{-1}$", "$N^{-2}$"]


def test_measures_in_time_have_a_row_each_and_leave_out_what_is_missing():
    curves = {
        ("Exact", "DDPM", "tv"): [(1.0, 0.01), (0.1, 0.02)],
        ("DPS", "DDPM", "tv"): [(1.0, 0.01), (0.1, 0.7)],
    }
    labels = gt.plotting.IN_TIME["early_stopping"]
    drawn = gt.plotting.in_time("title", labels, ("Exact", "DPS"), ("DDPM",), curves)
    first, *others = drawn.axes
    assert [axes.get_ylabel() for axes in drawn.axes] == [*labels.values()]
    assert len(others) == 2 and not any(axes.lines for axes in others)
    np.testing.assert_array_equal(first.lines[1].get_data(), [[1.0, 0.1], [0.01, 0.7]])


def test_a_measure_that_is_zero_throughout_says_so(tmp_path):
    """Single zeros are far below the axis, which has eight decades at most."""
    labels = gt.plotting.IN_TIME["hallucination"]
    first, second = labels
    curves = {("DPS", "DDPM", first): [(1.0, 0.0), (0.1, 0.0)]}
    curves["DPS", "DDPM", second] = [(1.0, 0.02), (0.1, 0.0), (0.01, 1e-200)]
    drawn = gt.plotting.in_time("title", labels, ("DPS",), ("DDPM",), curves)
    gt.plotting.save(drawn, tmp_path / "figure")
    words = [[text.get_text() for text in axes.texts] for axes in drawn.axes]
    assert words == [["zero throughout"], []]
    assert [axes.get_yscale() for axes in drawn.axes] == ["linear", "log"]
    assert drawn.axes[1].lines[0].get_ydata() == pytest.approx([0.02, 0.0, 1e-200])
    np.testing.assert_allclose(drawn.axes[1].get_ylim(), [2e-10, 0.04])
    assert not len(drawn.axes[0].get_yticks())


# Heat-maps.


def test_history_is_the_law_at_each_of_its_times(two_modes, law):
    x = gt.plotting.span(two_modes)
    shown = gt.plotting.history(law, x)
    assert shown.density.shape == (13, len(x)) and shown.times[0] == 1.0
    cell = x[1] - x[0]
    np.testing.assert_allclose(shown.density[-1].sum() * cell, 1.0, rtol=1e-3)
    mean = (shown.density[-1] * x).sum() * cell
    assert mean == pytest.approx(float(law.mean()[0]), abs=2e-3)
    np.testing.assert_array_equal(shown.times, law.times)
    for row, index in zip(shown.density, range(13), strict=True):
        at = law.native(index)
        density = np.exp(np.asarray(at.log_density))
        expected = np.interp(x, np.asarray(at.position), density, 0.0, 0.0)
        np.testing.assert_allclose(row, expected, rtol=1e-9, atol=1e-300)
    assert np.abs(np.diff(shown.density, axis=0)).max(axis=1).min() > 1e-3


def test_exact_history_is_the_posterior_marginal(two_modes, law):
    x = np.array([-0.7, 0.4, 1.1])
    shown = gt.plotting.exact_history(two_modes, law.times, x)
    posterior = two_modes.posterior(law.times[7])
    expected = [float(jnp.exp(posterior.log_prob(jnp.array([v])))) for v in x]
    np.testing.assert_allclose(shown.density[7], expected, rtol=1e-9)


def test_long_laws_are_shown_at_two_hundred_times(two_modes):
    times = gt.time_grid(two_modes.path, 1000, t_min=gt.problems.T_MIN)
    shown = gt.plotting.exact_history(two_modes, times, np.linspace(-1.0, 1.0, 5))
    assert len(shown.times) == 200
    assert shown.times[0] == times[0] and shown.times[-1] == times[-1]


def test_heat_maps_have_a_panel_each_and_ink_where_the_mass_is(
    two_modes, law, tmp_path
):
    x = gt.plotting.span(two_modes)
    exact = gt.plotting.exact_history(two_modes, law.times, x)
    laws = {"Exact": gt.plotting.history(law, x)}
    drawn = gt.plotting.heatmaps(exact, laws, "a title")
    titles = [axes.get_title(loc="left") for axes in drawn.axes]
    assert "Exact" in titles and any("exact" in title for title in titles)
    image = next(axes.images[0] for axes in drawn.axes if axes.images)
    assert float(image.get_array().max()) == pytest.approx(exact.density.max())
    png = gt.plotting.save(drawn, tmp_path / "heat")[0]
    assert len(np.unique(pixels(png).reshape(-1, 4), axis=0)) > 200


# Tables.


def printed(table, width=100, **options):
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(table)
    return console.file.getvalue()


@pytest.mark.parametrize(
    "value,text",
    [
        (0.4812, "0.48"),
        (0.0123, "0.012"),
        (12.34, "12"),
        (3.14e-5, "3.1e-05"),
        (4321.0, "4.3e+03"),
        (0.0, "0"),
        (-0.25, "-0.25"),
        (0.09999, "0.10"),
        (math.inf, "inf"),
    ],
)
def test_numbers_have_two_digits_in_seven_characters(value, text):
    assert tables.short(value) == text and len(text) <= 7


def test_large_values_stand_out_and_missing_ones_are_dashes():
    assert tables.number(0.5).style == "bold"
    assert tables.number(5e-4).style == "dim"
    assert tables.number(0.01).style == ""
    assert tables.number(math.nan).plain == "-"


def test_table_by_steps_fits_a_hundred_columns():
    steps = (5, 10, 20, 50, 100, 200, 500, 1000)
    values = {
        ("Unguided", kernel): dict.fromkeys(steps, 1.2e-5)
        for kernel in ("DDPM", "DDPM:variance=matched")
    }
    del values["Unguided", "DDPM"][20]
    text = printed(tables.by_steps("title", steps, values))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100 and "…" not in text
    assert sum("Unguided" in line for line in lines) == 1
    row = next(line for line in lines if "DDPM matched" in line)
    assert row.split() == ["DDPM", "matched", *["1.2e-05"] * 8]
    assert text.count(" - ") == 1


def test_measures_show_errors_only_where_there_are_some():
    values = {"kl": Estimate(0.123456789), "mean_error[2]": Estimate(-0.51234, 0.0123)}
    lines = printed(tables.measures("title", "how", values)).splitlines()
    exact = next(line for line in lines if line.startswith("kl"))
    estimate = next(line for line in lines if line.startswith("mean_error[2]"))
    assert "0.123457" in exact and "±" not in exact and "nats" in exact
    assert "-0.512 ± 0.012" in estimate and "minus exact" in estimate


def test_measures_stand_in_the_order_of_their_meanings_and_long_ones_are_cut():
    values = {f"mode_weight[{k}]": Estimate(0.05) for k in range(20)}
    values |= {"covariance_error[12,3]": Estimate(0.5, 0.1), "kl": Estimate(0.1)}
    lines = printed(tables.measures("title", "how", values)).splitlines()
    names = [line.split()[0] for line in lines[3:]]
    assert names[:2] == ["kl", "covariance_error[12,3]"]
    assert names[2:] == [f"mode_weight[{k}]" for k in range(10)] + ["..."]
    assert "10 entries" in lines[-1]
