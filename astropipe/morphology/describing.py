"""What is known of each galaxy before any vote: measurements and the features of an encoder, from its stamp."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astropipe.morphology.encoder_artifact import SHIPPED, Encoder, Reference, read_encoder, read_reference
from astropipe.morphology.encoding import Encoded, Precision, View, encode, encode_by_harmonics, featured, see
from astropipe.morphology.flags import UNUSABLE, GalaxyFlag
from astropipe.morphology.measure_columns import Measures, join_measures
from astropipe.morphology.measures import measure
from astropipe.morphology.rendering.galaxies import TRUTH
from astropipe.morphology.stamps import BATCH, Stamps
from astropipe.runtime.errors import InputError
from astropipe.runtime.shipped import weights_file

# Groups are named by these. Radii are left out: in arcsec they say more about distance than about class.
MEASURED = ("sersic_index", "concentration", "asymmetry", "gini", "m20", "multimode", "intensity", "deviation")
QUANTITIES = (*MEASURED, *(f"read_{name}" for name in TRUTH))
"""Measurements, and what the encoder reads of the truths of rendered galaxies."""
_LOGARITHMIC = ("sersic_index",)
# Below this half-light radius a stamp shows pixels rather than a shape.
_LEAST_R50_PX = 2.5
# A stretch for display lifts the faint outer parts, and with them the radius that holds half of the light: by so much,
# in the median of rendered galaxies, where it is that of `astropipe.morphology.standard.stretched`.
STRETCHED_RADIUS = 1.3
_OF_OTHERS = ("efficientnet-lite0", "harmonics")

EncodeStamps = Callable[[Stamps, View], Encoded]


@dataclass(frozen=True)
class Described:
    """What is known of n galaxies.

    Attributes
    ----------
    measures : Measures
        Structural parameters and their flags.
    encoded : Encoded
        NaN for galaxies that cannot be used, or are too small to show a shape.
    flags : ndarray of int64, shape (n,)
        Of the stamps and the measurements.
    """

    measures: Measures
    encoded: Encoded
    flags: NDArray[np.int64]


def describe(
    stamps: Stamps,
    encode_stamps: EncodeStamps,
    measure_stamps: Callable[[Stamps], Measures] = measure,
    *,
    threads: int = 1,
) -> Described:
    """Measure and encode galaxies.

    Parameters
    ----------
    stamps : Stamps
        The galaxies.
    encode_stamps : callable
        From `stamp_encoder`.
    measure_stamps : callable
        Structural parameters of stamps.
    threads : int
        Parts of the stamps that are worked on at a time; never changes a result.
    """

    def describe_batch(start: int) -> Described:
        batch = stamps.rows(slice(start, start + BATCH))
        measures = measure_stamps(batch)
        rows, view, flags = viewed(batch, measures)
        return Described(measures, _spread(encode_stamps(batch.rows(rows), view), rows, len(batch)), flags)

    # A single batch too: on two threads torch sums in another order.
    with one_thread_each(), ThreadPoolExecutor(max(1, threads)) as pool:
        parts = list(pool.map(describe_batch, range(0, max(len(stamps), 1), BATCH)))
    return parts[0] if len(parts) == 1 else joined(parts)


def viewed(stamps: Stamps, measures: Measures) -> tuple[NDArray[np.intp], View, NDArray[np.int64]]:
    """Say which galaxies show a shape and how to look at them, from their measurements.

    Returns
    -------
    rows : ndarray of int, shape (m,)
        Places of those that show one.
    view : View
        Of these m.
    flags : ndarray of int64, shape (n,)
        Of stamps, measurements and size.
    """
    flags = stamps.flags | measures.flags
    r50_px = measures["r50"]
    linear = (flags & int(GalaxyFlag.STRETCHED)) == 0
    with np.errstate(invalid="ignore"):
        tiny = r50_px < _LEAST_R50_PX
    flags = flags | np.where(tiny, int(GalaxyFlag.TINY), 0)
    rows = np.flatnonzero(((flags & int(UNUSABLE)) == 0) & np.isfinite(r50_px) & ~tiny)
    r50_px = np.where(linear, r50_px, r50_px / STRETCHED_RADIUS)
    middle, reach = (stamps.size - 1) / 2, stamps.size / 8
    centre = np.column_stack((measures["x_centre"], measures["y_centre"]))
    centre = np.clip(np.where(np.isfinite(centre), centre, middle), middle - reach, middle + reach)
    return rows, View(r50_px[rows], centre[rows], linear[rows]), flags


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let torch work on one thread in each of several."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def joined(parts: Sequence[Described]) -> Described:
    """Return what is known of several sets of galaxies as of one."""
    names = ("features", "embedding", "probabilities", "truths")
    return Described(
        join_measures([part.measures for part in parts]),
        Encoded(*(np.concatenate([getattr(part.encoded, name) for part in parts]) for name in names)),
        np.concatenate([part.flags for part in parts]),
    )


def _spread(encoded: Encoded, rows: NDArray[np.intp], n: int) -> Encoded:
    """Put rows at their places among n, NaN elsewhere."""

    def full(values: NDArray[np.float32]) -> NDArray[np.float32]:
        result = np.full((n, values.shape[1]), np.nan, dtype=np.float32)
        result[rows] = values
        return result

    return Encoded(full(encoded.features), full(encoded.embedding), full(encoded.probabilities), full(encoded.truths))


def quantities(measured: Callable[[str], NDArray[np.floating]], truths: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the columns of `QUANTITIES`, shape (n, q).

    Parameters
    ----------
    measured : callable
        Gives a measurement by its name, shape (n,).
    truths : ndarray, shape (n, len(TRUTH))
        What the encoder reads; NaN if nothing.
    """
    columns = []
    for name in MEASURED:
        values = np.asarray(measured(name), dtype=np.float64)
        columns.append(np.log(np.maximum(values, 0.05)) if name in _LOGARITHMIC else values)
    return np.column_stack([*columns, np.asarray(truths, dtype=np.float64)])


