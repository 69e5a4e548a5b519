"""What emulators are made of: the spectra of a grid, what each is for, and the stars that an emulator has learned from.

An emulator keeps the latter as coefficients of its components, a thousandth of their size, so that it can learn from
more stars when the grid that it was made of is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astropipe.artifacts import open_artifact
from astropipe.runtime.errors import InputError
from astropipe.spectra.emulator import INPUT_NAMES, REST, Emulator, read_emulator
from astropipe.spectra.emulator_training import to_rest_pixels

_LABELS, _COEFFICIENTS = "learned-labels", "learned-coefficients"


@dataclass(frozen=True)
class LearnedStars:
    """Stars from which an emulator learns.

    Attributes
    ----------
    labels : ndarray, shape (n, 18)
        In the order of `INPUT_NAMES`.
    spectra : ndarray, shape (n, pixels of REST)
        At `RESOLUTION`, in units of the continuum.
    """

    labels: NDArray[np.float64]
    spectra: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of stars."""
        return len(self.labels)

    def __add__(self, others: LearnedStars) -> LearnedStars:
        """Return these stars and those of the others that are not among them."""
        new = ~self.among(others.labels)
        return LearnedStars(
            np.concatenate([self.labels, others.labels[new]]), np.concatenate([self.spectra, others.spectra[new]])
        )

    def among(self, labels: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which stars of some labels are among these, shape (len(labels),)."""
        # In single precision, as they are kept; no two stars have the same temperature, log g and [Fe/H].
        known = {tuple(star) for star in self.labels[:, :3].astype(np.float32).tolist()}
        return np.array([tuple(star) in known for star in labels[:, :3].astype(np.float32).tolist()], dtype=bool)

    def arrays(self, emulator: Emulator) -> dict[str, NDArray[np.generic]]:
        """Return labels and coefficients by name, as the artifact of the emulator keeps them."""
        coefficients = (self.spectra - emulator.mean.numpy()) @ emulator.basis.numpy().T
        return {_LABELS: self.labels.astype(np.float32), _COEFFICIENTS: coefficients.astype(np.float16)}


def no_stars() -> LearnedStars:
    """Return none."""
    n_pixels = sum(arm.size for arm in REST)
    return LearnedStars(np.empty((0, len(INPUT_NAMES))), np.empty((0, n_pixels), dtype=np.float32))


def read_learned(path: Path) -> LearnedStars:
    """Read the stars from which the emulator of a ``spectrum-emulator`` artifact has learned.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another kind, or was written before emulators kept their stars.
    """
    with open_artifact(path, "spectrum-emulator") as artifact:
        if f"weights/{_LABELS}" not in artifact.file:
            raise InputError(f"{path}: it does not have the stars that it learned from; train from the whole grid")
        labels = np.asarray(artifact.array(f"weights/{_LABELS}"), dtype=np.float64)
        coefficients = np.asarray(artifact.array(f"weights/{_COEFFICIENTS}"), dtype=np.float32)
    emulator = read_emulator(path)
    return LearnedStars(labels, emulator.mean.numpy() + coefficients @ emulator.basis.numpy())


@dataclass(frozen=True)
class Grid:
    """Good spectra of a ``synthetic-grid`` on the pixels of emulators, and what each is for.

    Attributes
    ----------
    labels : ndarray, shape (n, 18)
        In the order of `INPUT_NAMES`.
    spectra : ndarray, shape (n, pixels of REST)
        At `RESOLUTION`, in units of the continuum.
    learned, calibration, held_out : ndarray of bool, shape (n,)
        From which the network learns, which tell its errors, and which nothing may see but the scores.
    population : ndarray of bool, shape (n,)
        Which were drawn from the whole population, not chosen for their temperature.
    index : ndarray of int, shape (n,)
        Number of each star in the sequence of drawn labels.
    content_sha256 : str
        Of the artifact.
    """

    labels: NDArray[np.float64]
    spectra: NDArray[np.float32]
    learned: NDArray[np.bool_]
    calibration: NDArray[np.bool_]
    held_out: NDArray[np.bool_]
    population: NDArray[np.bool_]
    index: NDArray[np.int64]
    content_sha256: str

    def stars(self) -> LearnedStars:
        """Return the stars from which the network learns."""
        return LearnedStars(self.labels[self.learned], self.spectra[self.learned])


def read_grid(path: Path, n_calibration: int = 0) -> Grid:
    """Read a ``synthetic-grid``; the last stars of the population that are not held out are for calibration."""
    with open_artifact(path, "synthetic-grid") as artifact:
        table = artifact.table()
        good = np.asarray(table["status"]) == "ok"
        rows = np.flatnonzero(good)
        labels = np.stack(
            [np.asarray(getattr(table[name], "value", table[name]), dtype=np.float64) for name in INPUT_NAMES], axis=1
        )
        spectra = np.concatenate(
            [
                to_rest_pixels(
                    np.asarray(artifact.file[f"wavelength_{arm.name}"], dtype=np.float64),
                    np.asarray(artifact.file[f"flux_{arm.name}"], dtype=np.float64)[rows],
                    arm,
                )
                for arm in REST
            ],
            axis=1,
        )
        held_out = np.asarray(table["held_out"], dtype=bool)[rows]
        population = np.ones(len(rows), dtype=bool)
        if "population" in table.colnames:
            population = np.asarray(table["population"], dtype=bool)[rows]
        calibration = np.zeros(len(rows), dtype=bool)
        possible = np.flatnonzero(~held_out & population)
        calibration[possible[len(possible) - min(n_calibration, len(possible)) :]] = True
        return Grid(
            labels=labels[rows],
            spectra=spectra,
            learned=~held_out & ~calibration,
            calibration=calibration,
            held_out=held_out,
            population=population,
            index=np.asarray(table["index"], dtype=np.int64)[rows],
            content_sha256=artifact.content_sha256,
        )
