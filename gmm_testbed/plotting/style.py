"""One style for every figure: sizes for a column of text, one colour a method.

Figures are matplotlib `Figure` objects: nothing is shown, no window system is needed, and
no global state is changed.
"""

import io
import logging
import zlib
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from .. import methods
from ..sweep.provenance import described
from .fitting import caption, fit
from .venues import SETTINGS, Venue, current, paper

FULL_WIDTH = 7.2  # inches: the text width of a two-column page
COLUMN_WIDTH = 3.5
DPI = 200
PRINT_DPI = 300  # of the PNG for a venue, at least

STYLE: dict[str, Any] = {
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.5,
    "mathtext.fontset": "dejavusans",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.direction": "out",
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "figure.dpi": 100,
    "pdf.fonttype": 42,
}
"""Settings of matplotlib, on top of its own defaults."""

COLOURS = {
    "Exact": "#000000",
    "Unguided": "#9a9a9a",
    "DPS": "#d1495b",
    "ZetaDPS": "#edae49",
    "PiGDM": "#00798c",
    "TMPD": "#66a182",
    "DDNM": "#8d5a97",
    "DiffPIR": "#5aa9e6",
}
"""Colours that published figures have; those of all other methods are derived."""

INK = ("#ffffff", "#dbe6ee", "#8fb4cc", "#3d7ea6", "#12476b", "#05192b")
"""Colours of a density, from none to the most."""

MARKERS = {
    "Exact": "o",
    "Unguided": "x",
    "DPS": "s",
    "ZetaDPS": "D",
    "PiGDM": "^",
    "TMPD": "v",
    "DDNM": "P",
    "DiffPIR": "X",
}
"""Markers that go with them, for readers and printers without colour."""

KERNELS = {
    "DDPM:variance=matched": "DDPM matched",
    "DDIM:eta=0.5": "DDIM eta=0.5",
    "EulerMaruyama": "Euler-Maruyama",
}
"""Shorter names of kernels, for titles and tables."""

_HUES = {
    "approximation": (0.0, 360.0),
    "method": (230.0, 80.0),
    "filter": (120.0, 70.0),
    "kernel": (50.0, 50.0),
    "estimator": (0.0, 40.0),
    "sampler": (330.0, 50.0),
}
"""Of each family, the first hue and how far it goes, in degrees."""

_SHAPES: dict[str, tuple] = {
    "approximation": tuple("p*hosD^vPX"),
    "method": (*"<>d8", (3, 1, 0), (5, 1, 36), (4, 0, 22)),
    "filter": ("H", (4, 1, 0), (6, 1, 0), (8, 1, 0), (7, 0, 0), (7, 1, 0)),
    "kernel": ((6, 0, 15), (3, 1, 180)),
    "estimator": ((3, 1, 60), (9, 1, 0)),
    "sampler": ((5, 0, 36), (4, 1, 45)),
}
"""Of each family its own markers, as matplotlib has them."""

_GOLDEN = 0.6180339887498949  # its multiples are spread evenly over [0, 1)
_LEVELS = ((0.50, 0.13), (0.68, 0.15), (0.38, 0.09), (0.80, 0.10))


