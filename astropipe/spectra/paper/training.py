"""Training of the baselines RRNet and StarNet as published, on spectra with known labels.

Adam at 5e-4, a tenth of it after every ten epochs, thirty epochs, batches of 256, unit noise on a quarter of the
standardised pixels from the sixth epoch on, and the weights of the best epoch on spectra set aside: Xiong, Li & Liao
(2022, ApJS 261, 36) and their public code. Stellar parameters and abundances are learned by networks of their own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import InterruptedRunError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.progress import NoProgress, Progress
from astropipe.runtime.seeds import stream
from astropipe.spectra.labels import label_index
from astropipe.spectra.paper.networks import LABEL_GROUPS, RRNet, StarNet, gaussian_nll, with_training_noise

NETWORKS: dict[str, Callable[[int], nn.Module]] = {"rrnet": RRNet, "starnet": StarNet}
_SECONDS_BETWEEN_CHECKPOINTS = 120.0
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network learns; the defaults are those of the paper.

    Attributes
    ----------
    members : int
        Networks of each group of labels, whose mixture is the prediction.
    epochs, batch : int
        How often all spectra are seen, and how many together.
    learning_rate : float
        Of Adam; a tenth of it after every ``epochs_per_rate``.
    epochs_per_rate, noise_from : int
        See there, and the epoch from which noise is added.
    validation_share : float
        Share of the spectra that is set aside.
    precision : {"float32", "bfloat16"}
        Of the products of matrices while learning; the second is faster on processors that have it.
    """

    members: int = 6
    epochs: int = 30
    batch: int = 256
    learning_rate: float = 5e-4
    epochs_per_rate: int = 10
    noise_from: int = 6
    validation_share: float = 0.1
    precision: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True)
class Standards:
    """Mean and standard deviation of pixels, shape (7200,), and of labels, shape (17,), of a training set."""

    pixel_mean: NDArray[np.float32]
    pixel_std: NDArray[np.float32]
    label_mean: NDArray[np.float64]
    label_std: NDArray[np.float64]

    @classmethod
    def of(cls, inputs: NDArray[np.float32], labels: NDArray[np.float64]) -> Standards:
        """Measure them."""
        spread = np.maximum(inputs.std(axis=0), _LEAST_SPREAD)
        return cls(inputs.mean(axis=0), spread, labels.mean(axis=0), labels.std(axis=0))

    def pixels(self, inputs: NDArray[np.float32]) -> Tensor:
        """Standardise spectra, shape (n, 7200)."""
        return torch.from_numpy((inputs - self.pixel_mean) / self.pixel_std)

    def labels(self, labels: NDArray[np.float64]) -> Tensor:
        """Standardise labels, shape (n, 17)."""
        return torch.from_numpy((labels - self.label_mean) / self.label_std).float()


@dataclass
class Trained:
    """Networks of one kind: their weights by ``GROUP-MEMBER``, and the losses of every epoch of each."""

    kind: str
    standards: Standards
    states: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


def group_columns(group: str) -> list[int]:
    """Return where the labels of a group stand among all."""
    return [label_index(name) for name in LABEL_GROUPS[group]]


