"""Figures: artifacts in, matplotlib figures out, by name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from astropipe.artifacts.reader import Artifact, open_artifact
from astropipe.runtime.errors import MissingDependencyError, UsageError
from astropipe.runtime.files import replacing

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
        ``module:function`` below this package, the module's name beginning with its stage; takes the open artifacts,
        returns a Figure, or one for each page.
    summary : str
        One line of help.
    page : bool
        Whether it is a whole page, rather than cut to what is drawn.
    """

    kinds: tuple[str, ...]
    function: str
    summary: str
    page: bool = False


FIGURES = {
    "energy-errors": Drawing(("triples-catalog",), "nbody:energy_errors", "energy errors and their cost"),
    "outcome-map": Drawing(
        ("systems", "triples-catalog"), "nbody:outcome_map", "outcome of cold starts over the Agekyan-Anosova map"
    ),
    "orbits": Drawing(("trajectories",), "nbody:orbits", "paths of the bodies and their distances"),
    "cluster-radii": Drawing(("cluster-snapshots",), "clusters:radii", "Lagrangian radii of each class over time"),
    "cluster-energy": Drawing(("cluster-snapshots",), "clusters:energy", "energy error and cost of clusters over time"),
    "cluster-escapes": Drawing(("cluster-snapshots",), "clusters:escapes", "who escapes when, and how fast"),
    "cluster-map": Drawing(("cluster-snapshots",), "clusters:cluster_map", "stars and massless particles on the sky"),
    "flow-moments": Drawing(("flow-statistics",), "flow:moments", "velocities of pairs over their separation"),
    "flow-distributions": Drawing(
        ("flow-statistics",), "flow:distributions", "densities of velocities of pairs with fitted distributions"
    ),
    "box-slices": Drawing(("box-snapshots",), "flow:slices", "matter in a slice through a periodic box"),
    "kiel": Drawing(("stellar-catalog",), "spectra:kiel", "gravity over effective temperature, coloured by iron"),
    "label-errors": Drawing(
        ("spectra", "stellar-catalog"), "spectra:label_errors", "predicted less true labels of simulated spectra"
    ),
    "label-pulls": Drawing(
        ("spectra", "stellar-catalog"), "spectra:label_pulls", "pulls of labels and the coverage of their intervals"
    ),
    "label-precision": Drawing(
        ("spectra", "stellar-catalog"), "spectra:label_precision", "errors of labels over S/N with the bound"
    ),
    "examples": Drawing(("spectra", "stellar-catalog"), "spectra:examples", "spectra with their models and masks"),
    "class-mosaic": Drawing(("morphology-catalog",), "morphology:class_mosaic", "galaxies of each class"),
    "group-mosaic": Drawing(
        ("morphology-catalog",), "morphology:group_mosaic", "galaxies of each unsupervised group, its name and medians"
    ),
    "group-pages": Drawing(
        ("morphology-catalog",), "morphology:group_pages", "a page for each group: galaxies, medians, name (PDF)"
    ),
    "galaxy-map": Drawing(("morphology-catalog",), "morphology:galaxy_map", "main components, by class and agreement"),
    "planes": Drawing(("morphology-catalog",), "morphology:planes", "Gini over M20, concentration over asymmetry"),
    "physical-order": Drawing(
        ("morphology-catalog",), "morphology:physical_order", "Sersic index and radius of the classes in order"
    ),
    "agreement-purity": Drawing(
        ("stamps", "morphology-catalog"), "morphology:agreement_purity", "purity against the share that is kept"
    ),
    "triangle": Drawing(("posterior",), "inference:triangle", "one- and two-dimensional posteriors"),
    "trace": Drawing(("posterior",), "inference:trace", "the nested sampling run and its weights"),
    "report": Drawing(
        ("posterior",), "inference_report:report", "one page: posterior, run, diagnostics, provenance", page=True
    ),
    "emulator-errors": Drawing(
        ("posterior",), "inference_checks:emulator_errors", "true minus emulated ln L, by ln L and parameters"
    ),
    "run-scatter": Drawing(
        ("posterior",), "inference_checks:run_scatter", "evidences of runs with different seeds, and their errors"
    ),
    "constraints": Drawing(("metrics",), "inference:constraints", "posteriors against published values"),
    "impurity": Drawing(
        ("metrics",), "inference_chronometers:impurity", "bias of H0 against the purity of the galaxies taken as clocks"
    ),
    "expansion": Drawing(
        ("posterior",), "inference_chronometers:expansion", "expansion rates from ages of galaxies, and the posterior"
    ),
    "recovery": Drawing(("metrics",), "inference_recovery:recovery", "posteriors of simulated data against the truth"),
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
        If there is no such figure, it does not fit the artifacts, the format is unknown, or pages are not to go into
        a PDF.
    MissingDependencyError
        If the figure needs an optional library that is not installed.
    InputError
        If a file cannot be read as an artifact, or the files do not belong together.
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
        chosen = name or fitting[0]
        kinds = FIGURES[chosen].kinds
        if len(kinds) > 1 and len(artifacts) != len(kinds):
            raise UsageError(f"figure {chosen!r} takes one {' and one '.join(kinds)}, not {len(artifacts)} files")
        artifacts.sort(key=lambda artifact: kinds.index(artifact.kind))
        _save(_drawn(chosen, artifacts), output, FIGURES[chosen].page)


def _drawn(name: str, artifacts: Sequence[Artifact]) -> Figure | Sequence[Figure]:
    module, _, function = FIGURES[name].function.partition(":")
    try:
        from astropipe.plots.style import use_style

        use_style()
        figure: Figure | Sequence[Figure] = getattr(importlib.import_module(f"astropipe.plots.{module}"), function)(
            artifacts
        )
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] == "astropipe":
            raise
        raise MissingDependencyError(
            f"figure {name!r} needs {error.name}; install it with pip install 'astropipe[{module.split('_')[0]}]'"
        ) from error
    return figure


def _save(figure: Figure | Sequence[Figure], output: Path, whole_page: bool) -> None:
    # Dates inside would make equal figures differ.
    undated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(output.suffix.lower(), {})
    if not isinstance(figure, Sequence):
        with replacing(output) as partial:
            figure.savefig(partial, metadata=undated, bbox_inches=None if whole_page else "tight")
        return
    if output.suffix.lower() != ".pdf":
        raise UsageError(f"cannot write {output}: the figure has several pages; the ending must be .pdf")
    from matplotlib.backends.backend_pdf import PdfPages

    with replacing(output) as partial, PdfPages(partial, metadata=undated) as pages:
        for page in figure:
            pages.savefig(page)
