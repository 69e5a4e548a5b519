"""Jobs of the grid of synthetic spectra and of the training of the emulator."""

from __future__ import annotations

from astropipe.config.changes import as_job_options
from astropipe.config.jobs.base import CODE, Wildcards
from astropipe.config.jobs.spectra import SPECTRA_MB, SpectraJobs

# Of a synthetic spectrum at full resolution in training: its points, and the copies of them in double precision.
_GRID_SPECTRUM_BYTES = 28_000 * 8 * 4


class GridJobs(SpectraJobs):
    """What the rules of the grid ask for."""

    def get_grid_sources(self, wildcards: Wildcards) -> str:
        """Return the folder of the program that synthesises spectra, and of what it reads."""
        return self.config.workflow.grid.sources

    def get_grid_stars(self, wildcards: Wildcards) -> str:
        """Return the folder of the synthetic spectra, another one for each version of the recipe.

        Stars that are there are kept, so that those of an older recipe would get into the grid.
        """
        return f"{self.config.workflow.grid.folder}/stars-{CODE['grid']}"

    def grid_records(self) -> list[str]:
        """Return the records of all chunks of the grid: which stars each has made."""
        folder = f"{self.config.workflow.grid.folder}/chunks"
        counts = {part: self.config.workflow.grid_chunks(len(stars)) for part, stars in self._grid_parts().items()}
        return [f"{folder}/{part}-{i}-of-{n}.txt" for part, n in counts.items() for i in range(1, n + 1)]

    def get_grid_range(self, wildcards: Wildcards) -> str:
        """Return which stars a part of the grid is made of, as options of ``run``."""
        grid = self.config.workflow.grid
        limits = {
            "all": "",
            "cool": f" --below-k {grid.cool_below_k}",
            "dwarfs": f" --below-k {grid.dwarf_below_k} --above-log-g {grid.dwarf_above_log_g}",
        }
        stars = self._grid_parts()[wildcards.part]
        return f"--start {stars.start} --count {len(stars)}{limits[wildcards.part]}"

    def _grid_parts(self) -> dict[str, range]:
        grid = self.config.workflow.grid
        cool_from, dwarfs_from = grid.n_spectra, grid.n_spectra + grid.n_cool_candidates
        return {
            "all": range(cool_from),
            "cool": range(cool_from, dwarfs_from),
            "dwarfs": range(dwarfs_from, dwarfs_from + grid.n_dwarf_candidates),
        }

    def get_spectra_train_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe spectra train``."""
        return as_job_options("spectra.train", self.config.spectra.train)

    def get_training_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory in MB of the training of the emulator, which holds the whole grid."""
        n_spectra = sum(len(stars) for stars in self._grid_parts().values())
        return int((SPECTRA_MB + _GRID_SPECTRUM_BYTES * n_spectra / 1e6) * 2 ** (attempt - 1))
