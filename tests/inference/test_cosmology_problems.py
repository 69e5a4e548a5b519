"""Posteriors and evidences of the shipped problems against the published ones."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from astropipe.inference.grid import GridPosterior, posterior_on_grid
from astropipe.inference.problems.base import Problem, problem
from astropipe.inference.problems.cosmology import MODELS, cosmology
from astropipe.runtime.errors import UsageError
from astropipe.runtime.shipped import data_file

Array = NDArray[np.float64]


def chi_squared(task: Problem, grid: GridPosterior) -> float:
    return task.log_likelihood.chi_squared(grid.best[None, :]).item()  # type: ignore[attr-defined]


def assert_published(grid: GridPosterior, mean: Sequence[float], sd: Sequence[float], tolerance: float = 0.2) -> None:
    """Means within `tolerance` published standard deviations, widths within 10 %."""
    np.testing.assert_array_less(np.abs(grid.mean - mean), tolerance * np.array(sd))
    np.testing.assert_allclose(grid.sd, sd, rtol=0.1)


def test_desi_dr2_gives_the_published_flat_lcdm() -> None:
    # DESI 2025 (arXiv:2503.14738), eq. 17, and its minimum chi-squared of 10.2.
    task = problem("lcdm-desi-dr2")
    grid = posterior_on_grid(task, 200, [(0.25, 0.35), (97.0, 106.0)])
    assert_published(grid, [0.2975, 101.54], [0.0086, 0.73])
    assert grid.correlation[0, 1] == pytest.approx(-0.92, abs=0.01)
    assert chi_squared(task, grid) == pytest.approx(10.2, abs=0.2)


def test_desi_dr1_gives_the_published_flat_lcdm() -> None:
    # DESI 2024 VI (arXiv:2404.03002), BAO alone.
    grid = posterior_on_grid(problem("lcdm-desi-dr1"), 200, [(0.22, 0.38), (95.0, 109.0)])
    assert_published(grid, [0.295, 101.8], [0.015, 1.3])


@pytest.mark.parametrize(
    ("name", "mean", "sd", "log_evidence"),
    [
        # Computed by an independent code from the same tables, without radiation. It took ln Z as the mean of L over
        # 500 x 500 points of which the outermost lie on the limits; as an integral that is 2 ln(500/499) = 0.004 short.
        ("lcdm-chronometers-15", [65.91, 0.369], [5.67, 0.108], -58.801 + 0.004),
        ("lcdm-chronometers-31", [67.73, 0.332], [3.10, 0.062], -128.650 + 0.004),
        ("lcdm-chronometers-32", [68.85, 0.324], [4.11, 0.064], -133.299 + 0.004),
    ],
)
def test_chronometers_give_the_reference_posterior_and_evidence(
    name: str, mean: list[float], sd: list[float], log_evidence: float
) -> None:
    grid = posterior_on_grid(problem(name), 300)
    # The reference is rounded to these digits, and radiation moves H0 by one of the last.
    np.testing.assert_array_less(np.abs(grid.mean - mean), [0.02, 0.001])
    np.testing.assert_array_less(np.abs(grid.sd - sd), [0.02, 0.001])
    assert grid.log_evidence == pytest.approx(log_evidence, abs=0.0015)


def test_pantheon_gives_the_published_matter_density() -> None:
    # Scolnic et al. 2018 (arXiv:1710.00845), flat LCDM with systematics.
    assert_published(posterior_on_grid(problem("lcdm-pantheon-40"), 2000), [0.298], [0.022])


def test_union3_gives_the_published_matter_density() -> None:
    # Rubin et al. 2023 (arXiv:2311.12098): 0.356 +0.028 -0.026.
    task = problem("lcdm-union3")
    grid = posterior_on_grid(task, 2000)
    assert_published(grid, [0.356], [0.027])
    assert chi_squared(task, grid) == pytest.approx(23.96, abs=0.01)


def ensemble(task: Problem, start: Sequence[float], scale: Sequence[float], steps: int) -> Array:
    """Sample by the stretch move (Goodman and Weare 2010, CAMCoS 5, 65), 200 walkers, a third as burn-in."""

    def log_posterior(points: Array) -> Array:
        prior = task.prior.log_prob(points)
        # Outside the prior the walker stays; the likelihood is not asked.
        inside = np.isfinite(prior)
        prior[inside] += task.log_likelihood(points[inside])
        return prior

    rng = np.random.default_rng(2025)
    half, d = 100, len(start)
    walkers = np.array(start) + np.array(scale) * rng.normal(size=(2 * half, d))
    value = log_posterior(walkers)
    kept = []
    for step in range(steps):
        for mine, other in ((slice(0, half), slice(half, None)), (slice(half, None), slice(0, half))):
            z = (1.0 + rng.uniform(size=half)) ** 2 / 2.0
            partner = walkers[other][rng.integers(half, size=half)]
            proposal = partner + z[:, None] * (walkers[mine] - partner)
            new = log_posterior(proposal)
            accept = np.log(rng.uniform(size=half)) < (d - 1) * np.log(z) + new - value[mine]
            walkers[mine] = np.where(accept[:, None], proposal, walkers[mine])
            value[mine] = np.where(accept, new, value[mine])
        if step >= steps // 3:
            kept.append(walkers.copy())
    return np.concatenate(kept)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "w0", "wa"),
    [
        # DESI 2025 (arXiv:2503.14738): DESI + (theta*, wb, wbc); DESI + CMB + Union3.
        ("w0wa-desi-dr2-cmb", (-0.43, 0.22), (-1.72, 0.64)),
        ("w0wa-desi-dr2-cmb-union3", (-0.667, 0.088), (-1.09, 0.29)),
    ],
)
def test_desi_dr2_with_the_cmb_gives_the_published_dark_energy(
    name: str, w0: tuple[float, float], wa: tuple[float, float]
) -> None:
    task = problem(name)
    assert task.prior.names == ("h0", "omega_m", "w0", "wa", "omega_b_h2")
    chain = ensemble(task, [65.0, 0.34, -0.5, -1.4, 0.0222], [0.5, 0.01, 0.1, 0.2, 1e-5], 3000)
    for column, (mean, sd) in ((2, w0), (3, wa)):
        assert abs(chain[:, column].mean() - mean) < 0.25 * sd
        assert chain[:, column].std() == pytest.approx(sd, rel=0.1)


@pytest.mark.slow
def test_chronometers_with_desi_give_the_reference_posterior() -> None:
    # Four samplers (dynesty, nautilus, UltraNest, importance sampling) agree on these means.
    chain = ensemble(
        problem("w0wa-chronometers-desi-dr2"), [65.0, 0.34, -0.5, -1.3, 147.0], [1.0, 0.01, 0.1, 0.3, 1.0], 6000
    )
    mean, sd = np.array([64.7, 0.345, -0.535, -1.46, 147.4]), np.array([2.85, 0.037, 0.27, 1.0, 3.4])
    np.testing.assert_array_less(np.abs(chain.mean(axis=0) - mean), 0.15 * sd)
    np.testing.assert_allclose(chain.std(axis=0), sd, rtol=0.1)


def test_planck_2018_priors_give_plancks_flat_lcdm() -> None:
    # Planck 2018 VI (arXiv:1807.06209), table 2, TT,TE,EE+lowE: H0 67.27 +- 0.60, Om 0.3166 +- 0.0084.
    task = cosmology("lcdm", ["planck-2018"])
    chain = ensemble(task, [67.3, 0.3166, 0.02236], [0.2, 0.002, 5e-5], 500)
    assert chain[:, 0].mean() == pytest.approx(67.27, abs=0.4 * 0.60)
    assert chain[:, 1].mean() == pytest.approx(0.3166, abs=0.2 * 0.0084)
    np.testing.assert_allclose(chain[:, :2].std(axis=0), [0.60, 0.0084], rtol=0.15)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_composes_with_all_data_and_can_be_pickled(model: str) -> None:
    task = cosmology(model, ["chronometers-32", "desi-dr2", "union3", "planck-pr4"])
    points = task.prior.transform(np.random.default_rng(4).uniform(size=(50, len(task.prior))))
    log_l = task.log_likelihood(points)
    assert not np.isnan(log_l).any()
    assert np.isfinite(log_l).any()
    copy = pickle.loads(pickle.dumps(task))
    np.testing.assert_array_equal(copy.log_likelihood(points), log_l)
    assert set(task.latex) == set(task.prior.names)
    assert {"Moresco2022", "DESI2025", "Rubin2023"} <= set(task.citations)
    assert all(path.is_file() for path in task.sources)


def test_models_contain_each_other() -> None:
    small = cosmology("lcdm", ["desi-dr2", "union3"])
    large = cosmology("w0wawbcdm", ["desi-dr2", "union3"])
    points = np.array([[0.3, 101.0], [0.35, 99.0]])
    wide = np.array([[0.3, -1.0, 0.0, 0.0, 101.0], [0.35, -1.0, 0.0, 0.0, 99.0]])
    assert large.prior.names == ("omega_m", "w0", "wa", "wb", "h_rd")
    np.testing.assert_allclose(large.log_likelihood(wide), small.log_likelihood(points), rtol=1e-12)


def test_a_matter_era_is_required_of_evolving_dark_energy() -> None:
    task = problem("w0wa-chronometers-desi-dr2")
    assert task.prior.names == ("h0", "omega_m", "w0", "wa", "r_d")
    points = np.array([[65.0, 0.3, -0.5, -1.0, 147.0], [65.0, 0.3, -0.5, 0.6, 147.0]])
    assert task.prior.allowed(points).tolist() == [True, False]
    with_wb = problem("w0wawb-chronometers-desi-dr2").prior
    assert with_wb.allowed(np.array([[65.0, 0.3, -0.5, 0.6, -1.0, 147.0]])).tolist() == [True]


@pytest.mark.parametrize(
    ("data", "priors", "names"),
    [
        (["desi-dr2"], {}, ("omega_m", "h_rd")),
        (["desi-dr2"], {"r_d": "normal(147.1, 0.3)"}, ("h0", "omega_m", "r_d")),
        (["desi-dr2"], {"omega_b_h2": "normal(0.0222, 0.0005)"}, ("h0", "omega_m", "omega_b_h2")),
        (["desi-dr2", "chronometers-31"], {}, ("h0", "omega_m", "r_d")),
        (["desi-dr2", "planck-pr4"], {}, ("h0", "omega_m", "omega_b_h2")),
        (["desi-dr2", "planck-pr4"], {"r_d": "uniform(120, 180)"}, ("h0", "omega_m", "omega_b_h2", "r_d")),
        (["pantheon-40"], {}, ("omega_m",)),
    ],
)
def test_the_priors_choose_the_ruler(data: list[str], priors: dict[str, str], names: tuple[str, ...]) -> None:
    assert cosmology("lcdm", data, priors).prior.names == names


def test_points_beyond_physics_have_no_likelihood_and_raise_no_warning() -> None:
    task = cosmology("ow0wacdm", ["planck-pr4", "desi-dr2", "union3"])
    assert task.prior.names == ("h0", "omega_m", "omega_k", "w0", "wa", "omega_b_h2")
    no_matter = [70.0, 0.0, 0.0, -1.0, 0.0, 0.022]
    bounce = [70.0, 0.05, -1.5, -1.0, 0.0, 0.022]
    early_dark_energy = [70.0, 0.3, 0.0, 40.0, 40.0, 0.022]
    sensible = [70.0, 0.3, 0.0, -1.0, 0.0, 0.022]
    log_l = task.log_likelihood(np.array([no_matter, bounce, early_dark_energy, sensible]))
    assert np.isneginf(log_l).tolist() == [True, True, True, False]


def test_derived_quantities_follow_from_the_parameters() -> None:
    task = cosmology("lcdm", ["desi-dr2", "chronometers-31"])
    assert task.derived is not None
    derived = task.derived(np.array([[70.0, 0.3, 147.0]]))
    assert derived["omega_m_h2"].item() == pytest.approx(0.147)
    assert derived["h_rd"].item() == pytest.approx(102.9)
    assert set(derived) == set(task.derived_latex)
    assert problem("lcdm-desi-dr2").derived is None


def test_a_published_name_is_kept_for_exactly_that_problem() -> None:
    for name in ("lcdm-union3", "w0wa-chronometers-desi-dr2"):
        assert problem(name).name == problem(name, priors={}).name == name
    # The same prior in other words, and the same data in another order.
    assert problem("w0wa-chronometers-desi-dr2", priors={"h0": "uniform(50, 90)"}).name == "w0wa-chronometers-desi-dr2"
    data = ["planck-pr4", "desi-dr2"]
    assert cosmology("w0wacdm", data, name="w0wa-desi-dr2-cmb").name == "w0wa-desi-dr2-cmb"
    wide = problem("w0wa-chronometers-desi-dr2", priors={"h0": "uniform(40, 100)"})
    assert wide.name == "w0wa-chronometers-desi-dr2 (own priors)"
    assert cosmology("wcdm", ["union3"], name="lcdm-desi-dr2").name == "lcdm-desi-dr2 (own model and data)"
    assert cosmology("wcdm", ["union3"], name="mine").name == "mine"


def test_a_file_of_the_user_does_not_pass_for_a_shipped_one(tmp_path: Path) -> None:
    for shipped in ("bao.ecsv", "bao-covariance.ecsv"):
        shutil.copy(data_file(f"desi-dr2/{shipped}"), tmp_path / shipped)
    (tmp_path / "bao.ecsv").rename(tmp_path / "desi-dr2.ecsv")
    assert cosmology("lcdm", [tmp_path / "desi-dr2.ecsv"]).name == "lcdm-desi-dr2 (own data)"


@pytest.mark.parametrize(
    ("model", "data", "priors", "message"),
    [
        ("cdm", ["desi-dr2"], {}, "no model is called 'cdm'; the models are lcdm, olcdm"),
        ("lcdm", ["desi"], {}, "no data set is called 'desi'.*the names are"),
        ("lcdm", ["desi-dr2", "desi-dr2"], {}, "'desi-dr2' and 'desi-dr2' share measurements"),
        ("lcdm", ["desi-dr1", "desi-dr2"], {}, "'desi-dr1' and 'desi-dr2' share measurements"),
        ("lcdm", "desi-dr2", {}, "must be a list"),
        ("lcdm", [], {}, "must be a list of one or more"),
        ("lcdm", ["desi-dr2"], {"Om": "uniform(0, 1)"}, "no parameter is called 'Om'; they are h0, omega_m"),
        ("lcdm", ["union3"], {"h0": "uniform(50, 90)"}, "h0, which this model and data do not use; they use omega_m"),
        ("lcdm", ["desi-dr2"], {"r_d": "uniform(120, 180)", "h_rd": "uniform(80, 120)"}, "twice; keep one"),
        ("lcdm", ["desi-dr2"], {"omega_m": "uniform(1, 0)"}, "omega_m.*must be less than"),
    ],
)
def test_impossible_combinations_are_refused(model: str, data: list[str], priors: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        cosmology(model, data, priors)
    assert caught.value.exit_code == 2
