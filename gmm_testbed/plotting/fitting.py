"""What is too wide for a narrow figure is broken into lines, or thinned out."""

import math
import re
from collections.abc import Sequence

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from .venues import SMALLEST

_GAP = 2.0  # points between labels of ticks
_SLACK = 1.02  # how much longer than its place a text may be


def caption(drawn: Figure) -> str:
    """The title of a figure in one line, for its caption; "" if it has none."""
    return " ".join(drawn.get_suptitle().split())


def fit(drawn: Figure) -> None:
    """Makes texts of a figure that is arranged fit their places.

    Legends of the figure get fewer columns, titles and labels more lines; numbers at
    ticks that would touch are thinned out; no text is smaller than print allows.
    """
    for text in drawn.findobj(Text):
        text.set_fontsize(max(text.get_fontsize(), SMALLEST))
    for legend in list(drawn.legends):
        _narrow(drawn, legend)
    for axes in drawn.axes:
        for title in (axes.title, axes._left_title, axes._right_title):
            _break(title, axes.bbox.width)
        _break(axes.xaxis.label, axes.bbox.width)
        _break(axes.yaxis.label, axes.bbox.height)
        _thin(axes.xaxis)
        _thin(axes.yaxis)


def _narrow(drawn: Figure, legend: Legend) -> None:
    """Takes columns away until the legend is not wider than the figure."""
    columns = legend._ncols
    place = "lower" if legend._outside_loc is None else legend._outside_loc
    while columns > 1 and legend.get_window_extent().width > drawn.bbox.width:
        rows = math.ceil(len(legend.texts) / (columns - 1))
        columns = math.ceil(len(legend.texts) / rows)  # rows of one length
        texts = [text.get_text() for text in legend.texts]
        handles = legend.legend_handles
        legend.remove()
        legend = drawn.legend(
            handles,
            texts,
            loc=f"outside {place} center",
            ncols=columns,
            columnspacing=1.2,
        )


def _break(text: Text, room: float) -> None:
    """Breaks a text between words into lines that are no longer than its place."""
    words = re.findall(r"(?:\$[^$]*\$|[^\s$])+", text.get_text())  # a formula is one
    width = len(" ".join(words))
    lines = math.ceil(_length(text) / room) if room > 0 else 1
    while _length(text) > _SLACK * room and lines <= len(words):
        text.set_text(_lines(words, width / lines + 1))
        lines += 1


def _lines(words: Sequence[str], width: float) -> str:
    found = [""]
    for word in words:
        if found[-1] and len(found[-1]) + 1 + len(word) > width:
            found.append("")
        found[-1] = f"{found[-1]} {word}".strip()
    return "\n".join(found)


def _length(text: Text) -> float:
    """In pixels, along the lines."""
    extent = text.get_window_extent()
    return extent.height if text.get_rotation() % 180 else extent.width


def _thin(axis: Axis) -> None:
    """Leaves out numbers that touch the one before them; their ticks stay."""
    name = axis.axis_name
    ends = sorted(axis.get_view_interval())
    axis.get_majorticklabels()  # puts the ticks where they will be
    shown = [
        (tick.get_loc(), label)
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if label.get_visible()
        and label.get_text()
        and ends[0] <= tick.get_loc() <= ends[1]
    ]
    if not all(_is_number(label.get_text()) for _, label in shown):
        return  # names are all needed
    gap = _GAP * axis.get_figure(root=True).dpi / 72.0
    texts, end = [], -math.inf
    for place, label in sorted(shown, key=lambda pair: _ends(pair[1], name)):
        low, high = _ends(label, name)
        fits = low >= end + gap
        texts.append((place, label.get_text() if fits else ""))
        end = high if fits else end
    if any(not text for _, text in texts):
        axis.set_ticks(*zip(*texts, strict=True))


def _ends(label: Text, name: str) -> tuple[float, float]:
    """Pixels from which and to which a label reaches along the axis "x" or "y"."""
    return tuple(sorted(getattr(label.get_window_extent(), f"interval{name}")))


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"\$.*\d.*\$|[+\-−]?\d[\d.,e+\-−]*", text))
