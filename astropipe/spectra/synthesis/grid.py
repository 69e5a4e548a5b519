"""The grid: spectra of a range of indices into a work folder, one file each, and from there into one artifact."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import QTable
from numpy.typing import NDArray

from astropipe.artifacts import Provenance, create_artifact
from astropipe.runtime.errors import InputError, InterruptedRunError
from astropipe.runtime.files import UNREADABLE_NPZ, replacing
from astropipe.runtime.interruption import stop_requested
from astropipe.spectra.emulator import INPUT_NAMES
from astropipe.spectra.synthesis import sources
from astropipe.spectra.synthesis.atmospheres import MarcsGrid
from astropipe.spectra.synthesis.grid_labels import GridStar, draw_star, held_out
from astropipe.spectra.synthesis.turbospectrum import SynthesisError, Turbospectrum
from astropipe.spectra.synthesis.windows import WINDOWS_AIR_A, air_grid
from astropipe.spectra.wavelengths import air_to_vacuum

CITATIONS = ("Plez2012", "Gustafsson2008", "Heiter2021", "Placco2021", "Grevesse2007")
_LARGEST_FLUX = 1.05
_LONGEST_CONSTANT, _NOT_CONTINUUM = 100, 0.99
# 3e-5 of the continuum, far below what lines lists are worth.
_MANTISSA_BITS = 14


def check_flux(flux: NDArray[np.floating]) -> str:
    """Say what is wrong with a synthetic spectrum in units of the continuum; ``ok`` if nothing is."""
    if not np.isfinite(flux).all():
        return "not finite"
    if (flux <= 0.0).any() or (flux > _LARGEST_FLUX).any():
        return f"beyond 0 to {_LARGEST_FLUX:g}"
    same = np.concatenate([[False], np.diff(flux) == 0.0, [False]]).astype(int)
    edges = np.flatnonzero(np.diff(same))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start >= _LONGEST_CONSTANT and flux[start] < _NOT_CONTINUUM:
            return f"constant over {stop - start} points"
    return "ok"


def spectrum_file(work: Path, index: int) -> Path:
    """Return the file of one spectrum in the work folder."""
    return work / f"s{index:06d}.npz"


def synthesise(
    indices: Iterable[int],
    seed: int,
    folder: Path,
    work: Path,
    *,
    workers: int = 1,
    report: Callable[[int, str], None] = lambda index, message: None,
) -> None:
    """Synthesise stars into the work folder, one file each; files that are there are kept, so that a run goes on.

    Parameters
    ----------
    indices : iterable of int
        Which stars, see `grid_labels.draw_star`.
    seed : int
        Seed of the labels.
    folder : Path
        Where `sources.fetch` and `sources.build` were.
    work : Path
        The work folder.
    workers : int
        Processes.
    report : callable
        Told the index of each star and how it went.

    Raises
    ------
    InputError
        If the program or its sources are missing.
    InterruptedRunError
        If a stop was requested: between two stars, whose files are the checkpoint.
    """
    program = sources.turbospectrum(folder)
    program.check()
    work.mkdir(parents=True, exist_ok=True)
    todo = [index for index in indices if not spectrum_file(work, index).exists()]
    task = partial(_one, seed=seed, program=program, marcs=sources.marcs_folder(folder), work=work)
    if workers == 1:
        _report(map(task, todo), report)
        return
    # A Ctrl-C reaches every process; this one decides.
    deaf = (signal.SIGINT, signal.SIG_IGN)
    with multiprocessing.get_context("spawn").Pool(workers, signal.signal, deaf) as pool:
        _report(pool.imap_unordered(task, todo), report)


def _report(results: Iterable[tuple[int, str]], report: Callable[[int, str], None]) -> None:
    for result in results:
        report(*result)
        if stop_requested():
            raise InterruptedRunError("interrupted; the stars that are done are kept: run the same command again")


_models: dict[Path, MarcsGrid] = {}


def _one(index: int, *, seed: int, program: Turbospectrum, marcs: Path, work: Path) -> tuple[int, str]:
    if marcs not in _models:
        _models[marcs] = MarcsGrid(marcs)
    star = draw_star(index, seed)
    try:
        flux, n_filled = program.spectrum(star, _models[marcs])
        message = next((text for text in map(check_flux, flux.values()) if text != "ok"), "ok")
    except SynthesisError as error:
        # Recorded, and kept out of the training.
        flux, n_filled, message = {arm: np.zeros(0) for arm in WINDOWS_AIR_A}, -1, str(error)
    _save(spectrum_file(work, index), star, flux, n_filled, message)
    return index, message


def _save(path: Path, star: GridStar, flux: dict[str, NDArray[np.float64]], n_filled: int, message: str) -> None:
    partial_file = path.with_name(f"{path.name}.{os.getpid()}.partial.npz")
    arms = {arm: values.astype(np.float32) for arm, values in flux.items()}
    np.savez(
        partial_file, allow_pickle=False, labels=star.labels, kind=star.kind, nfill=n_filled, message=message, **arms
    )
    os.replace(partial_file, path)


def write_record(path: Path, indices: Iterable[int]) -> None:
    """Write which stars a run has made, an index a line: complete or not at all.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with replacing(path) as partial_file:
        partial_file.write_text("".join(f"{index}\n" for index in indices))


