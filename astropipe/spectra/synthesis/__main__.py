"""Commands of the recipe: ``python -m astropipe.spectra.synthesis fetch | build | prepare | run | gather``."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from astropipe.runtime.errors import AstropipeError
from astropipe.runtime.interruption import listening
from astropipe.runtime.run import Chunk
from astropipe.spectra.synthesis import grid, sources
from astropipe.spectra.synthesis.grid_labels import SEED, draw_star


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.function(options)
    except AstropipeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m astropipe.spectra.synthesis", description=grid.__doc__)
    commands = parser.add_subparsers(required=True)
    fetch = commands.add_parser("fetch", help="download and check the sources, 0.5 GB")
    fetch.add_argument("folder", type=Path)
    fetch.set_defaults(function=lambda options: sources.fetch(options.folder))
    build = commands.add_parser("build", help="compile Turbospectrum and write the line lists")
    build.add_argument("folder", type=Path)
    build.set_defaults(function=lambda options: sources.build(options.folder))
    prepare = commands.add_parser("prepare", help="fetch, then build")
    prepare.add_argument("folder", type=Path)
    prepare.set_defaults(function=_prepare)
    run = commands.add_parser("run", help="synthesise a range of stars, 5-10 s each and core")
    run.add_argument("folder", type=Path, help="of the sources")
    run.add_argument("--work", type=Path, required=True, help="folder of the spectra; what is there is kept")
    run.add_argument("--start", type=int, default=0)
    run.add_argument("--count", type=int, required=True)
    run.add_argument("--below-k", type=float, default=math.inf, help="only stars of this range that are cooler")
    run.add_argument("--above-log-g", type=float, default=-math.inf, help="only stars of this range of higher gravity")
    run.add_argument("--chunk", default="1/1", help="part INDEX/COUNT of the range, for example 3/40")
    run.add_argument("--record", type=Path, help="file in which the stars are listed once all of them are there")
    run.add_argument("--workers", type=int, default=1)
    run.add_argument("--seed", type=int, default=SEED)
    run.set_defaults(function=_run)
    gather = commands.add_parser("gather", help="write a work folder as one artifact")
    gather.add_argument("work", type=Path)
    gather.add_argument("records", type=Path, nargs="*", help="of the stars to take; default: all that are there")
    gather.add_argument("--output", type=Path, required=True)
    gather.add_argument(
        "--population", type=int, metavar="N", help="stars from number N on were chosen by --below-k; default: none"
    )
    gather.add_argument("--seed", type=int, default=SEED)
    gather.set_defaults(function=_gather)
    return parser


def _prepare(options: argparse.Namespace) -> None:
    sources.fetch(options.folder)
    sources.build(options.folder)


def _run(options: argparse.Namespace) -> None:
    rows = Chunk.parse(options.chunk).rows(options.count)
    candidates = range(options.start + rows.start, options.start + rows.stop)
    # Cool stars, and among them dwarfs, whose spectra are the hardest to learn, may be more than their share.
    labels = {index: draw_star(index, options.seed).labels for index in candidates}
    indices = [
        index for index, (t_eff, log_g, *_) in labels.items() if t_eff < options.below_k and log_g > options.above_log_g
    ]
    with listening():
        grid.synthesise(
            indices,
            options.seed,
            options.folder,
            options.work,
            workers=options.workers,
            report=lambda index, message: print(f"star {index}: {message}", flush=True),
        )
    if options.record is not None:
        grid.write_record(options.record, indices)


def _gather(options: argparse.Namespace) -> None:
    indices = grid.read_records(options.records) if options.records else None
    print(grid.gather(options.work, options.output, options.seed, indices, n_population=options.population))


if __name__ == "__main__":
    raise SystemExit(main())
