"""Differential ages of galaxies: against astropy, their covariance, and what galaxies of other types do to H0."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from galaxy_catalogs import FORMED, H0, OMEGA_M, UNIVERSE, galaxies, passive_age, write
from scipy.optimize import minimize

from astropipe.artifacts import open_artifact
from astropipe.config.inference import EvaluateConfig, SampleConfig
from astropipe.inference import stage
from astropipe.inference.galaxy_ages.differences import AgeBins, binned, differences, expansion_rates
from astropipe.inference.galaxy_ages.selection import GalaxyAges, mixed
from astropipe.inference.grid import posterior_on_grid
from astropipe.inference.problems import Problem, problem
from astropipe.runtime.errors import InputError, UsageError
from astropipe.runtime.run import Run

TRUE = np.array([[H0, OMEGA_M]])


def built(folder: Path, *, n: int = 800, impurity: float = 0.0, scatter: float = 0.3, seed: int = 1, **options: Any):
    """The problem of galaxies that are all called early, and the paths of their catalog and stamps."""
    redshift, age, early = galaxies(n, impurity, scatter, seed)
    catalog, stamps = write(folder, redshift, age, early, np.ones(n, bool))
    return problem("chronometers-catalog", catalog=catalog, truth=stamps, **options)


def best_fit(task: Problem) -> Any:
    found = minimize(lambda x: -task.log_likelihood(x[None])[0], TRUE[0], method="Nelder-Mead", options={"xatol": 1e-3})
    return found.x


def test_rates_of_perfect_ages_are_those_of_astropy() -> None:
    redshift = np.linspace(0.1, 1.4, 400)
    bins = binned(GalaxyAges(redshift, passive_age(redshift)), 8, "mean")
    middle, rate, _ = expansion_rates(bins)
    # A mean age is not the age at the mean redshift, nor a difference the slope in its middle.
    np.testing.assert_allclose(rate, UNIVERSE.H(middle).value, rtol=6e-3)


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_perfect_ages_give_back_the_universe(tmp_path: Path, statistic: str) -> None:
    found = best_fit(built(tmp_path, scatter=1e-4, n=2000, statistic=statistic))
    np.testing.assert_allclose(found, TRUE[0], rtol=3e-3)


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_differences_scatter_as_their_covariance_says(statistic: Any) -> None:
    chi_squared, normed = [], []
    for seed in range(300):
        redshift, age, _ = galaxies(400, 0.0, 0.4, seed)
        bins = binned(GalaxyAges(redshift, age), 8, statistic)
        delta, covariance = differences(bins)
        means = [passive_age(redshift[rows]).mean() for rows in np.array_split(np.argsort(redshift), 8)]
        truth = -np.diff(means)
        chi_squared.append((delta - truth) @ np.linalg.solve(covariance, delta - truth))
        normed.append((delta - truth) / np.sqrt(np.diag(covariance)))
    # 7 degrees of freedom; sd 3.7, so the mean of 300 has an error of 0.22. Scatters of 50 galaxies add a little.
    assert np.mean(chi_squared) == pytest.approx(7.0, abs=1.1 if statistic == "median" else 0.9)
    correlation = np.corrcoef(np.array(normed).T)
    neighbours = np.diag(correlation, 1)
    np.testing.assert_allclose(neighbours, -0.5, atol=0.15)
    assert np.abs(np.triu(correlation, 2)).max() < 0.2


def test_the_errors_of_rates_are_those_of_the_ages() -> None:
    rng = np.random.default_rng(5)
    redshift = np.linspace(0.15, 1.35, 7)
    bins = AgeBins(redshift, np.zeros(7), passive_age(redshift), np.full(7, 0.02**2))
    _, _, covariance = expansion_rates(bins)
    ages = bins.age + 0.02 * rng.normal(size=(3000, 7))
    rates = [expansion_rates(replace(bins, age=age))[1] for age in ages]
    np.testing.assert_allclose(np.cov(np.array(rates).T), covariance, atol=0.12 * np.max(covariance))


def test_a_pure_selection_covers_the_universe(tmp_path: Path) -> None:
    pulls = []
    for seed in range(12):
        task = built(tmp_path, n=500, seed=100 + seed)
        grid = posterior_on_grid(task, 60, [(45.0, 95.0), (0.02, 0.9)])
        pulls.append((grid.mean - TRUE[0]) / grid.sd)
        for name in ("galaxies.h5", "stamps.h5"):
            (tmp_path / name).unlink()
    assert np.abs(np.mean(pulls, axis=0)).max() < 3 / np.sqrt(12)
    assert np.abs(pulls).max() < 3.5


def test_contaminants_of_half_the_age_raise_h0_as_their_share_says_and_leave_the_matter_density(tmp_path: Path) -> None:
    # A share p of half the age makes every difference smaller by 1 - p / 2.
    task = built(tmp_path, n=60_000, impurity=0.2, scatter=0.1)
    found = best_fit(task)
    assert task.truth["purity"] == pytest.approx(0.8, abs=0.01)
    expected = H0 / (1 - (1 - float(task.truth["purity"])) / 2)
    assert task.truth["h0_expected"] == pytest.approx(expected)
    # Mean ages of 60,000 galaxies with such contaminants know H0 to one per cent or so.
    assert found == pytest.approx([expected, OMEGA_M], rel=0.03)


def test_medians_suffer_less(tmp_path: Path) -> None:
    found = best_fit(built(tmp_path, n=60_000, impurity=0.1, scatter=0.1, statistic="median"))
    assert abs(found[0] / H0 - 1) < 0.015  # the mean: 5 %


def test_galaxies_are_exchanged_to_the_purity_asked_for(tmp_path: Path) -> None:
    wanted = np.arange(1000) % 2 == 0
    one, same, other = (mixed(wanted, 0.8, seed) for seed in (1, 1, 2))
    assert len(one) == len(set(one)) == 500
    assert wanted[one].mean() == 0.8
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert np.array_equal(mixed(wanted, 1.0, 1), np.flatnonzero(wanted))
    with pytest.raises(InputError, match="needs 90 galaxies of other classes, but there are 2"):
        mixed(np.arange(102) < 100, 0.1, 1)
    redshift, age, early = galaxies(600, 0.5, 0.3, 3)
    # Called at random: a selection by class would have a purity of a half.
    catalog, stamps = write(tmp_path, redshift, age, early, np.arange(600) % 2 == 0)
    task = problem("chronometers-catalog", catalog=catalog, truth=stamps, purity=0.9)
    assert task.truth["purity"] == pytest.approx(0.9, abs=0.002)
    assert (task.truth["purity_expected"], task.truth["n_galaxies"]) == (0.9, early.sum())


def test_the_likelihood_does_not_see_the_truth(tmp_path: Path) -> None:
    redshift, age, early = galaxies(500, 0.3, 0.3, 4)
    catalog, stamps = write(tmp_path, redshift, age, early, np.arange(500) % 3 > 0)
    options: dict[str, Any] = {"catalog": catalog, "n_bins": 5}
    with_truth, without = (
        problem("chronometers-catalog", **options, truth=stamps),
        problem("chronometers-catalog", **options),
    )
    points = without.prior.transform(np.random.default_rng(1).random((50, 2)))
    assert np.array_equal(with_truth.log_likelihood(points), without.log_likelihood(points))
    known = problem("chronometers-catalog", **options, truth=stamps, priors={"omega_m": "normal(0.3, 0.01)"})
    assert known.truth["selection"] == "mean, omega_m normal(0.3, 0.01), selected by agreement"
    assert not without.truth and [path.name for path in without.sources] == ["galaxies.h5"]


def test_only_galaxies_of_high_score_are_taken(tmp_path: Path) -> None:
    redshift, age, early = galaxies(500, 0.3, 0.3, 4)
    catalog, stamps = write(tmp_path, redshift, age, early, early)

    def taken(**options: Any) -> tuple[float, float]:
        truth = problem("chronometers-catalog", catalog=catalog, truth=stamps, **options).truth
        return float(truth["n_galaxies"]), float(truth["purity"])

    assert taken() == taken(score="probability", min_score=0.85) == (early.sum(), 1.0)
    assert taken(score="probability", min_score=0.1)[0] == 500
    with pytest.raises(InputError, match=r"0 galaxies are too few for 8 bins .* lower min_score or n_bins"):
        taken(min_score=0.95)


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    redshift, age, early = galaxies(100, 0.0, 0.3, 4)
    catalog, _ = write(tmp_path, redshift, age, early, early)
    with pytest.raises(UsageError, match="option purity needs truth"):
        problem("chronometers-catalog", catalog=catalog, purity=0.9)
    other = tmp_path / "other"
    other.mkdir()
    write(other, redshift[:50], age[:50], early[:50], early[:50])
    with pytest.raises(InputError, match="there is no galaxy g000050; give the stamps that the catalog was made of"):
        problem("chronometers-catalog", catalog=catalog, truth=str(other / "stamps.h5"))


def test_a_posterior_records_ages_rates_and_truth(tmp_path: Path) -> None:
    redshift, age, early = galaxies(400, 0.0, 0.3, 8)
    catalog, stamps = write(tmp_path, redshift, age, early, early)
    config = SampleConfig(
        problem="chronometers-catalog", options={"catalog": catalog, "truth": stamps}, n_live=50, dlogz=0.5
    )
    stage.sample([], tmp_path / "posterior.h5", config, Run(seed=2))
    with open_artifact(tmp_path / "posterior.h5", "posterior") as artifact:
        truth = {row["parameter"]: row["value"] for row in artifact.table("truth")}
        rates = artifact.array("chronometers/hubble").value
        errors = np.sqrt(np.diag(artifact.array("chronometers/hubble_covariance").value))
        middle, ages = artifact.array("chronometers/interval_redshift"), artifact.array("chronometers/age").value
        inputs = [record.name for record in artifact.provenance.inputs]
        selection = artifact.attributes("truth")["selection"]
    assert inputs == ["galaxies.h5", "stamps.h5"]
    assert selection == "mean, selected by agreement"
    assert (truth["h0"], truth["purity"]) == (H0, 1.0)
    assert np.all(np.abs(rates - UNIVERSE.H(middle).value) < 4 * errors)
    assert np.all(np.diff(ages) < 0.5) and ages.max() < UNIVERSE.age(0.0).value - UNIVERSE.age(FORMED).value


def test_surveys_of_one_selection_are_evaluated_together(tmp_path: Path) -> None:
    paths = []
    for survey in (1, 2):
        folder = tmp_path / f"survey-{survey}"
        folder.mkdir()
        redshift, age, early = galaxies(500, 0.4, 0.3, survey)
        catalog, stamps = write(folder, redshift, age, early, early)
        for label, options in (("pure", {}), ("impure", {"purity": 0.8})):
            config = SampleConfig(
                problem="chronometers-catalog",
                label=label,
                options={"catalog": catalog, "truth": stamps, **options},
                n_live=40,
                dlogz=0.5,
            )
            paths.append(folder / f"{label}.h5")
            stage.sample([], paths[-1], config, Run(seed=survey))
    stage.evaluate(paths, tmp_path / "metrics.h5", EvaluateConfig(), Run())
    with open_artifact(tmp_path / "metrics.h5") as artifact:
        table = artifact.table()
    rows = {(str(row["subject"]), str(row["measure"])): row for row in table}
    together = {subject for subject, _ in rows if subject.endswith("2 posteriors of simulations")}
    assert together == {"pure: 2 posteriors of simulations", "impure: 2 posteriors of simulations"}
    assert rows["impure", "purity"]["value"] == pytest.approx(0.8, abs=0.002)
    assert rows["impure", "purity"]["source"] == "mean, mixed on purpose"
    own = table[(table["subject"] == "pure") & (table["measure"] == "h0")]
    assert np.all(own["expected"] == H0)
    bias = rows["pure: 2 posteriors of simulations", "h0_bias"]["value"]
    assert bias == pytest.approx(np.mean((own["value"] - H0) / own["error"]), abs=1e-6)