def read_records(paths: Sequence[Path]) -> list[int]:
    """Return the stars of some records, each once and in order.

    Raises
    ------
    InputError
        If a record cannot be read or holds anything but indices.
    """
    indices: set[int] = set()
    for path in paths:
        try:
            indices.update(int(line) for line in path.read_text().split())
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a record of stars ({error}); run its part of the grid again") from error
    return sorted(indices)


def gather(
    work: Path, output: Path, seed: int, indices: Sequence[int] | None = None, *, n_population: int | None = None
) -> str:
    """Write the spectra of a work folder as one ``synthetic-grid`` artifact.

    Parameters
    ----------
    work : Path
        The work folder.
    output : Path
        The artifact.
    seed : int
        Seed of the labels.
    indices : sequence of int, optional
        Which stars, in order; by default all that are in the folder.
    n_population : int, optional
        Stars of this index and beyond were chosen for their temperature; by default none.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    InputError
        If there are no spectra, one that is wanted is missing, a file is damaged, or one has labels that the seed does
        not give.
    """
    if indices is None:
        found = (path.name for path in work.glob("s*.npz"))
        indices = sorted(int(name[1:7]) for name in found if re.fullmatch(r"s\d{6}\.npz", name))
    if not indices:
        raise InputError(f"{work}: no spectra; run python -m astropipe.spectra.synthesis run first")
    files = [spectrum_file(work, index) for index in indices]
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise InputError(f"{missing[0]}: missing, {len(missing)} of {len(files)} stars are; run their indices again")
    stars = [draw_star(index, seed) for index in indices]
    status = []
    config = {"seed": seed, "atmosphere": "[M/H] = mean of the electron donors", "spectra": len(files)}
    packages = {source.requirement: source.sha256 for source in sources.SOURCES}
    provenance = Provenance.collect(
        f"python -m astropipe.spectra.synthesis gather {work.name} --output {output.name}",
        config | {"sources": packages},
        seed=seed,
        citations=CITATIONS,
    )
    with create_artifact(
        output, "synthetic-grid", title="Grid of synthetic spectra", provenance=provenance
    ) as artifact:
        datasets = {}
        for arm in WINDOWS_AIR_A:
            vacuum = air_to_vacuum(air_grid(arm))
            artifact.write_array(f"wavelength_{arm}", vacuum, unit="Angstrom")
            datasets[arm] = artifact.create_array(f"flux_{arm}", (len(files), len(vacuum)), np.float32)
        for row, (path, star) in enumerate(zip(files, stars, strict=True)):
            flux, message = _load(path, star)
            for arm, values in flux.items():
                if values.size:
                    datasets[arm][row] = _rounded(values)
            status.append(message)
        table = QTable({"index": np.array(indices, dtype=np.int64)})
        for i, name in enumerate(INPUT_NAMES):
            unit = {"t_eff": u.K, "v_micro": u.km / u.s}.get(name)
            column = np.array([star.labels[i] for star in stars])
            table[name] = column if unit is None else column * unit
        table["kind"] = [star.kind for star in stars]
        table["held_out"] = [held_out(index) for index in indices]
        table["population"] = [n_population is None or index < n_population for index in indices]
        table["status"] = status
        artifact.write_table(table)
    good = status.count("ok")
    return f"{len(files)} spectra, {good} of them good, {sum(held_out(index) for index in indices)} held out"


def _load(path: Path, star: GridStar) -> tuple[dict[str, NDArray[np.float32]], str]:
    try:
        with np.load(path, allow_pickle=False) as file:
            labels, message = file["labels"], str(file["message"])
            flux = {arm: file[arm] for arm in WINDOWS_AIR_A}
    except (*UNREADABLE_NPZ, KeyError) as error:
        raise InputError(f"{path}: cannot be read ({error}); delete it and run its index again") from error
    if not np.allclose(labels, star.labels, rtol=0, atol=1e-9):
        raise InputError(f"{path}: its labels are not those of this seed and index; never mix two grids in one folder")
    wrong = [arm for arm, values in flux.items() if values.size not in (0, len(air_grid(arm)))]
    if wrong:
        raise InputError(f"{path}: {wrong[0]} has {flux[wrong[0]].size} points; delete it and run its index again")
    return flux, message


def _rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round the mantissa, so that the file compresses."""
    drop = 23 - _MANTISSA_BITS
    whole = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32) + np.uint32(1 << (drop - 1))
    return (whole & np.uint32(0xFFFFFFFF & ~((1 << drop) - 1))).view(np.float32)
