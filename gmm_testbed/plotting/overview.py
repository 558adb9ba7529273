"""Whole figures: one panel a kernel, one curve an approximation."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from .curves import against_steps, against_time, legend_below, reference_slope
from .style import KERNELS, figure, styled

DIVERGENCES = {
    "kl": ("KL(law || exact), nats", 2, 30.0),
    "tv": ("total variation", 1, 1.5),
}
"""Label, how often it falls with the order of the kernel, and top of the axis."""

_RANGE = 1e8  # of an axis: what is below is as good as nothing
_FLOOR = 1e-5  # below, an exact method has its initial law's error and rounding only

IN_TIME = {
    "spread": {"spread_ratio": "variance / exact"},
    "early_stopping": {
        "tv": "total variation",
        "mode_weight_error": "error of mode weights",
        "w1_to_data": "W1 from $t = 0$",
    },
    "hallucination": {
        "hallucinated_prior_mass": "on modes ruled out",
        "hallucinated_likelihood_mass": "outside the prior",
    },
}
"""Figures against time: measures by name of the figure, each with its label."""

_ORDERS = {"DDPM:variance=matched": 2}  # of the law in the step size; 1 for the others


@styled
def convergence(
    title: str,
    steps: Sequence[int],
    methods: Sequence[str],
    kernels: Sequence[str],
    values: Mapping[tuple[str, str, int, str], float],
) -> Figure:
    """KL and total variation against the number of steps, with the orders of the kernels.

    Args:
        title: stands above.
        steps: numbers of steps.
        methods: names of approximations.
        kernels: their names; one column each.
        values: by (approximation, kernel, steps, measure); some may be missing.
    """
    drawn, panels = _panels(title, len(DIVERGENCES), len(kernels), height=1.9)
    for row, (measure, (label, power, top)) in zip(
        panels, DIVERGENCES.items(), strict=True
    ):
        lowest = np.inf
        for axes, kernel in zip(row, kernels, strict=True):
            curves = {}
            for name in methods:
                keys = [(name, kernel, count, measure) for count in steps]
                curves[name] = np.array([values.get(key, np.nan) for key in keys])
            against_steps(axes, steps, curves)
            axes.set_ylim(top=top)
            exact = curves.get("Exact", np.array([np.nan]))
            order = power * _ORDERS.get(kernel, 1)
            known = np.flatnonzero(exact > _FLOOR)
            if len(known) > 2:
                start = known[len(known) // 2]
                ends = steps[start], steps[-1]
                reference_slope(axes, ends, 0.45 * exact[start], -order)
            lowest = min(lowest, np.nanmin([np.inf, *np.ravel(list(curves.values()))]))
        row[0].set_ylabel(label)
        row[0].set_ylim(bottom=0.4 * max(lowest, 1e-13))
    _finish(drawn, panels, kernels, len(methods))
    return drawn


@styled
def in_time(
    title: str,
    labels: Mapping[str, str],
    methods: Sequence[str],
    kernels: Sequence[str],
    curves: Mapping[tuple[str, str, str], Sequence[tuple[float, float]]],
) -> Figure:
    """Measures of the laws against time.

    Args:
        title: stands above.
        labels: of the measures, by name; one row each.
        methods: names of approximations.
        kernels: their names; one column each.
        curves: pairs of time and value, by (approximation, kernel, measure).
    """
    drawn, panels = _panels(title, len(labels), len(kernels), height=1.75)
    for row, (measure, label) in zip(panels, labels.items(), strict=True):
        for axes, kernel in zip(row, kernels, strict=True):
            shown = {}
            for name in methods:
                pairs = curves.get((name, kernel, measure))
                if pairs:
                    times, values = np.transpose(pairs)
                    shown[name] = times, values
            against_time(axes, shown, "")
        row[0].set_ylabel(label)
        _limit(row, [line.get_ydata() for axes in row for line in axes.lines])
    _finish(drawn, panels, kernels, len(methods))
    return drawn


def _limit(row, values):
    values = np.concatenate([[], *values])
    positive = values[values > 0]
    if len(positive):
        least, most = positive.min(), positive.max()
        row[0].set_ylim(max(0.5 * least, most / _RANGE), 2.0 * most)
    else:
        row[0].set_yticks([])


def _panels(title, rows, columns, height):
    wide = 1.05 + 1.65 * columns if columns > 1 else 3.6
    drawn = figure(max(wide, 4.2), 0.75 + height * rows)
    panels = drawn.subplots(rows, columns, sharex=True, sharey="row", squeeze=False)
    drawn.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
    return drawn, panels


def _finish(drawn, panels, kernels, methods):
    for axes, kernel in zip(panels[0], kernels, strict=True):
        axes.set_title(KERNELS.get(kernel, kernel))
    for axes in panels[:-1].ravel():
        axes.set_xlabel("")
    legend_below(drawn, panels[0, 0], min(methods, 8 if len(kernels) > 1 else 4))
