"""`cite`: what to cite for a result, its inputs included."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small import fill

from astropipe.artifacts import Provenance, create_artifact
from astropipe.artifacts.citations import ALWAYS, _entries, bibtex, citations
from astropipe.runtime.errors import UsageError


def test_astropipe_itself_has_entries() -> None:
    text = bibtex(citations([]))
    assert [re.search(rf"@\w+{{{key},", text) is not None for key in ALWAYS] == [True] * len(ALWAYS)


def test_keys_of_inputs_come_along_once(folder: Path) -> None:
    # A name says nothing: what is an artifact is known by its content.
    first, second = folder / "a", folder / "b.hdf5"
    for path, kind, keys, inputs in (
        (first, "systems", ("Plummer1911", "NumPy2020"), ()),
        (second, "metrics", ("Skilling2006",), (first,)),
    ):
        origin = Provenance.collect("test", {}, inputs=inputs, citations=keys)
        with create_artifact(path, kind, title="t", provenance=origin) as artifact:
            fill(artifact)
    assert citations([second]) == [*ALWAYS, "Skilling2006", "Plummer1911"]


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no BibTeX entry for Nobody1900; .* update it"):
        bibtex(["astropipe", "Nobody1900"])


def test_every_entry_is_complete() -> None:
    for key, entry in _entries().items():
        assert entry.count("{") == entry.count("}"), key
        for field in ("author", "title", "year"):
            assert re.search(rf"^\s*{field}\s*=", entry, re.MULTILINE), (key, field)
