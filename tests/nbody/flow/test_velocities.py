"""Statistics of pairs: against brute force, a Hubble flow, and Gaussian fields whose correlations are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import spherical_jn

from astropipe.nbody.flow.pairs import hashes, pair_blocks, tree_of
from astropipe.nbody.flow.velocities import PairStatistics, jackknife_error, pair_statistics
from astropipe.runtime.errors import InputError, UsageError

BOX = 10.0
EDGES = np.geomspace(0.3, 5.0, 7)


def brute(
    x: NDArray[np.float64], u: NDArray[np.float64], low: float, high: float, box: float | None
) -> dict[str, NDArray[np.float64]]:
    """Every pair of a bin, one by one."""
    i, j = np.triu_indices(len(x), 1)
    d = x[j] - x[i]
    if box:
        d -= box * np.round(d / box)
    r = np.linalg.norm(d, axis=1)
    near, far = (np.sum(u[end] * d, axis=1) / r for end in (i, j))
    inside = (r >= low) & (r < high)
    parts = {"r": r, "near": near, "far": far, "product": np.sum(u[i] * u[j], axis=1)}
    parts["square"] = 0.5 * (np.sum(u[i] ** 2, axis=1) + np.sum(u[j] ** 2, axis=1))
    parts["transverse"] = 0.5 * (np.sum((u[j] - u[i]) ** 2, axis=1) - (far - near) ** 2)
    return {name: values[inside] for name, values in parts.items()}


@pytest.mark.parametrize("box", [BOX, None])
@pytest.mark.parametrize("block_pairs", [100, 10**6])
def test_every_statistic_is_that_of_all_pairs_one_by_one(box: float | None, block_pairs: int) -> None:
    rng = np.random.default_rng(1)
    x, u = rng.uniform(0, BOX, (150, 3)), rng.normal([0.3, 0.0, -0.2], 1.0, (150, 3))
    # Some close ones, so that every bin has pairs.
    x[:40] = (x[40:80] + rng.normal(0, 0.3, (40, 3))) % BOX
    found = pair_statistics(x, u, EDGES, box, block_pairs=block_pairs, regions_per_side=2)
    values = found.values()
    for b in range(len(EDGES) - 1):
        pairs = brute(x, u, EDGES[b], EDGES[b + 1], box)
        near, far = pairs["near"], pairs["far"]
        difference, total = far - near, far + near
        assert found.pairs[b] == len(near) > 3
        centred = difference - difference.mean()
        expected = {
            "r": pairs["r"].mean(),
            **{f"du{n}": np.mean(difference**n) for n in range(1, 7)},
            **{f"su{n}": np.mean(total**n) for n in (2, 4, 6)},
            **{f"u{n}": 0.5 * np.mean(near**n + far**n) for n in (2, 4, 6)},
            "du_skewness": np.mean(centred**3) / np.mean(centred**2) ** 1.5,
            "du_kurtosis": np.mean(centred**4) / np.mean(centred**2) ** 2,
            "correlation_total": pairs["product"].mean(),
            "correlation_longitudinal": np.mean(near * far),
            "correlation_transverse": 0.5 * np.mean(pairs["product"] - near * far),
            "structure_transverse": pairs["transverse"].mean(),
            "rho_longitudinal": np.mean(near * far) / (0.5 * np.mean(near**2 + far**2)),
            "rho_total": pairs["product"].mean() / pairs["square"].mean(),
            "third_relation": np.mean(difference**3) / (3 * np.mean(difference**2) * np.mean(difference)),
            "fifth_relation": np.mean(difference**5) / (5 * np.mean(difference**4) * np.mean(difference)),
        }
        assert {name: values[name][b] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_leaving_out_a_region_leaves_out_its_particles() -> None:
    rng = np.random.default_rng(2)
    x, u = rng.uniform(0, BOX, (200, 3)), rng.standard_normal((200, 3))
    found = pair_statistics(x, u, EDGES, BOX, regions_per_side=2).left_out()
    corner = (x < BOX / 2).all(axis=1)
    without = pair_statistics(x[~corner], u[~corner], EDGES, BOX).values()
    for name in ("du2", "du_skewness", "rho_total"):
        np.testing.assert_allclose(found[name][0], without[name], rtol=1e-9)


def test_a_hubble_flow_is_found_exactly() -> None:
    """U = -H r: each pair approaches with H r, whatever its direction."""
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, (400, 3))
    values = pair_statistics(x, -70.0 * x, np.geomspace(0.05, 2.0, 9), None).values()
    np.testing.assert_allclose(values["du1"], -70.0 * values["r"], rtol=1e-12)


def _waves(rng: np.random.Generator, x: NDArray[np.float64], k: float, count: int) -> NDArray[np.float64]:
    """A velocity that is a gradient: many waves of one length in random directions, of unit mean square in all."""
    direction = rng.standard_normal((count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    phase = k * x @ direction.T + rng.uniform(0, 2 * np.pi, count)
    return np.sqrt(2.0 / count) * np.cos(phase) @ direction


def test_a_gaussian_gradient_field_has_its_correlations_and_no_odd_moments() -> None:
    """L = j0 - 2 j1 / x and T = j1 / x for waves of one length (Gorski 1988, ApJ 332, L7), x = k r."""
    k, edges = 3.0, np.linspace(0.2, 2.0, 19)
    rng = np.random.default_rng(4)
    draws: list[dict[str, NDArray[np.float64]]] = []
    for _ in range(40):
        x = rng.uniform(0, 6, (700, 3))
        draws.append(pair_statistics(x, _waves(rng, x, k, 300), edges, None).values())
    mean = {name: np.mean([draw[name] for draw in draws], axis=0) for name in draws[0]}
    error = {name: np.std([draw[name] for draw in draws], axis=0, ddof=1) / np.sqrt(40) for name in mean}
    bessel = spherical_jn(1, k * mean["r"]) / (k * mean["r"])
    expected = {
        "correlation_longitudinal": spherical_jn(0, k * mean["r"]) - 2.0 * bessel,
        "correlation_transverse": bessel,
        "correlation_total": spherical_jn(0, k * mean["r"]),
        **{name: 0.0 * bessel for name in ("du1", "du3", "du5")},
    }
    for name, truth in expected.items():
        # The width of the bins moves the correlations by up to 0.001.
        assert (np.abs(mean[name] - truth) < 4.5 * error[name] + 0.001).all(), name
    # Over all fields, as one box of few waves is not Gaussian in itself.
    kurtosis = mean["du4"] / mean["du2"] ** 2
    assert (np.abs(kurtosis - 3.0) < 4.5 * 3.0 * error["du4"] / mean["du4"]).all()


def test_errors_are_the_scatter_of_many_boxes() -> None:
    """Gaussian velocities at random points: odd moments 0 and kurtosis 3 within the errors, which are the scatter."""
    edges = np.geomspace(1.0, 5.0, 5)
    pulls: dict[str, list[NDArray[np.float64]]] = {name: [] for name in ("du1", "du3", "du5", "du_kurtosis", "du2")}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, u = rng.uniform(0, BOX, (500, 3)), rng.standard_normal((500, 3))
        found = pair_statistics(x, u, edges, BOX)
        values, errors = found.values(), found.errors()
        for name, pull in pulls.items():
            truth = {"du_kurtosis": 3.0, "du2": 2.0}.get(name, 0.0)
            pull.append((values[name] - truth) / errors[name])
    for name, pull in pulls.items():
        # Mean of 60 pulls to 4.5 of its errors. Their scatter is 1 with ideal errors; the jackknife errs towards large
        # ones (Efron & Stein 1981), by up to sqrt(2) (and more in few regions) where all pairs are independent.
        assert np.abs(np.mean(pull, axis=0)).max() < 4.5 / np.sqrt(60) + 0.15, name
        assert (0.7 if name in ("du2", "du_kurtosis") else 0.45) < np.std(pull) < 1.2, name


def test_a_part_of_the_particles_gives_the_same_means() -> None:
    rng = np.random.default_rng(5)
    x, u = rng.uniform(0, BOX, (3000, 3)), rng.standard_normal((3000, 3))
    u += np.sin(2 * np.pi * x / BOX)
    whole = pair_statistics(x, u, EDGES, BOX, max_pairs=10**9).values()
    parts = [pair_statistics(x, u, EDGES, BOX, max_pairs=20_000, seed=seed) for seed in range(20)]
    assert parts[0].shares[-1] < 0.2
    for name in ("du2", "correlation_total", "xi"):
        found = np.array([part.values()[name] for part in parts])
        error = found.std(axis=0, ddof=1) / np.sqrt(20)
        assert (np.abs(found.mean(axis=0) - whole[name]) < 4.5 * error + 1e-12).all(), name


def test_particles_are_chosen_by_their_ids_alone() -> None:
    ids = np.arange(100_000)
    lots = hashes(ids, 7) / 2.0**64
    np.testing.assert_array_equal(hashes(ids[::-1][:50], 7), hashes(ids, 7)[::-1][:50])
    # Uniform: the mean of 1e5 numbers within 4.5 standard errors of 1/2, and no correlation with the next.
    assert abs(lots.mean() - 0.5) < 4.5 / np.sqrt(12 * 1e5)
    assert abs(np.corrcoef(lots[1:], lots[:-1])[0, 1]) < 4.5 / np.sqrt(1e5)
    assert (hashes(ids, 8) != hashes(ids, 7)).all()


@pytest.mark.parametrize("box", [BOX, None])
def test_blocks_hold_each_pair_once_and_no_more_than_they_may(box: float | None) -> None:
    x = np.random.default_rng(6).uniform(0, BOX, (400, 3))
    tree = tree_of(x, box)
    blocks = list(pair_blocks(tree, 2.0, 1000))
    found = {(int(i), int(j)) for first, second in blocks for i, j in zip(first, second, strict=True)}
    assert found == tree.query_pairs(2.0)
    assert sum(len(first) for first, _ in blocks) == len(found)
    assert len(blocks) >= 5 and max(len(first) for first, _ in blocks) <= 1000


def test_kept_pairs_are_a_fair_part_of_all() -> None:
    rng = np.random.default_rng(7)
    x, u = rng.uniform(0, BOX, (4000, 3)), rng.standard_normal((4000, 3))
    found = pair_statistics(x, u, np.array([0.5, 2.5]), BOX, n_samples=5000)
    difference, total, one = found.samples[0].T
    assert 3000 < len(difference) < 7000 and len(found.sample_regions[0]) == len(difference)
    for values, variance in ((difference, 2.0), (total, 2.0), (one, 1.0)):
        assert abs(values.mean()) < 4.5 * np.sqrt(variance / len(values))
        # Pairs share particles, whose number bounds the precision too.
        assert abs(values.var() / variance - 1.0) < 4.5 * np.sqrt(2 / len(values) + 2 / 12000)


def test_bins_without_pairs_say_so() -> None:
    x = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.7], [9.9, 1.0, 1.0]])
    found = pair_statistics(x, np.eye(3), np.array([0.1, 0.2, 1.0, 2.0]), BOX)
    assert found.pairs.tolist() == [0, 1, 2]
    values, errors = found.values(), found.errors()
    assert all(np.isnan(values[name][0]) and np.isnan(errors[name][0]) for name in values)
    assert np.isfinite(values["du2"][1:]).all()


def test_particles_at_one_place_are_no_pair() -> None:
    x = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.5, 1.0, 1.0]])
    found: PairStatistics = pair_statistics(x, np.eye(3), np.array([0.0, 1.0]), BOX)
    assert found.pairs.tolist() == [2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": np.full((3, 3), 11.0)}, r"particle 0: .* is outside the box \[0, 10\)"),
        ({"positions": np.array([[1, 1, 1], [2, np.nan, 2], [3, 3, 3.0]])}, "particle 1: position .* not finite"),
        ({"velocities": np.full((3, 3), np.inf)}, "particle 0: velocity .* not finite"),
        ({"velocities": np.zeros((2, 3))}, r"shape \(particles, 3\)"),
        ({"positions": np.zeros((1, 3)), "velocities": np.zeros((1, 3))}, "two particles or more"),
    ],
)
def test_impossible_particles_are_named(change: dict[str, NDArray[np.float64]], message: str) -> None:
    arrays = {"positions": np.ones((3, 3)), "velocities": np.ones((3, 3))} | change
    with pytest.raises(InputError, match=message):
        pair_statistics(arrays["positions"], arrays["velocities"], EDGES, BOX)


@pytest.mark.parametrize(("edges", "message"), [([1.0, 1.0], "must increase"), ([1.0, 6.0], "half the side")])
def test_impossible_bins_are_refused(edges: list[float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pair_statistics(np.ones((3, 3)), np.ones((3, 3)), np.array(edges), BOX)


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(8).standard_normal(50)
    left_out = (values.sum() - values) / 49
    assert jackknife_error(left_out) == pytest.approx(values.std(ddof=1) / np.sqrt(50))
