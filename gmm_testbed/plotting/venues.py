"""Figures as a venue prints them: drawn anew at its width, in a serif font, no TeX.

Widths are those of the style files of the venues, in inches. A figure that is wider than
five inches on the screen gets the whole text width; a narrower one that of a column, or
keeps its own where the page has one column. Heights follow the square root of the width,
as what stands around the panels does not shrink.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

from .._checks import choose

WIDE = 5.0  # inches on the screen, from which a figure is as wide as the text
SMALLEST = 6.0  # points; scripts of formulas may be smaller


class Venue(NamedTuple):
    """Where a paper is printed.

    Attributes:
        name: of the venue.
        text: width of the text, in inches.
        column: width of a column where there are two; None for a page of one.
    """

    name: str
    text: float
    column: float | None = None

    def size(self, width: float, height: float) -> tuple[float, float]:
        """Width and height of a figure, from those that it has on the screen."""
        if width > WIDE:
            wide = self.text
        else:
            wide = self.column or min(width, self.text)
        return wide, height * (wide / width) ** 0.5


VENUES = {
    venue.name: venue
    for venue in (
        Venue("neurips", 5.5),
        Venue("icml", 6.75, 3.25),
        Venue("iclr", 5.5),
        Venue("tmlr", 6.5),
        Venue("jmlr", 6.0),
        Venue("aistats", 6.75, 3.25),
        Venue("cvpr", 6.875, 3.25),
        Venue("iccv", 6.875, 3.25),
        Venue("eccv", 4.8),
        Venue("ieee", 7.16, 3.5),
    )
}

SETTINGS: dict[str, Any] = {
    # A name and not "serif": labels of ticks are made when a figure is saved.
    "font.family": ["STIXGeneral", "DejaVu Serif"],
    "mathtext.fontset": "stix",
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.5,
    "axes.unicode_minus": True,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.0,
}
"""Settings of matplotlib for print, on top of those of every figure."""

_current: ContextVar[Venue | None] = ContextVar("venue", default=None)


def current() -> Venue | None:
    """The venue that figures are drawn for now; None for the screen."""
    return _current.get()


@contextlib.contextmanager
def paper(venue: str | Venue | None) -> Iterator[Venue | None]:
    """Figures made inside are drawn, and saved, as a venue prints them.

    Args:
        venue: a name of `VENUES`, or a `Venue` with widths of your own; None changes
            nothing.

    Raises:
        InputError: for an unknown name; the message has the nearest one.

    Example:
        >>> with gt.plotting.paper("icml"):  # doctest: +SKIP
        ...     drawn = gt.plotting.figure()  # 6.75 inches wide
        ...     gt.plotting.save(drawn, Path("figure"))
    """
    chosen = choose(venue, VENUES, "venue") if isinstance(venue, str) else venue
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)
