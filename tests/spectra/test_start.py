"""The network that begins fits: what it makes of noise and masks, and how near it comes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.runtime.errors import InputError
from astropipe.runtime.shipped import weights_file
from astropipe.spectra.emulator import N_INPUTS, SHIPPED, read_emulator
from astropipe.spectra.fitting import Fitter, read_fitter
from astropipe.spectra.instrument import Recorded
from astropipe.spectra.pairs import N_PAIRS, pair
from astropipe.spectra.simulation import Stars, Survey, simulate_rows
from astropipe.spectra.start import StartNetwork, read_start
from astropipe.spectra.start_training import StartSettings, train_start

N = 96


def _simulated(snr: float) -> tuple[Stars, Recorded]:
    survey = Survey(snr=(snr,), snr_range=False, blue_to_red_snr=1.0)
    return next(simulate_rows(read_emulator(), survey, 77, 0, N))


@pytest.fixture(scope="module")
def fitter() -> Fitter:
    return read_fitter()


def test_components_are_those_of_a_linear_model(fitter: Fitter) -> None:
    start = fitter.start
    truth = torch.randn(5, len(start.basis), generator=torch.Generator().manual_seed(1))
    lines = start.mean + (truth * start.variance.sqrt()) @ start.basis
    weights = torch.full((5, N_PAIRS), 1e6)
    torch.testing.assert_close(start.components(lines, weights), truth, atol=0.03, rtol=0.03)
    # Of what is not seen nothing is known: the mean of all stars.
    torch.testing.assert_close(start.components(lines, 0.0 * weights), 0.0 * truth)


def test_masked_pixels_do_not_count(fitter: Fitter) -> None:
    start = fitter.start
    generator = torch.Generator().manual_seed(2)
    lines = start.mean + 0.05 * torch.randn(3, N_PAIRS, generator=generator)
    weights = torch.full((3, N_PAIRS), 400.0)
    weights[:, 300:900] = 0.0
    spoilt = lines.clone()
    spoilt[:, 300:900] = 7.0
    torch.testing.assert_close(start.components(spoilt, weights), start.components(lines, weights))


@pytest.mark.parametrize(("snr", "largest"), [(10.0, 1.6), (40.0, 2.5)])
def test_fits_begin_within_few_errors_of_the_truth(fitter: Fitter, snr: float, largest: float) -> None:
    stars, recorded = _simulated(snr)
    with torch.no_grad():
        fit = fitter(pair(recorded.flux, recorded.ivar))
    error = torch.diagonal(fit.covariance, dim1=1, dim2=2).sqrt()[:, :N_INPUTS].numpy()
    pull = np.abs(fit.start.labels.numpy() - stars.labels) / error
    assert np.median(pull) < largest
    assert np.median(np.abs(fit.start.rv_km_s.numpy() - stars.rv_km_s)) < 1.0


def test_arrays_give_the_network_back(fitter: Fitter) -> None:
    again = StartNetwork.of_arrays(fitter.start.arrays())
    inputs = torch.randn(4, len(fitter.start.weights[0][0]), generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(again.outputs(inputs)[0], fitter.start.outputs(inputs)[0], rtol=0, atol=1e-2)
    assert again.n_parameters == fitter.start.n_parameters


def test_an_emulator_without_it_is_named(tmp_path: Path, provenance: Provenance) -> None:
    with (
        open_artifact(weights_file(SHIPPED)) as shipped,
        create_artifact(tmp_path / "old.h5", "spectrum-emulator", title="old", provenance=provenance) as old,
    ):
        old.write_table(shipped.table())
        for name in ("training", "domain"):
            old.write_text(name, shipped.text(name))
        old.write_text("architecture", '{"weights": []}')
        old.write_array("weights/mean", shipped.array("weights/mean"))
    with pytest.raises(InputError, match=r"old\.h5: this emulator has no network that begins fits; train it again"):
        read_start(tmp_path / "old.h5")


def test_a_small_training_learns_temperatures() -> None:
    settings = StartSettings(n_components=8, n_clean=256, n_spectra=2_500, hidden=(32,), epochs=40)
    network = train_start(read_emulator(), settings, seed=5)
    fitter = Fitter(read_emulator(), network)
    stars, recorded = _simulated(50.0)
    with torch.no_grad():
        found = network(fitter.search(pair(recorded.flux, recorded.ivar)))
    t_eff = stars.labels[:, 0]
    assert np.corrcoef(found.labels[:, 0].numpy(), t_eff)[0, 1] > 0.9
