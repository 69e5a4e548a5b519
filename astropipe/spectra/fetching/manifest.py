"""The manifest of a folder of downloaded spectra: which files, of which release, with which checksums."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from astropy.table import Table

from astropipe.runtime.errors import InputError, UsageError
from astropipe.runtime.files import replacing

NAME = "manifest.ecsv"
_TITLE = "Spectra of LAMOST, as downloaded"


@dataclass(frozen=True)
class Entry:
    """One file.

    Attributes
    ----------
    obsid, file : str
        Observation number, and name of the file in the folder.
    sha256 : str
        Of its bytes.
    size : int
        Their number.
    """

    obsid: str
    file: str
    sha256: str
    size: int


class Manifest:
    """What is in a folder. It is itself a table that `read_wanted` takes, so that others can fetch the same bytes.

    Parameters
    ----------
    folder : Path
        The folder; its manifest is read if there is one.
    release, version : str
        Of the data.

    Raises
    ------
    InputError
        If the manifest cannot be read.
    UsageError
        If it is of another release: the same observation has other bytes there.
    """

    def __init__(self, folder: Path, release: str, version: str) -> None:
        self.path = folder / NAME
        self._meta = {"title": _TITLE, "release": release, "version": version}
        self._entries: dict[str, Entry] = {}
        self._owners: dict[str, str] = {}
        self._changed = False
        if not self.path.exists():
            return
        try:
            table = Table.read(self.path, format="ascii.ecsv")
            found = f"{table.meta['release']} {table.meta['version']}"
            rows = zip(*(table[name].tolist() for name in ("obsid", "file", "sha256", "bytes")), strict=True)
            entries = [Entry(str(row[0]), str(row[1]), str(row[2]), int(row[3])) for row in rows]
        except Exception as error:  # astropy's readers raise many kinds for damaged files
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"{self.path}: not a readable manifest ({reason}); delete it, and the files are checked and listed anew"
            ) from error
        if found != f"{release} {version}":
            raise UsageError(
                f"{folder} holds spectra of {found}, and {release} {version} is asked for; choose another --output"
            )
        for entry in entries:
            self.add(entry)
        self._changed = False

    def get(self, obsid: str) -> Entry | None:
        """Return the entry of an observation, if there is one."""
        return self._entries.get(obsid)

    def owner(self, file: str) -> str | None:
        """Return whose file a name is, if it is listed."""
        return self._owners.get(file)

    def add(self, entry: Entry) -> None:
        """Enter a file; `save` writes it."""
        if self._entries.get(entry.obsid) != entry:
            self._entries[entry.obsid] = entry
            self._owners[entry.file] = entry.obsid
            self._changed = True

    def save(self) -> None:
        """Write the manifest, as a whole, if anything changed.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        if not self._changed:
            return
        entries = self._entries.values()
        table = Table(
            {
                "obsid": [entry.obsid for entry in entries],
                "file": [entry.file for entry in entries],
                "sha256": [entry.sha256 for entry in entries],
                "bytes": [entry.size for entry in entries],
            },
            meta=self._meta,
        )
        with replacing(self.path) as partial:
            table.write(partial, format="ascii.ecsv")
        self._changed = False
