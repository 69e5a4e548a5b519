"""The Plummer sphere as it is seen: against its known moments, against drawn stars, and likelihoods of mixtures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import kstest

from astropipe.artifacts import Provenance, create_artifact
from astropipe.inference import problem, sample
from astropipe.inference.star_clusters.mixture import NAMES, ClusterLikelihood, FieldStars
from astropipe.inference.star_clusters.plummer import (
    GRAVITY,
    largest_speed,
    observed_velocity_density,
    surface_density,
    velocity_density,
)
from astropipe.inference.star_clusters.stars import ClusterStars, Field, select_stars, separation_deg
from astropipe.nbody.systems import plummer_state
from astropipe.runtime.errors import InputError, UsageError

FIELD = FieldStars(velocity_km_s=0.0, dispersion_km_s=40.0, fe_h=-0.2, fe_h_dispersion=0.3)
FIELD_RADIUS_PC = 7.0
# log10 M, log10 a, v_sys, <[Fe/H]>, its scatter, field fraction.
TRUTH = np.array([3.4, 0.1, -30.0, -0.3, 0.05, 0.3])
NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)


def draw_stars(rng: np.random.Generator, n: int, truth: NDArray[np.float64] = TRUTH) -> ClusterStars:
    """Draw stars by the initial conditions of the nbody stage, which know nothing of densities of velocities."""
    mass, scale_radius = 10.0 ** truth[0], 10.0 ** truth[1]
    x, v = plummer_state(rng, 20 * n)
    length = scale_radius / (3.0 * np.pi / 16.0)
    radius, velocity = length * np.hypot(x[:, 0], x[:, 1]), v[:, 2] * np.sqrt(GRAVITY * mass / length)
    inside = radius < FIELD_RADIUS_PC
    of_field = rng.random(n) < truth[5]
    rv_err, fe_h_err = rng.uniform(0.1, 1.0, n), rng.uniform(0.02, 0.08, n)
    rv = np.where(of_field, rng.normal(0.0, 40.0, n), truth[2] + velocity[inside][:n])
    fe_h = np.where(of_field, rng.normal(-0.2, 0.3, n), rng.normal(truth[3], truth[4], n))
    return ClusterStars(
        np.where(of_field, FIELD_RADIUS_PC * np.sqrt(rng.random(n)), radius[inside][:n]),
        rng.normal(rv, rv_err),
        rv_err,
        rng.normal(fe_h, fe_h_err),
        fe_h_err,
    )


def test_velocities_have_the_known_dispersion() -> None:
    # sigma² = 3 pi G M / 64 b at every projected radius (Dejonghe 1987); 1 pc, 1000 Msun.
    density = velocity_density(NODES)
    assert density @ WEIGHTS == pytest.approx(1.0, abs=1e-9)
    for radius in (0.0, 0.5, 3.0):
        speed = float(largest_speed(np.array(1000.0), np.array(radius), np.array(1.0)))
        variance = speed**2 * float((density * NODES**2) @ WEIGHTS)
        assert variance == pytest.approx(3.0 * np.pi * GRAVITY * 1000.0 / (64.0 * np.hypot(radius, 1.0)), rel=1e-9)


def test_velocities_are_those_of_drawn_stars() -> None:
    x, v = plummer_state(np.random.default_rng(5), 20_000)
    a = np.array(3.0 * np.pi / 16.0)
    # In Henon units G M = 1.
    s = v[:, 2] / largest_speed(np.array(1.0 / GRAVITY), np.hypot(x[:, 0], x[:, 1]), a)
    grid = np.linspace(-1.0, 1.0, 4001)
    steps = 0.5 * (velocity_density(grid)[1:] + velocity_density(grid)[:-1]) * np.diff(grid)
    distribution = np.concatenate([[0.0], np.cumsum(steps)])
    assert kstest(s, lambda values: np.interp(values, grid, distribution)).pvalue > 0.01
    # A Gaussian of the same variance would not do.
    assert kstest(s / np.std(s), "norm").pvalue < 1e-3


@pytest.mark.parametrize("error", [0.01, 0.2, 3.0])
@pytest.mark.parametrize("s", [0.0, -0.6, 1.05])
def test_convolution_with_errors_is_the_integral(s: float, error: float) -> None:
    def integrand(velocity: float) -> float:
        return float(velocity_density(np.array(velocity))) * np.exp(-0.5 * ((s - velocity) / error) ** 2)

    low, high = max(-1.0, s - 12.0 * error), min(1.0, s + 12.0 * error)
    expected = quad(integrand, low, high, epsabs=0.0, epsrel=1e-9)[0] / (np.sqrt(2.0 * np.pi) * error)
    found = observed_velocity_density(np.array([s]), np.array([error]))[0]
    assert found == pytest.approx(expected, rel=1e-6)


def test_surface_density_is_that_of_the_circle() -> None:
    def ring(radius: float) -> float:
        return 2.0 * np.pi * radius * float(surface_density(np.array(radius), np.array(1.3), 6.0))

    assert quad(ring, 0.0, 6.0)[0] == pytest.approx(1.0, rel=1e-8)
    # Half of the whole sphere is seen within the scale radius.
    assert quad(ring, 0.0, 1.3)[0] == pytest.approx(0.5 * (1.0 + 1.3**2 / 36.0), rel=1e-8)


def test_both_terms_are_densities_in_place_velocity_and_metallicity() -> None:
    velocity, fe_h = np.linspace(-400.0, 340.0, 7401), np.linspace(-3.0, 2.4, 541)
    v, z = (axis.ravel() for axis in np.meshgrid(velocity[::20], fe_h[::6], indexing="ij"))
    n = len(v)
    stars = ClusterStars(np.full(n, 1.1), v, np.full(n, 4.0), z, np.full(n, 0.1))
    member, field = ClusterLikelihood(stars, FIELD_RADIUS_PC, FIELD).densities(TRUTH)
    cell = (velocity[20] - velocity[0]) * (fe_h[6] - fe_h[0])
    here = float(surface_density(np.array(1.1), np.array(10.0**0.1), FIELD_RADIUS_PC))
    assert member.sum() * cell == pytest.approx(here, rel=1e-4)
    assert field.sum() * cell == pytest.approx(1.0 / (np.pi * FIELD_RADIUS_PC**2), rel=1e-4)


def test_likelihood_of_drawn_stars_is_stationary_at_the_truth() -> None:
    # The score of each star has mean 0 at the truth, for each parameter, if the density is that of the stars.
    stars = draw_stars(np.random.default_rng(1), 3000)
    likelihood = ClusterLikelihood(stars, FIELD_RADIUS_PC, FIELD)

    def each(point: NDArray[np.float64]) -> NDArray[np.float64]:
        member, field = likelihood.densities(point)
        return np.log((1.0 - point[5]) * member + point[5] * field)

    for i, name in enumerate(NAMES):
        step = np.zeros(6)
        step[i] = 1e-3
        score = (each(TRUTH + step) - each(TRUTH - step)) / 2e-3
        assert abs(score.mean()) < 3.5 * score.std() / np.sqrt(len(score)), name


def test_a_star_beyond_the_escape_speed_is_of_the_field() -> None:
    one = ClusterStars(*(np.array([value]) for value in (1.0, 60.0, 0.2, -0.3, 0.03)))
    likelihood = ClusterLikelihood(one, FIELD_RADIUS_PC, FIELD)
    member, field = likelihood.densities(TRUTH)
    assert member[0] == 0.0
    assert likelihood(TRUTH[None])[0] == pytest.approx(np.log(0.3 * field[0]))


def catalog_table(n: int = 50) -> QTable:
    rng = np.random.default_rng(2)
    return QTable(
        {
            "id": [f"star-{i}" for i in range(n)],
            "t_eff": np.full(n, 5500.0) * u.K,
            "t_eff_err": np.full(n, 50.0) * u.K,
            "log_g": np.full(n, 4.4),
            "log_g_err": np.full(n, 0.1),
            "ra": (359.9 + rng.uniform(0.0, 0.2, n)) % 360.0 * u.deg,
            "dec": rng.uniform(59.9, 60.1, n) * u.deg,
            "rv": rng.normal(-30.0, 1.0, n) * u.km / u.s,
            "rv_err": np.full(n, 0.3) * u.km / u.s,
            "fe_h": rng.normal(-0.3, 0.05, n),
            "fe_h_err": np.full(n, 0.04),
            "flags": np.arange(n) % 5 // 4,
        }
    )


def test_only_stars_without_flags_in_the_field_are_used() -> None:
    table, field = catalog_table(), Field(0.0, 60.0, 4.0, 1000.0)
    apart = SkyCoord(table["ra"], table["dec"]).separation(SkyCoord(0.0, 60.0, unit="deg"))
    np.testing.assert_allclose(
        separation_deg(table["ra"].value, table["dec"].value, 0.0, 60.0), apart.to_value(u.deg), rtol=1e-10
    )
    good = (table["flags"] == 0) & (apart <= 4.0 * u.arcmin)
    stars = select_stars(table, field)
    assert 0 < len(stars) == np.count_nonzero(good) < len(table)
    np.testing.assert_allclose(stars.radius_pc, 1000.0 * np.tan(apart[good].to_value(u.rad)), rtol=1e-10)


def write_catalog(path: Path, table: QTable) -> Path:
    with create_artifact(path, "stellar-catalog", title="Stars", provenance=Provenance("test", {})) as artifact:
        artifact.write_table(table)
    return path


def test_the_problem_says_what_is_wrong_with_its_catalog(tmp_path: Path) -> None:
    path = write_catalog(tmp_path / "stars.h5", catalog_table())
    place = {"data": str(path), "distance_pc": 1000, "ra_deg": 0, "dec_deg": 60}
    built = problem("plummer-cluster", **place, field_radius_arcmin=4, priors={"log10_mass": "uniform(2, 5)"})
    assert built.prior.names == NAMES
    assert built.sources == (path,)
    assert np.isfinite(built.log_likelihood(TRUTH[None])[0])
    with pytest.raises(UsageError, match="did you mean 'log10_mass'"):
        problem("plummer-cluster", **place, field_radius_arcmin=4, priors={"log10_mas": "uniform(2, 5)"})
    with pytest.raises(InputError, match="none of its 50 stars"):
        problem("plummer-cluster", **{**place, "dec_deg": 20}, field_radius_arcmin=4)
    bare = catalog_table()
    bare.remove_columns(["ra", "dec"])
    with pytest.raises(InputError, match="lacks ra, dec"):
        problem(
            "plummer-cluster",
            **{**place, "data": str(write_catalog(tmp_path / "bare.h5", bare))},
            field_radius_arcmin=4,
        )


@pytest.mark.slow
def test_emulated_posterior_is_the_exact_one_and_holds_the_truth() -> None:
    stars = draw_stars(np.random.default_rng(3), 150)
    priors = {
        "log10_mass": "uniform(2.6, 4.4)",
        "log10_scale_radius": "uniform(-0.5, 0.8)",
        "systemic_velocity": "uniform(-35, -25)",
        "fe_h_mean": "uniform(-0.8, 0.2)",
        "fe_h_scatter": "uniform(0, 0.2)",
        "field_fraction": "uniform(0, 0.8)",
    }
    likelihood = ClusterLikelihood(stars, FIELD_RADIUS_PC, replace(FIELD))
    emulated = sample(likelihood, priors, method="emulated", vectorized=True, seed=1)
    exact = sample(likelihood, priors, method="exact", vectorized=True, n_live=100, dlogz=0.5, seed=1)
    assert emulated.converged
    assert abs(emulated.logz - exact.logz) < 4.0 * exact.logz_err
    means, sds = [], []
    for result in (emulated, exact):
        means.append(np.average(result.samples, axis=0, weights=result.weights))
        sds.append(np.sqrt(np.average((result.samples - means[-1]) ** 2, axis=0, weights=result.weights)))
    assert np.all(np.abs(means[0] - means[1]) < 0.3 * sds[1])
    assert np.all(np.abs(means[0] - TRUTH) < 3.5 * sds[0])
