"""Observed clusters: stars against published ones, places and velocities on the sky, field stars, chunks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from astropipe.artifacts import open_artifact
from astropipe.config.clusters import ClusterStartConfig
from astropipe.config.nbody import SimulateConfig as StartConfig
from astropipe.config.spectra import ClusterSurveyConfig, PredictConfig, SimulateConfig
from astropipe.nbody import stage as nbody
from astropipe.runtime.errors import InputError, UsageError
from astropipe.runtime.run import Chunk, Run
from astropipe.spectra import stage
from astropipe.spectra.clusters.evolution import (
    absolute_magnitude,
    bolometric_correction,
    evolve,
    lifetimes_myr,
    surface,
    zams,
)
from astropipe.spectra.clusters.observing import observe_cluster
from astropipe.spectra.clusters.snapshot import Snapshot, plummer_radius

SURVEY = SimulateConfig(cluster=ClusterSurveyConfig(max_stars=12, field_fraction=0.4))


def test_the_sun_is_born_and_grows_old_as_it_should() -> None:
    one = np.array([1.0])
    # Tout et al. (1996): 0.698 Lsun and 0.888 Rsun; HPT: 11 Gyr on the main sequence.
    luminosity, radius = zams(one, 0.0)
    assert luminosity[0] == pytest.approx(0.698, abs=0.001)
    assert radius[0] == pytest.approx(0.888, abs=0.001)
    assert lifetimes_myr(one, 0.0)[0][0] == pytest.approx(11_000.0, rel=0.01)
    luminosity, radius = evolve(one, np.array([4_570.0]), 0.0)
    assert luminosity[0] == pytest.approx(1.0, abs=0.05)
    assert radius[0] == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(
    ("mass", "t_eff_k", "log_luminosity"),
    # Pecaut & Mamajek (2013, ApJS 208, 9), table of the mean dwarfs, as updated: F5V, G0V, G5V, K0V, K5V.
    [(1.33, 6550, 0.56), (1.06, 5930, 0.13), (0.98, 5660, -0.05), (0.88, 5270, -0.33), (0.70, 4440, -0.76)],
)
def test_dwarfs_are_like_those_of_the_neighbourhood(mass: float, t_eff_k: float, log_luminosity: float) -> None:
    m = np.array([mass])
    # Of a middle age, of half the time on the main sequence for the hottest.
    luminosity, radius = evolve(m, np.minimum(3_000.0, 0.4 * lifetimes_myr(m, 0.0)[0]), 0.0)
    assert surface(m, luminosity, radius)[0][0] == pytest.approx(t_eff_k, rel=0.04)
    assert np.log10(luminosity[0]) == pytest.approx(log_luminosity, abs=0.13)


def test_giants_have_the_mass_of_those_of_messier_67() -> None:
    # Stello et al. (2016, ApJ 832, 133): 1.36 +- 0.01 Msun from oscillations; 4 Gyr and about solar metallicity.
    mass = np.linspace(1.2, 1.5, 3001)
    luminosity, radius = evolve(mass, np.full_like(mass, 4_000.0), 0.0)
    t_eff, log_g = surface(mass, luminosity, radius)
    giants = mass[np.isfinite(luminosity) & (log_g < 3.4)]
    assert 1.34 < giants.min() < giants.max() < 1.39
    # Older and heavier stars are gone.
    assert np.isnan(luminosity[mass > giants.max()]).all()
    # Up the branch stars are cooler, larger, brighter.
    assert np.all(np.diff(t_eff[(log_g < 3.4) & np.isfinite(log_g)]) < 0.0)


def test_magnitudes_are_those_of_published_stars() -> None:
    # Torres (2010): -0.08 for the Sun. Its absolute magnitude is 4.81 (Willmer 2018, ApJS 236, 47).
    assert bolometric_correction(np.array([5772.0]))[0] == pytest.approx(-0.08, abs=0.015)
    assert absolute_magnitude(np.array([1.0]), np.array([5772.0]))[0] == pytest.approx(4.81, abs=0.02)
    # Pecaut & Mamajek (2013): K0V and K5V.
    np.testing.assert_allclose(bolometric_correction(np.array([5270.0, 4440.0])), [-0.20, -0.64], atol=0.08)


def sphere(n: int = 4000, seed: int = 1, scale_radius: float = 1.2) -> Snapshot:
    rng = np.random.default_rng(seed)
    enclosed = rng.random(n)
    radius = scale_radius / np.sqrt(enclosed ** (-2.0 / 3.0) - 1.0)
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    return Snapshot(rng.uniform(0.6, 1.3, n), radius[:, None] * direction, rng.normal(0.0, 1.0, (n, 3)))


def test_the_radius_of_a_sphere_is_found() -> None:
    found = [plummer_radius(sphere(seed=seed).position_pc) for seed in range(20)]
    assert np.mean(found) == pytest.approx(1.2, rel=0.005)
    assert np.std(found) < 0.03


def test_members_are_where_they_are_and_as_fast() -> None:
    cluster, config = sphere(), ClusterSurveyConfig(ra_deg=359.95, dec_deg=-70.0, field_fraction=0.0)
    stars = observe_cluster(cluster, config, seed=4)
    assert stars.member.all()
    # Masses tell who is who.
    who = np.array([np.flatnonzero(cluster.mass_msun == mass)[0] for mass in stars.mass_msun])
    x, y = cluster.position_pc[who, 0], cluster.position_pc[who, 1]
    centre = SkyCoord(359.95, -70.0, unit="deg")
    east, north = centre.spherical_offsets_to(SkyCoord(stars.ra_deg, stars.dec_deg, unit="deg"))
    np.testing.assert_allclose(np.tan(east.to_value(u.rad)) * 800.0, x, atol=2e-3)
    np.testing.assert_allclose(np.tan(north.to_value(u.rad)) * 800.0, y, atol=2e-3)
    np.testing.assert_allclose(stars.rv_km_s, -30.0 + cluster.velocity_km_s[who, 2])
    assert np.hypot(x, y).max() <= 800.0 * np.tan(np.radians(0.5))
    assert stars.magnitude.max() <= config.magnitude_limit
    # Photons: a star 5 magnitudes brighter has ten times the signal-to-noise ratio.
    np.testing.assert_allclose(
        stars.snr, np.minimum(12.0 * 10.0 ** (0.2 * (config.magnitude_limit - stars.magnitude)), 150.0)
    )


def test_the_field_has_its_share_and_its_own_velocities() -> None:
    cluster = sphere()
    config = ClusterSurveyConfig(field_fraction=0.35, max_stars=200)
    parts = [observe_cluster(cluster, config, seed) for seed in range(12)]
    shares = np.array([1.0 - stars.member.mean() for stars in parts])
    assert np.mean(shares) == pytest.approx(0.35, abs=3.0 * np.sqrt(0.35 * 0.65 / 2400))
    velocity = np.concatenate([stars.rv_km_s[~stars.member] for stars in parts])
    assert np.std(velocity) == pytest.approx(40.0, rel=0.1)
    assert abs(np.mean(velocity)) < 5.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cluster") / "start.h5"
    start = ClusterStartConfig(n_stars=400, lowest_mass=0.3, highest_mass=1.3, virial_radius="2 pc")
    nbody.simulate([], path, StartConfig(family="cluster", cluster=start), Run(seed=2))
    return path


def test_chunks_of_a_survey_of_a_cluster_are_parts_of_it(cluster: Path, tmp_path: Path) -> None:
    stage.simulate([cluster], tmp_path / "whole.h5", SURVEY, Run(seed=2))
    with open_artifact(tmp_path / "whole.h5", "spectra") as artifact:
        flux, table, truth = artifact.array("flux"), artifact.table(), artifact.table("truth")
    assert len(table) == 12
    for k, rows in ((1, slice(0, 6)), (2, slice(6, 12))):
        stage.simulate([cluster], tmp_path / f"{k}.h5", SURVEY, Run(seed=2, chunk=Chunk(k, 2)))
        with open_artifact(tmp_path / f"{k}.h5", "spectra") as artifact:
            np.testing.assert_array_equal(artifact.array("flux"), flux[rows])
            part = artifact.table()
            assert all(np.all(part[name] == table[name][rows]) for name in table.colnames)
    values = {str(row["parameter"]): float(row["value"]) for row in truth}
    with open_artifact(cluster) as artifact:
        assert values["log10_mass"] == pytest.approx(np.log10(artifact.table()["mass"].to_value(u.Msun).sum()))
    # a = 3 pi / 16 of the virial radius; 400 stars tell it to a few per cent.
    assert values["log10_scale_radius"] == pytest.approx(np.log10(2.0 * 3.0 * np.pi / 16.0), abs=0.05)


def test_the_catalog_has_the_places_of_the_stars(cluster: Path, tmp_path: Path) -> None:
    stage.simulate([cluster], tmp_path / "spectra.h5", SURVEY, Run(seed=2))
    stage.predict([tmp_path / "spectra.h5"], tmp_path / "stars.h5", PredictConfig(), Run())
    with open_artifact(tmp_path / "spectra.h5") as spectra, open_artifact(tmp_path / "stars.h5") as stars:
        truth, found = spectra.table(), stars.table()
    for name in ("ra", "dec", "magnitude"):
        np.testing.assert_array_equal(found[name], truth[name])
    pull = ((found["rv"] - truth["rv"]) / found["rv_err"]).value[found["flags"] == 0]
    assert np.abs(pull).max() < 4.5


def test_clusters_that_cannot_be_observed_are_refused(cluster: Path, tmp_path: Path) -> None:
    output = tmp_path / "spectra.h5"
    with pytest.raises(UsageError, match="has 1 snapshots"):
        stage.simulate([cluster], output, SimulateConfig(cluster=ClusterSurveyConfig(snapshot=3)), Run())
    with pytest.raises(InputError, match="brighter than magnitude 5"):
        stage.simulate([cluster], output, SimulateConfig(cluster=ClusterSurveyConfig(magnitude_limit=5.0)), Run())
    bare = tmp_path / "bare.h5"
    nbody.simulate([], bare, StartConfig(family="cluster", cluster=ClusterStartConfig(n_stars=10)), Run())
    with pytest.raises(InputError, match="virial_radius"):
        stage.simulate([bare], output, SURVEY, Run())
