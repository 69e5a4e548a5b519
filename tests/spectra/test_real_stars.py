"""Real LAMOST spectra: repeated exposures, velocities against a cross-correlation, wavelengths, residuals."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d, median_filter

from astropipe.spectra import prediction
from astropipe.spectra.emulator import REST, read_emulator, rest_slices
from astropipe.spectra.fitting import read_fitter
from astropipe.spectra.flags import SpectrumFlag
from astropipe.spectra.lamost import Observation, read_lamost
from astropipe.spectra.pairs import SIZES, pair
from astropipe.spectra.paper.preprocessing import ARM_PIXELS, arm_wavelengths_a
from astropipe.spectra.pixels import OBSERVED, PIXEL_KM_S, arm_slices, to_pixels
from astropipe.spectra.prediction import Rows
from astropipe.spectra.simulation import Survey, clean_spectra, draw_stars
from astropipe.spectra.wavelengths import vacuum_to_air

REAL = Path(__file__).parents[3] / "shared" / "data" / "lamost"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not REAL.is_dir(), reason="the real spectra of ../shared/data/lamost are not here"),
]
# A giant, a binary of the same brightness in one line, and the same with its lines apart.
STARS = ("med-58025", "med-58644", "med-58649")


def _observations(name: str, exposures: str) -> list[Observation]:
    (path,) = REAL.glob(f"{name}*.fits.gz")
    return read_lamost(path, exposures)  # type: ignore[arg-type]


def _arrays(observations: list[Observation], *, air: bool = False) -> tuple[np.ndarray, np.ndarray]:
    flux, ivar = [], []
    for observation in observations:
        parts = []
        for arm in OBSERVED:
            read = observation.arms[arm.name]
            wavelength = vacuum_to_air(read.wavelength_a) if air else read.wavelength_a
            parts.append(to_pixels(wavelength, read.flux, read.ivar, read.mask, arm)[:2])
        flux.append(np.concatenate([part[0] for part in parts]))
        ivar.append(np.concatenate([part[1] for part in parts]))
    return np.stack(flux), np.stack(ivar)


def _read(name: str, exposures: str, *, air: bool = False) -> Rows:
    return prediction.predict(read_fitter(), *_arrays(_observations(name, exposures), air=air))


def _correlated(flux: np.ndarray, labels: np.ndarray) -> float:
    """Velocity in km/s by which the lines of the blue arm are shifted against the star at rest, and nothing else."""
    with torch.no_grad():
        star = read_emulator().spectra(torch.tensor([[*labels, 1.3]], dtype=torch.float32))[0].numpy()
    first = OBSERVED[0].first - REST[0].first
    rest = gaussian_filter1d(star[rest_slices()[0]], 2.0)[first : first + OBSERVED[0].size]
    size = len(rest)

    def lines(values: np.ndarray) -> np.ndarray:
        return np.clip(values / median_filter(values, 401) - 1.0, -1.0, 0.1)

    seen, template = lines(flux[:size]), lines(rest)
    inner, lags = slice(300, size - 300), np.arange(-30, 31)
    height = np.array([np.sum(seen[inner] * np.roll(template, lag)[inner]) for lag in lags])
    top = int(np.argmax(height))
    left, middle, right = height[top - 1 : top + 2]
    return PIXEL_KM_S * float(lags[top] + 0.5 * (left - right) / (left - 2.0 * middle + right))


@pytest.mark.parametrize("name", STARS)
def test_velocities_are_those_of_a_cross_correlation(name: str) -> None:
    flux, ivar = _arrays(_observations(name, "all"))
    rows = prediction.predict(read_fitter(), flux, ivar)
    for i in range(len(flux)):
        filled = np.interp(np.arange(len(flux[i])), np.flatnonzero(ivar[i]), flux[i][ivar[i] > 0.0])
        assert abs(_correlated(filled, rows.labels[i]) - rows.rv[i]) < 2.0


@pytest.mark.parametrize("name", STARS)
def test_exposures_of_one_star_agree_within_their_errors(name: str) -> None:
    rows = _read(name, "single")
    for i in range(rows.labels.shape[1]):
        weight = rows.errors[:, i] ** -2.0
        mean = np.sum(weight * rows.labels[:, i]) / weight.sum()
        assert np.max(np.abs(rows.labels[:, i] - mean) / rows.errors[:, i]) < 3.0


def test_lines_of_two_stars_are_asymmetric_and_those_of_one_are_not() -> None:
    assert not np.any(_read("med-58025", "single").flags & SpectrumFlag.ASYMMETRIC)
    assert np.all(_read("med-58649", "single").flags & SpectrumFlag.ASYMMETRIC)


@pytest.mark.parametrize("name", STARS)
def test_oxygen_tells_air_from_vacuum(name: str) -> None:
    for exposures in ("coadd", "single"):
        assert not np.any(_read(name, exposures).flags & SpectrumFlag.AIR_WAVELENGTHS)
        assert np.all(_read(name, exposures, air=True).flags & SpectrumFlag.AIR_WAVELENGTHS)


@pytest.mark.parametrize("name", STARS)
def test_residuals_are_correlated_over_few_pairs(name: str) -> None:
    with torch.no_grad():
        fit = read_fitter()(pair(*_arrays(_observations(name, "coadd"))))
    for part, used in zip(fit.residual.split(SIZES, dim=1), fit.weights.split(SIZES, dim=1), strict=True):
        residual = torch.where(used > 0.0, part, torch.zeros_like(part))[0].numpy()
        lagged = [np.sum(residual[k:] * residual[: len(residual) - k]) for k in range(1, 7)]
        assert 2.0 < 1.0 + 2.0 * np.sum(lagged) / np.sum(residual**2) < 6.0


@pytest.mark.parametrize(("arm", "least"), [(0, 0.96), (1, 0.95)])
def test_the_mean_of_emulated_stars_is_that_of_real_ones(arm: int, least: float) -> None:
    with h5py.File(REAL / "lamost-mrs-reference-statistics.h5") as file:
        real = file["flux_mean"][()][arm * ARM_PIXELS : (arm + 1) * ARM_PIXELS]
    # The real set: RRNet's training stars, of these mean labels and scatters (Xiong, Li & Liao 2022).
    rng = np.random.default_rng(5)
    stars = draw_stars(Survey(rv_limit_km_s=0.0, v_sin_i_limit_km_s=10.0), rng, 3_000)
    t_eff, log_g, fe_h = stars.labels[:, :3].T
    distance = ((t_eff - 5055) / 571) ** 2 + ((log_g - 3.40) / 0.92) ** 2 + ((fe_h + 0.193) / 0.268) ** 2
    with torch.no_grad():
        spectra = clean_spectra(read_emulator(), stars)[0]
    place = list(arm_slices().values())[arm]
    mean = np.average(spectra[:, place], axis=0, weights=np.exp(-0.5 * distance))
    wavelength = arm_wavelengths_a(arm)
    emulated = np.interp(wavelength, OBSERVED[arm].wavelength_a, mean)
    # Pseudo-continua differ by a polynomial of the order with which they are fitted.
    x = np.linspace(-1.0, 1.0, len(wavelength))
    matched = emulated * np.polynomial.polynomial.polyval(x, np.polynomial.polynomial.polyfit(x, real / emulated, 5))
    # The core of H alpha, which the fit leaves out, forms where no model of a photosphere knows: with it 0.947 in red.
    used = np.abs(wavelength - 6564.6) > 4.0
    assert np.corrcoef(matched[used], real[used])[0, 1] > least
