"""One style for every figure: sizes for a column of text, one colour a method.

Figures are matplotlib `Figure` objects: nothing is shown, no window system is needed, and
no global state is changed.
"""

import logging
import zlib
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

FULL_WIDTH = 7.2  # inches: the text width of a two-column page
COLUMN_WIDTH = 3.5

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
"""Colour of each approximation of the catalogue, the same in every figure."""

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
"""Marker of each, for readers and printers without colour."""

KERNELS = {
    "DDPM:variance=matched": "DDPM matched",
    "DDIM:eta=0.5": "DDIM eta=0.5",
    "EulerMaruyama": "Euler-Maruyama",
}
"""Shorter names of kernels, for titles and tables."""

_OTHERS = ("#7f5539", "#b5179e", "#4361ee", "#588157", "#bc6c25", "#6d6875")


def colour(name: str) -> str:
    """The colour of a method; for one that is not in the catalogue, by its name."""
    return COLOURS.get(_base(name)) or _OTHERS[_number(name) % len(_OTHERS)]


def marker(name: str) -> str:
    """The marker of a method."""
    return MARKERS.get(_base(name)) or "<>ph*d"[_number(name) % 6]


def styled(draw: Callable) -> Callable:
    """Decorates a function that draws: the style holds inside it and nowhere else."""

    @wraps(draw)
    def inside(*args, **kwargs):
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            return draw(*args, **kwargs)

    return inside


@styled
def figure(width: float = FULL_WIDTH, height: float = 2.6) -> Figure:
    """An empty figure, in inches, that arranges its panels by itself."""
    return Figure(figsize=(width, height), layout="constrained")


@styled
def save(drawn: Figure, path: Path, dpi: int = 200) -> list[Path]:
    """Writes `path` with .png and .pdf added to its name; the folder must exist."""
    logging.getLogger("fontTools").setLevel(logging.ERROR)  # timestamps of subset fonts
    files = [path.parent / (path.name + ending) for ending in (".png", ".pdf")]
    drawn.savefig(files[0], dpi=dpi)
    drawn.set_layout_engine("none")  # keep the arrangement, which takes long to find
    drawn.savefig(files[1], metadata={"CreationDate": None})
    return files


def _base(name: str) -> str:
    return name.partition(":")[0]


def _number(name: str) -> int:
    return zlib.crc32(name.encode())
