from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import rotate

from astropipe.morphology import describing
from astropipe.morphology.classes import CLASSES
from astropipe.morphology.encoding import encode_by_harmonics
from astropipe.morphology.flags import GalaxyFlag
from astropipe.morphology.network import Architecture, ConvNeXt
from astropipe.morphology.rendering.galaxies import TRUTH
from astropipe.morphology.rendering.survey import Survey, simulate
from astropipe.runtime.errors import InputError


@pytest.fixture(scope="module")
def stamps():
    return simulate(Survey(size=96, snr=(80.0, 300.0)), seed=77, first=0, last=80)


@pytest.fixture(scope="module")
def described(stamps):
    return describing.describe(stamps, describing.stamp_encoder(None))


def test_the_shipped_encoder_reads_galaxies_that_it_has_not_seen(stamps, described):
    told = np.array(CLASSES)[described.encoded.probabilities.argmax(axis=1)]
    # Chance is a quarter; spheroids and face-on early-type disks look alike.
    assert np.mean(told == stamps.columns["morphology"]) > 0.55
    for name, least in (("bulge_fraction", 0.6), ("disturbance", 0.6), ("axis_ratio", 0.6)):
        true, read = stamps.columns[name], described.encoded.truths[:, TRUTH.index(name)]
        known = np.isfinite(true)
        assert np.corrcoef(true[known], read[known])[0, 1] > least, name


@pytest.mark.parametrize("angle", [90.0, 55.0])
def test_a_turned_galaxy_has_the_same_features(stamps, described, angle):
    images = np.stack([rotate(image, angle, reshape=False, order=3) for image in stamps.images])
    masks = np.stack([rotate(mask.astype(float), angle, reshape=False, order=1) > 0.3 for mask in stamps.masks])
    turned = replace(stamps, images=images.astype(np.float32), masks=masks)
    one, other = (
        described.encoded.features,
        describing.describe(turned, describing.stamp_encoder(None)).encoded.features,
    )
    cosine = np.sum(one * other, axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert np.median(cosine) > 0.999


def test_brighter_units_change_nothing(stamps, described):
    scaled = replace(stamps, images=stamps.images * 1e-3, sky_rms=stamps.sky_rms * 1e-3)
    again = describing.describe(scaled, describing.stamp_encoder(None))
    np.testing.assert_allclose(again.encoded.embedding, described.encoded.embedding, atol=0.02)
    np.testing.assert_allclose(again.measures["gini"], described.measures["gini"], atol=1e-4)


def test_parts_and_threads_change_nothing(stamps, described):
    two = describing.describe(stamps, describing.stamp_encoder(None), threads=2)
    np.testing.assert_array_equal(two.encoded.embedding, described.encoded.embedding)
    np.testing.assert_array_equal(two.flags, described.flags)


def test_what_shows_no_shape_has_no_features(stamps):
    spoiled = replace(stamps.rows(slice(0, 4)), images=stamps.images[:4].copy())
    spoiled.images[0] = 0.0
    axis = np.arange(96) - 47.5
    spoiled.images[1] = 500 * np.exp(-0.5 * (axis[:, None] ** 2 + axis[None, :] ** 2) / 0.8**2)
    found = describing.describe(spoiled, describing.stamp_encoder(None))
    assert found.flags[0] & GalaxyFlag.EMPTY and found.flags[1] & GalaxyFlag.TINY
    assert np.isnan(found.encoded.embedding[:2]).all() and np.isfinite(found.encoded.embedding[2:]).all()


def test_a_picture_stretched_for_display_has_a_larger_radius(stamps):
    picture = replace(
        stamps, images=(np.arcsinh(stamps.images / 2) * 20).astype(np.float32), sky_rms=stamps.sky_rms * 10
    )
    ratio = describing.measure(picture)["r50"] / describing.measure(stamps)["r50"]
    assert np.nanmedian(ratio) == pytest.approx(describing.STRETCHED_RADIUS, abs=0.12)


def test_harmonics_need_no_network(stamps):
    encoded = encode_by_harmonics(stamps.rows(slice(0, 8)), np.full(8, 10.0))
    assert np.isfinite(encoded.features).all() and np.isnan(encoded.probabilities).all()
    assert encoded.embedding.shape == encoded.features.shape


def test_encoders_that_are_not_there_are_named():
    with pytest.raises(InputError, match=r"absent\.h5: no such file or folder"):
        describing.stamp_encoder("absent.h5")


def test_the_network_is_that_of_transformers():
    transformers = pytest.importorskip("transformers", reason="the extra morphology-paper is not installed")
    sizes = Architecture(
        depths=(1, 2), widths=(8, 12), channels=3, input_px=32, embedding=4, classes=CLASSES, truths=TRUTH
    )
    torch.manual_seed(0)
    ours = ConvNeXt(sizes).eval()
    config = transformers.ConvNextConfig(
        num_channels=3, patch_size=4, depths=[1, 2], hidden_sizes=[8, 12], num_stages=2, layer_norm_eps=1e-6
    )
    theirs = transformers.ConvNextModel(config).eval()
    state = {name: value for name, value in ours.state_dict().items() if "head" not in name and "embed." not in name}
    theirs.load_state_dict(state)
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        wanted = theirs(images).pooler_output
        torch.testing.assert_close(ours.features(images), wanted, atol=1e-5, rtol=1e-4)
