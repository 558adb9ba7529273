"""Figures as data URIs, and densities as a few bits a point."""

import base64
import io

import numpy as np
from matplotlib.figure import Figure

from ...plotting import styled

LARGEST_SVG = 250_000  # bytes; beyond it a PNG is smaller, and as sharp
DPI = 170


@styled
def data_uri(drawn: Figure) -> str:
    """A figure as it may stand in the `src` of an image."""
    file = io.BytesIO()
    drawn.savefig(file, format="svg", metadata={"Date": None})
    kind = "svg+xml"
    if file.tell() > LARGEST_SVG:
        file, kind = io.BytesIO(), "png"
        drawn.savefig(file, format="png", dpi=DPI)
    return f"data:image/{kind};base64,{_text(file.getvalue())}"


def quantised(density: np.ndarray, bits: int) -> dict:
    r"""A density (n, k) as whole numbers q, of 8 or 16 bits.

    \(p = p_{max} (q / q_{max})^2\): fine where the density is small, as in the pictures.
    The largest number of that many bits, \(q_{max} + 1\), marks what is no density.
    """
    kind = {8: np.dtype("u1"), 16: np.dtype("<u2")}[bits]
    most = np.iinfo(kind).max - 1
    fine = np.isfinite(density) & (density >= 0.0)
    top = float(np.max(density, where=fine, initial=0.0))
    codes = np.full(density.shape, most + 1, kind)
    share = density[fine] / top if top > 0.0 else np.zeros(int(fine.sum()))
    codes[fine] = np.rint(most * np.sqrt(share)).astype(kind)
    return {"top": top, "data": _text(codes.tobytes())}


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
