"""Groups that are known, and densities of Poisson points, lattices and points at one place."""

from __future__ import annotations

import numpy as np
import pytest

from astropipe.nbody.flow.density import delaunay_density
from astropipe.nbody.flow.groups import friends_of_friends
from astropipe.runtime.errors import InputError

BOX = 10.0


def test_known_groups_are_found_across_the_sides_of_the_box() -> None:
    rng = np.random.default_rng(1)
    centres = np.array([[0.0, 5.0, 5.0], [5.0, 5.0, 5.0], [9.0, 1.0, 1.0]])
    members = np.repeat([0, 1, 2], [50, 30, 25])
    x = (centres[members] + rng.uniform(-0.2, 0.2, (105, 3))) % BOX
    # Far from all and from each other.
    alone = np.array([[3.0, 1.0, 8.0], [3.0, 2.0, 8.0], [7.0, 8.0, 8.0]])
    shuffle = rng.permutation(108)
    positions = np.concatenate([x, alone])[shuffle]
    found = friends_of_friends(positions, BOX, 0.4)
    assert found.sizes.tolist() == [50, 30, 25]
    np.testing.assert_array_equal(found.labels, np.concatenate([members, [-1] * 3])[shuffle])
    assert found.inside.sum() == 105
    assert 50 not in friends_of_friends(positions, None, 0.4).sizes


@pytest.mark.parametrize("box", [BOX, None])
def test_groups_are_the_components_of_the_graph_of_friends(box: float | None) -> None:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    x = np.random.default_rng(2).uniform(0, BOX, (800, 3))
    first, second = np.array(sorted(cKDTree(x, boxsize=box).query_pairs(0.8))).T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(800, 800))
    _, parts = connected_components(graph, directed=False)
    for block_pairs in (50, 10**6):
        found = friends_of_friends(x, box, 0.8, min_members=1, block_pairs=block_pairs)
        assert found.sizes.tolist() == sorted(np.bincount(parts).tolist(), reverse=True)
        assert len(set(zip(found.labels.tolist(), parts.tolist(), strict=True))) == len(found.sizes)


def test_a_chain_is_one_group_and_a_gap_ends_it() -> None:
    x = np.column_stack([np.arange(0, 9.9, 0.1), np.full(99, 1.0), np.full(99, 1.0)])
    assert friends_of_friends(x, None, 0.1001, 5).sizes.tolist() == [99]
    assert friends_of_friends(np.delete(x, 40, axis=0), None, 0.1001, 5).sizes.tolist() == [58, 40]
    assert friends_of_friends(x, None, 0.0999, 5).sizes.tolist() == []


def test_mean_velocities_are_those_of_the_members() -> None:
    x = np.concatenate([np.full((3, 3), 1.0), np.full((2, 3), 4.0), np.full((1, 3), 7.0)])
    x += 0.01 * np.arange(6)[:, None]
    u = np.arange(18.0).reshape(6, 3)
    found = friends_of_friends(x, None, 0.1, 2)
    np.testing.assert_allclose(found.mean_velocities(u), [u[:3].mean(axis=0), u[3:5].mean(axis=0)])


@pytest.mark.parametrize("n", [5, 40, 3000])
def test_the_mass_of_poisson_points_is_exact(n: int) -> None:
    """Each point's star is counted at four corners: sum of m / density is the volume, mean of 1 / density V / M."""
    x = np.random.default_rng(n).uniform(0, BOX, (n, 3))
    density = delaunay_density(x, BOX, mass=2.5)
    assert np.mean(1.0 / density) == pytest.approx(BOX**3 / (n * 2.5), rel=1e-12)


def test_images_of_the_box_change_no_density() -> None:
    x = np.random.default_rng(3).uniform(0, BOX, (400, 3))
    moved = (x + np.array([3.3, 7.1, 9.0])) % BOX
    np.testing.assert_allclose(delaunay_density(moved, BOX), delaunay_density(x, BOX), rtol=1e-9)


def test_a_void_wider_than_the_margin_is_covered() -> None:
    x = np.random.default_rng(4).uniform(0, BOX, (3000, 3))
    x = x[np.linalg.norm(x - 5.0, axis=1) > 4.5]
    x = (x + 5.0) % BOX
    assert np.sum(1.0 / delaunay_density(x, BOX)) == pytest.approx(BOX**3, rel=1e-12)


def test_a_lattice_has_its_density_on_average() -> None:
    axis = (np.arange(6) + 0.5) * BOX / 6
    x = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    assert np.mean(1.0 / delaunay_density(x, BOX)) == pytest.approx((BOX / 6) ** 3, rel=1e-9)


def test_particles_at_one_place_share_its_density() -> None:
    rng = np.random.default_rng(5)
    x = rng.uniform(0, BOX, (200, 3))
    once = delaunay_density(x, BOX)
    density = delaunay_density(np.concatenate([x, x[:3], x[:1]]), BOX)
    np.testing.assert_allclose(density[[0, 200, 203]], 3 * once[0], rtol=1e-9)
    np.testing.assert_allclose(density[[1, 201]], 2 * once[1], rtol=1e-9)
    np.testing.assert_allclose(density[3:200], once[3:], rtol=1e-9)
    assert np.sum(1.0 / density) == pytest.approx(BOX**3, rel=1e-12)


def test_too_few_places_are_refused() -> None:
    for x in (np.full((1, 3), 2.0), np.full((4, 3), 2.0)):
        with pytest.raises(InputError, match="too few, or too regular"):
            delaunay_density(x, BOX)
