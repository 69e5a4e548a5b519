"""The baselines as published: sizes, order of the sub-bands, loss, ensemble, preprocessing."""

from __future__ import annotations

import numpy as np
import pytest

from astropipe.runtime.errors import UsageError
from astropipe.spectra.paper.preprocessing import (
    N_PIXELS,
    arm_wavelengths_a,
    normalise,
    pseudo_continuum,
    rest_frame,
    without_spikes,
)

torch = pytest.importorskip("torch")

from astropipe.spectra.paper.networks import (  # noqa: E402
    LABEL_GROUPS,
    RRNet,
    StarNet,
    combine,
    gaussian_nll,
    with_training_noise,
)


def test_sizes_are_the_published_ones() -> None:
    # Weights by hand: convolutions + recurrent layer + 14400-256-128 + two outputs.
    for n_labels, group in ((3, "SP"), (14, "CA")):
        assert len(LABEL_GROUPS[group]) == n_labels
        blocks = sum(3 * a * b + b + 3 * b * b + b + a * b + b for a, b in ((1, 4), (4, 8), (8, 16)))
        recurrent = 2 * 360 * 360 + 2 * 360
        head = 14_400 * 256 + 256 + 256 * 128 + 128 + 2 * (128 * n_labels + n_labels)
        assert sum(p.numel() for p in RRNet(n_labels).parameters()) == blocks + recurrent + head
    assert 12 * 3.97e6 < 6 * sum(sum(p.numel() for p in RRNet(n).parameters()) for n in (3, 14)) < 12 * 3.99e6


def test_the_recurrent_layer_reads_from_blue_to_red() -> None:
    torch.manual_seed(0)
    net = RRNet(3).eval()
    states = []
    net.recurrent.register_forward_hook(lambda _, __, out: states.append(out[0].detach()))
    spectrum = torch.zeros(1, N_PIXELS)
    changed = spectrum.clone()
    changed[0, 3_600:] = 1.0
    with torch.no_grad():
        net(spectrum)
        net(changed)
    same = torch.isclose(states[0], states[1], atol=1e-7).all(dim=(0, 2))
    # Bands 0-18 see blue pixels only; a change in the red does not reach back.
    assert same[:19].all()
    assert not same[20:].any()


def test_outputs_are_a_mean_and_a_variance() -> None:
    torch.manual_seed(0)
    for net in (RRNet(14), StarNet(14)):
        mean, variance = net(torch.randn(2, N_PIXELS))
        assert mean.shape == variance.shape == (2, 14)
        assert (variance > 0).all()


def test_loss_is_least_at_the_true_variance() -> None:
    truth = torch.randn(200_000, generator=torch.Generator().manual_seed(1)) * 0.7
    mean = torch.zeros(())
    at = {v: float(gaussian_nll(truth, mean, torch.tensor(v))) for v in (0.4, 0.49, 0.6)}
    assert at[0.49] < min(at[0.4], at[0.6])


def test_training_noise_touches_a_quarter_of_the_pixels() -> None:
    noisy = with_training_noise(torch.zeros(50, N_PIXELS), torch.Generator().manual_seed(2))
    assert float((noisy != 0).float().mean()) == pytest.approx(0.25, abs=0.005)
    assert float(noisy[noisy != 0].std()) == pytest.approx(1.0, abs=0.02)


def test_ensemble_variance_is_that_of_the_mixture() -> None:
    means, variances = torch.tensor([[[1.0]], [[3.0]]]), torch.tensor([[[0.5]], [[1.5]]])
    mean, variance = combine(means, variances)
    # Law of total variance: mean of variances 1 + variance of means 1.
    assert float(mean) == 2.0
    assert float(variance) == 2.0


def test_rest_frame_puts_a_line_at_its_wavelength() -> None:
    rv = -75.0
    observed = np.arange(4950.0, 5350.0, 0.05)
    line_at = 5184.62 * (1.0 + rv / 299_792.458)
    flux = 1.0 - 0.6 * np.exp(-0.5 * ((observed - line_at) / 0.3) ** 2)
    found = arm_wavelengths_a(0)[np.argmin(rest_frame(observed, flux, rv, 0))]
    assert found == pytest.approx(5184.62, abs=0.06)
    with pytest.raises(UsageError, match="4968-5328"):
        rest_frame(observed[1000:], flux[1000:], rv, 0)
    flux[7] = np.nan
    with pytest.raises(UsageError, match="not finite"):
        rest_frame(observed, flux, rv, 0)


def test_continuum_of_a_lined_spectrum_is_found_within_its_depression() -> None:
    rng = np.random.default_rng(3)
    wavelength = arm_wavelengths_a(0)
    x = (wavelength - 5148.0) / 180.0
    true = 900.0 * (1.0 + 0.2 * x - 0.1 * x**2 + 0.05 * x**3)
    lines = np.ones(len(x))
    for centre in rng.uniform(4970.0, 5326.0, 40):
        lines -= 0.4 * np.exp(-0.5 * ((wavelength - centre) / 0.4) ** 2)
    flux = true * lines
    assert np.abs(pseudo_continuum(flux, wavelength) / true - 1.0).max() < 0.03
    # A polynomial of the fitted kind is found to rounding.
    clean = 900.0 * (1.0 + 0.2 * (np.log10(wavelength) - 3.71) / 0.015)
    np.testing.assert_allclose(pseudo_continuum(clean, wavelength), clean, rtol=1e-9)


def test_a_spike_is_replaced_and_the_rest_is_kept() -> None:
    flux = 1.0 + 0.01 * np.random.default_rng(4).standard_normal(500)
    spiked = flux.copy()
    spiked[250] = 30.0
    clean = without_spikes(spiked)
    assert clean[250] == pytest.approx(1.0, abs=0.05)
    assert np.count_nonzero(clean != spiked) == 1


def test_normalised_spectra_are_near_one_and_clipped() -> None:
    flux = np.full((1, N_PIXELS), 500.0)
    flux[0, 1_000:1_003] = 1e6
    out = normalise(flux)
    assert out.max() <= 2.5
    assert np.median(out) == pytest.approx(1.0, abs=0.1)
