"""Figures and tables in one style: curves, heat-maps, terminal tables."""

import importlib
from typing import Any

from . import latex as latex
from . import tables as tables
from .budget import PARTS as PARTS
from .budget import budget_bars as budget_bars
from .budget import budgets as budgets
from .calibration import Example as Example
from .calibration import calibration as calibration
from .calibration import coverage_curve as coverage_curve
from .calibration import one_observation as one_observation
from .calibration import p_value as p_value
from .calibration import rank_histogram as rank_histogram
from .curves import against_steps as against_steps
from .curves import against_time as against_time
from .curves import legend_below as legend_below
from .curves import reference_slope as reference_slope
from .fitting import caption as caption
from .heatmaps import History as History
from .heatmaps import exact_history as exact_history
from .heatmaps import heatmap as heatmap
from .heatmaps import heatmaps as heatmaps
from .heatmaps import history as history
from .heatmaps import line_pair as line_pair
from .heatmaps import plane_pair as plane_pair
from .heatmaps import span as span
from .overview import DIVERGENCES as DIVERGENCES
from .overview import IN_TIME as IN_TIME
from .overview import convergence as convergence
from .overview import in_time as in_time
from .style import COLOURS as COLOURS
from .style import COLUMN_WIDTH as COLUMN_WIDTH
from .style import DPI as DPI
from .style import FULL_WIDTH as FULL_WIDTH
from .style import INK as INK
from .style import STYLE as STYLE
from .style import colour as colour
from .style import figure as figure
from .style import marker as marker
from .style import save as save
from .style import styled as styled
from .venues import VENUES as VENUES
from .venues import Venue as Venue
from .venues import paper as paper


def __getattr__(name: str) -> Any:
    """Imports `bounds` when it is first asked for: all theorems come with it."""
    if name != "bounds":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.bounds")
