"""What a verb is told about the run it is part of: seed, device, chunk, progress, and what to do with old results."""

from __future__ import annotations

import glob
import json
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from astropipe.runtime.errors import AstropipeError, OutputError, UsageError
from astropipe.runtime.files import remedy
from astropipe.runtime.progress import BarProgress, NoProgress, PlainProgress, progress

PARTIAL = ".partial"
# A command is an attribute, which HDF5 allows 64 kB.
_MOST_NAMED = 400
"""How the name of a checkpoint that is being written ends."""


def checkpoint_path(output: Path) -> Path:
    """Return where the checkpoint of a run lies: next to its output, under a name that no glob of results meets."""
    return output.with_name(f".{output.name}.checkpoint")


@dataclass(frozen=True)
class Chunk:
    """Part ``index`` (from 1) of ``count`` nearly equal parts of the rows."""

    index: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Chunk:
        """Read ``"3/40"``.

        Raises
        ------
        UsageError
            If the text is not ``index/count`` with 1 <= index <= count.
        """
        index, slash, count = text.partition("/")
        if slash and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count):
            return cls(int(index), int(count))
        raise UsageError(f"--chunk takes INDEX/COUNT with 1 <= INDEX <= COUNT, for example 3/40, not {text!r}")

    def rows(self, total: int) -> slice:
        """Return the rows of this chunk; the chunks of one count tile all rows in order."""
        return slice(total * (self.index - 1) // self.count, total * self.index // self.count)


WHOLE = Chunk()
"""All rows."""


@dataclass(frozen=True)
class Run:
    """The circumstances of one verb.

    Parameters
    ----------
    seed : int
        Root seed of all random streams.
    threads : int
        Threads, or worker processes, to use. Never changes a result.
    device : str
        ``"cpu"``, ``"cuda"`` or ``"auto"``, which a stage that uses torch resolves when it loads it
        (`astropipe.runtime.compute.resolve_device`).
    resume : bool
        Continue from a checkpoint where there is one.
    force : bool
        Replace an existing output and ignore an existing checkpoint; with ``resume`` only a checkpoint that does
        not fit the run.
    quiet : bool
        No progress.
    chunk : Chunk
        The part of the input rows to work on.
    """

    seed: int = 0
    threads: int = 1
    device: str = "auto"
    resume: bool = False
    force: bool = False
    quiet: bool = True
    chunk: Chunk = WHOLE

    def progress(self, label: str, total: float | None, unit: str) -> NoProgress | PlainProgress | BarProgress:
        """Return the progress reporter of this run, for a ``with`` block."""
        return progress(label, total, unit, quiet=self.quiet)

    def prepare_output(self, output: Path) -> None:
        """Check, before any work, that the output can be written and that nothing gets lost.

        Raises
        ------
        OutputError
            If the folder is missing or not writable.
        UsageError
            If the output is a folder, if it exists and ``force`` is off, or if a checkpoint lies there and neither
            ``resume`` nor ``force`` says what to do with it.
        """
        if output.is_dir():
            raise UsageError(f"{output} is a folder; give --output the name of a file")
        folder = output.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Under a name of its own: another run may be about to write the same output.
            with NamedTemporaryFile(prefix=f".{output.name}.", dir=folder):
                pass
        except OSError as error:
            raise OutputError(f"cannot write to folder {folder}: {error.strerror}; {remedy(error)}") from error
        checkpoint = checkpoint_path(output)
        if self.force:
            if not self.resume:
                _remove(checkpoint)
        elif output.exists():
            raise UsageError(f"{output} exists already; use --force to replace it, or choose another --output")
        elif checkpoint.exists() and not self.resume:
            raise UsageError(
                f"{checkpoint} is the checkpoint of an interrupted run; use --resume to continue it "
                "or --force to start afresh"
            )

    def discard_checkpoint(self, output: Path) -> None:
        """Delete the checkpoint of a run that is complete."""
        _remove(checkpoint_path(output))


def _remove(path: Path) -> None:
    """Delete a checkpoint, file or folder, and what a save that was killed left beside it."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    for partial in path.parent.glob(f"{glob.escape(path.name)}.*{PARTIAL}"):
        partial.unlink(missing_ok=True)


def begin_anew(path: Path, reason: AstropipeError) -> None:
    """Delete a checkpoint that does not fit the run, and say so even to the quiet: it may have held hours of work."""
    _remove(path)
    print(
        f"notice: {reason}\nnotice: --resume --force: that checkpoint is dropped, the run begins anew", file=sys.stderr
    )


def as_options(where: str, changed: Mapping[str, Any]) -> str:
    """Write settings as ``--set`` options for a shell.

    Parameters
    ----------
    where : str
        Path of the section, for example ``"nbody.integrate"``.
    changed : mapping
        Keys of the section and their values.
    """
    # JSON is YAML, in which --set reads values.
    pairs = (
        f"{where}.{key}={json.dumps(value, sort_keys=True, ensure_ascii=False)}"
        for key, value in sorted(changed.items())
    )
    return " ".join(f"--set {shlex.quote(pair)}" for pair in pairs)


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return the names of files as a recorded command has them; of very many, some: the provenance lists them all."""
    names = [shlex.quote(path.name) for path in paths]
    return names if len(names) <= _MOST_NAMED else [*names[:3], f"'... and {len(names) - 3} more'"]


def command_line(where: str, inputs: Iterable[Path], changed: Mapping[str, Any], run: Run) -> str:
    """Return the command that repeats a run.

    Folders, threads and other things that do not decide the result are left out, so that equal runs in
    different places record equal commands.

    Parameters
    ----------
    where : str
        Stage and verb, which is also the section of the settings: ``"nbody.integrate"``.
    inputs : iterable of Path
        Input files, recorded without their folders.
    changed : mapping
        Settings that differ from the defaults.
    run : Run
        Gives seed and chunk.
    """
    parts = ["astropipe", *where.split("."), *names_of(list(inputs))]
    if changed:
        parts.append(as_options(where, changed))
    if run.chunk.count > 1:
        parts.append(f"--chunk {run.chunk}")
    return " ".join([*parts, f"--seed {run.seed}"])
