"""What to cite for an artifact: the keys in its provenance and in that of its inputs, as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path

from astropipe.artifacts.reader import open_unchecked
from astropipe.artifacts.verification import verify
from astropipe.runtime.errors import UsageError

ALWAYS = ("astropipe", "Astropy2022", "NumPy2020")


def citations(paths: Iterable[Path]) -> list[str]:
    """Return the BibTeX keys for some artifacts and every input of theirs that is found, in order of use."""
    keys = list(ALWAYS)
    for finding in verify(paths):
        if finding.is_artifact:
            with open_unchecked(finding.path) as artifact:
                keys += artifact.provenance.citations
    return list(dict.fromkeys(keys))


def bibtex(keys: Iterable[str]) -> str:
    """Return the BibTeX entries of some keys.

    Raises
    ------
    UsageError
        If a key has no entry.
    """
    entries = _entries()
    if unknown := [key for key in keys if key not in entries]:
        raise UsageError(
            f"no BibTeX entry for {', '.join(unknown)}; the artifact comes from a newer astropipe: update it"
        )
    return "\n\n".join(entries[key] for key in keys)


@cache
def _entries() -> dict[str, str]:
    text = resources.files("astropipe.artifacts").joinpath("citations.bib").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=@)", text.strip())
    return {entry.split("{", 1)[1].split(",", 1)[0].strip(): entry.strip() for entry in entries}
