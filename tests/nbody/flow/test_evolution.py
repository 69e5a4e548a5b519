"""The particle-mesh run: linear growth, Zel'dovich's pancake, energy, momentum, resumption, threads."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM, Planck18
from numpy.typing import NDArray
from small import Python

from astropipe.nbody.flow.background import Background, LinearPower
from astropipe.nbody.flow.evolution import Evolution, schedule
from astropipe.nbody.flow.initial import initial_conditions, lattice, wrapped
from astropipe.nbody.flow.mesh import Mesh
from astropipe.runtime.errors import UsageError

PLANCK = Background(Planck18)


def run(evolution: Evolution) -> Evolution:
    while not evolution.finished:
        evolution.advance()
    return evolution


def box_run(n: int, box: float, sigma8: float, outputs: list[float], n_steps: int, a: float = 0.02) -> Evolution:
    power = LinearPower(Planck18, sigma8, 0.9665)
    x, p = initial_conditions(n, box, PLANCK, power, a, np.random.default_rng(1))
    return Evolution(x, p, box, PLANCK, *schedule(a, np.array(outputs), n_steps), 2 * n)


def amplitudes(x: NDArray[np.float64], n: int, box: float) -> NDArray[np.complex128]:
    """Fourier amplitudes of the contrast for the longest waves of the box."""
    mesh = Mesh(2 * n, box)
    transform = mesh.forward(mesh.density_contrast(x))
    return np.array(
        [transform[1, 0, 0], transform[0, 1, 0], transform[0, 0, 1], transform[1, 1, 0], transform[1, 0, 1]]
    )


def test_the_longest_waves_grow_as_linear_theory_says() -> None:
    n, box = 24, 400.0
    evolution = box_run(n, box, 0.02, [0.1, 1.0], 60)
    start = amplitudes(evolution.positions, n, box)
    run(evolution)
    for snapshot in evolution.snapshots:
        growth = PLANCK.growth(snapshot.a)[0] / PLANCK.growth(0.02)[0]
        ratio = amplitudes(snapshot.positions, n, box) / start
        np.testing.assert_allclose(ratio.real / growth, 1.0, atol=0.02)
        np.testing.assert_allclose(ratio.imag / growth, 0.0, atol=0.02)


def test_a_plane_wave_follows_zeldovich_until_it_breaks() -> None:
    """x = q - D(a)/D(a_c) sin(k q)/k is exact in one dimension until shells cross at a_c."""
    universe = Background(FlatLambdaCDM(H0=70, Om0=0.3, Ob0=0.05, Tcmb0=0.0))
    n, box, a_start, a_cross = 32, 10.0, 0.05, 0.6
    k = 2 * np.pi / box
    q = lattice(n, box)
    wave = np.sin(k * q[:, 0]) / k

    def exact(a: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        d, slope, _, _ = universe.growth(a)
        crossing = universe.growth(a_cross)[0]
        return -d / crossing * wave, -slope / crossing * wave * a**2 * float(universe.expansion(a))

    shift, momentum = exact(a_start)
    x, p = q.copy(), np.zeros_like(q)
    x[:, 0] += shift
    p[:, 0] = momentum
    evolution = Evolution(
        wrapped(x, box), p, box, universe, *schedule(a_start, np.array([0.3, 0.57]), 60), 2 * n
    )  # fmt: skip
    run(evolution)
    h0 = universe.hubble(1.0)
    for snapshot in evolution.snapshots:
        shift, momentum = exact(snapshot.a)
        moved = (snapshot.positions[:, 0] - q[:, 0] + box / 2) % box - box / 2
        assert np.abs(moved - shift).max() < 0.02 * np.abs(shift).max()
        speed = momentum / snapshot.a * h0
        assert np.abs(snapshot.velocities[:, 0] - speed).max() < 0.03 * np.abs(speed).max()
        np.testing.assert_allclose(snapshot.positions[:, 1:], q[:, 1:], atol=1e-10)


def test_energy_and_momentum_of_a_box_that_clusters() -> None:
    evolution = run(box_run(24, 40.0, 0.81, [1.0], 100))
    # The book of Layzer and Irvine closes to less than a per cent of the potential energy, which grows 25-fold.
    assert abs(evolution.layzer_irvine_error[-1]) < 0.01
    assert np.abs(evolution.layzer_irvine_error).max() < 0.08
    kinetic, potential = evolution.energies[-1]
    # Bound haloes: towards 2 T = -W, from T = -2/3 W of linear growth.
    assert 0.45 < kinetic / -potential < 0.67
    momentum = evolution.momenta.mean(axis=0)
    assert np.linalg.norm(momentum) < 1e-12 * np.sqrt(np.mean(np.sum(evolution.momenta**2, axis=1)))


def test_the_layzer_irvine_book_of_linear_growth_closes() -> None:
    """Einstein-de Sitter: T grows as a, and W = -3/2 T."""
    evolution = box_run(2, 10.0, 0.8, [1.0], 2000)
    evolution.energies = np.column_stack([evolution.edges, -1.5 * evolution.edges])
    np.testing.assert_allclose(evolution.layzer_irvine_error, 0.0, atol=1e-5)
    # Energy that is made or lost is seen.
    evolution.energies[1000:, 0] *= 1.1
    assert evolution.layzer_irvine_error[-1] > 0.05


def test_a_paused_run_goes_on_with_the_same_bits() -> None:
    whole = run(box_run(8, 20.0, 0.8, [0.3, 0.5, 1.0], 20))
    paused = box_run(8, 20.0, 0.8, [0.3, 0.5, 1.0], 20)
    for _ in range(whole.n_steps // 2):
        paused.advance()
    assert 0 < len(paused.snapshots) < 3
    saved = {name: array.copy() for name, array in paused.arrays().items()}
    resumed = box_run(8, 20.0, 0.8, [0.3, 0.5, 1.0], 20)
    resumed.restore(saved)
    run(resumed)
    for one, other in zip(whole.snapshots, resumed.snapshots, strict=True):
        assert one.a == other.a
        np.testing.assert_array_equal(one.positions, other.positions)
        np.testing.assert_array_equal(one.velocities, other.velocities)
    np.testing.assert_array_equal(whole.energies, resumed.energies)


def test_threads_change_no_bit(python: Python) -> None:
    code = """
