"""Stamps in batches from users' pictures, in their order, each with its name, file and what is wrong with it.

==============================  =======================================================================================
input                           what becomes of it
==============================  =======================================================================================
FITS image, one galaxy          one stamp; the first image of two dimensions counts, an extension PSF gives the FWHM
FITS mosaic and a catalog       a stamp for each row; the catalog is named right after its mosaic
picture of many galaxies        a stamp for each source that covers `min_area_px`
PNG, JPEG, TIFF                 as above; flagged STRETCHED, and COLOUR where the mean of the channels was taken
folder                          all pictures in it and below it, by name
==============================  =======================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astropipe.morphology.cut_options import SMALLEST_PX, CutOptions
from astropipe.morphology.cutting import Cut, blank, cut_middle, stamps_of
from astropipe.morphology.fields import Field, make_field, source_near
from astropipe.morphology.flags import GalaxyFlag
from astropipe.morphology.inputs import Input, stem
from astropipe.morphology.mosaics import Mosaic
from astropipe.morphology.pictures import Picture, open_picture
from astropipe.morphology.positions import Positions, read_positions, sky_of, unique
from astropipe.morphology.stamps import Stamps
from astropipe.runtime.errors import InputError, UsageError
from astropipe.runtime.run import WHOLE, Chunk

BLOCK = 128
"""Stamps that are cut together."""

# What decides where the kind is not given: sides below the first hold one galaxy, above the second many.
_CUTOUT_PX = 300
_MOSAIC_PX = 2048
_MANY = 30
_DOMINANT_SHARE = 0.4


@dataclass(frozen=True)
class Batch:
    """Galaxies that were cut together, n of them.

    Attributes
    ----------
    stamps : Stamps
        The galaxies.
    files : list of str
        The picture of each.
    faults : list of str
        Messages of what could not be read or had to be changed.
    done : tuple of int
        Number of inputs, and of galaxies of the next one, that are behind after this batch.
    """

    stamps: Stamps
    files: list[str]
    faults: list[str]
    done: tuple[int, int]


def batches(
    inputs: Sequence[Input],
    options: CutOptions,
    *,
    chunk: Chunk = WHOLE,
    start: tuple[int, int] = (0, 0),
) -> Iterator[Batch]:
    """Cut stamps in batches of bounded size.

    Parameters
    ----------
    inputs : sequence of Input
        As `list_inputs` gave them.
    options : CutOptions
        How galaxies are found and cut out.
    chunk : Chunk
        Part of the inputs or, where there is one mosaic, of the rows of its catalog.
    start : tuple of int
        Where to go on, as `Batch.done` said.

    Yields
    ------
    Batch
        In the order of inputs and rows. A file that cannot be read is one row with the flag UNREADABLE.

    Raises
    ------
    UsageError
        If the chunk is empty, or of one picture without a catalog.
    InputError
        At the end, if no input could be read.
    """
    names = unique(stem(each.picture) for each in inputs)
    work = list(zip(inputs, names, strict=True))
    inner = chunk if len(work) == 1 else WHOLE
    if inner.count > 1 and inputs[0].catalog is None:
        raise UsageError(f"{inputs[0].picture}: one picture without a catalog is cut in one piece; leave out --chunk")
    if len(work) > 1:
        work = work[_part(chunk, len(work))]
    pending: list[tuple[str, str, Cut, float, float]] = []
    faults: list[str] = []
    readable = start != (0, 0)
    first, skip = start
    for index in range(first, len(work)):
        each, name = work[index]
        begin = skip if index == first else 0
        try:
            with open_picture(each.picture, options) as picture:
                place = None if each.catalog else _place(picture, options)
                if each.catalog is None and not isinstance(place, _Many):
                    pending.append(_one(picture, name, options, place))
                else:
                    positions = None if each.catalog is None else read_positions(each.catalog, picture.wcs, options)
                    if pending or faults:
                        yield _batch(pending, faults, options, (index, 0))
                        pending, faults = [], []
                    prefix = f"{name}-" if positions is None or len(inputs) > 1 else ""
                    for batch in _of_mosaic(picture, positions, prefix, options, inner, begin):
                        yield replace(batch, done=(index, batch.done[1]))
                readable = True
        except InputError as error:
            faults.append(str(error))
            cut = blank(options, int(GalaxyFlag.UNREADABLE))
            pending.append((name, str(each.picture), cut, np.nan, np.nan))
        if len(pending) == BLOCK:
            yield _batch(pending, faults, options, (index + 1, 0))
            pending, faults = [], []
        if not readable and index == len(work) - 1:
            raise InputError(
                f"none of {len(work)} pictures can be read; the first fault: {faults[0]}"
                if faults
                else "no picture can be read"
            )
    if pending:
        yield _batch(pending, faults, options, (len(work), 0))


def stamps_from_arrays(
    images: Sequence[NDArray[Any]] | NDArray[Any],
    *,
    pixel_scale_arcsec: ArrayLike = np.nan,
    psf_fwhm_arcsec: ArrayLike = np.nan,
    ids: Sequence[str] | None = None,
    stretched: bool = False,
    options: CutOptions | None = None,
) -> Stamps:
    """Make stamps of arrays, each a picture with one galaxy in its middle.

    Parameters
    ----------
    images : sequence of ndarray, shape (rows, columns)
        Pictures, sky included or not, of whatever sizes; not finite where there is no value.
    pixel_scale_arcsec, psf_fwhm_arcsec : float or array_like, shape (n,)
        NaN if unknown.
    ids : sequence of str, optional
        Names; numbers from 1 if there are none.
    stretched : bool
        Whether the values are grey levels and not linear in flux.
    options : CutOptions, optional
        How galaxies are found and cut out.

    Raises
    ------
    InputError
        If a picture has not two dimensions or is too small, or ids or scales do not fit the pictures.
    """
    options = options or CutOptions()
    names = [str(each) for each in ids] if ids is not None else [str(i + 1) for i in range(len(images))]
    if len(images) == 0:
        raise InputError("no picture is given; give at least one array")
    if len(names) != len(images) or len(set(names)) != len(names):
        raise InputError(f"{len(names)} ids, {len(set(names))} different, for {len(images)} pictures; give each one")
    cuts = []
    for name, image in zip(names, images, strict=True):
        if np.ndim(image) != 2 or min(np.shape(image)) < SMALLEST_PX:
            raise InputError(
                f"picture {name} has shape {np.shape(image)}; give two dimensions of at least {SMALLEST_PX} pixels"
            )
        found = cut_middle(np.array(image, dtype=np.float32), options)
        cuts.append(replace(found, flags=found.flags | int(GalaxyFlag.STRETCHED)) if stretched else found)
    scales = []
    for what, values in (("pixel_scale_arcsec", pixel_scale_arcsec), ("psf_fwhm_arcsec", psf_fwhm_arcsec)):
        array = np.asarray(values, dtype=np.float64)
        if array.shape not in ((), (len(cuts),)):
            raise InputError(
                f"{what} has shape {array.shape}; give one number, or one for each of {len(cuts)} pictures"
            )
        for value in np.unique(array[~np.isnan(array)]):
            try:
                replace(options, **{what: float(value)})  # type: ignore[arg-type]
            except UsageError as error:
                raise InputError(str(error)) from error
        scales.append(np.broadcast_to(array, (len(cuts),)).copy())
    return stamps_of(cuts, names, *scales)


@dataclass(frozen=True)
class _Many:
    """Says that a picture shows many galaxies."""


def _place(picture: Picture, options: CutOptions) -> Field | _Many | None:
    """Decide whether a picture without a catalog shows one galaxy or many; what was found out on the way, if one."""
    if options.kind == "mosaic" or (options.kind == "auto" and max(picture.shape) > _MOSAIC_PX):
        return _Many()
    place = make_field(picture.rectangle(slice(None), slice(None)), options, mosaic=False)
    if options.kind == "cutouts" or place is None or max(picture.shape) <= _CUTOUT_PX:
        return place
    sources = place.sources
    middle = [(side - 1) / 2 for side in picture.shape]
    label = source_near(sources, middle[1], middle[0], min(picture.shape) / 4)
    share = float(sources.flux[label - 1] / sources.flux.sum()) if label else 0.0
    many = int(np.count_nonzero(sources.area_px >= options.min_area_px))
    if share >= _DOMINANT_SHARE:
        return place
    if many >= _MANY:
        return _Many()
    raise InputError(
        f"{picture.name}: shows {many} sources, and the one in the middle has {share:.0%} of their light; say with "
        "kind='cutouts' or kind='mosaic' whether it is a picture of one galaxy or of many"
    )


def _one(
    picture: Picture, name: str, options: CutOptions, place: Field | _Many | None
) -> tuple[str, str, Cut, float, float]:
    if isinstance(place, Field):
        found = cut_middle(place.image, options, place)
        ra, dec = sky_of(picture.wcs, np.array([found.x]), np.array([found.y]))
        found.known.update(ra=float(ra[0]), dec=float(dec[0]))
    else:
        found = blank(options, int(GalaxyFlag.EMPTY))
    found = replace(found, flags=found.flags | picture.flags)
    return name, picture.name, found, picture.pixel_scale_arcsec, picture.psf_fwhm_arcsec


def _of_mosaic(
    picture: Picture, positions: Positions | None, prefix: str, options: CutOptions, chunk: Chunk, skip: int
) -> Iterator[Batch]:
    """Cut the galaxies of one mosaic in batches; `done` counts its galaxies."""
    mosaic = Mosaic(picture, options)
    scale, seeing = picture.pixel_scale_arcsec, picture.psf_fwhm_arcsec
    if positions is None:
        found = (each for tile in mosaic.detected() for each in tile)
        wanted = islice(enumerate(found, start=1), skip, None)
        behind = skip
        while block := list(islice(wanted, BLOCK)):
            behind += len(block)
            entries = [
                (f"{prefix}{number}", picture.name, _flagged(each, picture), scale, seeing) for number, each in block
            ]
            yield _batch(entries, [], options, (0, behind))
        return
    rows = _part(chunk, len(positions))
    faults = positions.faults
    for begin in range(rows.start + skip, rows.stop, BLOCK):
        end = min(begin + BLOCK, rows.stop)
        cuts = mosaic.catalogued(positions, begin, end)
        names = [f"{prefix}{name}" for name in positions.ids[begin:end]]
        entries = [
            (name, picture.name, _flagged(each, picture), scale, seeing) for name, each in zip(names, cuts, strict=True)
        ]
        yield _batch(entries, faults, options, (0, end - rows.start))
        faults = []


def _part(chunk: Chunk, total: int) -> slice:
    rows = chunk.rows(total)
    if chunk.count > 1 and rows.start == rows.stop:
        raise UsageError(f"chunk {chunk} is empty: ask for fewer chunks")
    return rows


def _flagged(found: Cut, picture: Picture) -> Cut:
    return replace(found, flags=found.flags | picture.flags)


def _batch(
    entries: list[tuple[str, str, Cut, float, float]], faults: list[str], options: CutOptions, done: tuple[int, int]
) -> Batch:
    ids, files, cuts, scales, seeing = zip(*entries, strict=True)
    return Batch(stamps_of(cuts, ids, np.array(scales), np.array(seeing)), list(files), faults, done)
