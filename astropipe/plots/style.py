"""One look for all figures: sizes, fonts, and colours that people with any colour vision can tell apart."""

from __future__ import annotations

import matplotlib
from cycler import cycler

# Okabe & Ito (2008), as recommended by Wong (2011, Nature Methods 8, 441).
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")


def use_style() -> None:
    """Set matplotlib up for drawing to files."""
    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {
            "figure.dpi": 150,
            "savefig.dpi": 150,
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=COLOURS),
            "legend.frameon": False,
            "image.cmap": "cividis",
            # Equal figures have equal bytes.
            "svg.hashsalt": "astropipe",
        }
    )