def colour(name: str) -> str:
    """The colour of a method, as "#rrggbb", the same in every figure.

    That of `COLOURS`, or one that follows from the place of the method in the table of
    all methods: each family has its part of the circle of hues. A name that is not in the
    table has a colour by its letters.
    """
    known = COLOURS.get(_base(name))
    if known:
        return known
    family, place = _place(name)
    first, width = _HUES[family]
    lightness, chroma = _LEVELS[place // len(_SHAPES[family]) % len(_LEVELS)]
    return _hex(lightness, chroma, first + width * (place * _GOLDEN % 1.0))


def marker(name: str) -> str | tuple[int, int, int]:
    """The marker of a method, as matplotlib has it; families have none in common."""
    known = MARKERS.get(_base(name))
    if known:
        return known
    family, place = _place(name)
    return _SHAPES[family][place % len(_SHAPES[family])]


def is_method(name: str) -> bool:
    """Whether this is the name of a method of the table, with its options or without."""
    return _base(name) in methods.CATALOGUE


def _place(name: str) -> tuple[str, int]:
    """The family of a method, and its place among those without a colour of their own."""
    rows, base = methods.CATALOGUE, _base(name)
    if base not in rows:
        return "sampler", zlib.crc32(name.encode())
    family = rows[base].family
    others = [key for key, row in rows.items() if row.family == family]
    return family, [key for key in others if key not in COLOURS].index(base)


def _hex(lightness: float, chroma: float, hue: float) -> str:
    """A colour of OKLCH (Ottosson 2020) in sRGB, cut to what a screen can show."""
    angle = np.deg2rad(hue)
    lab = np.array([lightness, chroma * np.cos(angle), chroma * np.sin(angle)])
    linear = _FROM_CONES @ (_TO_CONES @ lab) ** 3
    linear = np.clip(linear, 0.0, 1.0)
    gamma = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
    )
    return "#" + "".join(f"{round(255 * part):02x}" for part in gamma)


_TO_CONES = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_FROM_CONES = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def styled(draw: Callable) -> Callable:
    """Decorates a function that draws: the style holds inside it and nowhere else."""

    @wraps(draw)
    def inside(*args, **kwargs):
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            if current() is not None:
                matplotlib.rcParams.update(SETTINGS)
            return draw(*args, **kwargs)

    return inside


class Picture(Figure):
    """A figure that a notebook shows where it is the last line of a cell."""

    @styled
    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The picture at twice the resolution of the screen, and its size there."""
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=2 * self.dpi)
        width, height = (round(side * self.dpi) for side in self.get_size_inches())
        return file.getvalue(), {"width": width, "height": height}


@styled
def figure(width: float = FULL_WIDTH, height: float = 2.6) -> Figure:
    """An empty figure, in inches, that arranges its panels by itself.

    Inside `paper(venue)` it has the width of that venue in place of its own.
    """
    venue = current()
    size = (width, height) if venue is None else venue.size(width, height)
    return Picture(figsize=size, layout="constrained")


def save(
    drawn: Figure,
    path: Path,
    dpi: int = DPI,
    venue: Venue | None = None,
    about: Mapping[str, str] | None = None,
) -> list[Path]:
    """Writes `path` with .png and .pdf added to its name; the folder must exist.

    For a venue the title goes where papers have it, from the figure into what both files
    say of themselves ("Title"), and what is too wide for its place is broken into lines.

    Args:
        drawn: the figure.
        path: without an ending.
        dpi: of the PNG; 300 or more for a venue.
        venue: that it was drawn for; that of `paper` by default.
        about: metadata of the files, such as "Subject"; which program drew it is in
            "Subject" by default.

    Returns:
        The two files.
    """
    with paper(venue or current()):
        return _save(drawn, path, dpi, dict(about or {"Subject": described()}))


@styled
def _save(drawn: Figure, path: Path, dpi: int, about: dict[str, str]) -> list[Path]:
    logging.getLogger("fontTools").setLevel(logging.ERROR)  # timestamps of subset fonts
    files = [path.parent / (path.name + ending) for ending in (".png", ".pdf")]
    usual = drawn.dpi
    about = {"Title": caption(drawn)} | about
    if current() is not None:
        dpi = max(dpi, PRINT_DPI)
        drawn.suptitle("")
    drawn.dpi = dpi
    engine = drawn.get_layout_engine()
    if engine is not None:  # arranged once: with an engine, each file is drawn twice
        engine.execute(drawn)
        if current() is not None:
            fit(drawn)
            engine.execute(drawn)
        drawn.set_layout_engine(None)
    # Keys of both formats; a PNG has "Software" in place of "Creator".
    drawn.savefig(files[0], dpi=dpi, metadata=about)
    drawn.dpi = usual
    drawn.savefig(files[1], metadata={"CreationDate": None} | about)
    return files


def _base(name: str) -> str:
    return name.partition(":")[0].partition("(")[0].strip()
