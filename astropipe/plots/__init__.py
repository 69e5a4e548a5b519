"""Figures: artifacts in, matplotlib figures out, by name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astropipe.artifacts.reader import open_artifact
from astropipe.runtime.errors import OutputError, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".pdf", ".svg")


@dataclass(frozen=True)
class Drawing:
    """One figure that can be asked for.

    Parameters
    ----------
    kinds : tuple of str
        Kinds of the artifacts that it takes, one of each; of a single kind any number.
    function : str
        ``module:function`` below this package; takes the open artifacts, returns a Figure.
    summary : str
        One line of help.
    """

    kinds: tuple[str, ...]
    function: str
    summary: str


FIGURES = {
    "energy-errors": Drawing(("triples-catalog",), "nbody:energy_errors", "energy errors and their cost"),
    "outcome-map": Drawing(
        ("systems", "triples-catalog"), "nbody:outcome_map", "outcome of cold starts over the Agekyan-Anosova map"
    ),
    "orbits": Drawing(("trajectories",), "nbody:orbits", "paths of the bodies and their distances"),
    "triangle": Drawing(("posterior",), "inference:triangle", "one- and two-dimensional posteriors"),
    "trace": Drawing(("posterior",), "inference:trace", "the nested sampling run and its weights"),
    "constraints": Drawing(("metrics",), "inference:constraints", "posteriors against published values"),
}


def draw(paths: Sequence[Path], output: Path, name: str = "") -> None:
    """Draw a figure of some artifacts and save it.

    Parameters
    ----------
    paths : sequence of Path
        The artifacts, in any order.
    output : Path
        PNG, PDF or SVG by its ending.
    name : str
        Which figure; empty for the first that fits the kinds.

    Raises
    ------
    UsageError
        If there is no such figure, it does not fit the artifacts, or the format is unknown.
    ArtifactError
        If a file cannot be read as an artifact.
    OutputError
        If the figure cannot be written.
    """
    if output.suffix.lower() not in FORMATS:
        raise UsageError(f"cannot write {output}: the ending must be one of {', '.join(FORMATS)}")
    if name and name not in FIGURES:
        raise UsageError(f"there is no figure {name!r}; there are {', '.join(FIGURES)}")
    with ExitStack() as stack:
        artifacts = [stack.enter_context(open_artifact(path)) for path in paths]
        found = tuple(sorted({artifact.kind for artifact in artifacts}))
        fitting = [key for key, drawing in FIGURES.items() if tuple(sorted(drawing.kinds)) == found]
        if not fitting or (name and name not in fitting):
            wanted = f"figure {name!r} takes {' and '.join(FIGURES[name].kinds)}" if name else "no figure takes these"
            raise UsageError(f"{wanted}, but the files given are {', '.join(found)}")
        drawing = FIGURES[name or fitting[0]]
        artifacts.sort(key=lambda artifact: drawing.kinds.index(artifact.kind))
        _save(_function(drawing)(artifacts), output)


def _function(drawing: Drawing) -> Any:
    from astropipe.plots.style import use_style

    module, _, function = drawing.function.partition(":")
    use_style()
    return getattr(importlib.import_module(f"astropipe.plots.{module}"), function)


def _save(figure: Figure, output: Path) -> None:
    partial = output.with_name(f".partial-{output.name}")
    # Dates inside would make equal figures differ.
    undated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(output.suffix.lower(), {})
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            figure.savefig(partial, metadata=undated, bbox_inches="tight")
            partial.replace(output)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error}; check the folder and the disk") from error
