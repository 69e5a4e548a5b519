"""Where an artifact comes from: configuration, seed, code, libraries, and the content hashes of its inputs."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import h5py
from packaging.requirements import Requirement
from pydantic import BaseModel

from astropipe import __version__
from astropipe.artifacts.attributes import attributes, set_attribute, text_attribute
from astropipe.artifacts.hashing import PROVENANCE, canonical_json, file_sha256, text_sha256
from astropipe.artifacts.storage import readable_hdf5
from astropipe.runtime.errors import ArtifactError, InputError
from astropipe.runtime.run import Run, command_line

LIST = "list"
"""What stands for a schema in the record of a list of names."""
_TEXTS = ("config", "inputs", "packages")
# Libraries whose version can change the numbers of a run.
_DECIDING = ("numpy", "numba", "dynesty", "torch", "stable-baselines3", "cma")


@dataclass(frozen=True)
class InputRecord:
    """One input of an artifact.

    Parameters
    ----------
    name : str
        Name of the file, without its folder: equal runs in different folders give equal bytes.
    schema : str
        Schema of an artifact, ``"file"`` for any other file, ``"list"`` for the names of all files of which a chunk
        reads some.
    sha256 : str
        Content hash of an artifact; hash of the bytes of any other file.
    own : bool
        Whether only this chunk of a run reads it, as the others read other files of one list.
    """

    name: str
    schema: str
    sha256: str
    own: bool = False

    @classmethod
    def of(cls, path: Path) -> Self:
        """Record a file that a run reads.

        Raises
        ------
        InputError
            If the file cannot be read.
        """
        try:
            if h5py.is_hdf5(path):
                with readable_hdf5(path) as file:
                    kind, sha256 = text_attribute(file, "schema"), text_attribute(file, "content_sha256")
                    if kind and sha256:
                        return cls(path.name, kind, sha256)
            return cls(path.name, "file", file_sha256(path))
        except OSError as error:
            raise InputError(f"cannot read input file {path}: {error}; check the path and its permissions") from error

    @classmethod
    def of_names(cls, paths: Sequence[Path]) -> Self:
        """Record which files a run goes through, all chunks together."""
        return cls(f"names of {len(paths)} files", LIST, text_sha256(canonical_json([path.name for path in paths])))


@dataclass(frozen=True)
class Provenance:
    """Everything that decides the bytes of an artifact, and what code turned it into them.

    No clock, host, user, folder or thread count: the same inputs, configuration and seed give the same bytes.

    Parameters
    ----------
    command : str
        The command that repeats the run, file names without folders.
    config : mapping
        The resolved configuration, ready for JSON.
    seed : int or None
        Root seed.
    inputs : tuple of InputRecord
        What the run read.
    packages : mapping
        Versions of our direct dependencies.
    citations : tuple of str
        BibTeX keys.
    git_commit : str
        Commit of the source tree, see `git_commit`.
    astropipe_version : str
        Version of astropipe.
    chunk : str
        The part of the rows that the artifact holds, ``"3/20"``; empty for all of them.
    """

    command: str
    config: Mapping[str, Any]
    seed: int | None = None
    inputs: tuple[InputRecord, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    citations: tuple[str, ...] = ()
    git_commit: str = ""
    astropipe_version: str = __version__
    chunk: str = ""

    @classmethod
    def collect(
        cls,
        command: str,
        config: Mapping[str, Any],
        *,
        seed: int | None = None,
        inputs: Iterable[Path] = (),
        extra: str = "",
        citations: Iterable[str] = (),
    ) -> Self:
        """Gather the provenance of a run that is about to write.

        Parameters
        ----------
        command : str
            The command that repeats the run, file names without folders.
        config : mapping
            The resolved configuration, ready for JSON.
        seed : int, optional
            Root seed.
        inputs : iterable of Path
            Files that the run reads.
        extra : str
            Optional extra of the package whose libraries the run uses, for example ``"nbody"``.
        citations : iterable of str
            BibTeX keys of what a user of the result should cite; see ``astropipe cite``.
        """
        return cls(
            command=command,
            config=dict(config),
            seed=seed,
            inputs=tuple(InputRecord.of(Path(path)) for path in inputs),
            packages=package_versions(extra),
            citations=tuple(dict.fromkeys(citations)),
            git_commit=git_commit(),
        )

    @classmethod
    def of_run(
        cls,
        where: str,
        config: BaseModel,
        run: Run,
        *,
        inputs: Sequence[Path] = (),
        sources: Iterable[Path] = (),
        citations: Iterable[str] = (),
        chunk_of: Sequence[Path] = (),
    ) -> Self:
        """Gather the provenance of a verb.

        Parameters
        ----------
        where : str
            Stage and verb, ``"nbody.integrate"``; the stage is also the optional extra whose libraries are recorded.
        config : BaseModel
            Settings of the verb.
        run : Run
            Gives seed and chunk.
        inputs : sequence of Path
            Files given to the verb.
        sources : iterable of Path
            Further files that it reads: shipped data.
        citations : iterable of str
            As in `collect`.
        chunk_of : sequence of Path
            Where the inputs are those files of a list that one chunk reads: the whole list.
        """
        stage, _, verb = where.partition(".")
        files = [*inputs, *sources]
        collected = cls.collect(
            command_line(where, inputs, _without_folders(config.model_dump(exclude_defaults=True), files), run),
            {stage: {verb: _without_folders(config.model_dump(), files)}},
            seed=run.seed,
            inputs=files,
            extra=stage,
            citations=citations,
        )
        records = collected.inputs
        if chunk_of:
            own = (replace(record, own=True) for record in records[: len(inputs)])
            records = (InputRecord.of_names(chunk_of), *records[len(inputs) :], *own)
        return replace(collected, inputs=records, chunk=str(run.chunk) if run.chunk.count > 1 else "")

    @classmethod
    def derived(cls, command: str, origin: Provenance, *, inputs: Iterable[Path], chunk: str = "") -> Self:
        """Gather the provenance of a result of an earlier run in another form: joined, or of another version.

        Configuration, seed, citations and inputs of that run stay; the files rewritten come after its inputs.

        Parameters
        ----------
        command : str
            As in `collect`.
        origin : Provenance
            That of the earlier run.
        inputs : iterable of Path
            The files rewritten.
        chunk : str
            The part of the rows that the result holds.
        """
        here = cls.collect(command, origin.config, seed=origin.seed, inputs=inputs, citations=origin.citations)
        return replace(here, inputs=(*origin.inputs, *here.inputs), chunk=chunk)

    @property
    def shared_inputs(self) -> tuple[InputRecord, ...]:
        """Inputs that all chunks of the run have in common."""
        return tuple(record for record in self.inputs if not record.own)

    @property
    def config_sha256(self) -> str:
        """Hash of the resolved configuration."""
        return text_sha256(canonical_json(self.config))

    @property
    def run_key(self) -> str:
        """Hash of all that decides the result, the code included; what a checkpoint of the run is tied to."""
        versions = [self.astropipe_version, self.git_commit, *(self.packages.get(name, "") for name in _DECIDING)]
        decides = [self.command, self.config, self.seed, self.chunk, versions]
        return text_sha256(canonical_json([*decides, [record.sha256 for record in self.inputs]]))

    def write(self, file: h5py.File) -> None:
        """Write the group `/provenance`."""
        group = file.require_group(PROVENANCE)
        about: dict[str, str] = {
            "command": self.command,
            "seed": "" if self.seed is None else str(self.seed),
            "git_commit": self.git_commit,
            "config_sha256": self.config_sha256,
            "citations": " ".join(self.citations),
            "astropipe_version": self.astropipe_version,
            "chunk": self.chunk,
        }
        for name, value in about.items():
            set_attribute(group, name, value)
        write_text(group, "config", canonical_json(self.config))
        write_text(group, "inputs", canonical_json([_named_fields(record) for record in self.inputs]))
        write_text(group, "packages", canonical_json(dict(self.packages)))

    @classmethod
    def read(cls, file: h5py.File) -> Self:
        """Read the group `/provenance`.

        Raises
        ------
        ArtifactError
            If it is missing or damaged.
        """
        try:
            group = file[PROVENANCE]
            config, inputs, packages = (json.loads(read_text(group, name)) for name in _TEXTS)
            about = attributes(group)
            seed = about["seed"]
            return cls(
                command=about["command"],
                config=config,
                seed=int(seed) if seed else None,
                inputs=tuple(InputRecord(**record) for record in inputs),
                packages=packages,
                citations=tuple(about["citations"].split()),
                git_commit=about["git_commit"],
                astropipe_version=about["astropipe_version"],
                # Files written before it was recorded have none.
                chunk=about.get("chunk", ""),
            )
        except (KeyError, ValueError, TypeError, AttributeError, OSError, RuntimeError) as error:
            raise ArtifactError(
                f"{file.filename}: the provenance is missing or damaged ({error}); make the artifact again"
            ) from error


def _named_fields(record: InputRecord) -> dict[str, Any]:
    fields = dict(vars(record))
    if not record.own:
        del fields["own"]
    return fields


def _without_folders(value: Any, files: Sequence[Path]) -> Any:
    """Return settings in which each path of one of the files is its name: what a file holds, its record says.

    A text may name a part of a file after a colon, as in ``path/to/file.py:function``.
    """
    if isinstance(value, Mapping):
        return {key: _without_folders(one, files) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(one, files) for one in value]
    if isinstance(value, str | Path):
        whole, *part = str(value).split(":", maxsplit=1)
        path = Path(whole)
        if any(path.name == file.name for file in files):
            known = path.resolve() in {file.resolve() for file in files}
            return ":".join([path.name, *part]) if known else str(value)
    return value


def provenance_sha256(file: h5py.File) -> str:
    """Return the hash over the group `/provenance` as it stands in the file."""
    group = file[PROVENANCE]
    texts = {name: read_text(group, name) for name in group}
    return text_sha256(canonical_json([attributes(group), texts]))


def write_text(group: h5py.Group, name: str, text: str) -> None:
    """Write a text of any length as a scalar dataset (attributes end at 64 kB)."""
    raw = text.encode()
    group.create_dataset(name, data=raw, dtype=h5py.string_dtype("utf-8", max(1, len(raw))))


def read_text(group: h5py.Group, name: str) -> str:
    """Read a text written by `write_text`."""
    value = group[name][()]
    return value.decode() if isinstance(value, bytes) else str(value)


@cache
def package_versions(extra: str = "") -> dict[str, str]:
    """Return the installed versions of our direct dependencies, those of one optional extra included."""
    versions = {}
    try:
        requirements = metadata.requires("astropipe") or []
    except metadata.PackageNotFoundError:
        requirements = []
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            name = re.sub(r"[-_.]+", "-", requirement.name).lower()
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
    return versions


@cache
def git_commit() -> str:
    """Return the commit of the source tree the package runs from, ``-dirty`` added where it was changed.

    Empty for an installed package that has no source tree.
    """
    package = Path(__file__).resolve().parents[1]
    if not (package.parent / ".git").exists():
        return ""
    try:
        head = _git(package, "rev-parse", "HEAD")
        changed = _git(package, "status", "--porcelain", "--", str(package))
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head + ("-dirty" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
