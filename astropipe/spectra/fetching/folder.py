"""A folder of downloaded spectra: what is missing is fetched, what is there is checked and kept."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from astropipe.artifacts.hashing import file_sha256
from astropipe.config.spectra import FetchConfig
from astropipe.runtime.errors import InputError, InterruptedRunError, OutputError
from astropipe.runtime.files import remedy, replacing
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.progress import progress
from astropipe.spectra.fetching.manifest import Entry, Manifest
from astropipe.spectra.fetching.server import Server, UnreachableError
from astropipe.spectra.fetching.wanted import Wanted, read_wanted
from astropipe.spectra.lamost import load_fits

_SECONDS_BETWEEN_SAVES = 20.0
_MOST_UNANSWERED = 5
_MOST_LISTED = 5


def fetch(
    table: Path,
    folder: Path,
    config: FetchConfig | None = None,
    *,
    complain: Callable[[str], None] = lambda message: None,
    quiet: bool = True,
) -> str:
    """Download the spectra of a table into a folder, with a manifest; one that fails does not stop the others.

    Parameters
    ----------
    table : Path
        See `wanted.read_wanted`.
    folder : Path
        Made if it does not exist. A file that is there is kept, after a check against manifest and table.
    config : FetchConfig, optional
        From where, and which columns.
    complain : callable
        Told, as it happens, of each spectrum that failed, and why.
    quiet : bool
        No progress.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    InputError
        If the table cannot be used, any spectrum failed, or the server does not answer.
    UsageError
        If the folder holds another release.
    OutputError
        If the folder cannot be written.
    InterruptedRunError
        If a stop was requested; what is there is kept.
    """
    config = config or FetchConfig()
    wanted = read_wanted(table, config)
    server = Server.of(config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder {folder}: {error.strerror}; {remedy(error)}") from error
    manifest = Manifest(folder, config.release, config.version)
    failed: list[str] = []
    fetched = unanswered = 0
    saved_at = time.monotonic()
    try:
        with progress("fetch", len(wanted), "spectra", quiet=quiet) as reporter:
            for done, each in enumerate(wanted):
                if stop_requested():
                    raise InterruptedRunError(
                        f"interrupted after {done} of {len(wanted)} spectra, which are kept; run the same command again"
                    )
                try:
                    fetched += _provide(each, folder, manifest, server)
                    unanswered = 0
                except InputError as error:
                    complain(f"error: obsid {each.obsid}: {error}")
                    failed.append(each.obsid)
                    unanswered = unanswered + 1 if isinstance(error, UnreachableError) else 0
                    if unanswered == _MOST_UNANSWERED:
                        raise InputError(
                            f"no answer {unanswered} times in a row, so that {len(wanted) - done - 1} spectra were not "
                            f"tried; {error}"
                        ) from error
                if time.monotonic() - saved_at > _SECONDS_BETWEEN_SAVES:
                    manifest.save()
                    saved_at = time.monotonic()
                reporter.update(done + 1)
    finally:
        manifest.save()
    if failed:
        listed = ", ".join(failed[:_MOST_LISTED]) + (", ..." if len(failed) > _MOST_LISTED else "")
        raise InputError(
            f"{len(failed)} of {len(wanted)} spectra failed (obsid {listed}), for the reasons above; the others are in "
            f"{folder}: run the same command again for the rest"
        )
    return f"{len(wanted)} spectra, {fetched} of them downloaded now"


def _provide(wanted: Wanted, folder: Path, manifest: Manifest, server: Server) -> bool:
    """See that a spectrum is there and listed; return whether it had to be downloaded."""
    entry = manifest.get(wanted.obsid)
    if entry is not None and wanted.file not in (None, entry.file):
        raise InputError(
            f"listed as {entry.file} in {manifest.path}, and {wanted.file} is asked for; rename one of the two"
        )
    name = wanted.file or (entry.file if entry else None)
    names = [name] if name else [f"{wanted.obsid}.fits.gz", f"{wanted.obsid}.fits"]
    for each in names:
        owner = manifest.owner(each)
        if owner not in (None, wanted.obsid):
            raise InputError(f"{each} is the file of obsid {owner} in {manifest.path}; give each its own")
    here = next((folder / each for each in names if (folder / each).exists()), None)
    if here is not None:
        manifest.add(_checked(here, wanted, entry, manifest))
        return False
    content = server.download(wanted.obsid)
    sha256 = hashlib.sha256(content).hexdigest()
    _compare_download(sha256, wanted, entry, manifest)
    target = folder / (name or names[0 if content.startswith(b"\x1f\x8b") else 1])
    with replacing(target) as partial:
        partial.write_bytes(content)
        try:
            load_fits(partial)
        except InputError as error:
            raise InputError(f"not kept: {str(error).removeprefix(f'{partial}: ')}") from error
    manifest.add(Entry(wanted.obsid, target.name, sha256, len(content)))
    return True


def _checked(path: Path, wanted: Wanted, entry: Entry | None, manifest: Manifest) -> Entry:
    """Return the entry of a file that is there already."""
    try:
        sha256, size = file_sha256(path), path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    said = {"the table": wanted.sha256, str(manifest.path): entry.sha256 if entry else None}
    for who, expected in said.items():
        if expected not in (None, sha256):
            raise InputError(
                f"{path} has SHA-256 {sha256}, and {who} says {expected}: it was changed; delete it to fetch it again"
            )
    if entry is None:
        try:
            load_fits(path)
        except InputError as error:
            raise InputError(f"{error}: delete this file first") from error
    return Entry(wanted.obsid, path.name, sha256, size)


def _compare_download(sha256: str, wanted: Wanted, entry: Entry | None, manifest: Manifest) -> None:
    if wanted.sha256 not in (None, sha256):
        raise InputError(
            f"not kept: it has SHA-256 {sha256}, and the table says {wanted.sha256}; is it of the release of the table?"
        )
    if wanted.sha256 is None and entry is not None and entry.sha256 != sha256:
        raise InputError(
            f"not kept: it has SHA-256 {sha256}, and {manifest.path} says {entry.sha256}: the archive has another file "
            "now; delete that line to take it"
        )
