"""Large pictures with many galaxies, read tile by tile."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from astropipe.morphology.cut_options import CutOptions
from astropipe.morphology.cutting import Cut, blank, cut
from astropipe.morphology.fields import Field, make_field, source_near
from astropipe.morphology.flags import GalaxyFlag
from astropipe.morphology.pictures import Picture
from astropipe.morphology.positions import Positions, sky_of

# Tiles with their margins have at most 4096 x 4096 pixels, about 150 MB with all that is known of each.
TILE_PX = 3072
MARGIN_PX = 512
_KEPT_TILES = 6
# The galaxy of a catalog is looked for within so many pixels of its position.
_SEARCH_PX = 3.0


@dataclass(frozen=True)
class Tile:
    """A part of a mosaic.

    Attributes
    ----------
    rows, columns : slice
        The part itself; those of a mosaic do not overlap.
    outer : tuple of slice
        With the margin, in which galaxies of the part may reach.
    """

    rows: slice
    columns: slice
    outer: tuple[slice, slice]


class Mosaic:
    """A mosaic, of which the tiles used last are kept.

    Tiles depend on nothing but the picture and the options, so that a galaxy comes out the same whatever else is cut.

    Parameters
    ----------
    picture : Picture
        Open as long as the mosaic is used.
    options : CutOptions
        How galaxies are found and cut out.
    """

    def __init__(self, picture: Picture, options: CutOptions) -> None:
        self._picture, self._options = picture, options
        self._fields: OrderedDict[int, Field | None] = OrderedDict()
        rows, columns = (_parts(side) for side in picture.shape)
        self._n_rows, self._n_columns = len(rows), len(columns)
        self._tiles = [Tile(row[0], column[0], (row[1], column[1])) for row in rows for column in columns]

    def catalogued(self, positions: Positions, begin: int, end: int) -> list[Cut]:
        """Cut the galaxies of some rows of a catalog out, in their order."""
        cuts = [self._at(float(positions.x[row]), float(positions.y[row])) for row in range(begin, end)]
        self._with_sky(cuts)
        return [_with_catalog(each, positions, row) for each, row in zip(cuts, range(begin, end), strict=True)]

    def detected(self) -> Iterator[list[Cut]]:
        """Find and cut the galaxies of one tile after the other, by rows and columns."""
        for index, tile in enumerate(self._tiles):
            place = self._field(index)
            cuts = (
                []
                if place is None
                else [self._cut(tile, place, label) for label in _listed(tile, place, self._options)]
            )
            self._with_sky(cuts)
            yield cuts

    def _with_sky(self, cuts: list[Cut]) -> None:
        x, y = (np.array([getattr(each, name) for each in cuts]) for name in ("x", "y"))
        known = np.flatnonzero(np.isfinite(x))
        ra, dec = sky_of(self._picture.wcs, x[known], y[known])
        for i, index in enumerate(known):
            cuts[index].known.update(ra=float(ra[i]), dec=float(dec[i]))

    def _at(self, x: float, y: float) -> Cut:
        rows, columns = self._picture.shape
        if not (-0.5 <= x < columns - 0.5 and -0.5 <= y < rows - 0.5):
            return blank(self._options, int(GalaxyFlag.OUTSIDE))
        # A side that fits has one part, whatever its length.
        row, column = (min(round(at) // TILE_PX, n - 1) for at, n in ((y, self._n_rows), (x, self._n_columns)))
        index = row * self._n_columns + column
        place, tile = self._field(index), self._tiles[index]
        local_x, local_y = x - tile.outer[1].start, y - tile.outer[0].start
        if place is None or place.outside[round(local_y), round(local_x)]:
            return blank(self._options, int(GalaxyFlag.OUTSIDE if place else GalaxyFlag.EMPTY))
        label = source_near(place.sources, local_x, local_y, _SEARCH_PX)
        found = _moved(cut(place, label, local_x, local_y, self._options), tile)
        # A position off the peak is common; one outside of the inner half of the outline is of something else.
        limit = max(_SEARCH_PX, 0.5 * math.sqrt(place.sources.area_px[label - 1] / math.pi)) if label else math.inf
        off = math.hypot(found.x - x, found.y - y) > limit
        return replace(found, flags=found.flags | int(GalaxyFlag.OFF_CENTRE)) if off else found

    def _cut(self, tile: Tile, place: Field, label: int) -> Cut:
        x, y = float(place.sources.x[label - 1]), float(place.sources.y[label - 1])
        return _moved(cut(place, label, x, y, self._options), tile)

    def _field(self, index: int) -> Field | None:
        if index in self._fields:
            self._fields.move_to_end(index)
            return self._fields[index]
        while len(self._fields) >= _KEPT_TILES:
            self._fields.popitem(last=False)
        values = self._picture.rectangle(*self._tiles[index].outer)
        self._fields[index] = make_field(values, self._options, mosaic=True)
        return self._fields[index]


def _parts(side: int) -> list[tuple[slice, slice]]:
    """Cut a side into parts, each with its margin; one part if it fits."""
    if side <= TILE_PX + 2 * MARGIN_PX:
        return [(slice(0, side), slice(0, side))]
    starts = range(0, side, TILE_PX)
    return [
        (slice(at, min(at + TILE_PX, side)), slice(max(0, at - MARGIN_PX), min(at + TILE_PX + MARGIN_PX, side)))
        for at in starts
    ]


def _listed(tile: Tile, place: Field, options: CutOptions) -> list[int]:
    """Return the sources large enough whose peak, which does not depend on the tile, lies in the part itself."""
    peak = place.sources.peak + np.array([tile.outer[0].start, tile.outer[1].start])
    inside = np.ones(len(peak), dtype=bool)
    for axis, part in enumerate((tile.rows, tile.columns)):
        inside &= (peak[:, axis] >= part.start) & (peak[:, axis] < part.stop)
    chosen = np.flatnonzero(inside & (place.sources.area_px >= options.min_area_px))
    return [int(each) + 1 for each in chosen[np.lexsort((peak[chosen, 1], peak[chosen, 0]))]]


def _moved(found: Cut, tile: Tile) -> Cut:
    return replace(found, x=found.x + tile.outer[1].start, y=found.y + tile.outer[0].start)


def _with_catalog(found: Cut, positions: Positions, row: int) -> Cut:
    """Add what the catalog gives; of what it does not know, that there is such a column."""
    given = {name: float(values[row]) for name, values in positions.known.items()}
    known = given | found.known | {name: value for name, value in given.items() if math.isfinite(value)}
    if found.flags & int(GalaxyFlag.OUTSIDE | GalaxyFlag.EMPTY):
        return replace(found, known=known, x=float(positions.x[row]), y=float(positions.y[row]))
    return replace(found, known=known)
