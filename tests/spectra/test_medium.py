"""Telluric oxygen against published wavelengths, and as a witness of the medium of wavelengths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from astropipe.spectra import prediction
from astropipe.spectra.emulator import read_emulator
from astropipe.spectra.fitting import read_fitter
from astropipe.spectra.flags import SpectrumFlag
from astropipe.spectra.instrument import Damage, observe
from astropipe.spectra.medium import AIR_SHIFT_KM_S
from astropipe.spectra.pixels import OBSERVED
from astropipe.spectra.simulation import Survey, clean_spectra, draw_stars
from astropipe.spectra.telluric import B_BAND, GAMMA_BAND, Band, depth_at, lines, transmission
from astropipe.spectra.wavelengths import vacuum_to_air


@pytest.mark.parametrize(
    ("band", "head_air_a"),
    # Fraunhofer's B line, and the head of the gamma band (Moore, Minnaert & Houtgast 1966, The Solar Spectrum).
    [(B_BAND, 6867.19), (GAMMA_BAND, 6276.6)],
)
def test_bands_begin_where_they_are_seen(band: Band, head_air_a: float) -> None:
    wavenumbers, strengths = lines(band)
    first = float(vacuum_to_air(1e8 / wavenumbers.max()))
    assert first == pytest.approx(head_air_a, abs=0.05)
    assert strengths.sum() == pytest.approx(band.strength)
    assert np.all(strengths >= 0.0)


def test_two_lines_of_a_branch_are_as_far_apart_as_published() -> None:
    # The pair P9, Q8 of the B band: 6872.25 and 6872.84 Angstrom in air (Moore, Minnaert & Houtgast 1966).
    air = np.sort(vacuum_to_air(1e8 / lines(B_BAND)[0]))
    for wavelength in (6872.25, 6872.84):
        assert np.min(np.abs(air - wavelength)) < 0.05


def test_oxygen_absorbs_more_on_a_longer_path_and_shifts_to_the_red() -> None:
    assert np.all(transmission(2.0) <= transmission(1.0) + 1e-12)
    # The gamma band alone: the B band runs out of the arm.
    still, moved = depth_at(0.0)[:1000], depth_at(27.6)[:1000]
    lag = np.argmax([np.sum(np.roll(still, k) * moved) for k in range(10)])
    assert lag == 4
    # Nothing of these bands lies in the middle of the arm.
    assert depth_at(0.0)[OBSERVED[1].size // 2] < 1e-3


@pytest.mark.parametrize("snr", [20.0, 60.0])
def test_air_is_found_and_vacuum_is_not_taken_for_it(snr: float) -> None:
    flagged = []
    for shift in (0.0, AIR_SHIFT_KM_S):
        rng = np.random.default_rng(4)
        stars = draw_stars(Survey(snr=(snr,), snr_range=False, blue_to_red_snr=1.0), rng, 64)
        stars = replace(stars, rv_km_s=stars.rv_km_s / 3.0 + shift)
        with torch.no_grad():
            spectra, valid = clean_spectra(read_emulator(), stars)
        damage = Damage(missing_arm_rate=0.0)
        recorded = observe(spectra, valid, stars.labels[:, 0], stars.snr, damage, rng, telluric_shift_km_s=shift)
        rows = prediction.predict(read_fitter(), recorded.flux, recorded.ivar)
        flagged.append((rows.flags & SpectrumFlag.AIR_WAVELENGTHS) != 0)
    assert flagged[0].mean() == 0.0
    assert flagged[1].mean() > 0.95


def test_without_the_red_arm_nothing_is_said() -> None:
    rng = np.random.default_rng(4)
    stars = draw_stars(Survey(snr=(50.0,), snr_range=False), rng, 4)
    with torch.no_grad():
        spectra, valid = clean_spectra(read_emulator(), stars)
    recorded = observe(spectra, valid, stars.labels[:, 0], stars.snr, Damage(missing_arm_rate=0.0), rng)
    ivar = recorded.ivar.copy()
    ivar[:, OBSERVED[0].size :] = 0.0
    rows = prediction.predict(read_fitter(), recorded.flux, ivar)
    np.testing.assert_array_equal(rows.air_gain, 0.0)
