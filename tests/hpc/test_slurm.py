"""The workflow on a real SLURM of one node, without accounting: the bytes of a local run, whatever befalls its jobs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from running import ROOT, command, environment
from toy_slurm import ask, drained_node, jobs, obstacle, toy_slurm, wait_until

pytestmark = pytest.mark.slurm

PROBLEM = Path(__file__).with_name("demanding.py")
SLURM = ("--profile", str(ROOT / "profiles" / "slurm"), "--slurm-init-seconds-before-status-checks", "2")
LOCAL = ("--cores", "2")
GENERIC = ("--profile", str(ROOT / "profiles" / "generic"))
LIMIT_S = 600
CONFIG = {
    "workflow": {
        "systems_per_chunk": 4,
        "ensembles": {"small": {"simulate": {"n_systems": 8}, "integrate": {"t_end": 2}}},
        "clusters": {},
        "boxes": {},
        "surveys": {"stars": {"simulate": {"n_spectra": 10}}},
        "galaxy_surveys": {
            "field": {"simulate": {"n_galaxies": 60, "size": 64}, "classify": {"n_groups": 4, "n_runs": 6}}
        },
        "pictures": {},
        "posteriors": {
            "demanding": {"sample": {"problem": f"{PROBLEM.name}:demanding", "n_live": 50, "dlogz": 0.5}},
        },
    }
}
POSTERIOR = "results/inference/demanding/posterior.h5"
FIGURE = "results/inference/demanding/triangle.png"
# Catalogs of all stages, and a figure.
TARGETS = (
    "results/nbody/metrics.h5",
    "results/spectra/stars/stars.h5",
    "results/morphology/field/galaxies.h5",
    "results/inference/metrics.h5",
    FIGURE,
)


@dataclass
class Workflow:
    """A workflow that was started, in a folder of its own."""

    folder: Path
    process: subprocess.Popen[bytes]

    def finish(self) -> str:
        """Wait until it ends well, and return what Snakemake said."""
        status = self.process.wait(LIMIT_S)
        said = (self.folder / "said").read_text(encoding="utf-8")
        assert status == 0, said
        return said


Start = Callable[..., Workflow]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start the workflow by a profile that users have: ``start(*targets, config=..., profile=..., **variables)``."""
    if (reason := obstacle()) is not None:
        pytest.skip(f"no SLURM can be started: {reason}")
    with toy_slurm(tmp_path_factory.mktemp("slurm")), ExitStack() as cleanup:

        def run(
            *targets: str, config: dict[str, object] = CONFIG, profile: Sequence[str] = SLURM, **variables: str
        ) -> Workflow:
            folder = tmp_path_factory.mktemp("workflow")
            shutil.copy(PROBLEM, folder)
            words = command(folder, *targets, config=config, where=profile)
            with (folder / "said").open("wb") as said:
                process = subprocess.Popen(
                    words, cwd=folder, env=environment() | variables, stdout=said, stderr=subprocess.STDOUT
                )
            cleanup.callback(process.wait)
            cleanup.callback(process.kill)
            return Workflow(folder, process)

        yield run


@pytest.fixture(scope="module")
def early(start: Start) -> dict[str, Workflow]:
    """The runs to which nothing is done from outside, started together, as they wait most of the time."""
    one_minute = {"workflow": CONFIG["workflow"] | {"minutes_per_job": 1}}
    # Its likelihood takes more than a minute and a half, the longest that SLURM lets a job of one minute live.
    wall_time = start(POSTERIOR, config=one_minute, SECONDS_PER_CALL="0.05")
    wait_until(lambda: calls(wall_time.folder), "its job at work, before others take the processor")
    return {
        "wall time": wall_time,
        "memory": start(POSTERIOR, HELD_MB="1000"),
        "generic": start(POSTERIOR, profile=GENERIC, HELD_MB="1000"),
        "catalogs": start(*TARGETS),
        "local": start(*TARGETS, profile=LOCAL),
    }


@pytest.fixture
def local(early: dict[str, Workflow]) -> Workflow:
    """An undisturbed run on this machine, without SLURM."""
    return early["local"]


def artifacts(folder: Path) -> dict[str, bytes]:
    results = folder / "results"
    return {str(path.relative_to(results)): path.read_bytes() for path in results.rglob("*.h5")}


def calls(folder: Path) -> int:
    """Return how often the likelihood was computed in a folder."""
    path = folder / "calls"
    return path.stat().st_size if path.exists() else 0


def check_posterior(run: Workflow, local: Workflow) -> str:
    """Check that a run ends with the posterior of the undisturbed one as its only artifact; return what it said."""
    said = run.finish()
    local.finish()
    assert artifacts(run.folder) == {"inference/demanding/posterior.h5": (local.folder / POSTERIOR).read_bytes()}
    return said


def test_a_requeued_job_goes_on_where_it_was(start: Start, local: Workflow) -> None:
    run = start(POSTERIOR, SECONDS_PER_CALL="0.006")
    wait_until(lambda: calls(run.folder) > 500, "the middle of the job")
    [job] = jobs(run.folder)
    ask("scontrol", "requeue", job.number)
    wait_until(lambda: jobs(run.folder, "pending"), "the job in the queue again")
    assert artifacts(run.folder) == {}, "nothing half-written has the name of a whole artifact"
    check_posterior(run, local)
    assert [same.number for same in jobs(run.folder)] == [job.number], "SLURM started it again, not Snakemake"
    assert calls(run.folder) < 1.1 * calls(local.folder)


def test_a_drained_node_is_waited_for(start: Start, local: Workflow) -> None:
    run = start(FIGURE, SECONDS_PER_CALL="0.002")
    wait_until(lambda: calls(run.folder) > 500, "the middle of the job")
    with drained_node():
        wait_until(lambda: jobs(run.folder, "pending"), "the next job, which has to wait")
        sampling, drawing = jobs(run.folder)
        assert (sampling.state, drawing.state) == ("COMPLETED", "PENDING")
    check_posterior(run, local)
    assert (run.folder / FIGURE).stat().st_size


def test_catalogs_of_all_stages_have_the_bytes_of_a_local_run(early: dict[str, Workflow], local: Workflow) -> None:
    run = early["catalogs"]
    run.finish()
    local.finish()
    assert artifacts(run.folder) == artifacts(local.folder)
    assert {job.state for job in jobs(run.folder)} == {"COMPLETED"}


@pytest.mark.parametrize("profile", ["memory", "generic"])
def test_a_job_beyond_its_memory_is_sent_again_with_more(
    early: dict[str, Workflow], local: Workflow, profile: str
) -> None:
    run = early[profile]
    check_posterior(run, local)
    assert [(job.state, job.memory) for job in jobs(run.folder)] == [("FAILED", "800M"), ("COMPLETED", "1600M")]


def test_the_log_of_a_failed_job_says_why(early: dict[str, Workflow]) -> None:
    run = early["memory"]
    said = run.finish()
    [log] = run.folder.glob(".snakemake/slurm_logs/**/*.log")
    assert str(log) in said, "of the failed attempt"
    assert "exceeded memory limit" in log.read_text(encoding="utf-8")


def test_a_job_killed_at_its_wall_time_goes_on_where_it_was(early: dict[str, Workflow], local: Workflow) -> None:
    run = early["wall time"]
    said = check_posterior(run, local)
    killed, resumed, *_ = jobs(run.folder)
    assert (killed.state, killed.time_limit, resumed.time_limit) == ("TIMEOUT", "1:00", "2:00")
    assert "non-zero exit status 77" in said
    assert calls(run.folder) < 1.1 * calls(local.folder)
