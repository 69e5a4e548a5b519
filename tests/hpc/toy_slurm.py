"""A SLURM of one node on this machine, from the packages of Debian: started, asked, stopped.

Its jobs run as root, it listens to this machine alone, and its daemons end with the `with` block that started them.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
# The default place, for steps of jobs are started without the variable SLURM_CONF.
CONFIGURATION = Path("/etc/slurm/slurm.conf")
RUN_MUNGE = Path("/run/munge")
PORTS = (6817, 6818)
# No accounting. SLURM itself looks at memory every second, as control groups differ between machines. A job that is put
# back into the queue starts again when its credential has expired.
TEXT = """
ClusterName=toy
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,batch_sched_delay=1
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
MinJobAge=900
NodeName=localhost NodeAddr=127.0.0.1 NodeHostname={host} CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def obstacle() -> str | None:
    """Return why no SLURM can be started here, or None."""
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        return f"{', '.join(missing)} not installed (Debian: apt-get install slurmctld slurmd slurm-client munge)"
    if os.geteuid() != 0:
        return "its daemons have to be started by root"
    for port in PORTS:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return f"port {port} is in use: does a SLURM run on this machine already?"
    return None


def ask(*command: str) -> str:
    """Return what a command of SLURM prints."""
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


@dataclass(frozen=True)
class Job:
    """A job as squeue shows it, such as ``Job("7", "RUNNING", "800M", "1:00")``."""

    number: str
    state: str
    memory: str
    time_limit: str


def jobs(folder: Path, state: str = "all") -> list[Job]:
    """Return the jobs in a state that a workflow in a folder has sent, the first one first."""
    listed = ask("squeue", "--noheader", f"--states={state}", "--sort=i", "--format=%Z|%i|%T|%m|%l").splitlines()
    return [Job(*rest) for place, *rest in (line.split("|") for line in listed) if place == str(folder)]


def node_state() -> str:
    """Return the state of the node, such as ``"idle"``."""
    return ask("sinfo", "--noheader", "--Node", "--format=%T")


def wait_until(condition: Callable[[], object], what: str, seconds: float = 180) -> None:
    """Wait for a condition, and fail where it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.5)


@contextmanager
def drained_node() -> Iterator[None]:
    """Drain the node while the block lasts: what runs goes on, nothing new is begun."""
    ask("scontrol", "update", "nodename=localhost", "state=drain", "reason=a test")
    try:
        yield
    finally:
        ask("scontrol", "update", "nodename=localhost", "state=resume")


@contextmanager
def toy_slurm(folder: Path, cpus: int = 6, memory_mb: int = 32_000) -> Iterator[None]:
    """Run a SLURM while the block lasts, its state and logs in a folder.

    Its node need not have the cores and the memory that it promises.
    """
    with ExitStack() as cleanup:
        cleanup.enter_context(_configuration(folder, cpus, memory_mb))
        if not _succeeds("munge", "--no-input"):
            RUN_MUNGE.mkdir(exist_ok=True)
            shutil.chown(RUN_MUNGE, "munge", "munge")
            cleanup.enter_context(_daemon("munged", "--foreground", user="munge"))
            wait_until(lambda: _succeeds("munge", "--no-input"), "munged")
        cleanup.enter_context(_daemon("slurmctld", "-D"))
        cleanup.enter_context(_daemon("slurmd", "-D", "-N", "localhost"))
        wait_until(lambda: _succeeds("sinfo") and node_state() == "idle", "the node")
        cleanup.callback(_cancel_jobs)
        yield


@contextmanager
def _configuration(folder: Path, cpus: int, memory_mb: int) -> Iterator[None]:
    """Put the configuration into its place, and what was there back in the end."""
    aside = CONFIGURATION.with_name("slurm.conf.aside")
    if CONFIGURATION.exists():
        CONFIGURATION.rename(aside)
    text = TEXT.format(folder=folder, host=socket.gethostname(), cpus=cpus, memory_mb=memory_mb, ports=PORTS)
    CONFIGURATION.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        CONFIGURATION.unlink()
        if aside.exists():
            aside.rename(CONFIGURATION)


@contextmanager
def _daemon(*command: str, user: str | None = None) -> Iterator[None]:
    process = subprocess.Popen(command, user=user, group=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _cancel_jobs() -> None:
    """End all jobs, which would outlive the daemons."""
    ask("scancel", "--user=root")
    wait_until(lambda: not ask("squeue", "--noheader"), "cancelled jobs")


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
