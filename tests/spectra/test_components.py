"""Components of weighted spectra against the full decomposition of spectra that are there several times."""

from __future__ import annotations

import numpy as np

from astropipe.spectra.components import population_weights, principal_components
from astropipe.spectra.population import draw_labels


def test_a_weight_is_as_good_as_the_same_star_several_times() -> None:
    rng = np.random.default_rng(1)
    spectra = rng.normal(size=(40, 8)) @ rng.normal(size=(8, 120)) + 0.1 * rng.normal(size=(40, 120))
    weight = rng.integers(1, 5, 40)
    repeated = np.repeat(spectra, weight, axis=0)
    expected = np.linalg.svd(repeated - repeated.mean(0), full_matrices=False)[2][:6]
    mean, basis = principal_components(spectra, weight.astype(float), 6)
    np.testing.assert_allclose(mean, repeated.mean(0), atol=1e-12)
    np.testing.assert_allclose(basis @ basis.T, np.eye(6), atol=1e-12)
    # The sign of a component is free.
    np.testing.assert_allclose(np.abs(np.sum(basis * expected, axis=1)), 1.0, atol=1e-9)


def test_stars_chosen_for_being_cool_count_as_in_the_population() -> None:
    t_eff_k = draw_labels(np.random.default_rng(2), 6000)[:, 0]
    cool = draw_labels(np.random.default_rng(3), 20_000)[:, 0]
    cool = cool[cool < 4200.0]
    chosen = np.concatenate([t_eff_k, cool])
    weight = population_weights(chosen)
    true = np.mean(t_eff_k < 4200.0)
    excess = np.mean(chosen < 4200.0) - true
    assert excess > true
    # Not wholly: bins are 270 K wide, and in one of them are stars above 4200 K, of which none were chosen.
    assert abs(np.average(chosen < 4200.0, weights=weight) - true) < 0.2 * excess
    assert abs(np.average(chosen, weights=weight) - t_eff_k.mean()) < 20.0
