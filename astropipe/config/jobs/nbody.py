"""Jobs of the nbody stage: ensembles of few bodies, star clusters, periodic boxes."""

from __future__ import annotations

from astropipe.config.changes import as_job_options, changed
from astropipe.config.jobs.base import BASE_MB, StageJobs, Wildcards, relative
from astropipe.config.nbody import EvaluateConfig, IntegrateConfig, SimulateConfig
from astropipe.config.root import Config
from astropipe.runtime.shipped import data_file, weights_file

# As measured: arrays of the size of the result that a process holds at its peak (those of the run, the result, the
# checkpoint), what a run carries for each body, and what a system costs beside its bodies (its random stream, its row).
_COPIES = 4
_RUN_NUMBERS = 130
_SYSTEM_BYTES = 4000
# Of a box, as measured: what a run holds of each particle, of each in each snapshot (with copies for the file and the
# checkpoint), and of each node of the mesh; a process that counts pairs, and the tessellation of a particle.
_RUN_BYTES, _SNAPSHOT_BYTES, _CELL_BYTES = 400, 150, 80
_FLOW_MB, _TESSELLATION_BYTES = 1500, 5000
# Bodies of a family; that of Plummer spheres is a setting. Of named systems, more than any has.
_BODIES = {"agekyan-anosova": 3, "saz-ulibarrena": 3, "named": 16}


def simulate_settings(config: Config, ensemble: str) -> SimulateConfig:
    """Return the settings by which an ensemble is simulated.

    Raises
    ------
    ConfigError
        If the changes of the ensemble name an unknown key or a value that does not fit.
    """
    changes = config.workflow.ensembles[ensemble].simulate
    return changed(config.nbody.simulate, changes, f"workflow.ensembles.{ensemble}.simulate")


def integrate_settings(config: Config, ensemble: str) -> IntegrateConfig:
    """Return the settings by which an ensemble is integrated, labelled by its name; raises as `simulate_settings`."""
    changes = {"label": ensemble} | config.workflow.ensembles[ensemble].integrate
    return changed(config.nbody.integrate, changes, f"workflow.ensembles.{ensemble}.integrate")


def cluster_start_settings(config: Config, cluster: str) -> SimulateConfig:
    """Return the settings by which a star cluster is made; raises as `simulate_settings`."""
    changes = {"family": "cluster", "cluster": config.workflow.clusters[cluster].simulate}
    return changed(config.nbody.simulate, changes, f"workflow.clusters.{cluster}.simulate")


def cluster_run_settings(config: Config, cluster: str) -> IntegrateConfig:
    """Return the settings by which a cluster is integrated, labelled by its name; raises as `simulate_settings`."""
    changes = {"label": cluster} | config.workflow.clusters[cluster].integrate
    return changed(config.nbody.integrate, changes, f"workflow.clusters.{cluster}.integrate")


def box_settings(config: Config, box: str) -> tuple[SimulateConfig, IntegrateConfig, EvaluateConfig]:
    """Return the settings by which a periodic box is made, run, labelled by its name, and measured.

    Raises as `simulate_settings`.
    """
    nbody, changes, where = config.nbody, config.workflow.boxes[box], f"workflow.boxes.{box}"
    start = changed(nbody.simulate.box, changes.simulate, f"{where}.simulate")
    way = changed(nbody.integrate.box, changes.integrate, f"{where}.integrate")
    flow = changed(nbody.evaluate.box, changes.evaluate, f"{where}.evaluate")
    return (
        nbody.simulate.model_copy(update={"family": "box", "box": start}),
        nbody.integrate.model_copy(update={"label": box, "box": way}),
        nbody.evaluate.model_copy(update={"box": flow}),
    )


