"""Bright sirens: rates, loudness and errors against direct calculation, and truth recovered from simulations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy import constants
from astropy import units as u
from astropy.cosmology import FlatLambdaCDM
from scipy.integrate import quad
from scipy.optimize import least_squares
from scipy.stats import chi2, kstest

from astropipe.artifacts import open_artifact
from astropipe.artifacts.verification import verify
from astropipe.config.inference import SampleConfig, SimulateConfig
from astropipe.inference import problem, stage
from astropipe.inference.background import cosmology
from astropipe.inference.distances import Redshifts, luminosity_distance
from astropipe.inference.sirens.detectors import (
    COSMIC_EXPLORER,
    EINSTEIN_TELESCOPE,
    FREQUENCIES,
    antenna_power,
    innermost_frequency,
    signal_to_noise,
)
from astropipe.inference.sirens.population import expected_number, merger_rate
from astropipe.inference.sirens.survey import Survey, distance_error, survey
from astropipe.runtime.errors import InputError
from astropipe.runtime.run import Run

ASTROPY = FlatLambdaCDM(H0=70, Om0=0.3, Tcmb0=0)
FEW = {"bns_rate": 5.0, "nsbh_rate": 5.0}
"""Rates that make about three hundred sirens."""


def test_antennas_have_their_mean_response() -> None:
    # Isotropic means of F+² and Fx²: 1/5 for arms at 90 degrees, 3 x 3/4 x 1/5 for the triangle.
    rng = np.random.default_rng(1)
    angles = rng.uniform(-1, 1, 200_000), rng.uniform(0, 2 * np.pi, 200_000), rng.uniform(0, np.pi, 200_000)
    for detector, mean in ((COSMIC_EXPLORER, 0.2), (EINSTEIN_TELESCOPE, 0.45)):
        for power in antenna_power(detector, *angles):
            assert power.mean() == pytest.approx(mean, rel=0.01)


def test_the_inspiral_of_a_binary_of_neutron_stars_ends_at_1570_hertz() -> None:
    # 4400 Hz for one solar mass, as in every textbook.
    assert innermost_frequency(np.array([2.8])).item() == pytest.approx(4397 / 2.8, rel=1e-3)


def test_the_einstein_telescope_hears_neutron_stars_to_redshifts_of_two_to_three() -> None:
    # Maggiore et al. 2020 (JCAP 03, 050): horizon z = 2 to 3. Face-on above the triangle, where w² = 9/8.
    z = np.linspace(0.5, 5.0, 1000)
    distance = luminosity_distance(cosmology(0.31, 67.7), Redshifts(z))[0]
    loudness = 8 * EINSTEIN_TELESCOPE.horizon / distance * ((1 + z) * 1.2188 / 1.2) ** (5 / 6)
    share = np.interp(innermost_frequency(2.8 * (1 + z)), FREQUENCIES, EINSTEIN_TELESCOPE.shares)
    horizon = z[np.sqrt(1.125 * share) * loudness > 8][-1]
    assert 1.9 < horizon < 3.0


def test_loudness_falls_with_distance_and_inclination() -> None:
    def mean(distance: float, cos_inclination: float) -> float:
        n = 20_000
        masses = np.full(n, 1.4), np.full(n, 1.4)
        at = np.full(n, 0.1), np.full(n, distance), np.full(n, cos_inclination)
        return float(np.mean(signal_to_noise(masses, *at, np.random.default_rng(2)) ** 2))

    # <w²> over directions: 1/5 [((1 + c²)/2)² + c²] for one of arms at 90 degrees.
    face_on, edge_on = mean(500.0, 1.0), mean(500.0, 0.0)
    assert edge_on / face_on == pytest.approx(0.25 / 2, rel=0.02)
    assert mean(1000.0, 1.0) / face_on == pytest.approx(0.25, rel=1e-9)


def test_the_merger_rate_is_star_formation_after_the_delay() -> None:
    universe, delay = cosmology(0.3, 70.0), 0.5

    def born(z: float) -> float:
        # At each delay the redshift of formation, by astropy, and its star formation.
        grid = np.expm1(np.linspace(np.log1p(z), np.log(61.0), 4000))
        ages = (ASTROPY.lookback_time(grid) - ASTROPY.lookback_time(z)).to_value(u.Gyr)

        def integrand(log_delay: float) -> float:
            formed = np.interp(np.exp(log_delay), ages, grid)
            return float((1 + formed) ** 2.7 / (1 + ((1 + formed) / 2.9) ** 5.6))

        return float(quad(integrand, np.log(delay), np.log(ages[-1]), limit=200, epsrel=1e-6)[0])

    expected = [born(z) / born(0.0) for z in (0.5, 2.0, 4.0)]
    np.testing.assert_allclose(merger_rate(universe, np.array([0.5, 2.0, 4.0]), delay), expected, rtol=2e-3)


def test_the_number_of_mergers_fills_the_volume() -> None:
    # 100 /Gpc³/yr for two years, out to z = 1, with the rate of the test above.
    universe, z = cosmology(0.3, 70.0), np.linspace(0.0, 1.0, 1000)
    rate = merger_rate(universe, z, 0.5)

    def integrand(at: float) -> float:
        shell = 4 * np.pi * ASTROPY.differential_comoving_volume(at).to_value(u.Gpc**3 / u.sr)
        return float(200 * np.interp(at, z, rate) / (1 + at) * shell)

    expected = quad(integrand, 0, 1, epsrel=1e-5, limit=200)[0]
    assert expected_number(universe, z, 100.0, 2.0, 0.5)[-1] == pytest.approx(expected, rel=1e-3)


def test_errors_are_those_of_instrument_lensing_and_motion() -> None:
    universe = cosmology(0.3, 70.0)
    z, snr = np.array([0.02, 1.0, 1.0]), np.array([1e9, 1e9, 20.0])
    known = np.array([True, True, False])
    sigma = distance_error(universe, z, snr, known, 500.0)
    distance = ASTROPY.luminosity_distance(z).to_value(u.Mpc)
    # Near by only motion counts: v / H0 in distance, up to terms of order z.
    assert sigma[0] == pytest.approx(500.0 / 70.0, rel=0.05)
    lensing = 0.033 * ((1 - 2**-0.25) / 0.25) ** 1.8
    light = constants.c.to_value(u.km / u.s)
    motion = 500.0 / light * (1 - 4 * light / (ASTROPY.H(1.0).value * distance[1]))
    assert sigma[1] / distance[1] == pytest.approx(np.hypot(lensing, motion), rel=1e-3)
    assert sigma[2] / distance[2] == pytest.approx(np.sqrt(lensing**2 + motion**2 + 0.1**2), rel=1e-3)


def test_surveys_are_those_of_their_seed_and_grow_with_time() -> None:
    config = SimulateConfig(**FEW)
    first, again, other = survey(config, 1), survey(config, 1), survey(config, 2)
    np.testing.assert_array_equal(first.distance, again.distance)
    assert not np.array_equal(first.z, other.z)
    longer = survey(config.model_copy(update={"years": 20.0}), 1)
    assert len(longer.z) == pytest.approx(4 * len(first.z), rel=0.25)
    assert first.snr.min() >= config.snr_threshold
    assert first.z[first.light == "kilonova"].max() <= config.kilonova_redshift
    assert set(first.light[first.kind == "NSBH"]) <= {"burst"}


def test_nothing_found_is_said() -> None:
    with pytest.raises(InputError, match="finds no merger; raise the rates"):
        survey(SimulateConfig(bns_rate=0.0, nsbh_rate=0.0), 1)


def test_the_truth_is_recovered_as_often_as_it_should() -> None:
    """Likelihood ratio of truth and best fit over seeds: chi-squared with two degrees of freedom (Wilks)."""
    truth = np.array([67.36, 0.3153])
    ratios, total, count = [], 0.0, 0
    for seed in range(40):
        found = survey(SimulateConfig(**FEW), seed)
        redshifts = Redshifts(found.z)

        def residual(at: np.ndarray, found: Survey = found, redshifts: Redshifts = redshifts) -> np.ndarray:
            predicted = luminosity_distance(cosmology(at[1], at[0]), redshifts)[0]
            return np.asarray((found.distance - predicted) / found.sigma)

        at_truth = float(np.sum(residual(truth) ** 2))
        ratios.append(at_truth - 2 * least_squares(residual, truth, x_scale=[1.0, 0.01]).cost)
        total += at_truth
        count += len(found.z)
    assert kstest(ratios, chi2(2).cdf).pvalue > 0.01
    # And all distances together scatter about the truth as their errors say.
    assert 0.005 < chi2(count).cdf(total) < 0.995


def test_a_posterior_of_simulated_sirens_leads_back_to_them(tmp_path: Path) -> None:
    sirens, output = tmp_path / "sirens.h5", tmp_path / "posterior.h5"
    stage.simulate([], sirens, SimulateConfig(bns_rate=1.0, nsbh_rate=0.0), Run(seed=3))
    config = SampleConfig(problem="cosmology", options={"data": [str(sirens)]}, n_live=40, dlogz=1.0)
    stage.sample([], output, config, Run())
    with open_artifact(output, "posterior") as artifact:
        assert [record.schema for record in artifact.provenance.inputs] == ["astropipe.sirens"]
        assert list(artifact.table()["parameter"])[:2] == ["h0", "omega_m"]
    assert all(finding.state == "ok" for finding in verify([output]))


def test_the_mock_by_name_is_that_of_the_verb(tmp_path: Path) -> None:
    stage.simulate([], tmp_path / "s.h5", SimulateConfig(), Run(seed=0))
    ours = problem("w0wawb-sirens")
    assert ours.prior.names == ("h0", "omega_m", "w0", "wa", "wb")
    same = problem("cosmology", model="w0wawbcdm", data=[tmp_path / "s.h5"])
    points = np.array([[67.0, 0.31, -1.0, 0.1, -0.2], [70.0, 0.28, -0.9, 0.0, 0.0]])
    np.testing.assert_array_equal(ours.log_likelihood(points), same.log_likelihood(points))
