"""Damage files at random and read them: ``python damaging.py READER SEED_FILE FOLDER FIRST COUNT``.

Each seed makes one damaged file. Reading it may succeed or end with an error of astropipe. Anything else (another
exception, a crash, more than 20 s, more than 2 GB) ends this process; the last seed printed is to blame.
"""

from __future__ import annotations

import resource
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from astropipe.artifacts import open_artifact
from astropipe.runtime.errors import AstropipeError

_SECONDS = 20
_BYTES = 2 << 30


def damaged(raw: bytes, seed: int) -> bytes:
    """Return a file with one to four changes: bytes, pieces, numbers, its end."""
    rng = np.random.default_rng(seed)
    data = bytearray(raw)
    for _ in range(int(rng.integers(1, 5))):
        if not data:
            break
        at = int(rng.integers(len(data)))
        # Headers are where readers decide; most files have theirs at the start.
        if rng.random() < 0.5:
            at = int(rng.integers(min(len(data), 6_000)))
        size = int(2.0 ** rng.uniform(0.0, 8.0))
        match rng.integers(7):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                data[at : at + size] = rng.bytes(min(size, len(data) - at))
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = rng.bytes(size)
            case 4:
                data[at:at] = data[at : at + size]
            case 5:
                digits = [i for i in range(at, min(at + 400, len(data))) if chr(data[i]).isdigit()]
                for i in digits[: int(rng.integers(1, 10))]:
                    data[i] = int(rng.choice(list(b"0123456789")))
            case 6:
                del data[at:]
    return bytes(data)


def _artifact(path: Path) -> None:
    with open_artifact(path) as artifact:
        artifact.provenance  # noqa: B018
        paths: list[str] = []
        artifact.file.visit(paths.append)
        for each in paths:
            artifact.attributes(each)
        if "catalog" in paths:
            artifact.table()


def _policy(path: Path) -> None:
    from astropipe.nbody import read_policy

    read_policy(path)


def _emulator(path: Path) -> None:
    from astropipe.spectra.emulator import read_emulator

    read_emulator.cache_clear()
    read_emulator(path)


def _encoder(path: Path) -> None:
    from astropipe.morphology.encoder_artifact import read_encoder

    read_encoder(path)


def _spectra(path: Path) -> None:
    from astropipe.spectra.readers import read_observations

    read_observations(path, "all")


def _labels(path: Path) -> None:
    from astropipe.spectra.label_tables import read_label_table

    read_label_table(path, "id")


def _picture(path: Path) -> None:
    from astropipe.morphology.cut_options import CutOptions
    from astropipe.morphology.pictures import open_picture

    with open_picture(path, CutOptions()) as picture:
        picture.rectangle(slice(0, 64), slice(0, 64))


def _settings(path: Path) -> None:
    from astropipe.config import load

    load([path])


READERS: dict[str, Callable[[Path], None]] = {
    "artifact": _artifact,
    "policy": _policy,
    "emulator": _emulator,
    "encoder": _encoder,
    "spectra": _spectra,
    "labels": _labels,
    "picture": _picture,
    "settings": _settings,
}


def main(reader: str, source: Path, folder: Path, first: int, count: int) -> None:
    """Damage and read one file after the other."""
    warnings.simplefilter("ignore")
    raw = source.read_bytes()
    path = folder / f"damaged{''.join(source.suffixes)}"
    # What is there is needed first: libraries are loaded by the sound file.
    READERS[reader](source)
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + _BYTES, in_use + _BYTES))
    for seed in range(first, first + count):
        print(seed, flush=True)
        path.write_bytes(damaged(raw, seed))
        signal.alarm(_SECONDS)
        try:
            READERS[reader](path)
        except AstropipeError:
            continue
    signal.alarm(0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
