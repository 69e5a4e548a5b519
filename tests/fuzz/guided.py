"""Damage a file as the reader's own branches suggest: ``python guided.py READER SEED_FILE FOLDER SECONDS``.

Atheris keeps each damaged file that takes a branch of the reader, or of the parsers of YAML and FITS, that none before
it took, and goes on from there. Reading may succeed or end with an error of astropipe; anything else ends this process
with a traceback, and the file that did it is left in the folder.
"""

from __future__ import annotations

import resource
import sys
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["astropipe", "yaml", "astropy.io"]):
    import yaml  # noqa: F401
    from astropy.io import fits  # noqa: F401
    from damaging import READERS

    from astropipe.runtime.errors import AstropipeError

_SECONDS, _MEGABYTES = 20, 2048


def main(reader: str, source: Path, folder: Path, seconds: int) -> None:
    """Fuzz one reader for so long; the process ends with it."""
    warnings.simplefilter("ignore")
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    raw = source.read_bytes()
    (corpus / "sound").write_bytes(raw)
    path = folder / f"damaged{''.join(source.suffixes)}"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        try:
            READERS[reader](path)
        except AstropipeError:
            return

    # What is there is needed first: libraries are loaded by the sound file.
    with atheris.instrument_imports(include=["astropipe"]):
        read(raw)
    in_use = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    options = {
        "max_total_time": seconds,
        "timeout": _SECONDS,
        "rss_limit_mb": in_use + _MEGABYTES,
        "max_len": 2 * len(raw),
        "seed": 1,
        "artifact_prefix": f"{folder}/",
    }
    atheris.Setup([sys.argv[0], str(corpus), *(f"-{name}={value}" for name, value in options.items())], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
