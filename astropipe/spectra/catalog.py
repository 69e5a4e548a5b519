"""The catalog of stars: rows as they come in batches, and the table with units that they make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import QTable
from numpy.typing import NDArray

from astropipe.spectra import prediction
from astropipe.spectra.fitting import Fitter, read_fitter
from astropipe.spectra.flags import SpectrumFlag
from astropipe.spectra.labels import LABELS
from astropipe.spectra.observations import Observation
from astropipe.spectra.prediction import Rows, measured_bits
from astropipe.spectra.sources import SKY_UNITS, Batch, batch_of


def measure(spectra: Sequence[Observation], *, fitter: Fitter | None = None, threads: int = 1) -> QTable:
    """Read labels, velocities and flags from spectra.

    Parameters
    ----------
    spectra : sequence of Observation
        Spectra, as `read_spectra` returns them.
    fitter : Fitter, optional
        Of another emulator than the one that comes with astropipe, see `read_fitter`.
    threads : int
        Batches that are fitted at a time.

    Returns
    -------
    QTable
        A row for each spectrum in their order, with the columns of a ``stellar-catalog`` (docs/artifacts.md) and units;
        `SpectrumFlag.names` tells what the bits of ``flags`` mean.
    """
    rows, batch = CatalogRows(None), batch_of(spectra)
    rows.add(batch, prediction.predict(fitter or read_fitter(), batch.flux, batch.ivar, threads=threads))
    return catalog_table(rows.arrays())


class CatalogRows:
    """The rows of a catalog as they come, in blocks.

    Parameters
    ----------
    arrays : dict of str to array, optional
        What `arrays` gave to a checkpoint.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]] | None) -> None:
        self.done = (0, 0)
        self._blocks: dict[str, list[NDArray[Any]]] = {}
        if arrays is not None:
            done = arrays.pop("done")
            self.done = (int(done[0]), int(done[1]))
            for name, values in arrays.items():
                decoded = np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
                self._blocks[name] = [decoded]

    def __len__(self) -> int:
        return sum(len(block) for block in self._blocks.get("flags", []))

    def add(self, batch: Batch, rows: Rows) -> None:
        """Append the results of a batch, of which those that are wanted."""
        values = vars(rows) | {
            "id": np.array(batch.ids, dtype=str),
            "file": np.array(batch.files, dtype=str),
            "hdu": np.array(batch.hdus, dtype=str),
            "snr": batch.snr,
            "sky": batch.sky,
            "flags": _joined_flags(batch.flags, rows.flags),
        }
        for name, block in values.items():
            self._blocks.setdefault(name, []).append(block[batch.wanted])
        self.done = batch.done

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all rows by name, text as bytes, with where they end in the inputs."""
        arrays = {}
        for name, blocks in self._blocks.items():
            joined = np.concatenate(blocks)
            self._blocks[name] = [joined]
            arrays[name] = np.char.encode(joined, "utf-8") if joined.dtype.kind == "U" else joined
        return arrays | {"done": np.array(self.done)}


def _joined_flags(read: NDArray[np.int64], fitted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join what was wrong with a file with what the fit says; of a file that was not read, only the first."""
    unreadable = (read & SpectrumFlag.UNREADABLE) != 0
    return np.where(unreadable, int(SpectrumFlag.UNREADABLE), read | fitted)


def catalog_table(arrays: dict[str, NDArray[Any]]) -> QTable:
    """Return the table of a ``stellar-catalog`` of the arrays that `CatalogRows.arrays` gives."""

    def text(name: str) -> NDArray[np.str_]:
        return np.char.decode(arrays[name], "utf-8")

    table = QTable({"id": text("id")})
    for i, label in enumerate(LABELS):
        unit = u.Unit(label.unit) if label.unit else u.dimensionless_unscaled
        for name, values in ((label.name, arrays["labels"]), (f"{label.name}_err", arrays["errors"])):
            table[name] = values[:, i] * unit if label.unit else values[:, i]
    for name in ("rv", "rv_err", "v_sin_i", "asymmetry"):
        table[name] = arrays[name] * u.km / u.s
    for i, arm in enumerate(("blue", "red")):
        table[f"snr_{arm}"] = arrays["snr"][:, i]
        table[f"chi2_{arm}"] = arrays["chi2"][:, i]
        table[f"excess_{arm}"] = arrays["excess"][:, i]
    for name in ("rv_second", "air_gain"):
        table[name] = arrays[name]
    for name in ("rv_red_blue", "rv_red_blue_err"):
        table[name] = arrays[name] * u.km / u.s
    table["n_spikes"] = arrays["n_spikes"]
    table["measured"] = measured_bits(arrays["information"])
    table["flags"] = arrays["flags"]
    for i, (name, unit) in enumerate(SKY_UNITS.items()):
        if np.isfinite(arrays["sky"][:, i]).any():
            table[name] = arrays["sky"][:, i] * unit
    table["file"], table["hdu"] = text("file"), text("hdu")
    return table
