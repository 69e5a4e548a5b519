"""The structural parameters that are measured of a galaxy: their names, units and meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from astropipe.morphology.flags import GalaxyFlag
from astropipe.morphology.stamps import Stamps

SNR_LIMIT = 20.0
"""Below this signal-to-noise ratio within the half-light radius a galaxy is FAINT: errors are no longer the scatter."""
# Of the size of a stamp: a galaxy further from the middle is not the one that was cut out.
_OFF_CENTRE = 1.0 / 8.0


class MeasureColumn(NamedTuple):
    """One column: its name, its astropy unit ("" where it has none, "flux" for that of the images) and its meaning."""

    name: str
    unit: str
    description: str


MEASURE_COLUMNS = (
    MeasureColumn("x_centre", "pix", "Column of the centre of symmetry in the stamp, from 0"),
    MeasureColumn("y_centre", "pix", "Row of the centre of symmetry in the stamp, from 0"),
    MeasureColumn("flux", "flux", "Sum within 1.5 Petrosian radii"),
    MeasureColumn("snr", "", "Signal-to-noise ratio within the half-light radius, of sky noise"),
    MeasureColumn("petrosian_radius", "pix", "Radius where the brightness is 0.2 of the mean inside, in stamp pixels"),
    MeasureColumn("petrosian_radius_err", "pix", "Standard error of the Petrosian radius"),
    MeasureColumn("r20", "pix", "Radius of 20 % of the flux, in stamp pixels"),
    MeasureColumn("r50", "pix", "Radius of half the flux, in stamp pixels, as seen through the PSF"),
    MeasureColumn("r80", "pix", "Radius of 80 % of the flux, in stamp pixels"),
    MeasureColumn("r_e", "arcsec", "Effective radius of the Sersic profile along the major axis"),
    MeasureColumn("r_e_err", "arcsec", "Standard error of r_e"),
    MeasureColumn("r_e_pixels", "pix", "Effective radius of the Sersic profile along the major axis, in stamp pixels"),
    MeasureColumn("r_e_pixels_err", "pix", "Standard error of r_e_pixels"),
    MeasureColumn("sersic_index", "", "Index n of the Sersic profile"),
    MeasureColumn("sersic_index_err", "", "Standard error of the Sersic index"),
    MeasureColumn("axis_ratio", "", "Minor over major axis, less the PSF where it is known"),
    MeasureColumn("axis_ratio_err", "", "Standard error of the axis ratio"),
    MeasureColumn("position_angle", "deg", "Major axis from the x axis of the stamp towards its y axis, 0 to 180"),
    MeasureColumn("concentration", "", "C = 5 log10(r80 / r20)"),
    MeasureColumn("concentration_err", "", "Standard error of the concentration"),
    MeasureColumn("asymmetry", "", "Asymmetry A under a turn by 180 degrees, less that of the sky"),
    MeasureColumn("asymmetry_err", "", "Standard error of the asymmetry"),
    MeasureColumn("smoothness", "", "Smoothness (clumpiness) S, less that of the sky"),
    MeasureColumn("gini", "", "Gini coefficient of the pixels of the Petrosian segment"),
    MeasureColumn("gini_err", "", "Standard error of the Gini coefficient"),
    MeasureColumn("m20", "", "M20: log10 of the share of the brightest 20 % in the second moment of the light"),
    MeasureColumn("m20_err", "", "Standard error of M20"),
    MeasureColumn("multimode", "", "Multimode M: area of the second to the first clump"),
    MeasureColumn("intensity", "", "Intensity I: flux of the second to the first peak"),
    MeasureColumn("deviation", "", "Deviation D: distance of the brightest peak from the centroid, in segment radii"),
)
"""In the order of a catalog. What could not be measured is NaN."""


@dataclass(frozen=True)
class Measures:
    """Structural parameters of n galaxies.

    Attributes
    ----------
    values : dict of str to ndarray, shape (n,)
        One array for each of `MEASURE_COLUMNS`; NaN where not measured.
    flags : ndarray of int64, shape (n,)
        What the measurement found, to be joined with the flags of the stamps; see `GalaxyFlag`.
    """

    values: dict[str, NDArray[np.float64]]
    flags: NDArray[np.int64]

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self.values[name]

    def __len__(self) -> int:
        return len(self.flags)


def no_measures(n: int) -> Measures:
    """Return measures of n galaxies of which nothing is known yet: all NaN."""
    return Measures({column.name: np.full(n, np.nan) for column in MEASURE_COLUMNS}, np.zeros(n, dtype=np.int64))


def join_measures(parts: list[Measures]) -> Measures:
    """Join the measures of several batches, in their order."""
    if not parts:
        return no_measures(0)
    return Measures(
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0].values},
        np.concatenate([part.flags for part in parts]),
    )


def psf_fwhm_px(stamps: Stamps) -> NDArray[np.float64]:
    """Return the full width at half maximum of the point spread function in stamp pixels; NaN where unknown."""
    return np.asarray(stamps.psf_fwhm_arcsec / stamps.pixel_scale_arcsec)


def measure_flags(values: dict[str, NDArray[np.float64]], stamps: Stamps, snr_limit: float) -> NDArray[np.int64]:
    """Return TRUNCATED, TINY, FAINT and OFF_CENTRE of measured galaxies, shape (n,).

    TRUNCATED where the Petrosian radius reaches over the edge of the stamp or was not found in it; TINY where the
    effective radius is below half the full width of the point spread function, or one pixel where that is unknown.
    """
    last = stamps.size - 1
    x, y = values["x_centre"], values["y_centre"]
    edge = np.minimum(np.minimum(x, y), np.minimum(last - x, last - y)) + 0.5
    fwhm = psf_fwhm_px(stamps)
    resolution = np.where(np.isnan(fwhm), 1.0, fwhm / 2.0)
    size = np.where(np.isnan(values["r_e_pixels"]), values["r50"], values["r_e_pixels"])
    known_noise = np.isfinite(stamps.sky_rms) & (stamps.sky_rms > 0.0)
    found = {
        GalaxyFlag.TRUNCATED: ~(values["petrosian_radius"] <= edge),
        GalaxyFlag.TINY: size < resolution,
        GalaxyFlag.FAINT: known_noise & ~(values["snr"] >= snr_limit),
        GalaxyFlag.OFF_CENTRE: np.hypot(x - last / 2.0, y - last / 2.0) > _OFF_CENTRE * stamps.size,
    }
    return np.sum([np.where(where, int(flag), 0) for flag, where in found.items()], axis=0, dtype=np.int64)
