"""The greedy oracle of the benchmark: at every step, the largest step that keeps the energy; trying costs nothing.

It knows what no policy knows, the error of a step before the step, and still is no bound: a step that is good now may
lead to a worse place.
"""

from __future__ import annotations

import math

import numpy as np

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.chains import chain_is_good, find_chain, rebuild, to_chain
from astropipe.nbody.compilation import kernel
from astropipe.nbody.forces import N_GEOMETRY, N_PAIR_ROWS, energies, evaluate, survey_pairs
from astropipe.nbody.integrators import energy_scale
from astropipe.nbody.steps import FIRST_CORRECTIONS, hermite_step

_HIGHEST = 4
# Beyond the largest mu, the scheme of one correction is not stable; a step that grows at once carries the error of
# its derivatives into the next ones, which then no step can mend.
_LARGEST_MU, _GROWTH, _SHRINK, _TRIES = 0.2, 1.25, 0.9, 40
_MOST = 400_000


@kernel
def _play(gm: FloatArray, vectors: FloatArray, chain: IntArray, t_end: float, allowed: float) -> tuple[float, int]:
    """Integrate one system; return its energy error and the accepted evaluations."""
    n = gm.size
    x, v, d = vectors[0], vectors[1], vectors[2:9]
    body, geometry = np.empty((4, n, 3)), np.empty((n * (n - 1) // 2, N_GEOMETRY))
    pairs = np.zeros((N_PAIR_ROWS, n * (n - 1) // 2))
    ahead, kept = np.empty((6, n - 1, 3)), np.empty((9, n - 1, 3))
    rate2, _ = evaluate(_HIGHEST, gm, x, v, d, body, geometry, pairs)
    kinetic, potential = energies(gm, x, v)
    start = kinetic - potential
    scale = energy_scale(kinetic, potential)
    energy, time, counts, mu = start, 0.0, 1, 0.1
    while time < t_end and counts < _MOST:
        if not chain_is_good(n, x, pairs) and rebuild(9, gm, vectors, chain):
            rate2, _ = survey_pairs(gm, x, v, pairs)
        kept[:] = vectors[:9]
        mu, found, held = min(_LARGEST_MU, _GROWTH * mu), 0.0, False
        corrections = FIRST_CORRECTIONS if time == 0.0 else 1
        step = 0.0
        for _trial in range(_TRIES):
            step = min(mu / math.sqrt(rate2), t_end - time)
            found, _binding = hermite_step(
                _HIGHEST, corrections, gm, x, v, d, ahead[0], ahead[1], ahead[2:6], body, geometry, pairs, step
            )
            kinetic, potential = energies(gm, x, v)
            limit = max(allowed * scale, 2e-15 * (kinetic + potential))
            held = abs(kinetic - potential - energy) <= limit
            if held or _trial == _TRIES - 1:
                break
            vectors[:9] = kept
            mu *= _SHRINK
        counts += corrections
        rate2, energy = found, kinetic - potential
        time = t_end if step == t_end - time else time + step
    return abs(energy - start) / scale, counts


def oracle(
    masses: FloatArray, positions: FloatArray, velocities: FloatArray, t_end: float, allowed: float
) -> tuple[FloatArray, IntArray]:
    """Return energy errors and evaluations of systems (n, N), (n, N, 3), with jumps of a step up to `allowed`."""
    n, bodies = masses.shape
    error, counts = np.empty(n), np.empty(n, dtype=np.int64)
    for row in range(n):
        chain, vectors = np.empty(bodies, dtype=np.int64), np.zeros((9, bodies - 1, 3))
        find_chain(positions[row], chain)
        to_chain(positions[row], chain, vectors[0])
        to_chain(velocities[row], chain, vectors[1])
        error[row], counts[row] = _play(masses[row][chain], vectors, chain, t_end, allowed)
    return error, counts