def stamp_encoder(name: str | None, precision: Precision = "float32") -> EncodeStamps:
    """Return what encodes stamps.

    Parameters
    ----------
    name : str or None
        See `astropipe.config.morphology.EncodeConfig.encoder`.
    precision : {"float32", "bfloat16"}
        Of the matrix products of an encoder of this package.

    Raises
    ------
    InputError
        If there is no such file or folder, or it does not fit.
    MissingDependencyError
        If a library that it needs is not installed.
    """
    if name == "harmonics":
        return lambda stamps, view: encode_by_harmonics(stamps, view.r50_px)
    encoder = own_encoder(name)
    return _published_encoder(str(name)) if encoder is None else encode_by(encoder, precision)


def reference_of(name: str | None) -> Reference:
    """Return the rendered galaxies to which others are compared: those of an encoder of ours, else of the shipped one.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another kind.
    """
    return read_reference(_own_file(name) or weights_file(SHIPPED))


def own_encoder(name: str | None) -> Encoder | None:
    """Return the encoder of this package that a name stands for, None if that of others; raises as `stamp_encoder`."""
    path = _own_file(name)
    return None if path is None else read_encoder(path)


def _own_file(name: str | None) -> Path | None:
    if name is not None and (name in _OF_OTHERS or Path(name).is_dir()):
        return None
    path = weights_file(SHIPPED) if name is None else Path(name)
    if not path.exists():
        raise InputError(
            f"{name}: no such file or folder; give an encoder artifact, a folder of a ConvNeXt, "
            f"{' or '.join(_OF_OTHERS)}, or nothing for the encoder that comes with astropipe"
        )
    return path


def _published_encoder(name: str) -> EncodeStamps:
    """Return what encodes the polar strips of stamps with a network that others trained, as the paper does."""
    from astropipe.morphology.paper.pipeline import PaperSettings, make_encoder, paper_strips

    if Path(name).is_dir():
        settings = PaperSettings(encoder="convnext-folder", convnext_folder=Path(name), denoiser_steps=0)
    else:
        settings = PaperSettings(encoder="efficientnet-lite0", denoiser_steps=0)
    encode_strips = make_encoder(settings)

    def encode_stamps(stamps: Stamps, view: View) -> Encoded:
        images = np.where(stamps.masks, np.float32(0.0), stamps.images)
        return featured(np.asarray(encode_strips(paper_strips(images, settings)), dtype=np.float32))

    return encode_stamps


def encode_by(encoder: Encoder, precision: Precision = "float32") -> EncodeStamps:
    """Return what encodes stamps with an encoder of this package."""

    def encode_stamps(stamps: Stamps, view: View) -> Encoded:
        seen = see(encoder.network, encoder.denoiser, stamps, view, precision)
        return encode(seen, encoder.reader, truth_mean=encoder.truth_mean, truth_std=encoder.truth_std)

    return encode_stamps


def stamp_measurer(kind: str) -> Callable[[Stamps], Measures]:
    """Return what measures structural parameters: ``fast``, or ``statmorph``.

    Raises
    ------
    MissingDependencyError
        If statmorph is asked for and not installed.
    """
    if kind == "fast":
        return measure
    from astropipe.morphology.statmorph_measures import measure_with_statmorph

    return measure_with_statmorph
