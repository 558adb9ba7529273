"""Heat-maps of a law over time: a density in the (t, x) plane."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike

from ..laws import AbstractLaw
from ..problem import Target
from .style import figure, styled

_MOST_ROWS, _COLUMNS = 200, 321
_INK = LinearSegmentedColormap.from_list(
    "ink", ["#ffffff", "#dbe6ee", "#8fb4cc", "#3d7ea6", "#12476b", "#05192b"]
)


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


def history(law: AbstractLaw, x: ArrayLike) -> History:
    """The law of a sampler on the line at (about) all its times, at points x (k,)."""
    x = np.asarray(x)
    chosen = _spread(law.num_steps + 1)
    rows = []
    for index in chosen:
        density = law.native(int(index))
        heights = np.exp(np.asarray(density.log_density))
        rows.append(np.interp(x, np.asarray(density.position), heights, 0.0, 0.0))
    return History(np.asarray(law.times)[chosen], x, np.stack(rows))


def exact_history(target: Target, times: ArrayLike, x: ArrayLike) -> History:
    """The exact posterior marginal p_t(x | y) on the line at the same times and points."""
    chosen = np.asarray(times)[_spread(len(np.asarray(times)))]
    x = np.asarray(x)

    def row(t):
        posterior = target.posterior(t)
        return jax.vmap(lambda x: jnp.exp(posterior.log_prob(x[None])))(x)

    return History(chosen, x, np.asarray(jax.jit(jax.vmap(row))(jnp.asarray(chosen))))


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
    columns = 4
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
    drawn.suptitle(title, x=0.01, ha="left", fontsize=9)
    bar = drawn.colorbar(image, ax=panels, pad=0.01, aspect=40, extend="max")
    bar.set_label("density of $x_t$")
    return drawn


def _spread(count: int) -> np.ndarray:
    """At most 200 indices of `count`, the first and the last among them."""
    most = min(count, _MOST_ROWS)
    return np.unique(np.round(np.linspace(0, count - 1, most)).astype(int))
