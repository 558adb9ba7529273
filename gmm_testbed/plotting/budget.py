"""Stacked bars of a path divergence: where on the way it is spent, and on what."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from ..budget import Budget
from .curves import legend_below
from .style import figure, styled

PARTS = {
    "initialisation": "#9a9a9a",
    "discretisation": "#bcd3e0",
    "approximation": "#d1495b",
    "score": "#edae49",
}
"""Colour of each part, from the bottom of a bar to its top."""


@styled
def budget_bars(
    axes: Axes, found: Budget, log_snr: ArrayLike, measured: ArrayLike | None = None
) -> None:
    """Draws what has been spent up to each step, in nats, and the total as a dashed line.

    Products of errors (`Budget.cross`), which have no colour, are in the dashed line.

    Args:
        axes: where to draw.
        found: the budget.
        log_snr: (N + 1,) log signal-to-noise ratio at its times, increasing.
        measured: (N + 1,) KL(exact || law) at those times, or its last value (1,); it is
            below the bars by data processing.
    """
    level = np.asarray(log_snr)
    bottom = np.zeros(len(level) - 1)
    for name, colour in PARTS.items():
        value = np.asarray(getattr(found, name).value)
        height = np.cumsum(value) if value.ndim else np.full(len(bottom), value)
        if not np.any(value):
            continue
        axes.bar(
            level[:-1],
            height,
            np.diff(level),
            bottom,
            align="edge",
            color=colour,
            edgecolor=colour,
            linewidth=0.2,
            label=name,
        )
        bottom = bottom + height
    total = float(found.total.value)
    axes.axhline(total, color="0.25", linewidth=0.9, linestyle=(0, (4, 2)), zorder=3)
    axes.plot(
        [], [], color="0.25", linewidth=0.9, linestyle=(0, (4, 2)), label="path KL"
    )
    if measured is not None:
        curve = np.atleast_1d(np.asarray(measured))
        marker = {} if len(curve) > 1 else {"marker": "o", "clip_on": False}
        axes.plot(
            level[-len(curve) :],
            curve,
            color="black",
            label="KL(exact || law)",
            zorder=4,
            **marker,
        )
    axes.set_xlim(level[0], level[-1])
    axes.set_ylim(0.0, 1.12 * max(total, bottom.max(initial=0.0)))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(r"$\log(\alpha^2/\sigma^2)$, noise to data")


@styled
def budgets(
    title: str,
    log_snr: ArrayLike,
    found: Mapping[str, Budget],
    measured: Mapping[str, ArrayLike],
) -> Figure:
    """One panel of bars a method, each with its own axis: the scales differ by hundreds.

    Args:
        title: stands above.
        log_snr: (N + 1,), of the times that all budgets share.
        found: budgets by name of the method.
        measured: KL(exact || law) by name, (N + 1,) or (1,); names may be missing.
    """
    drawn = figure(max(3.5, 0.4 + 1.75 * len(found)), 2.6)
    panels = drawn.subplots(1, len(found), squeeze=False)[0]
    for axes, (name, one) in zip(panels, found.items(), strict=True):
        budget_bars(axes, one, log_snr, measured.get(name))
        axes.set_title(name)
        axes.annotate(
            f"{float(one.total.value):.3g}",
            (0.02, float(one.total.value)),
            xycoords=("axes fraction", "data"),
            xytext=(0, 1.5),
            textcoords="offset points",
            fontsize=7,
            color="0.25",
        )
    panels[0].set_ylabel("divergence so far, nats")
    richest = max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[1]))
    legend_below(drawn, richest, 6)
    drawn.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
    return drawn
