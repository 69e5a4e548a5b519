"""How clusters evolve, against what the field knows: core collapse, mass segregation, massless particles."""

from __future__ import annotations

import numpy as np
import pytest

from astropipe.config.clusters import ClusterStartConfig
from astropipe.nbody.clusters import ClusterOptions, ClusterResult, integrate_cluster, make_cluster
from astropipe.nbody.clusters.diagnostics import FRACTIONS, half_mass_relaxation_time

HALF, TENTH = FRACTIONS.index(0.5), FRACTIONS.index(0.1)
# The half-mass radius of a Plummer sphere of virial radius 1.
HALF_MASS_RADIUS = 0.769


@pytest.mark.slow
def test_equal_masses_collapse_within_the_known_band() -> None:
    """Between 12 and 19 first half-mass relaxation times (Quinlan 1996, New Astron. 1, 255), the median of five."""
    n, n_means = 512, 9
    unit = half_mass_relaxation_time(n, HALF_MASS_RADIUS)
    t_end = round(24 * unit)
    when = []
    for seed in range(5):
        cluster = make_cluster(ClusterStartConfig(n_stars=n, masses="equal"), seed)
        run = integrate_cluster(cluster, [float(t_end)], ClusterOptions(logs_per_snapshot=2 * t_end))
        assert run.status == "ok" and abs(run.energy_error) < 1e-3
        smooth = np.convolve(run.log["core_radius"], np.full(n_means, 1 / n_means), "valid")
        when.append(run.log["time"][np.argmin(smooth) + n_means // 2] / unit)
        # A collapse it is: the core of the model is at 0.4.
        assert smooth.min() < 0.1
    assert 12 < np.median(when) < 19


@pytest.fixture(scope="module")
def clusters() -> list[ClusterResult]:
    made = [make_cluster(ClusterStartConfig(n_stars=128, n_massless=1000), seed) for seed in range(4)]
    return [integrate_cluster(cluster, [15.0], ClusterOptions(logs_per_snapshot=60)) for cluster in made]


def mean_radius(runs: list[ClusterResult], name: str, fraction: int, rows: slice) -> float:
    return float(np.mean([run.log[f"radii_{name}"][rows, fraction].mean() for run in runs]))


def test_stars_segregate_by_mass_and_massless_particles_do_not(clusters: list[ClusterResult]) -> None:
    """Flammini Dotti et al. (2025): heavy stars sink, massless particles follow the potential and expand."""
    first, last = slice(0, 4), slice(-12, None)
    heavy = [mean_radius(clusters, "heavy", HALF, rows) for rows in (first, last)]
    stars = [mean_radius(clusters, "stars", HALF, rows) for rows in (first, last)]
    massless = [mean_radius(clusters, "massless", HALF, rows) for rows in (first, last)]
    inner = [mean_radius(clusters, "massless", TENTH, rows) for rows in (first, last)]
    # At the start both follow one profile: the radii of 128 stars scatter by ten per cent, by mass rather more.
    assert massless[0] / stars[0] == pytest.approx(1.0, abs=0.2)
    assert massless[1] / stars[1] > 1.15 * massless[0] / stars[0]
    assert heavy[1] / stars[1] < 0.85 * heavy[0] / stars[0]
    assert inner[1] > inner[0]


def test_most_massless_particles_stay_and_all_speeds_are_above_zero(clusters: list[ClusterResult]) -> None:
    # Over three and more relaxation times; a single encounter of three may cost as much as all of that.
    assert np.median([abs(run.energy_error) for run in clusters]) < 1e-4
    for run in clusters:
        assert run.status == "ok"
        assert run.log["bound_massless"][-1] > 0.8
        gone = np.isfinite(run.escape_time)
        assert (run.escape_speed[gone] > 0).all() and not run.bound[gone].any()
