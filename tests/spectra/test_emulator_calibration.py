"""Inflation of the errors of an emulator: 1 for errors that are independent, more for those that look like labels."""

from __future__ import annotations

import numpy as np
import torch

from astropipe.spectra.emulator import TIO_T_EFF_K, no_inflation, read_emulator
from astropipe.spectra.emulator_calibration import measure_inflation
from astropipe.spectra.labels import label_index
from astropipe.spectra.population import draw_labels
from astropipe.spectra.start import read_start

N = 120


def _warm() -> tuple[np.ndarray, np.ndarray]:
    labels = draw_labels(np.random.default_rng(11), 3 * N)
    labels = labels[labels[:, 0] > TIO_T_EFF_K + 100.0][:N]
    with torch.no_grad():
        return labels, read_emulator().spectra(torch.from_numpy(labels).float()).numpy()


def test_errors_at_random_pixels_are_not_inflated() -> None:
    from dataclasses import replace

    labels, spectra = _warm()
    emulator = replace(read_emulator(), inflation=no_inflation())
    sigma = np.sqrt(emulator.error(torch.from_numpy(labels[:, 0]).float()).numpy())
    noisy = spectra + sigma * np.random.default_rng(12).standard_normal(spectra.shape)
    inflation = measure_inflation(emulator, read_start(), labels, noisy)[1, :17]
    # Smoothing over the line spread takes some of it away; nothing may be added.
    assert float(inflation.median()) < 1.5


def test_an_error_that_looks_like_magnesium_is_inflated_for_magnesium() -> None:
    from dataclasses import replace

    labels, _ = _warm()
    emulator = replace(read_emulator(), inflation=no_inflation())
    column = label_index("mg_h")
    wrong = labels.copy()
    wrong[:, column] += np.random.default_rng(13).normal(0.0, 0.05, len(labels))
    with torch.no_grad():
        spectra = emulator.spectra(torch.from_numpy(wrong).float()).numpy()
    inflation = measure_inflation(emulator, read_start(), labels, spectra)[1]
    assert float(inflation[column]) > 5.0
    assert float(inflation[label_index("cr_h")]) < 0.2 * float(inflation[column])