def split_rows(n: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to learn from and those set aside, which all members share."""
    order = stream(seed, "spectra.train.split").permutation(n)
    aside = max(1, round(share * n))
    return np.sort(order[aside:]), np.sort(order[:aside])


def train_networks(
    kind: str,
    inputs: NDArray[np.float32],
    labels: NDArray[np.float64],
    schedule: Schedule,
    *,
    seed: int = 0,
    device: str = "cpu",
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train all members of both groups, one after the other.

    Parameters
    ----------
    kind : {"rrnet", "starnet"}
        Which network.
    inputs : ndarray of float32, shape (n, 7200)
        Spectra as `samples.network_inputs` gives them.
    labels : ndarray, shape (n, 17)
        True labels.
    schedule : Schedule
        How they learn.
    seed : int
        Of the split, first weights, order, dropout and noise.
    device : str
        ``cpu`` or ``cuda``.
    checkpoint : Checkpoint, optional
        Where the state is kept between epochs; a resumed training ends as an uninterrupted one.
    progress : Progress, optional
        Told how many epochs of all members are done.

    Raises
    ------
    InterruptedRunError
        If a stop was requested; the checkpoint is written if there is one.
    """
    known, aside = split_rows(len(inputs), schedule.validation_share, seed)
    standards = Standards.of(inputs[known], labels[known])
    x, y = standards.pixels(inputs), standards.labels(labels)
    trained = Trained(kind, standards)
    saved = (checkpoint.load() if checkpoint else None) or {}
    reporter = progress or NoProgress()
    done = 0
    for group in LABEL_GROUPS:
        columns = group_columns(group)
        for member in range(schedule.members):
            name = f"{group}-{member}"
            run = _Member(kind, name, len(columns), schedule, seed, device)
            run.restore(saved)
            saved_at = time.monotonic()
            while run.epoch < schedule.epochs:
                run.train_epoch(x, y[:, columns], known, aside)
                reporter.update(done + run.epoch, f"{name}: {run.curve[-1][1]:.3f}")
                stop = stop_requested()
                if checkpoint and (stop or time.monotonic() - saved_at > _SECONDS_BETWEEN_CHECKPOINTS):
                    checkpoint.save(_finished_arrays(trained) | run.arrays())
                    saved_at = time.monotonic()
                if stop:
                    kept = f"is kept in {checkpoint.path}; run again with --resume" if checkpoint else "is lost"
                    raise InterruptedRunError(f"interrupted in epoch {run.epoch} of {name}; the training {kept}")
            done += schedule.epochs
            trained.states[name], trained.curves[name] = run.best, run.curve
    return trained


class _Member:
    """One network between two epochs."""

    def __init__(self, kind: str, name: str, n_labels: int, schedule: Schedule, seed: int, device: str) -> None:
        self.name, self.schedule, self.seed, self.device = name, schedule, seed, device
        self.stage = f"spectra.train.{kind}.{name}"
        torch.manual_seed(int(stream(seed, self.stage).integers(2**62)))
        self.network = NETWORKS[kind](n_labels).to(device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=schedule.learning_rate)
        self.epoch, self.least = 0, math.inf
        self.best = self._state()
        self.curve: list[tuple[float, float]] = []

    def _state(self) -> dict[str, Tensor]:
        return {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}

    def train_epoch(self, x: Tensor, y: Tensor, known: NDArray[np.int64], aside: NDArray[np.int64]) -> None:
        """Go through all spectra once, then measure the loss on those set aside."""
        # The state of an epoch depends on the seed and its number, so that a resumed training needs no other state.
        rng = stream(self.seed, self.stage, self.epoch)
        torch.manual_seed(int(rng.integers(2**62)))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        rate = self.schedule.learning_rate * 0.1 ** (self.epoch // self.schedule.epochs_per_rate)
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = rate
        self.network.train()
        total = 0.0
        for rows in np.array_split(rng.permutation(known), -(-len(known) // self.schedule.batch)):
            spectra = x[rows]
            if self.epoch + 1 >= self.schedule.noise_from:
                spectra = with_training_noise(spectra, generator)
            with torch.autocast(self.device, torch.bfloat16, enabled=self.schedule.precision == "bfloat16"):
                mean, variance = self.network(spectra.to(self.device))
            loss = gaussian_nll(y[rows].to(self.device), mean.float(), variance.float())
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            total += len(rows) * float(loss.detach())
        found = self._loss(x, y, aside)
        self.epoch += 1
        self.curve.append((total / len(known), found))
        if found < self.least:
            self.least, self.best = found, self._state()

    def _loss(self, x: Tensor, y: Tensor, rows: NDArray[np.int64]) -> float:
        self.network.eval()
        total = 0.0
        with torch.no_grad():
            for part in np.array_split(rows, -(-len(rows) // self.schedule.batch)):
                mean, variance = self.network(x[part].to(self.device))
                total += len(part) * float(gaussian_nll(y[part].to(self.device), mean, variance))
        return total / len(rows)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return all that decides what follows."""
        named = {f"now/{key}": value for key, value in self._state().items()}
        named |= {f"best/{key}": value for key, value in self.best.items()}
        for i, state in self.optimiser.state_dict()["state"].items():
            named |= {f"adam/{i}/{key}": torch.as_tensor(value).cpu() for key, value in state.items()}
        arrays = {f"run|{self.name}|{key}".replace("/", "|"): value.numpy() for key, value in named.items()}
        return arrays | {f"run|{self.name}|curve": np.array(self.curve), f"run|{self.name}|least": np.array(self.least)}

    def restore(self, saved: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from a checkpoint, if it holds this network, finished or not."""
        if f"done|{self.name}|curve" in saved:
            self.best = _chosen(saved, f"done|{self.name}|best|")
            self.curve = [(float(a), float(b)) for a, b in saved[f"done|{self.name}|curve"]]
            self.epoch = len(self.curve)
        elif f"run|{self.name}|curve" in saved:
            self.curve = [(float(a), float(b)) for a, b in saved[f"run|{self.name}|curve"]]
            self.epoch, self.least = len(self.curve), float(saved[f"run|{self.name}|least"])
            self.best = _chosen(saved, f"run|{self.name}|best|")
            self.network.load_state_dict(_chosen(saved, f"run|{self.name}|now|"))
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in _chosen(saved, f"run|{self.name}|adam|").items():
                number, _, name = key.partition("|")
                state.setdefault(int(number), {})[name] = value.to(self.device)
            self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})


def _chosen(arrays: Mapping[str, NDArray[np.generic]], prefix: str) -> dict[str, Tensor]:
    """Return arrays whose name begins so, by the rest of it."""
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(value))
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def _finished_arrays(trained: Trained) -> dict[str, NDArray[np.generic]]:
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, state in trained.states.items():
        arrays |= {f"done|{name}|best|{key}": value.numpy() for key, value in state.items()}
        arrays[f"done|{name}|curve"] = np.array(trained.curves[name])
    return arrays