import hashlib, sys
from astropipe.runtime.compute import set_threads
threads = set_threads(int(sys.argv[1]))
import numpy as np
from astropy.cosmology import Planck18
from astropipe.nbody.flow.background import Background, LinearPower
from astropipe.nbody.flow.evolution import Evolution, schedule
from astropipe.nbody.flow.initial import initial_conditions
background = Background(Planck18)
x, p = initial_conditions(
    12, 20.0, background, LinearPower(Planck18, 0.8, 0.97), 0.1, np.random.default_rng(1), threads=threads
)
run = Evolution(x, p, 20.0, background, *schedule(0.1, np.array([1.0]), 10), 30, threads)
while not run.finished:
    run.advance()
print(hashlib.sha256(run.positions.tobytes() + run.momenta.tobytes() + run.energies.tobytes()).hexdigest())
"""
    assert python(code, 1).stdout == python(code, 2).stdout


def test_the_schedule_meets_every_output() -> None:
    edges, saved = schedule(0.02, np.array([0.25, 0.3, 1.0]), 50)
    np.testing.assert_array_equal(edges[saved], [0.25, 0.3, 1.0])
    assert (np.diff(edges) > 0).all() and edges[0] == 0.02
    assert np.diff(np.sqrt(edges)).max() <= (1 - np.sqrt(0.02)) / 50 * (1 + 1e-9)
    assert 50 <= len(edges) - 1 <= 53


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([0.5, 0.4], "in order of time"),
        ([0.5, 0.5], "each once"),
        ([0.01], "after the start"),
        ([1.5], "not after a = 1"),
        ([], "no time at all"),
        ([np.nan], "after the start"),
    ],
)
def test_impossible_outputs_are_refused(outputs: list[float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        schedule(0.02, np.array(outputs), 10)
