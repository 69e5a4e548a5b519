"""Files that are replaced as a whole, and what to do when the system refuses to write one."""

from __future__ import annotations

import errno
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError

from astropipe.runtime.errors import AstropipeError, OutputError

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system without locks, as some network file systems are, answers to a request for one."""

UNREADABLE_NPZ = (OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error, TokenError)
"""What numpy and zipfile raise for a damaged file of arrays: its members' compression, encryption, header or size."""

_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "the quota of this user is used up; free some space or choose another folder",
    errno.EACCES: "the folder is not writable; change its permissions or choose another one",
    errno.EPERM: "the folder is not writable; change its permissions or choose another one",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOENT: "the folder does not exist; make it or choose another one",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def remedy(error: OSError) -> str:
    """Return why the system refused to write, in words, and what to do."""
    return _REMEDIES.get(error.errno or 0, "check the folder and the disk, then run again")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary name beside a file, with the same ending, and rename it to the file at the end.

    The folder is made where it does not exist. The name is another one each time, so that two processes that
    write the same file do not meet.

    Raises
    ------
    OutputError
        If the file cannot be written; what was there before is kept.
    """
    partial = target.with_name(f".partial-{secrets.token_hex(4)}-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    except AstropipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error}; {remedy(error)}") from error
