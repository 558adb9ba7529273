"""Curves: a divergence against the number of steps, a measure against time."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike

from .style import colour, marker, styled


@styled
def against_steps(
    axes: Axes, steps: Sequence[int], curves: Mapping[str, ArrayLike]
) -> None:
    """Draws a positive measure against the number of steps N, both logarithmic.

    Args:
        axes: where to draw.
        steps: (n,) numbers of steps.
        curves: (n,) values by name of the method; NaN is left out.
    """
    for name, values in curves.items():
        axes.plot(
            steps,
            values,
            label=name,
            color=colour(name),
            marker=marker(name),
            markeredgewidth=0.9 if marker(name) == "x" else 0.0,
            zorder=3 if name == "Exact" else 2,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(_decades(steps)))
    axes.xaxis.set_minor_locator(FixedLocator(list(steps)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(LogLocator(base=10, numticks=6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("number of steps $N$")
    axes.grid(True, which="major", axis="y")


@styled
def reference_slope(
    axes: Axes, steps: Sequence[int], value: float, slope: int, side: str = "below"
) -> None:
    """Draws a dotted line proportional to N^slope, with its order beside it.

    Args:
        axes: logarithmic both ways.
        steps: first and last number of steps.
        value: of the line at the first of them.
        slope: the power of N.
        side: of the line where its label stands, "below" or "above".
    """
    ends = np.asarray(steps, float)
    line = value * (ends / ends[0]) ** slope
    axes.plot(
        ends, line, color="0.35", linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=1
    )
    middle = np.sqrt(ends[0] * ends[1])
    axes.annotate(
        f"$N^{{{slope}}}$",
        (middle, value * (middle / ends[0]) ** slope),
        xytext=(-3, -3) if side == "below" else (3, 2),
        textcoords="offset points",
        ha="right" if side == "below" else "left",
        va="top" if side == "below" else "bottom",
        color="0.35",
        fontsize=7,
    )


@styled
def against_time(
    axes: Axes, curves: Mapping[str, tuple[ArrayLike, ArrayLike]], label: str
) -> None:
    """Draws a positive measure against the time t, noise on the left, data on the right.

    Values of zero are far below the axis; where there are no others, the panel says so.

    Args:
        axes: where to draw; both axes become logarithmic.
        curves: times (n,) and values (n,) by name of the method.
        label: of the vertical axis.
    """
    seen = any(np.any(np.asarray(values) > 0) for _, values in curves.values())
    for name, (times, values) in curves.items():
        front = 3 if name == "Exact" else 2
        axes.plot(times, values, label=name, color=colour(name), zorder=front)
    if curves and not seen:
        middle = {"ha": "center", "va": "center", "transform": axes.transAxes}
        axes.text(0.5, 0.6, "zero throughout", color="0.4", **middle)
    axes.set_xscale("log")
    if seen:
        axes.set_yscale("log")
    if not axes.xaxis_inverted():  # panels that share an axis invert it once
        axes.invert_xaxis()
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("time $t$")
    axes.set_ylabel(label)
    axes.grid(True, axis="y")


@styled
def legend_below(drawn: Figure, axes: Axes, columns: int) -> None:
    """One legend for the whole figure, under its panels, from what `axes` shows."""
    handles, labels = axes.get_legend_handles_labels()
    drawn.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns,
        columnspacing=1.2,
        handlelength=2.8,  # dashes are seen beside a mark
    )


def _decades(steps: Sequence[int]) -> list[float]:
    low, high = np.log10(min(steps)), np.log10(max(steps))
    inside = [10.0**k for k in range(int(np.ceil(low)), int(np.floor(high)) + 1)]
    return inside or [float(n) for n in steps]
