"""Trained baselines: labels and standard errors from an ensemble of networks, kept as a ``spectral-network``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from astropy.table import Table
from numpy.typing import NDArray

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.runtime.errors import InputError
from astropipe.spectra.labels import LABEL_NAMES
from astropipe.spectra.paper.networks import LABEL_GROUPS, combine
from astropipe.spectra.paper.training import NETWORKS, Schedule, Standards, Trained, group_columns

_STANDARDS = ("pixel_mean", "pixel_std", "label_mean", "label_std")
_BATCH = 256


class NetworkEnsemble:
    """Networks of both groups of labels.

    Parameters
    ----------
    trained : Trained
        Their weights.
    """

    def __init__(self, trained: Trained) -> None:
        self.standards = trained.standards
        self.networks: dict[str, list[torch.nn.Module]] = {group: [] for group in LABEL_GROUPS}
        for name, state in trained.states.items():
            group = name.partition("-")[0]
            network = NETWORKS[trained.kind](len(LABEL_GROUPS[group]))
            network.load_state_dict(state)
            self.networks[group].append(network.eval())

    @property
    def n_parameters(self) -> int:
        """Number of weights of all networks."""
        return sum(part.numel() for group in self.networks.values() for net in group for part in net.parameters())

    def predict(self, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return labels and standard errors, shape (n, 17) each, of spectra from `samples.network_inputs`."""
        labels, errors = np.empty((2, len(inputs), len(LABEL_NAMES)))
        x = self.standards.pixels(inputs)
        with torch.no_grad():
            for group, networks in self.networks.items():
                columns = group_columns(group)
                parts = []
                for batch in x.split(_BATCH):
                    means, variances = zip(*(network(batch) for network in networks), strict=True)
                    parts.append(combine(torch.stack(means), torch.stack(variances)))
                mean, variance = (torch.cat(values).double().numpy() for values in zip(*parts, strict=True))
                scale = self.standards.label_std[columns]
                labels[:, columns] = mean * scale + self.standards.label_mean[columns]
                errors[:, columns] = np.sqrt(variance) * scale
        return labels, errors


def write_networks(
    output: Path, trained: Trained, schedule: Schedule, scores: list[tuple[str, float, str]], provenance: Provenance
) -> None:
    """Write trained networks as a ``spectral-network`` artifact, with their scores on spectra set aside."""
    ranges = zip(LABEL_NAMES, trained.standards.label_mean, trained.standards.label_std, strict=True)
    with create_artifact(output, "spectral-network", title=trained.kind, provenance=provenance) as artifact:
        artifact.write_table(Table(rows=scores, names=("measure", "value", "unit")))
        for name in _STANDARDS:
            artifact.write_array(f"weights/{name}", np.asarray(getattr(trained.standards, name)))
        for name, state in trained.states.items():
            for key, value in state.items():
                artifact.write_array(f"weights/{name}|{key}", value.numpy())
        # In order: a state that comes from a checkpoint has another.
        names = sorted(f"{name}|{key}" for name, state in trained.states.items() for key in state)
        architecture = {"kind": trained.kind, "groups": LABEL_GROUPS, "weights": [*_STANDARDS, *names]}
        artifact.write_text("architecture", json.dumps(architecture))
        curves = {name: [list(pair) for pair in curve] for name, curve in trained.curves.items()}
        artifact.write_text("training", json.dumps({"schedule": asdict(schedule), "losses": curves}))
        artifact.write_text(
            "domain", json.dumps({name: [mean - 2 * std, mean + 2 * std] for name, mean, std in ranges})
        )


def read_networks(path: Path) -> NetworkEnsemble:
    """Read a ``spectral-network`` artifact.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another kind or of a network that is not known here.
    """
    with open_artifact(path, "spectral-network") as artifact:
        try:
            architecture = artifact.record("architecture")
            kind, names = architecture["kind"], architecture["weights"]
            arrays = {name: np.asarray(artifact.array(f"weights/{name}")) for name in names}
            standards = Standards(*(arrays[name] for name in _STANDARDS))
            states: dict[str, dict[str, torch.Tensor]] = {}
            for name in names[len(_STANDARDS) :]:
                member, _, key = name.partition("|")
                states.setdefault(member, {})[key] = torch.from_numpy(arrays[name])
            return NetworkEnsemble(Trained(kind, standards, states))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{path}: the networks cannot be used ({error!r}); train them again with astropipe spectra train"
            ) from error
