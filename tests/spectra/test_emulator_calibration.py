"""Inflation of the errors of an emulator: 1 for errors that are independent, more for those that look like labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from astropipe.spectra.emulator import TIO_T_EFF_K, Emulator, no_calibration, read_emulator, rest_slices
from astropipe.spectra.emulator_calibration import measure_inflation, measure_residuals
from astropipe.spectra.labels import label_index
from astropipe.spectra.population import draw_labels
from astropipe.spectra.simulation import draw_residuals
from astropipe.spectra.start import read_start

N = 120
# Of the temperatures at which the shipped emulator's errors are known, those above the onset of TiO.
WARM = slice(3, 7)


def _uncalibrated() -> Emulator:
    emulator = read_emulator()
    return replace(emulator, **no_calibration(len(emulator.mean), len(emulator.error_t_eff)))


def _warm() -> tuple[np.ndarray, np.ndarray]:
    labels = draw_labels(np.random.default_rng(11), 3 * N)
    labels = labels[labels[:, 0] > TIO_T_EFF_K + 100.0][:N]
    with torch.no_grad():
        return labels, read_emulator().spectra(torch.from_numpy(labels).float()).numpy()


def test_errors_at_random_pixels_are_not_inflated() -> None:
    labels, spectra = _warm()
    emulator = _uncalibrated()
    sigma = np.sqrt(emulator.error(torch.from_numpy(labels[:, 0]).float()).numpy())
    noisy = spectra + sigma * np.random.default_rng(12).standard_normal(spectra.shape)
    inflation = measure_inflation(emulator, read_start(), labels, noisy)[:, WARM, :17]
    # Smoothing over the line spread takes some of it away; nothing may be added.
    assert float(inflation.median()) < 1.5


def test_an_error_that_looks_like_magnesium_is_inflated_for_magnesium() -> None:
    labels, _ = _warm()
    emulator = _uncalibrated()
    column = label_index("mg_h")
    wrong = labels.copy()
    wrong[:, column] += np.random.default_rng(13).normal(0.0, 0.05, len(labels))
    with torch.no_grad():
        spectra = emulator.spectra(torch.from_numpy(wrong).float()).numpy()
    inflation = measure_inflation(emulator, read_start(), labels, spectra)[0, 4]
    assert float(inflation[column]) > 5.0
    assert float(inflation[label_index("cr_h")]) < 0.2 * float(inflation[column])


def test_simulated_errors_are_as_large_as_those_of_the_emulator() -> None:
    labels, spectra = _warm()
    emulator = _uncalibrated()
    rng = np.random.default_rng(14)
    # Errors of one shape, stronger in one star than in another.
    shape = np.sin(np.arange(spectra.shape[1]) / 7.0)
    off = 0.004 * rng.standard_normal((len(labels), 1)) * shape
    errors = measure_residuals(emulator, labels, spectra + off, n_modes=4)
    drawn = draw_residuals(replace(emulator, **errors), labels, rng) @ errors["residual_basis"]
    assert abs(float(drawn.std()) / off.std() - 1.0) < 0.25
    assert abs(np.corrcoef(drawn[0].numpy(), shape)[0, 1]) > 0.95


def test_an_emulator_without_calibration_has_no_errors_to_draw() -> None:
    labels, _ = _warm()
    assert draw_residuals(_uncalibrated(), labels, np.random.default_rng(0)).shape == (len(labels), 0)


def test_an_error_in_one_arm_counts_where_that_arm_is_seen() -> None:
    labels, spectra = _warm()
    column = label_index("mg_h")
    wrong = labels.copy()
    wrong[:, column] += np.random.default_rng(15).normal(0.0, 0.05, len(labels))
    blue = rest_slices()[0]
    with torch.no_grad():
        spectra[:, blue] = read_emulator().spectra(torch.from_numpy(wrong).float())[:, blue].numpy()
    both, blue_alone, red_alone = measure_inflation(_uncalibrated(), read_start(), labels, spectra)[:, WARM, column]
    assert float(both.min()) > 5.0
    assert float(blue_alone.min()) > 5.0
    assert float(red_alone.max()) == 1.0
