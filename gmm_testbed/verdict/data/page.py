"""A diagnosis as a folder: a page, its text, its pictures and a row an observation."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ... import plotting
from ..page import Picture, write_page
from .judge import Diagnosis
from .trial import Trial

_SHOWN = 5  # observations,
_DRAWS = 3  # and draws of each law
_EXACT, _OWN = "#00798c", "#d1495b"


def write(found: Diagnosis, folder: Path) -> list[str]:
    """Writes verdict.html, verdict.txt, figures and observations.csv; their names.

    Args:
        found: that is written.
        folder: is made.
    """
    rows = {"observations.csv": _rows(found.trials)}
    return write_page(found.verdict, pictures(found), rows, folder)


def pictures(found: Diagnosis) -> list[Picture]:
    """The figures of a diagnosis."""
    caption = "Energy distance from the exact posterior, over the mean distance of two "
    caption += (
        "exact draws; grey, sets of as many exact draws. Right: how many training "
    )
    caption += (
        "points are in effect along the path, and below the dotted line fewer than "
    )
    caption += "two."
    drawn = [
        Picture(distances(found), "distances", "Distances by observation", caption)
    ]
    if any(trial.nonfinite for trial in found.trials):
        return drawn
    if len(found.shape) > 1:
        caption = (
            "A row an observation: the held-out truth, what was measured where it is "
        )
        caption += "a picture, means and draws of the exact posterior of the training "
        caption += "points and of the sampler."
        first = Picture(images(found), "draws", "Pictures of both posteriors", caption)
    else:
        caption = "The two numbers that vary most in the exact posterior: exact draws, "
        caption += "draws of the sampler, and the held-out truth."
        first = Picture(scatter(found), "draws", "Draws of both posteriors", caption)
    return [first, *drawn]


@plotting.styled
def distances(found: Diagnosis) -> Figure:
    """Distances of the sampler and of exact draws, and the collapse."""
    drawn = plotting.figure(plotting.FULL_WIDTH, 2.3)
    left, right = drawn.subplots(1, 2, width_ratios=[1.7, 1.0])
    for place, trial in enumerate(found.trials):
        at = np.full(len(trial.floors), place)
        left.scatter(at, trial.floors, s=5, color="0.7", linewidths=0, zorder=1)
    values = [trial.distance for trial in found.trials]
    left.scatter(range(len(values)), values, s=22, color=_OWN, zorder=2)
    left.axhline(0.0, color="0.5", linewidth=0.6, zorder=0)
    if np.nanmax(values, initial=0.0) > 1.0:
        left.set_yscale("symlog", linthresh=0.1)
        left.set_ylim(-0.1, 2.0 * np.nanmax(values))
    left.set_xticks(range(0, len(values), max(len(values) // 12, 1)))
    left.set_xlabel("observation")
    left.set_ylabel("energy distance")
    left.set_title(found.verdict.name)
    at = found.collapse
    right.semilogy(at.times, at.effective, color=_EXACT)
    right.axhline(2.0, color="0.35", linestyle=":", linewidth=0.9)
    right.set_ylim(0.9, 1.3 * at.effective.max())
    right.set_xlabel("t")
    right.set_ylabel("training points")
    right.set_title("in effect in the noised set")
    return drawn


@plotting.styled
def images(found: Diagnosis) -> Figure:
    """Truth, measurement, means and draws of both laws, as pictures."""
    trials = found.trials[:_SHOWN]
    names = ["truth", "y", "exact mean", *["exact draw"] * _DRAWS]
    names += ["its mean", *["its draw"] * _DRAWS]
    height = 0.72 * len(trials) + 0.25
    drawn = plotting.figure(plotting.FULL_WIDTH, height)
    grid = drawn.subplots(len(trials), len(names), squeeze=False)
    for line, trial in zip(grid, trials, strict=True):
        own = trial.samples.mean(axis=0)
        shown = [trial.truth, None, trial.mean, *trial.exact[:_DRAWS]]
        shown += [own, *trial.samples[:_DRAWS]]
        limits = min(trial.truth.min(), -1.0), max(trial.truth.max(), 1.0)
        for axes, values in zip(line, shown, strict=True):
            if values is not None:
                _picture(axes, values.reshape(found.shape), limits)
        _measured(line[1], trial, found.shape)
    for axes, name in zip(grid[0], names, strict=True):
        axes.set_title(name, fontsize=6.5, loc="center")
    return drawn


@plotting.styled
def scatter(found: Diagnosis) -> Figure:
    """Draws of both laws in the two numbers that vary most, or histograms of the one."""
    trials = found.trials[:_SHOWN]
    drawn = plotting.figure(plotting.FULL_WIDTH, 1.9)
    for place, axes in enumerate(np.ravel(drawn.subplots(1, len(trials)))):
        trial = trials[place]
        first = np.argsort(-trial.exact.var(axis=0), kind="stable")[:2]
        if len(first) == 1:
            ends = [np.concatenate([trial.exact, trial.samples])[:, 0]]
            bins = np.histogram_bin_edges(ends[0], 20)
            for x, colour in ((trial.exact, _EXACT), (trial.samples, _OWN)):
                axes.hist(x[:, 0], bins, color=colour, alpha=0.5)
            axes.axvline(trial.truth[0], color="black", linewidth=0.9)
        else:
            for x, colour in ((trial.exact, _EXACT), (trial.samples, _OWN)):
                axes.scatter(*x[:, first].T, s=4, color=colour, linewidths=0)
            axes.plot(*trial.truth[first], "+", color="black", markersize=7)
            axes.set_ylabel(f"number {first[1]}", labelpad=1)
        axes.set_xlabel(f"number {first[0]}")
        axes.set_title(f"observation {place}")
    for colour, name in ((_EXACT, "exact"), (_OWN, "sampler")):
        drawn.get_axes()[0].plot([], [], "o", color=colour, markersize=3, label=name)
    drawn.legend(loc="outside lower center", ncols=2)
    return drawn


def _measured(axes: Axes, trial: Trial, shape: tuple[int, ...]) -> None:
    """y as a picture if its numbers fill one of the same proportions."""
    pixels, channels = shape[0] * shape[1], int(np.prod(shape[2:]))
    by = round((pixels * channels / trial.y.size) ** 0.5)
    sides = shape[0] // by if by else 0, shape[1] // by if by else 0
    if by and sides[0] * sides[1] * channels == trial.y.size:
        limits = min(trial.truth.min(), -1.0), max(trial.truth.max(), 1.0)
        _picture(axes, trial.y.reshape(*sides, *shape[2:]), limits)
        return
    axes.text(0.5, 0.5, f"{trial.y.size}\nnumbers", ha="center", va="center", size=6)
    axes.axis("off")


def _picture(axes: Axes, values, limits) -> None:
    values = values.squeeze(-1) if values.ndim == 3 and values.shape[2] == 1 else values
    low, high = limits
    if values.ndim == 3 and values.shape[2] == 3:
        axes.imshow(np.clip((values - low) / (high - low), 0.0, 1.0))
    else:
        values = values.reshape(values.shape[0], -1)
        axes.imshow(values, cmap="gray", vmin=low, vmax=high)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)


def _rows(trials) -> str:
    lines = ["observation,atoms,distance,floor,floor_spread,offset,spread,misfit,"
             "misfit_exact,ruled_out,ruled_out_exact,nonfinite"]  # fmt: skip
    for place, trial in enumerate(trials):
        floor = trial.floors.mean(), trial.floors.std(ddof=1)
        numbers = trial.atoms, trial.distance, *floor, trial.offset, trial.spread
        numbers += (*trial.misfit, *trial.ruled_out)
        text = ",".join(f"{number:.9g}" for number in numbers)
        lines.append(f"{place},{text},{trial.nonfinite}")
    return "\n".join(lines) + "\n"
