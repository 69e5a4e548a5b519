"""The classes that galaxies are given: spheroids, early-type disks, late-type disks, irregulars."""

from __future__ import annotations

CLASSES = ("SPH", "ETD", "LTD", "IRR")
"""In the physical order: the Sersic index falls and the effective radius grows from the first to the last."""

UNCLASSIFIED = "UNC"
"""The name of a galaxy that has no class: too faint, damaged, or of a group that fits none."""
