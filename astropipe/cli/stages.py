"""The commands of the stages, made from the table of verbs, with the options that all verbs share."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from astropipe.cli import log
from astropipe.cli.verbs import STAGES, VERBS, Verb
from astropipe.runtime.errors import MissingDependencyError, UsageError

_RUN, _SETTINGS, _REPORT = "Run", "Settings", "Reporting"

Inputs = Annotated[list[Path] | None, typer.Argument(help="Input files.", show_default=False)]
Output = Annotated[Path, typer.Option("--output", "-o", help="The artifact to write.")]
ConfigFiles = Annotated[
    list[Path] | None,
    typer.Option("--config", "-c", help="YAML file with settings; repeatable.", rich_help_panel=_SETTINGS),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting: stage.verb.key=value; repeatable.", rich_help_panel=_SETTINGS),
]
Seed = Annotated[
    int | None,
    typer.Option(
        help="Root seed of all random streams; default: seed of the configuration.", rich_help_panel=_SETTINGS
    ),
]
Threads = Annotated[
    int, typer.Option(help="Threads or processes, 0 for all cores; never changes a result.", rich_help_panel=_RUN)
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=_RUN)]
ChunkText = Annotated[
    str | None, typer.Option("--chunk", help="Do part INDEX/COUNT of the rows, for example 3/40.", rich_help_panel=_RUN)
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue from the checkpoint of an interrupted run.", rich_help_panel=_RUN)
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Replace an existing output; ignore a checkpoint, with --resume only one that does not fit.",
        rich_help_panel=_RUN,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, errors only.", rich_help_panel=_REPORT)]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more; show tracebacks.", rich_help_panel=_REPORT)]
LogFile = Annotated[
    Path | None, typer.Option("--log-file", help="Append what is reported to a file too.", rich_help_panel=_REPORT)
]


def add_stages(app: typer.Typer) -> dict[str, typer.Typer]:
    """Add a group of commands for every stage, and in it one command for every verb; return the groups."""
    groups: dict[str, typer.Typer] = {}
    for stage, summary in STAGES.items():
        verbs = [verb for verb in VERBS if verb.stage == stage]
        group = groups[stage] = typer.Typer(help=summary, no_args_is_help=True)
        for verb in verbs:
            group.command(verb.name, help=verb.summary, epilog=_epilog(verb))(_command(verb))
        app.add_typer(group, name=stage)
    return groups


def _epilog(verb: Verb) -> str:
    reads = f"Reads: {', '.join(verb.inputs)}. " if verb.inputs else ""
    return f"{reads}Writes: {verb.output}. Settings: astropipe config show {verb.section}"


def _command(verb: Verb) -> Callable[..., None]:
    def with_inputs(
        output: Output,
        inputs: Inputs = None,
        config: ConfigFiles = None,
        set_: Settings = None,
        seed: Seed = None,
        threads: Threads = 0,
        device: Device = "auto",
        chunk: ChunkText = None,
        resume: Resume = False,
        force: Force = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
        log_file: LogFile = None,
    ) -> None:
        log.configure(quiet=quiet, verbose=verbose, file=log_file)
        _check_usage(verb, inputs or [], chunk)
        execute(
            verb, inputs or [], output, config or [], set_ or [], seed, threads, device, chunk, resume, force, quiet
        )

    return with_inputs


def _check_usage(verb: Verb, inputs: list[Path], chunk: str | None) -> None:
    name = f"astropipe {verb.stage} {verb.name}"
    if verb.count == "none" and inputs:
        raise UsageError(f"{name} reads no files, but {inputs[0]} was given; leave it out")
    if len(inputs) != 1 and (verb.count == "one" or (verb.count == "at most one" and inputs)):
        kinds = " or ".join(filter(None, (", ".join(verb.inputs[:-1]), verb.inputs[-1])))
        raise UsageError(f"{name} takes {verb.count} {kinds} artifact, but {len(inputs)} files were given")
    if verb.count == "many" and not inputs:
        raise UsageError(f"{name} needs at least one {verb.inputs[0]} artifact; give its file")
    if chunk and not verb.chunked:
        raise UsageError(f"{name} works on everything at once; leave out --chunk")


def execute(
    verb: Verb,
    inputs: list[Path],
    output: Path,
    config_files: list[Path],
    settings: list[str],
    seed: int | None,
    threads: int,
    device: str,
    chunk: str | None,
    resume: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Run one verb: settings, threads and device first, then the function of the stage.

    Raises
    ------
    AstropipeError
        Whatever the configuration or the stage raises.
    """
    from astropipe.config import load, section
    from astropipe.runtime import compute, interruption
    from astropipe.runtime.run import Chunk, Run

    config = load(config_files, settings)
    # Before the stage is imported: some libraries read their number of threads only once.
    run = Run(
        seed=config.seed if seed is None else seed,
        threads=compute.set_threads(threads),
        device=device if device == "auto" else compute.resolve_device(device),
        resume=resume,
        force=force,
        quiet=quiet,
        chunk=Chunk.parse(chunk) if chunk else Chunk(),
    )
    run.prepare_output(output)
    module, name = verb.function
    try:
        function = getattr(importlib.import_module(module), name)
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] == "astropipe":
            raise
        raise MissingDependencyError(
            f"the {verb.stage} stage needs {error.name}; install it with pip install 'astropipe[{verb.stage}]'"
        ) from error
    with interruption.listening():
        summary = function(inputs, output, section(config, verb.section), run)
    log.say(f"{output}: {summary}")
