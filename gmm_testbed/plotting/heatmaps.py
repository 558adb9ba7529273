"""Heat-maps of a law over time: a density in the (t, x) plane."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike

from ..divergences import PlaneDensity
from ..laws import FlowLaw, LineLaw
from ..measures import on_the_line as line_measures
from ..mixture import GaussianMixture
from ..problem import Target
from .style import INK, figure, styled

_MOST_ROWS, _COLUMNS = 200, 321
_INK = LinearSegmentedColormap.from_list("ink", INK)


class History(NamedTuple):
    """A density on the line at several times.

    Attributes:
        times: (n,), decreasing.
        x: (k,), equally spaced.
        density: (n, k), one over the unit of x.
    """

    times: np.ndarray
    x: np.ndarray
    density: np.ndarray


def history(law: LineLaw | FlowLaw, x: ArrayLike) -> History:
    """The law of a sampler on the line at (about) all its times, at points x (k,)."""
    x = np.asarray(x)
    chosen = _spread(law.num_steps + 1)
    profile = law.profile  # bound once: Equinox walks every state each time
    rows = [np.interp(x, *profile(int(index)), 0.0, 0.0) for index in chosen]
    return History(np.asarray(law.times)[chosen], x, np.stack(rows))


def exact_history(target: Target, times: ArrayLike, x: ArrayLike) -> History:
    """The exact posterior marginal p_t(x | y) on the line at the same times and points."""
    chosen = np.asarray(times)[_spread(len(np.asarray(times)))]
    x = np.asarray(x)
    exact = line_measures.exact(target, chosen).posterior
    rows = [np.exp(exact.at(row).log_density(x)) for row in range(len(chosen))]
    return History(chosen, x, np.stack(rows))


def span(target: Target, margin: float = 0.6) -> np.ndarray:
    """Points (k,) that show the prior and the posterior of a problem on the line."""
    prior = target.problem.prior
    reach = 2.5 * np.sqrt(np.asarray(prior.covariances())[:, 0, 0]) + margin
    means = np.asarray(prior.means)[:, 0]
    low, high = float((means - reach).min()), float((means + reach).max())
    return np.linspace(min(low, -2.6), max(high, 2.6), _COLUMNS)


@styled
def heatmap(axes: Axes, shown: History, brightest: float) -> AxesImage:
    """Draws one density over time: noise on the left, data on the right.

    Args:
        axes: where to draw.
        shown: the density, at equally spaced times.
        brightest: density of the darkest colour; the scale is a square root, so that
            early, wide laws are seen beside late, narrow ones.
    """
    image = axes.imshow(
        shown.density.T,
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
        extent=(shown.times[0], shown.times[-1], shown.x[0], shown.x[-1]),
        cmap=_INK,
        norm=PowerNorm(0.5, 0.0, brightest),
    )
    axes.set_xlim(shown.times[0], shown.times[-1])
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    return image


@styled
def heatmaps(exact: History, laws: Mapping[str, History], title: str) -> Figure:
    """The exact posterior marginal beside the laws of samplers, one panel each.

    Args:
        exact: of the posterior, the first panel.
        laws: by name; those on the same grid of times and points.
        title: says which problem, kernel and number of steps.
    """
    columns = min(4, len(laws) + 1)
    rows = -(-(len(laws) + 1) // columns)
    drawn = figure(height=0.5 + 1.5 * rows)
    panels = drawn.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    brightest = 0.8 * float(exact.density.max())
    for axes, (name, shown) in zip(
        panels.ravel(), {"exact $p_t(x\\,|\\,y)$": exact, **laws}.items(), strict=False
    ):
        image = heatmap(axes, shown, brightest)
        axes.set_title(name, fontweight="bold" if shown is exact else "normal")
    for axes in panels.ravel()[len(laws) + 1 :]:
        axes.set_axis_off()
    for axes in panels[-1]:
        axes.set_xlabel("time $t$")
    for axes in panels[:, 0]:
        axes.set_ylabel("$x_t$")
    drawn.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
    bar = drawn.colorbar(image, ax=panels, pad=0.01, aspect=40, extend="max")
    bar.set_label("density of $x_t$")
    return drawn


def _spread(count: int) -> np.ndarray:
    """At most 200 indices of `count`, the first and the last among them."""
    most = min(count, _MOST_ROWS)
    return np.unique(np.round(np.linspace(0, count - 1, most)).astype(int))


@styled
def line_pair(exact: History, shown: History, title: str) -> Figure:
    """Exact posterior and law in time, and both at the end, in three panels."""
    drawn = figure(height=2.7)
    left, middle, right = drawn.subplots(1, 3, sharey=True, width_ratios=(1, 1, 0.7))
    brightest = 0.8 * float(exact.density.max())
    for axes, history, name in (
        (left, exact, "exact $p_t(x\\,|\\,y)$"),
        (middle, shown, "law of the sampler"),
    ):
        heatmap(axes, history, brightest)
        axes.set_title(name)
        axes.set_xlabel("time $t$")
    left.set_ylabel("$x_t$")
    right.fill_betweenx(exact.x, exact.density[-1], color="0.85", label="exact")
    right.plot(shown.density[-1], shown.x, color=_INK(0.75), label="law")
    right.set_xlabel("density at the end")
    right.set_xlim(left=0)
    right.legend(loc="upper right")
    drawn.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
    return drawn


@styled
def plane_pair(exact: GaussianMixture, law: PlaneDensity, title: str) -> Figure:
    """Exact posterior and law in the plane at the end, side by side."""
    drawn = figure(width=5.4, height=3.3)
    panels = drawn.subplots(1, 2, sharex=True, sharey=True)
    log_exact = jax.jit(jax.vmap(exact.log_prob))(law.points())
    values = np.exp(np.asarray(log_exact)).reshape(law.log_density.shape)
    norm = PowerNorm(0.5, 0.0, 0.8 * float(values.max()))
    shown = np.exp(np.asarray(law.log_density))
    extent = tuple(float(v) for v in (law.x[0], law.x[-1], law.y[0], law.y[-1]))
    for axes, density, name in (
        (panels[0], values, "exact $p(x\\,|\\,y)$"),
        (panels[1], shown, "law of the sampler"),
    ):
        axes.imshow(
            density.T,
            origin="lower",
            interpolation="bilinear",
            extent=extent,
            cmap=_INK,
            norm=norm,
        )
        axes.set_title(name)
        axes.set_xlabel("$x_1$")
    panels[0].set_ylabel("$x_2$")
    for axis, setter in ((0, panels[0].set_xlim), (1, panels[0].set_ylim)):
        held = (values + shown).sum(axis=1 - axis) > 1e-5 * (values + shown).sum()
        nodes = np.asarray((law.x, law.y)[axis])[held]
        setter(nodes[0], nodes[-1])
    drawn.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
    return drawn
