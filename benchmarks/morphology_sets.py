"""Frozen sets of the benchmark of the galaxies: drawn by GalSim, from which no encoder learned, and real ones."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from astropipe.morphology.rendering.galsim_renderer import render_set
from astropipe.morphology.sources import stamps_from_arrays
from astropipe.morphology.stamps import Stamps

SEED = 12
PER_CLASS = 400
LEVELS = (20.0, 50.0, 100.0, 200.0)
"""Signal-to-noise ratios inside the half-light radius; galaxies of COSMOS with I = 25 to 22.5 have 50 to 200."""

_ARRAYS = ("images", "masks", "sky_rms", "pixel_scale_arcsec", "psf_fwhm_arcsec", "flags")
_TOGETHER = 50
# Classes of the Galaxy Zoo examples: some combinations of answers, no votes. Others are left out.
ZOO = {"smooth": 0, "spiral": 1, "edge-on disk": 2, "irregular/merger": 3}


def simulated(folder: Path, level: float) -> Stamps:
    """Return the test set of one signal-to-noise ratio, drawn at first use (ten minutes) and then read."""
    path = folder / f"galsim-{SEED}-{level:g}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        parts = [render_set(_TOGETHER, (level,), seed=SEED, first=first) for first in range(0, PER_CLASS, _TOGETHER)]
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
        arrays |= {
            f"column_{name}": np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns
        }
        np.savez_compressed(path, ids=np.array([one for part in parts for one in part.ids]), **arrays)
    with np.load(path) as saved:
        columns = {name[7:]: saved[name] for name in saved.files if name.startswith("column_")}
        return Stamps([str(one) for one in saved["ids"]], *(saved[name] for name in _ARRAYS), columns=columns)


def joined(parts: list[Stamps]) -> Stamps:
    """Return several sets as one."""
    return Stamps(
        [f"{i}-{one}" for i, part in enumerate(parts) for one in part.ids],
        *(np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS),
        columns={name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns},
    )


def galaxy_zoo(path: Path) -> tuple[Stamps, NDArray[np.int64]]:
    """Return Galaxy Zoo example pictures of four classes, and the class of each."""
    with h5py.File(path) as file:
        images, names = file["images"][()], file["class"].asstr()[()]
    wanted = np.array([name in ZOO for name in names])
    classes = np.array([ZOO[name] for name in names[wanted]])
    return stamps_from_arrays(list(images[wanted].astype(np.float32)), stretched=True), classes
