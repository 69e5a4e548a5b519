"""Fits of simulated spectra: right on average, honest errors, and what masks, scales and noise do to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from astropipe.spectra.emulator import N_INPUTS, read_emulator
from astropipe.spectra.fitting import RV, Fit, Fitter, read_fitter
from astropipe.spectra.instrument import Damage, Recorded
from astropipe.spectra.pairs import pair
from astropipe.spectra.pixels import arm_slices
from astropipe.spectra.simulation import Stars, Survey, simulate_rows

CLEAN = Damage(masked_fraction=0.0, gap_rate=0.0, missing_arm_rate=0.0, cosmic_ray_rate=0.0, sky_residual=0.0)
N = 96


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def fitter() -> Fitter:
    return read_fitter()


def _simulated(snr: float, damage: Damage = CLEAN, n: int = N) -> tuple[Stars, Recorded]:
    survey = Survey(snr=(snr,), snr_range=False, blue_to_red_snr=1.0, damage=damage)
    return next(simulate_rows(read_emulator(), survey, 42, 0, n))


def _fit(fitter: Fitter, flux: np.ndarray, ivar: np.ndarray) -> Fit:
    return fitter(pair(flux, ivar))


def _pulls(fit: Fit, stars: Stars) -> np.ndarray:
    error = torch.diagonal(fit.covariance, dim1=1, dim2=2).sqrt()[:, :N_INPUTS]
    return ((fit.parameters[:, :N_INPUTS] - torch.from_numpy(stars.labels).float()) / error).numpy()


@pytest.mark.parametrize("snr", [10.0, 50.0])
def test_errors_cover_the_truth(fitter: Fitter, snr: float) -> None:
    stars, recorded = _simulated(snr)
    pull = _pulls(_fit(fitter, recorded.flux, recorded.ivar), stars)
    # 96 stars of 18 labels, which are correlated: two per cent is one standard deviation.
    assert np.mean(np.abs(pull) < 1.0) == pytest.approx(0.68, abs=0.06)
    assert np.mean(np.abs(pull) < 1.96) == pytest.approx(0.95, abs=0.04)
    assert np.median(pull) == pytest.approx(0.0, abs=0.15)


def test_radial_velocities_are_right_within_their_errors(fitter: Fitter) -> None:
    stars, recorded = _simulated(20.0)
    fit = _fit(fitter, recorded.flux, recorded.ivar)
    error = fit.parameters[:, RV].numpy() - stars.rv_km_s
    assert np.sqrt(np.mean(error**2)) < 1.0
    sigma = fit.covariance[:, RV, RV].sqrt().numpy()
    assert np.mean(np.abs(error) < sigma) == pytest.approx(0.68, abs=0.15)


def test_units_and_slopes_of_the_flux_do_not_matter(fitter: Fitter) -> None:
    _, recorded = _simulated(50.0, n=16)
    bent = 1e-17 * (1.0 + 0.3 * np.linspace(-1.0, 1.0, recorded.flux.shape[1]) ** 2)
    plain = _fit(fitter, recorded.flux, recorded.ivar)
    other = _fit(fitter, recorded.flux * bent, recorded.ivar / bent**2)
    error = torch.diagonal(plain.covariance, dim1=1, dim2=2).sqrt()
    difference = ((other.parameters - plain.parameters) / error)[:, :N_INPUTS]
    assert float(difference.abs().median()) < 0.05


def test_what_is_masked_does_not_matter(fitter: Fitter) -> None:
    _, recorded = _simulated(50.0, n=8)
    ivar = recorded.ivar.copy()
    ivar[:, 100:900] = 0.0
    spoilt = recorded.flux.copy()
    spoilt[:, 100:900] = 1e6
    plain, other = _fit(fitter, recorded.flux, ivar), _fit(fitter, spoilt, ivar)
    torch.testing.assert_close(other.parameters, plain.parameters, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_masked_pixels_cost_what_they_must(fitter: Fitter, share: float) -> None:
    stars, recorded = _simulated(20.0)
    lost = np.random.default_rng(0).random(recorded.ivar.shape) < share
    whole = _fit(fitter, recorded.flux, recorded.ivar)
    part = _fit(fitter, recorded.flux, np.where(lost, 0.0, recorded.ivar))
    pull = _pulls(part, stars)
    assert np.mean(np.abs(pull) < 1.0) == pytest.approx(0.68, abs=0.06)
    # The velocity is not bound by a prior: its error grows as the square root of what is left.
    growth = (part.covariance[:, RV, RV] / whole.covariance[:, RV, RV]).sqrt().median()
    assert float(growth) == pytest.approx((1.0 - share) ** -0.5, rel=0.03)


def test_a_missing_arm_widens_the_errors_and_they_still_cover(fitter: Fitter) -> None:
    stars, recorded = _simulated(20.0)
    ivar = recorded.ivar.copy()
    ivar[:, arm_slices()["blue"]] = 0.0
    whole, part = _fit(fitter, recorded.flux, recorded.ivar), _fit(fitter, recorded.flux, ivar)
    errors = [torch.diagonal(fit.covariance, dim1=1, dim2=2).sqrt()[:, :17].median(0).values for fit in (whole, part)]
    assert bool((errors[1] > 0.99 * errors[0]).all())
    assert np.mean(np.abs(_pulls(part, stars)) < 1.0) == pytest.approx(0.68, abs=0.07)
    assert bool((part.n_used[:, 0] == 0).all())


def test_cosmic_rays_are_left_out(fitter: Fitter) -> None:
    stars, recorded = _simulated(50.0, n=32)
    flux = recorded.flux.copy()
    rng = np.random.default_rng(5)
    for row in flux:
        row[rng.integers(100, 8000, 8)] += 2.0
    fit = _fit(fitter, flux, recorded.ivar)
    assert float(fit.n_spikes.float().median()) == pytest.approx(8.0, abs=1.5)
    assert np.mean(np.abs(_pulls(fit, stars)) < 1.96) > 0.9


def test_lines_that_no_model_has_make_errors_larger(fitter: Fitter) -> None:
    _, recorded = _simulated(100.0, n=16)
    rng = np.random.default_rng(6)
    wrong = 1.0 + 0.04 * np.repeat(rng.standard_normal((16, recorded.flux.shape[1] // 4)), 4, axis=1)
    plain, other = _fit(fitter, recorded.flux, recorded.ivar), _fit(fitter, recorded.flux * wrong, recorded.ivar)
    assert float(other.excess.median()) == pytest.approx(0.04, rel=0.25)
    assert float(plain.excess.median()) < 0.01
    growth = (other.covariance[:, 0, 0] / plain.covariance[:, 0, 0]).sqrt()
    assert float(growth.median()) > 2.0


def test_spectra_are_fitted_alike_alone_and_together(fitter: Fitter) -> None:
    _, recorded = _simulated(30.0, n=8)
    together = _fit(fitter, recorded.flux, recorded.ivar)
    alone = _fit(fitter, recorded.flux[3:4], recorded.ivar[3:4])
    error = torch.diagonal(alone.covariance, dim1=1, dim2=2).sqrt()[0]
    assert float(((together.parameters[3] - alone.parameters[0]) / error).abs().max()) < 0.01


def test_simulated_spectra_have_the_noise_that_was_asked_for() -> None:
    stars, recorded = _simulated(40.0, n=32)
    for i, place in enumerate(arm_slices().values()):
        ratio = recorded.flux[:, place] * np.sqrt(recorded.ivar[:, place])
        found = np.median(np.where(recorded.mask[:, place], np.nan, ratio)[:, 60:], axis=1)
        np.testing.assert_allclose(found[np.isfinite(found)], stars.snr[np.isfinite(found), i], rtol=0.05)
    # Neighbours differ by noise and lines: in the quietest spectrum by little more than noise.
    step = np.diff(recorded.flux, axis=1) * np.sqrt(recorded.ivar[:, 1:] / 2.0)
    assert np.min(np.nanstd(np.where(recorded.mask[:, 1:], np.nan, step), axis=1)) == pytest.approx(1.0, abs=0.35)


def test_a_survey_is_the_same_in_parts() -> None:
    survey = Survey()
    whole = np.concatenate([part.flux for _, part in simulate_rows(read_emulator(), survey, 7, 0, 300)])
    parts = [
        part.flux for a, b in ((0, 100), (100, 300)) for _, part in simulate_rows(read_emulator(), survey, 7, a, b)
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    other = next(simulate_rows(read_emulator(), survey, 8, 0, 10))[1]
    assert not np.array_equal(other.flux, whole[:10])


def test_damage_is_as_frequent_as_asked() -> None:
    damage = replace(CLEAN, masked_fraction=0.2, missing_arm_rate=0.5)
    _, recorded = _simulated(40.0, damage, n=256)
    missing = [recorded.mask[:, place].all(axis=1) for place in arm_slices().values()]
    assert np.mean(missing[0] | missing[1]) == pytest.approx(0.5, abs=0.1)
    both = ~(missing[0] | missing[1])
    assert recorded.mask[both].mean() == pytest.approx(0.1, abs=0.03)
    assert np.all(recorded.ivar[recorded.mask] == 0.0)
