"""ConvNeXt (Liu et al. 2022) as encoder, from a folder on disk or with random weights.

The paper speaks of the large model, the code takes the extra large one, both learned on ImageNet-22k. astropipe ships
neither and fetches none: give it a folder with ``config.json`` in the layout of the library transformers and the
weights as ``model.safetensors`` or ``pytorch_model.bin``. The weights may have the names of transformers, of timm or of
the original release.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from astropipe.morphology.paper.encoding import Encoder
from astropipe.runtime.errors import InputError, MissingDependencyError

_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
# The class scores are not features.
_HEAD = re.compile(r"^(classifier|head\.fc)\.|^head\.(weight|bias)$")
# Names of timm and of the original release, in this order, to those of transformers.
_RENAMES = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^convnext\.", ""),
        (r"^(stem|downsample_layers\.0)\.0\.", "embeddings.patch_embeddings."),
        (r"^(stem|downsample_layers\.0)\.1\.", "embeddings.layernorm."),
        (r"^downsample_layers\.(\d+)\.(\d+)\.", r"encoder.stages.\1.downsampling_layer.\2."),
        (r"^stages\.(\d+)\.downsample\.(\d+)\.", r"encoder.stages.\1.downsampling_layer.\2."),
        (r"^stages\.(\d+)\.(?:blocks\.)?(\d+)\.", r"encoder.stages.\1.layers.\2."),
        (r"(layers\.\d+)\.conv_dw\.", r"\1.dwconv."),
        (r"(layers\.\d+)\.mlp\.fc(\d)\.", r"\1.pwconv\2."),
        (r"(layers\.\d+)\.norm\.", r"\1.layernorm."),
        (r"(layers\.\d+)\.gamma$", r"\1.layer_scale_parameter"),
        (r"^(head\.)?norm\.", "layernorm."),
    )
)
_ATTO = {"hidden_sizes": (40, 80, 160, 320), "depths": (2, 2, 6, 2)}


def load_convnext(folder: str | Path, *, device: str = "cpu") -> Encoder:
    """Load a ConvNeXt of any size.

    Parameters
    ----------
    folder : path
        Holds ``config.json`` (of transformers) and the weights.
    device : str
        Of torch.

    Returns
    -------
    Encoder
        Pooled and normalised features of the last stage: 1,536 of the large model, 2,048 of the extra large one. The
        pixels are not standardised, as in the authors' code.

    Raises
    ------
    MissingDependencyError
        If transformers is not installed.
    InputError
        If a file is missing or damaged, or the weights do not fit the configuration; the message names them.
    """
    folder = Path(folder)
    config = _read_config(folder)
    library = _transformers()
    try:
        network = library.ConvNextModel(library.ConvNextConfig(**config))
    except Exception as error:  # the library's own checks of the values raise many kinds
        raise InputError(f"{folder / 'config.json'}: not a ConvNeXt configuration ({_first_line(error)})") from error
    path, weights = _read_weights(folder)
    renamed = {_renamed(name): values for name, values in weights.items() if not _HEAD.search(name)}
    expected = {name: tuple(values.shape) for name, values in network.state_dict().items()}
    found = {name: tuple(values.shape) for name, values in renamed.items()}
    faults = [
        *_listed("missing", [name for name in expected if name not in found]),
        *_listed("not expected", [name for name in found if name not in expected]),
        *_listed(
            "of another shape",
            [
                f"{name} {found[name]}, not {expected[name]}"
                for name in expected
                if found.get(name, ()) != expected[name]
            ]
            if found.keys() == expected.keys()
            else [],
        ),
    ]
    if faults:
        raise InputError(
            f"{path}: the weights do not fit {folder / 'config.json'}: {'; '.join(faults)}; take both files from the "
            "same model, with the names of transformers (ConvNextModel), timm or the original release"
        )
    network.load_state_dict(renamed)
    return _encoder(f"ConvNeXt of {folder.name}", network, config["hidden_sizes"][-1], device)


def random_convnext_atto(rng: np.random.Generator, *, device: str = "cpu") -> Encoder:
    """Return a ConvNeXt-atto of random weights, 320 features: what the architecture alone is worth.

    Raises
    ------
    MissingDependencyError
        If transformers is not installed.
    """
    library = _transformers()
    # The library draws from torch's global stream; it is left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        network = library.ConvNextModel(library.ConvNextConfig(**_ATTO))
    return _encoder("ConvNeXt-atto, random weights", network, _ATTO["hidden_sizes"][-1], device)


def _encoder(name: str, network: Any, n_features: int, device: str) -> Encoder:
    network = network.to(device).float().eval()
    return Encoder(name, int(n_features), lambda pictures: network(pictures).pooler_output, device=device)


def _transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"ConvNeXt needs {error.name}; install it with pip install 'astropipe[morphology-paper]'"
        ) from error


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: not readable ({_first_line(error)}); give the folder of a ConvNeXt in the layout of transformers"
        ) from error
    if not isinstance(config, dict) or config.get("model_type") != "convnext" or not config.get("hidden_sizes"):
        raise InputError(
            f'{path}: not a ConvNeXt configuration of transformers; it must say "model_type": "convnext" and give '
            '"hidden_sizes" and "depths" (for the large model [192, 384, 768, 1536] and [3, 3, 27, 3])'
        )
    return config


def _read_weights(folder: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    path = next((folder / name for name in _WEIGHT_FILES if (folder / name).is_file()), None)
    if path is None:
        raise InputError(f"{folder}: holds neither {' nor '.join(_WEIGHT_FILES)}; put the weights there")
    try:
        if path.suffix == ".safetensors":
            return path, importlib.import_module("safetensors.torch").load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{path}: reading it needs {error.name}; install it with pip install 'astropipe[morphology-paper]'"
        ) from error
    except Exception as error:  # both readers raise many kinds on a damaged file
        raise InputError(f"{path}: not a readable weight file ({_first_line(error)}); copy it again") from error
    # The original release wraps the weights.
    return path, weights.get("model", weights)


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMES:
        name = pattern.sub(replacement, name)
    return name


def _listed(what: str, names: list[str]) -> list[str]:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return [f"{what}: {', '.join(names[:5])}{more}"] if names else []


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
