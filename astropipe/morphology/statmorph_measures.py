"""The same structural parameters through statmorph, one galaxy at a time: slower, with a two-dimensional Sersic fit.

statmorph (Rodriguez-Gomez et al. 2019, MNRAS 483, 4140) is a reference for the fast measures, some hundred times
slower. What it needs is made here of a stamp: the sky must be subtracted (the stamps are), the source in a segment of
its own, the noise in an array that is not used again (it was changed in place before statmorph 0.7.1), and the point
spread function as an image. Its -99 becomes NaN.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astropipe.morphology.flags import GalaxyFlag
from astropipe.morphology.measure_columns import (
    SNR_LIMIT,
    MeasureColumn,
    Measures,
    measure_flags,
    no_measures,
    psf_fwhm_px,
)
from astropipe.morphology.stamps import Stamps
from astropipe.runtime.errors import MissingDependencyError

STATMORPH_COLUMNS = (
    MeasureColumn("statmorph_flag", "", "Flag of statmorph: 0 good, 1 suspect, 2 bad, 4 no light; 5 it failed"),
    MeasureColumn("statmorph_flag_sersic", "", "Flag of the Sersic fit: 0 good, 1 bad; then index and r_e are NaN"),
)
"""Further columns that `measure_with_statmorph` gives; NaN where there was nothing to measure."""

_FAILED = 5
_COLUMNS = {
    "x_centre": "xc_asymmetry",
    "y_centre": "yc_asymmetry",
    "flux": "flux_circ",
    "petrosian_radius": "rpetro_circ",
    "r20": "r20",
    "r50": "r50",
    "r80": "r80",
    "r_e_pixels": "sersic_rhalf",
    "sersic_index": "sersic_n",
    "concentration": "concentration",
    "asymmetry": "asymmetry",
    "smoothness": "smoothness",
    "gini": "gini",
    "m20": "m20",
    "multimode": "multimode",
    "intensity": "intensity",
    "deviation": "deviation",
}
_UNKNOWN = -99.0
_DETECTION_SIGMA = 1.5
_DETECTION_SMOOTHING_PX = 2.0
_SIGMA_OF_FWHM = 1.0 / np.sqrt(8.0 * np.log(2.0))


def measure_with_statmorph(
    stamps: Stamps, rows: slice | NDArray[np.intp] | None = None, *, snr_limit: float = SNR_LIMIT
) -> Measures:
    """Measure structural parameters with statmorph.

    Each galaxy is measured alone, so a long list can be cut by rows in any way, and what is done need not be repeated.

    Parameters
    ----------
    stamps : Stamps
    rows : slice or ndarray of int, optional
        The galaxies to be measured, all if not given.
    snr_limit : float
        Galaxies of a smaller signal-to-noise ratio within the half-light radius are flagged FAINT.

    Returns
    -------
    Measures
        Of the rows, in their order, with `STATMORPH_COLUMNS` besides. There are no standard errors. The axis ratio and
        position angle are those of the Sersic fit. Galaxies in which statmorph finds no light are FAINT; one failure
        does not stop the others.

    Raises
    ------
    MissingDependencyError
        If statmorph is not installed.
    """
    statmorph = _statmorph()
    chosen = stamps if rows is None else stamps.rows(rows)
    result = no_measures(len(chosen))
    for column in STATMORPH_COLUMNS:
        result.values[column.name] = np.full(len(chosen), np.nan)
    fwhm = psf_fwhm_px(chosen)
    for row in range(len(chosen)):
        valid = ~chosen.masks[row] & np.isfinite(chosen.images[row])
        image = np.where(valid, chosen.images[row], 0.0).astype(np.float64)
        if not valid.any() or np.ptp(image[valid]) == 0.0:
            result.flags[row] = GalaxyFlag.EMPTY
            continue
        for name, value in _measured(statmorph, image, valid, float(chosen.sky_rms[row]), float(fwhm[row])).items():
            result.values[name][row] = value
    result.values["r_e"] = result["r_e_pixels"] * chosen.pixel_scale_arcsec
    noise = np.sqrt(np.pi) * result["r50"] * np.where(chosen.sky_rms > 0.0, chosen.sky_rms, np.nan)
    result.values["snr"] = 0.5 * result["flux"] / noise
    usable = result.flags == 0
    result.flags[usable] = measure_flags(result.values, chosen, snr_limit)[usable]
    result.flags[np.isin(result["statmorph_flag"], (4.0, _FAILED))] |= GalaxyFlag.FAINT
    return result


def _statmorph() -> Any:
    try:
        return importlib.import_module("statmorph")
    except ImportError as error:
        raise MissingDependencyError(
            "statmorph is not installed; pip install 'astropipe[statmorph]', or take the fast measures"
        ) from error


def _measured(
    statmorph: Any, image: NDArray[np.float64], valid: NDArray[np.bool_], sky_rms: float, fwhm: float
) -> dict[str, float]:
    """Return the columns of one galaxy."""
    if not sky_rms > 0.0:
        sky_rms = 1.4826 * float(np.median(np.abs(image[valid] - np.median(image[valid])))) or float(
            np.std(image[valid])
        )
    segment = _segment(image, valid, sky_rms)
    if not segment.any():
        return {"statmorph_flag": 4.0}
    psf = _gaussian(fwhm * _SIGMA_OF_FWHM) if np.isfinite(fwhm) and fwhm > 0.0 else None
    try:
        with warnings.catch_warnings():
            # Its warnings are in its flags.
            warnings.simplefilter("ignore")
            (source,) = statmorph.source_morphology(
                image, segment.astype(np.int32), mask=~valid, weightmap=np.full(image.shape, sky_rms), psf=psf
            )
            values = {name: float(getattr(source, theirs)) for name, theirs in _COLUMNS.items()}
            values["axis_ratio"] = 1.0 - float(source.sersic_ellip)
            values["position_angle"] = np.degrees(float(source.sersic_theta)) % 180.0
    except Exception:  # asserts, index errors and failed root searches on odd images; the flag tells of them
        return {"statmorph_flag": float(_FAILED)}
    if source.flag == 4:
        return {"statmorph_flag": 4.0}
    values = {name: np.nan if value == _UNKNOWN else value for name, value in values.items()}
    if source.flag_sersic:
        values |= dict.fromkeys(("r_e_pixels", "sersic_index", "axis_ratio", "position_angle"), np.nan)
    return values | {"statmorph_flag": float(source.flag), "statmorph_flag_sersic": float(source.flag_sersic)}


def _segment(image: NDArray[np.float64], valid: NDArray[np.bool_], sky_rms: float) -> NDArray[np.bool_]:
    """Return the pixels above the noise in the smoothed image that are connected with the brightest near the middle."""
    smooth = ndimage.gaussian_filter(image, _DETECTION_SMOOTHING_PX, mode="constant")
    # White noise is smoothed by 2 sqrt(pi) times the width of the Gaussian.
    noise = sky_rms / (2.0 * np.sqrt(np.pi) * _DETECTION_SMOOTHING_PX)
    size = len(image)
    middle = slice(size // 4, size - size // 4)
    near = np.full(image.shape, -np.inf)
    near[middle, middle] = smooth[middle, middle]
    labels, _ = ndimage.label(smooth > _DETECTION_SIGMA * noise, structure=np.ones((3, 3)))
    own = labels.flat[np.argmax(near)]
    return (labels == own) & (own > 0) & valid


def _gaussian(sigma_px: float) -> NDArray[np.float64]:
    reach = int(np.ceil(4.0 * sigma_px))
    line = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    square = np.outer(line, line)
    return np.asarray(square / square.sum())
