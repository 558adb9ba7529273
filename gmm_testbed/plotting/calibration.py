"""Calibration: rank histograms and coverage curves, each with the band of its null."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..diagnostics.calibration import Calibration
from ..diagnostics.uniformity import Uniformity, ecdf_band, histogram_band
from .style import FULL_WIDTH, figure, styled

LEVEL = 0.99
_COORDINATES = 2  # histograms shown
_BAND, _FOUND, _EXACT = "0.87", "#00798c", "#000000"


class Example(NamedTuple):
    """One observation, for the first panel.

    Attributes:
        x: (n,), increasing.
        exact: (n,), the exact density there.
        draws: (L,), of the sampler.
    """

    x: Float[Array, " n"]
    exact: Float[Array, " n"]
    draws: Float[Array, " L"]


@styled
def calibration(
    title: str, found: Calibration, example: Example | None = None
) -> Figure:
    """The three tests beside one another, and what one observation looks like.

    Args:
        title: stands above.
        found: from `gt.diagnostics.calibrate`; the first two coordinates are shown.
        example: drawn in a panel of its own, on the left.
    """
    count = min(_COORDINATES, found.sbc.levels.shape[0])
    drawn = figure(FULL_WIDTH, 1.75)
    panels = list(drawn.subplots(1, count + 2 + (example is not None)))
    if example is not None:
        one_observation(panels.pop(0), example)
    for index in range(count):
        axes = panels.pop(0)
        chosen = Uniformity(*(_entry(leaf, index) for leaf in found.sbc[:-1]), None)
        rank_histogram(axes, chosen)
        axes.set_xlabel(f"rank of $x_{index + 1}$")
    coverage_curve(panels[0], found.coverage)
    panels[0].set_xlabel("level of densest region")
    for x, y, side in ((0.97, 0.04, "right"), (0.03, 0.9, "left")):
        text = {"right": "overconfident", "left": "cautious"}[side]
        panels[0].text(x, y, text, ha=side, color="0.45", fontsize=6.5)
    coverage_curve(panels[1], found.tarp)
    panels[1].set_xlabel("level of ball (TARP)")
    pairs, draws = found.pairs.log_density.shape
    drawn.suptitle(
        f"{title}  ({pairs} pairs, {draws} draws each; grey: {LEVEL:.0%} if calibrated)",
        x=0.01,
        ha="left",
        fontsize=8.5,
    )
    return drawn


@styled
def rank_histogram(axes: Axes, found: Uniformity) -> None:
    """Counts of ranks on [0, 1], with the binomial band of a single bin.

    Args:
        axes: where to draw.
        found: of one coordinate.
    """
    counts = np.asarray(found.counts)
    total, bins = int(counts.sum()), len(counts)
    axes.axhspan(
        *histogram_band(total, bins, LEVEL), color=_BAND, linewidth=0, zorder=0
    )
    axes.axhline(total / bins, color="0.5", linewidth=0.6, zorder=1)
    edges = np.linspace(0.0, 1.0, bins + 1)
    axes.stairs(counts, edges, fill=True, color=_FOUND, alpha=0.35, zorder=2)
    axes.stairs(counts, edges, color=_FOUND, linewidth=1.0, zorder=3)
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, max(2.0 * total / bins, 1.1 * counts.max()))
    axes.set_xticks([0.0, 0.5, 1.0], ["0", "0.5", "1"])
    axes.set_ylabel("pairs")
    axes.set_title(p_value(found.chi_square_p))


@styled
def coverage_curve(axes: Axes, found: Uniformity) -> None:
    """Share of truths inside a region against the level of the region.

    Args:
        axes: where to draw.
        found: from `coverage` or `tarp`.
    """
    levels = np.sort(np.asarray(found.levels))
    share = np.arange(len(levels) + 1) / len(levels)
    half = ecdf_band(len(levels), LEVEL)
    ends = np.array([0.0, 1.0])
    low, high = np.clip(ends - half, 0.0, 1.0), np.clip(ends + half, 0.0, 1.0)
    corners = [0.0, half, 1.0 - half, 1.0]
    axes.fill_between(
        corners,
        [low[0], 0.0, 1.0 - 2 * half, low[1]],
        [high[0], 2 * half, 1.0, high[1]],
        color=_BAND,
        linewidth=0,
        zorder=0,
    )
    axes.plot(ends, ends, color="0.5", linewidth=0.6, zorder=1)
    axes.step([0.0, *levels, 1.0], [*share, 1.0], where="post", color=_FOUND, zorder=3)
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.0)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks([0.0, 0.5, 1.0], ["0", "0.5", "1"])
    axes.set_ylabel("truths inside")
    axes.set_title(p_value(found.distance_p))


@styled
def one_observation(axes: Axes, example: Example) -> None:
    """The exact density of one coordinate over a histogram of draws, for one y."""
    x = np.asarray(example.x)
    axes.hist(
        np.asarray(example.draws),
        bins=np.linspace(x[0], x[-1], 61),
        density=True,
        color=_FOUND,
        alpha=0.35,
        label="draws",
    )
    axes.plot(x, example.exact, color=_EXACT, linewidth=1.0, label="exact")
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(bottom=0.0)
    axes.set_yticks([])
    axes.set_xlabel("$x_1$ for one $y$")
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=2,
        handlelength=1.0,
        columnspacing=0.8,
        borderaxespad=0.2,
    )


def p_value(value) -> str:
    """A p-value in a few characters."""
    value = float(value)
    return f"$p = {value:.2f}$" if value >= 0.01 else _power(value)


def _power(value: float) -> str:
    if value < 1e-16:
        return "$p < 10^{-16}$"
    return f"$p = 10^{{{np.log10(value):.0f}}}$"


def _entry(leaf, index: int):
    return leaf[index]
