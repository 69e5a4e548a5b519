"""The baseline from stamps to groups, with a simple encoder in place of the networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from astropipe.morphology.flags import GalaxyFlag
from astropipe.morphology.paper.pipeline import PaperSettings, classify_as_paper
from astropipe.morphology.stamps import Stamps
from astropipe.runtime.errors import InputError, UsageError

SETTINGS = PaperSettings(n_groups=2, denoiser_steps=0)


def _profiles(strips: np.ndarray) -> np.ndarray:
    """Return the mean level by radius: enough to tell a compact galaxy from an extended one."""
    return strips.mean(axis=1)


@pytest.fixture(scope="module")
def galaxies() -> tuple[Stamps, np.ndarray]:
    """Return compact and extended galaxies in turn, the third without a pixel, and the kinds."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((32, 32)) - 16.0
    kind = np.arange(40) % 2
    scale = np.where(kind == 0, 2.0, 5.0)
    images = np.exp(-np.hypot(rows, columns) / scale[:, None, None]) + rng.normal(0.0, 0.01, (40, 32, 32))
    images[2] = 0.0
    flags = np.zeros(40, dtype=np.int64)
    flags[2] = int(GalaxyFlag.EMPTY)
    flags[3] = int(GalaxyFlag.FAINT)
    some = np.full(40, 0.03)
    ids = [f"g{i}" for i in range(40)]
    return Stamps(ids, images.astype(np.float32), np.zeros(images.shape, bool), some, some, some, flags), kind


def test_two_kinds_make_two_groups(galaxies: tuple[Stamps, np.ndarray]) -> None:
    stamps, kind = galaxies
    result = classify_as_paper(stamps, SETTINGS, encode=_profiles)
    used = np.delete(np.arange(40), 2)
    assert adjusted_rand_score(kind[used], result.groups[used]) == 1.0
    assert result.kept[used].all()
    assert result.features.shape == (40, 64)


def test_unusable_stamps_have_no_group(galaxies: tuple[Stamps, np.ndarray]) -> None:
    result = classify_as_paper(galaxies[0], SETTINGS, encode=_profiles)
    assert result.groups[2] == -1
    assert not result.kept[2]
    assert np.isnan(result.features[2]).all()
    assert result.groups[3] >= 0


def test_fewer_axes_than_asked_are_reported(galaxies: tuple[Stamps, np.ndarray]) -> None:
    result = classify_as_paper(galaxies[0], SETTINGS, encode=_profiles)
    assert result.n_components == 38
    assert result.messages == ("39 galaxies with 64 features have 38 principal axes: 38 are used, not 800",)
    assert classify_as_paper(galaxies[0], replace(SETTINGS, n_components=5), encode=_profiles).messages == ()


def test_same_seed_same_groups_with_the_denoiser(galaxies: tuple[Stamps, np.ndarray]) -> None:
    stamps = galaxies[0].rows(slice(0, 12))
    settings = replace(SETTINGS, denoiser_steps=2, seed=3)
    first, again = (classify_as_paper(stamps, settings, encode=_profiles) for _ in range(2))
    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_array_equal(first.groups, again.groups)


def test_wrong_calls_say_what_to_do(galaxies: tuple[Stamps, np.ndarray]) -> None:
    with pytest.raises(UsageError, match="needs convnext_folder"):
        classify_as_paper(galaxies[0], SETTINGS)
    with pytest.raises(UsageError, match="choose from convnext-folder"):
        classify_as_paper(galaxies[0], replace(SETTINGS, encoder="resnet"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="39 usable stamps cannot make 50 groups"):
        classify_as_paper(galaxies[0], replace(SETTINGS, n_groups=50), encode=_profiles)
