"""What can be wrong with a galaxy's stamp, as bits of one number."""

from __future__ import annotations

from enum import IntFlag


class GalaxyFlag(IntFlag):
    """Warnings of a galaxy; 0 is clean. Of those marked unusable no class is told."""

    EMPTY = 1
    """No finite pixel, or one value everywhere; unusable."""
    FAINT = 2
    """Signal-to-noise ratio inside the half-light radius below the limit."""
    BAD_PIXELS = 4
    """Pixels of the galaxy are not finite or saturated; they are masked."""
    CROWDED = 8
    """Another source covers part of the galaxy."""
    TRUNCATED = 16
    """The galaxy reaches over the edge of the stamp or of the mosaic."""
    TINY = 32
    """Half-light radius below the resolution: the shape is that of the point spread function."""
    STRETCHED = 64
    """Grey levels of a picture, not linear in flux: structural parameters are relative."""
    COLOUR = 128
    """A colour picture, of which the mean of the channels was taken."""
    UNREADABLE = 256
    """The file could not be read; unusable."""
    OUTSIDE = 512
    """The catalog's position lies outside the mosaic; unusable."""
    OFF_CENTRE = 1024
    """The galaxy was found far from the middle of its stamp."""


UNUSABLE = GalaxyFlag.EMPTY | GalaxyFlag.UNREADABLE | GalaxyFlag.OUTSIDE
"""Flags with which a galaxy has no class."""