class NbodyJobs(StageJobs):
    """What the rules of the nbody stage ask for."""

    def catalog_ensembles(self) -> list[str]:
        """Return the ensembles of which a catalog is made."""
        return [name for name in self.config.workflow.ensembles if self._keep(name) == "catalog"]

    def trajectory_ensembles(self) -> list[str]:
        """Return the ensembles whose trajectories are kept."""
        return [name for name in self.config.workflow.ensembles if self._keep(name) == "trajectories"]

    def cold_start_ensembles(self) -> list[str]:
        """Return the catalogs that have an Agekyan-Anosova map."""
        ensembles = self.catalog_ensembles()
        return [name for name in ensembles if simulate_settings(self.config, name).family == "agekyan-anosova"]

    def _keep(self, ensemble: str) -> str:
        return integrate_settings(self.config, ensemble).keep

    def chunk_count(self, ensemble: str) -> int:
        """Return the number of jobs that integrate an ensemble; trajectories stay in one piece."""
        if self._keep(ensemble) == "trajectories" or simulate_settings(self.config, ensemble).family == "named":
            return 1
        return self.config.workflow.chunks(simulate_settings(self.config, ensemble).n_systems)

    def get_chunk_files(self, wildcards: Wildcards) -> list[str]:
        """Return the catalogs of the chunks of an ensemble."""
        count = self.chunk_count(wildcards.ensemble)
        folder = f"{self.results}/nbody/{wildcards.ensemble}/chunks"
        return [f"{folder}/{index}-of-{count}.h5" for index in range(1, count + 1)]

    def get_simulate_files(self, wildcards: Wildcards) -> list[str]:
        """Return the shipped files from which an ensemble is made."""
        named = simulate_settings(self.config, wildcards.ensemble).family == "named"
        return [relative(data_file("orbits/named-systems.ecsv"))] if named else []

    def get_policy_files(self, wildcards: Wildcards) -> list[str]:
        """Return the policy of the time step by which an ensemble is integrated, where it is a learned one."""
        settings = integrate_settings(self.config, wildcards.ensemble)
        if settings.timestep != "learned" or settings.dt is not None:
            return []
        return [relative(weights_file("nbody-timestep.h5")) if settings.policy is None else settings.policy]

    def get_simulate_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody simulate``."""
        return as_job_options("nbody.simulate", simulate_settings(self.config, wildcards.ensemble))

    def get_integrate_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody integrate``."""
        return as_job_options("nbody.integrate", integrate_settings(self.config, wildcards.ensemble))

    def get_nbody_evaluate_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody evaluate``."""
        return as_job_options("nbody.evaluate", self.config.nbody.evaluate)

    def get_simulate_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory in MB of a job that makes or reads a whole ensemble; doubled after each failure."""
        return _megabytes(simulate_settings(self.config, wildcards.ensemble), 0, attempt)

    def get_integrate_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory in MB of a job that integrates a chunk, or draws its trajectories.

        Every chunk reads the whole ensemble; trajectories, which grow with their saved times, are in one piece.
        """
        settings = simulate_settings(self.config, wildcards.ensemble)
        saved = 0
        if self._keep(wildcards.ensemble) == "trajectories":
            saved = integrate_settings(self.config, wildcards.ensemble).n_saved
        return _megabytes(settings, saved, attempt)

    def clusters(self) -> list[str]:
        """Return the names of the star clusters."""
        return list(self.config.workflow.clusters)

    def get_cluster_policy_files(self, wildcards: Wildcards) -> list[str]:
        """Return the policy that chooses eta in a cluster, where one does."""
        settings = cluster_run_settings(self.config, wildcards.cluster)
        if settings.cluster.eta != "learned":
            return []
        return [relative(weights_file("nbody-cluster-eta.h5")) if settings.policy is None else settings.policy]

    def get_cluster_start_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody simulate`` for a star cluster."""
        return as_job_options("nbody.simulate", cluster_start_settings(self.config, wildcards.cluster))

    def get_cluster_run_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody integrate`` for a star cluster."""
        return as_job_options("nbody.integrate", cluster_run_settings(self.config, wildcards.cluster))

    def get_cluster_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory in MB of a job that holds all snapshots of a cluster; doubled after each failure."""
        start = cluster_start_settings(self.config, wildcards.cluster).cluster
        run = cluster_run_settings(self.config, wildcards.cluster).cluster
        snapshots = run.n_snapshots if run.snapshot_times is None else 1 + len(run.snapshot_times)
        own = _COPIES * 8 * (start.n_stars + start.n_massless) * (6 * snapshots + _RUN_NUMBERS)
        return int((BASE_MB + own / 1e6) * 2 ** (attempt - 1))

    def boxes(self) -> list[str]:
        """Return the names of the periodic boxes."""
        return list(self.config.workflow.boxes)

    def get_box_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody simulate`` for a box."""
        return as_job_options("nbody.simulate", box_settings(self.config, wildcards.box)[0])

    def get_box_run_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody integrate`` for a box."""
        return as_job_options("nbody.integrate", box_settings(self.config, wildcards.box)[1])

    def get_flow_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody evaluate`` for a box."""
        return as_job_options("nbody.evaluate", box_settings(self.config, wildcards.box)[2])

    def get_box_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory in MB of a job that makes, runs or draws a box."""
        start, way, _ = box_settings(self.config, wildcards.box)
        particles, cells = start.box.n_side**3, (way.box.mesh or 2 * start.box.n_side) ** 3
        own = particles * (_RUN_BYTES + _SNAPSHOT_BYTES * len(way.box.redshifts)) + cells * _CELL_BYTES
        return int((BASE_MB + own / 1e6) * 2 ** (attempt - 1))

    def get_flow_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory in MB of a job that measures the flow in a box."""
        start, _, flow = box_settings(self.config, wildcards.box)
        own = start.box.n_side**3 * (_TESSELLATION_BYTES if flow.box.density else _RUN_BYTES)
        return int((_FLOW_MB + own / 1e6) * 2 ** (attempt - 1))


def _megabytes(settings: SimulateConfig, n_saved: int, attempt: int) -> int:
    """Return the memory of a process that holds an ensemble and its states at `n_saved` times."""
    systems = 1 if settings.family == "named" else settings.n_systems
    bodies = _BODIES.get(settings.family, settings.n_bodies)
    # Masses, and 6 numbers a body at the start and at each saved time; what a run carries from step to step.
    numbers = bodies * (1 + 6 * (1 + n_saved)) + _RUN_NUMBERS * bodies
    own = systems * (_SYSTEM_BYTES + _COPIES * 8 * numbers)
    return int((BASE_MB + own / 1e6) * 2 ** (attempt - 1))
