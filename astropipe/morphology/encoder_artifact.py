"""The encoder as an artifact: weights in half precision, scores, and rendered galaxies to compare others with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from astropy.table import Table
from numpy.typing import NDArray

from astropipe.artifacts import Artifact, Provenance, create_artifact, open_artifact
from astropipe.morphology.classes import CLASSES
from astropipe.morphology.denoiser import Denoiser
from astropipe.morphology.network import Architecture, ConvNeXt
from astropipe.morphology.reader import Reader, ReaderSizes
from astropipe.runtime.errors import InputError

SHIPPED = "galaxy-encoder.h5"
"""Name of the encoder that comes with astropipe."""
_MODULES = ("denoiser", "network", "reader")


@dataclass(frozen=True)
class Reference:
    """Rendered galaxies of known class, n of them, as encoder and measurements see them.

    Attributes
    ----------
    classes : ndarray of str, shape (n,)
        True classes.
    embedding : ndarray of float32, shape (n, embedding)
        Of the encoder.
    quantities : tuple of str
        Names of the columns of `values`.
    values : ndarray of float32, shape (n, q)
        What groups are named by; see `astropipe.morphology.describing`.
    """

    classes: NDArray[np.str_]
    embedding: NDArray[np.float32]
    quantities: tuple[str, ...]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Encoder:
    """A trained encoder.

    Attributes
    ----------
    denoiser : Denoiser
        Of what the network sees.
    network : ConvNeXt
        In evaluation mode.
    reader : Reader
        Reads what the network and the rings say.
    truth_mean, truth_std : ndarray, shape (truths,)
        By which truths were standardised.
    reference : Reference or None
        None while it is being made.
    """

    denoiser: Denoiser
    network: ConvNeXt
    reader: Reader
    truth_mean: NDArray[np.float32]
    truth_std: NDArray[np.float32]
    reference: Reference | None = None


def write_encoder(
    output: Path,
    encoder: Encoder,
    reference: Reference,
    scores: Mapping[str, float],
    training: Mapping[str, Any],
    provenance: Provenance,
) -> None:
    """Write an ``encoder`` artifact."""
    with create_artifact(output, "encoder", title="Encoder of galaxies", provenance=provenance) as new:
        rows = [(name, value, "") for name, value in scores.items()]
        new.write_table(Table(rows=rows, names=("measure", "value", "unit")))
        for kind in _MODULES:
            for name, value in getattr(encoder, kind).state_dict().items():
                new.write_array(f"weights/{kind}.{name}", value.numpy().astype(np.float16))
        new.write_array("weights/truth_mean", encoder.truth_mean)
        new.write_array("weights/truth_std", encoder.truth_std)
        new.write_array("weights/reference_embedding", reference.embedding.astype(np.float16))
        new.write_array("weights/reference_values", reference.values.astype(np.float32))
        places = np.array([CLASSES.index(name) for name in reference.classes], dtype=np.float32)
        new.write_array("weights/reference_classes", places)
        described = {
            "kind": "denoiser, ConvNeXt and reader",
            "denoiser": {"channels": encoder.denoiser.channels, "layers": encoder.denoiser.layers},
            "network": asdict(encoder.network.architecture),
            "reader": asdict(encoder.reader.sizes),
            "quantities": list(reference.quantities),
        }
        new.write_text("architecture", json.dumps(described))
        new.write_text("training", json.dumps(training))
        domain = {
            "half-light radius over the full width of the PSF": [1.0, 8.0],
            "signal-to-noise ratio inside the half-light radius": [20.0, 600.0],
        }
        new.write_text("domain", json.dumps(domain))


def read_reference(path: Path) -> Reference:
    """Read only the galaxies of an ``encoder`` artifact to which others are compared; raises as `read_encoder`."""
    with open_artifact(path, "encoder") as artifact:
        try:
            return _reference(artifact)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise _unusable(path, error) from error


def _reference(artifact: Artifact) -> Reference:
    return Reference(
        np.array(CLASSES)[np.asarray(artifact.array("weights/reference_classes"), dtype=np.int64)],
        np.asarray(artifact.array("weights/reference_embedding"), dtype=np.float32),
        tuple(artifact.record("architecture")["quantities"]),
        np.asarray(artifact.array("weights/reference_values"), dtype=np.float32),
    )


def _unusable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: the encoder cannot be used ({error!r}); train it again with astropipe morphology train")


def read_encoder(path: Path) -> Encoder:
    """Read an ``encoder`` artifact.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another kind or of a network that is not known here.
    """
    with open_artifact(path, "encoder") as artifact:
        try:
            described = artifact.record("architecture")
            sizes: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in described["network"].items()
            }
            # Without first weights, which are drawn at random and take longer than those of the file.
            with torch.device("meta"):
                denoiser = Denoiser(**described["denoiser"])
                network, reader = ConvNeXt(Architecture(**sizes)), Reader(ReaderSizes(**described["reader"]))
            modules: tuple[torch.nn.Module, ...] = (denoiser, network, reader)
            for kind, module in zip(_MODULES, modules, strict=True):
                names = {name: artifact.array(f"weights/{kind}.{name}") for name in module.state_dict()}
                module.load_state_dict(
                    {name: torch.from_numpy(np.array(value, dtype=np.float32)) for name, value in names.items()},
                    assign=True,
                )
            reference = _reference(artifact)
            mean, std = (np.asarray(artifact.array(f"weights/truth_{name}")) for name in ("mean", "std"))
        except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
            raise _unusable(path, error) from error
    return Encoder(denoiser.eval(), network.eval(), reader.eval(), mean, std, reference)
