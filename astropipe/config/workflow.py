"""What the Snakemake workflow makes, and the settings of each of its jobs."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator, model_validator

from astropipe.config.base import Section
from astropipe.config.closure_galaxies import GalaxiesClosureConfig
from astropipe.config.closure_stars import StarsClosureConfig

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
# Snakemake reads wildcards in braces and path variables in angle brackets; shells and globs have meanings for the rest.
_NOT_IN_FOLDERS = "{}<>*?[]~$\"'`\\|;&#"


class EnsembleConfig(Section):
    """One ensemble of systems: what differs from the nbody section."""

    simulate: dict[str, Any] = Field({}, description="changes to nbody.simulate")
    integrate: dict[str, Any] = Field({}, description="changes to nbody.integrate")


class ClusterConfig(Section):
    """One star cluster: what differs from the nbody section."""

    simulate: dict[str, Any] = Field({}, description="changes to nbody.simulate.cluster")
    integrate: dict[str, Any] = Field({}, description="changes to nbody.integrate")


class BoxConfig(Section):
    """One periodic box: what differs from the settings of boxes in the nbody section."""

    simulate: dict[str, Any] = Field({}, description="changes to nbody.simulate.box")
    integrate: dict[str, Any] = Field({}, description="changes to nbody.integrate.box")
    evaluate: dict[str, Any] = Field({}, description="changes to nbody.evaluate.box")


class PosteriorConfig(Section):
    """One posterior: what differs from the inference section."""

    sample: dict[str, Any] = Field({}, description="changes to inference.sample")
    n_seeds: int = Field(
        1, ge=1, description="runs, each with a seed of its own, whose scatter is compared with their errors"
    )


class SurveyConfig(Section):
    """One simulated survey: what differs from the spectra section."""

    simulate: dict[str, Any] = Field({}, description="changes to spectra.simulate")
    predict: dict[str, Any] = Field({}, description="changes to spectra.predict")


class ObservationsConfig(Section):
    """Spectra of real stars: where they are, and what differs from the spectra section."""

    files: list[str] = Field(min_length=1, description="files, and folders of FITS files")
    chunks: int = Field(1, ge=1, description="jobs that fit them, each a part of the files")
    predict: dict[str, Any] = Field({}, description="changes to spectra.predict")


class GalaxySurveyConfig(Section):
    """One simulated survey of galaxies: what differs from the morphology section."""

    simulate: dict[str, Any] = Field({}, description="changes to morphology.simulate")
    encode: dict[str, Any] = Field({}, description="changes to morphology.encode")
    classify: dict[str, Any] = Field({}, description="changes to morphology.classify")


class PicturesConfig(Section):
    """Pictures of real galaxies: where they are, and what differs from the morphology section."""

    files: list[str] = Field(
        min_length=1,
        description="FITS, PNG and JPEG files, catalogs, folders; hubble-deep-field is the picture of that name that "
        "scikit-image carries",
    )
    chunks: int = Field(1, ge=1, description="jobs that measure and encode them")
    cut: dict[str, Any] = Field({}, description="changes to morphology.cut")
    encode: dict[str, Any] = Field({}, description="changes to morphology.encode")
    classify: dict[str, Any] = Field({}, description="changes to morphology.classify")


def _folder_name(value: str) -> str:
    if not value.strip() or value != value.strip() or not value.isprintable():
        raise ValueError("must be the name of a folder, without spaces at its ends or line breaks")
    if bad := sorted(set(value) & set(_NOT_IN_FOLDERS)):
        raise ValueError(f"becomes part of every file name of the workflow and must not hold {' '.join(bad)}")
    return value


FolderName = Annotated[str, AfterValidator(_folder_name)]


class GridConfig(Section):
    """The grid of synthetic spectra on which the emulator is trained again: hours, and only on request."""

    n_spectra: int = Field(3000, ge=1, description="stars of the grid, a tenth of which no training sees")
    n_cool_candidates: int = Field(
        0, ge=0, description="further stars drawn, of which only the cool are made: their spectra are hard to learn"
    )
    cool_below_k: float = Field(4500.0, gt=0, description="effective temperature in K below which these are cool")
    n_dwarf_candidates: int = Field(
        0, ge=0, description="further stars drawn, of which only the cool dwarfs are made, which are the hardest"
    )
    dwarf_below_k: float = Field(4300.0, gt=0, description="effective temperature in K of the warmest of them")
    dwarf_above_log_g: float = Field(3.5, description="log g [dex, cgs] of the lowest of them")
    spectra_per_chunk: int = Field(100, ge=1, description="stars that one job goes through")
    sources: FolderName = Field(
        "results-grid/sources", description="folder of the program and the data that it needs, which are downloaded"
    )
    folder: FolderName = Field(
        "results-grid", description="folder of the synthetic spectra, apart from the results to outlive them"
    )


_ENSEMBLES = {
    "cold-starts": EnsembleConfig(
        simulate={"family": "agekyan-anosova", "n_systems": 2000},
        integrate={"t_end": 100, "stop_on_escape": True},
    ),
    "paper-triples": EnsembleConfig(
        simulate={"family": "saz-ulibarrena", "n_systems": 1000}, integrate={"t_end": "30 yr"}
    ),
    "figure-eight": EnsembleConfig(
        simulate={"family": "named", "name": "figure-eight"}, integrate={"t_end": 12.6518279658, "keep": "trajectories"}
    ),
    "pythagorean": EnsembleConfig(
        simulate={"family": "named", "name": "pythagorean"},
        integrate={"t_end": 70, "tolerance": 1e-9, "keep": "trajectories", "n_saved": 7001},
    ),
    "outer-solar-system": EnsembleConfig(
        simulate={"family": "named", "name": "outer-solar-system"},
        integrate={"t_end": "250 yr", "keep": "trajectories", "n_saved": 2501},
    ),
}

_CLUSTERS = {"massless-cluster": ClusterConfig(simulate={"n_massless": 2000}, integrate={"t_end": 50})}
_BOXES = {"box-50-mpc": BoxConfig()}

_SURVEYS = {"simulated-survey": SurveyConfig(simulate={"n_spectra": 4000})}

_GALAXY_SURVEYS = {"simulated-galaxies": GalaxySurveyConfig(simulate={"n_galaxies": 4000})}

_PICTURES = {
    "hubble-deep-field": PicturesConfig(
        files=["hubble-deep-field"],
        # The picture is stretched, which lifts the saddles between galaxies, and cut at black, which hides its noise.
        cut={"kind": "mosaic", "size": 64, "min_area_px": 80, "detect_sigma": 8.0, "bridge": 0.7},
    )
}

_POSTERIORS = {
    name: PosteriorConfig(sample={"problem": name})
    for name in (
        "lcdm-desi-dr1",
        "lcdm-desi-dr2",
        "lcdm-chronometers-31",
        "lcdm-chronometers-32",
        "lcdm-pantheon-40",
        "lcdm-union3",
        "w0wa-desi-dr2-cmb",
        "w0wa-chronometers-desi-dr2",
    )
} | {
    "w0wa-chronometers-desi-dr2-emulated": PosteriorConfig(
        sample={"problem": "w0wa-chronometers-desi-dr2", "method": "emulated", "precision": 0.02}
    )
}


class WorkflowConfig(Section):
    """What ``snakemake`` makes."""

    results: FolderName = Field("results", description="folder of all results")
    minutes_per_job: int = Field(60, ge=1, description="wall time asked for a job, in minutes; retries ask for more")
    systems_per_chunk: int = Field(500, ge=1, description="systems that one job integrates")
    max_chunks: int = Field(200, ge=1, description="most jobs that one ensemble is cut into; larger chunks beyond")
    ensembles: dict[str, EnsembleConfig] = Field(
        _ENSEMBLES, description="ensembles of systems by name, each with its changes to the nbody section"
    )
    clusters: dict[str, ClusterConfig] = Field(
        _CLUSTERS, description="star clusters by name, each with its changes to the nbody section"
    )
    boxes: dict[str, BoxConfig] = Field(
        _BOXES,
        description="periodic boxes by name, each with its changes to the settings of boxes in the nbody section",
    )
    spectra_per_chunk: int = Field(1000, ge=1, description="spectra that one job fits")
    surveys: dict[str, SurveyConfig] = Field(
        _SURVEYS, description="simulated surveys by name, each with its changes to the spectra section"
    )
    observations: dict[str, ObservationsConfig] = Field(
        {}, description="real spectra by name, each with its files and its changes to the spectra section"
    )
    grid: GridConfig = Field(
        GridConfig(), description="synthetic spectra and the emulator of them, only with the target train_spectra"
    )
    galaxies_per_chunk: int = Field(1000, ge=1, description="galaxies that one job measures and encodes")
    galaxy_surveys: dict[str, GalaxySurveyConfig] = Field(
        _GALAXY_SURVEYS,
        description="simulated surveys of galaxies by name, each with its changes to the morphology section",
    )
    pictures: dict[str, PicturesConfig] = Field(
        _PICTURES, description="real galaxies by name, each with its files and its changes to the morphology section"
    )
    posteriors: dict[str, PosteriorConfig] = Field(
        _POSTERIORS, description="posteriors by name, each with its changes to the inference section"
    )
    closure_stars: StarsClosureConfig = Field(
        StarsClosureConfig(), description="clusters of known mass and size, inferred from the spectra of their stars"
    )
    closure_galaxies: GalaxiesClosureConfig = Field(
        GalaxiesClosureConfig(), description="a universe inferred from the ages of galaxies that are called early types"
    )

    @field_validator(
        "ensembles", "clusters", "boxes", "surveys", "observations", "galaxy_surveys", "pictures", "posteriors"
    )
    @classmethod
    def _names_are_file_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} becomes part of file names: use lower-case letters, digits and hyphens")
        return value

    @model_validator(mode="after")
    def _sets_have_names_of_their_own(self) -> WorkflowConfig:
        if both := sorted(set(self.surveys) & set(self.observations)):
            raise ValueError(f"{both[0]!r} is a survey and a set of observations; rename one: they share a folder")
        if both := sorted(set(self.ensembles) & set(self.boxes)):
            raise ValueError(f"{both[0]!r} is an ensemble and a box; rename one: they share a folder")
        if both := sorted(set(self.galaxy_surveys) & set(self.pictures)):
            raise ValueError(f"{both[0]!r} is a survey and a set of pictures; rename one: they share a folder")
        return self

    def chunks(self, n_systems: int) -> int:
        """Return the number of chunks that an ensemble is cut into."""
        return min(self.max_chunks, -(-n_systems // self.systems_per_chunk))

    def spectra_chunks(self, n_spectra: int) -> int:
        """Return the number of chunks in which spectra are fitted."""
        return min(self.max_chunks, -(-n_spectra // self.spectra_per_chunk))

    def galaxy_chunks(self, n_galaxies: int) -> int:
        """Return the number of chunks in which galaxies are measured and encoded."""
        return min(self.max_chunks, -(-n_galaxies // self.galaxies_per_chunk))

    def grid_chunks(self, n_stars: int) -> int:
        """Return the number of chunks in which stars of the grid are synthesised."""
        return min(self.max_chunks, -(-n_stars // self.grid.spectra_per_chunk))
