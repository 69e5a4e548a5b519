"""Every verb of every stage, declared once: the commands, their help and their checks follow from this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Verb:
    """One verb of a stage.

    Parameters
    ----------
    stage, name : str
        ``astropipe STAGE NAME``; also the path of its settings in the configuration.
    summary : str
        One line of help.
    inputs : tuple of str
        Kinds of artifact that it reads.
    count : {"none", "at most one", "one", "many"}
        How many input files it takes.
    output : str
        Kind of artifact that it writes.
    chunked : bool
        Whether ``--chunk`` can give it a part of the rows.
    """

    stage: str
    name: str
    summary: str
    inputs: tuple[str, ...]
    count: Literal["none", "at most one", "one", "many"]
    output: str
    chunked: bool = False

    @property
    def function(self) -> tuple[str, str]:
        """Module and name of the function behind it."""
        return f"astropipe.{self.stage}.stage", self.name

    @property
    def section(self) -> str:
        """Path of its settings in the configuration."""
        return f"{self.stage}.{self.name}"


VERBS = (
    Verb(
        "nbody",
        "simulate",
        "Make initial conditions of an ensemble of systems, of a star cluster, or of a periodic box.",
        (),
        "none",
        "systems or cluster-snapshots or box-snapshots",
    ),
    Verb(
        "nbody",
        "integrate",
        "Integrate systems, a star cluster or a periodic box; write outcomes, trajectories, or snapshots.",
        ("systems", "cluster-snapshots", "box-snapshots"),
        "one",
        "triples-catalog or trajectories or cluster-snapshots or box-snapshots",
        chunked=True,
    ),
    Verb("nbody", "train", "Train a policy that chooses the time step.", (), "none", "policy"),
    Verb(
        "nbody",
        "evaluate",
        "Measure errors, failures, cost and outcomes of a catalog or of clusters, or the flow in a periodic box.",
        ("triples-catalog", "cluster-snapshots", "box-snapshots"),
        "many",
        "metrics or flow-statistics",
    ),
    Verb(
        "spectra",
        "simulate",
        "Simulate a survey with known labels; of a star cluster and its field where one is given.",
        ("cluster-snapshots",),
        "at most one",
        "spectra",
        chunked=True,
    ),
    Verb(
        "spectra",
        "train",
        "Train the emulator on a grid of synthetic spectra, or a published network on a simulated survey.",
        ("synthetic-grid", "spectra"),
        "one",
        "spectrum-emulator or spectral-network",
    ),
    Verb(
        "spectra",
        "predict",
        "Read labels with uncertainties from spectra: artifacts, FITS files, folders of them.",
        ("spectra",),
        "many",
        "stellar-catalog",
        chunked=True,
    ),
    Verb(
        "spectra",
        "evaluate",
        "Compare catalogs of simulated spectra with the truth; files in pairs SPECTRA CATALOG.",
        ("spectra", "stellar-catalog"),
        "many",
        "metrics",
    ),
    Verb(
        "morphology",
        "simulate",
        "Simulate a survey of galaxies of known class.",
        (),
        "none",
        "stamps",
        chunked=True,
    ),
    Verb(
        "morphology",
        "cut",
        "Cut galaxies out of pictures: FITS files, mosaics with catalogs, PNG, JPEG, folders of them.",
        ("picture",),
        "many",
        "stamps",
        chunked=True,
    ),
    Verb("morphology", "train", "Train the encoder on rendered galaxies.", (), "none", "encoder"),
    Verb(
        "morphology",
        "encode",
        "Measure and encode galaxies.",
        ("stamps",),
        "many",
        "galaxy-features",
        chunked=True,
    ),
    Verb(
        "morphology",
        "classify",
        "Classify galaxies: features with their stamps, or stamps, or pictures.",
        ("galaxy-features", "stamps"),
        "many",
        "morphology-catalog",
    ),
    Verb(
        "morphology",
        "evaluate",
        "Compare catalogs of simulated galaxies with the truth; files in pairs STAMPS CATALOG.",
        ("stamps", "morphology-catalog"),
        "many",
        "metrics",
    ),
    Verb("inference", "simulate", "Simulate a survey of bright standard sirens.", (), "none", "sirens"),
    Verb("inference", "sample", "Sample the posterior of a problem by nested sampling.", (), "none", "posterior"),
    Verb(
        "inference",
        "evaluate",
        "Compare posteriors with published values, with each other, and with the truth of simulated data.",
        ("posterior", "stellar-catalog", "spectra"),
        "many",
        "metrics",
    ),
)

STAGES = {
    "nbody": "Orbits: gravitational few-body integration.",
    "spectra": "Stars: seventeen labels from medium-resolution spectra.",
    "morphology": "Galaxies: unsupervised classes from images.",
    "inference": "Posteriors: nested sampling with real cosmological data.",
}
