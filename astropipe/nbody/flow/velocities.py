"""Statistics of the velocities of pairs of particles by their separation.

Of a pair at x and x' = x + r, with velocities u and u', the longitudinal velocities are u_L = u.r/r and u'_L = u'.r/r,
their difference u'_L - u_L (negative where the two approach) and their sum (Xu 2022, arXiv:2202.06515).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.compilation import inlined_kernel, kernel
from astropipe.nbody.flow.pairs import BLOCK_PAIRS, UintArray, hashes, pair_blocks, tree_of
from astropipe.runtime.errors import InputError, UsageError

ORDERS = (1, 2, 3, 4, 5, 6)
# What is summed over the pairs of a bin: their number, separation, powers of the difference, even powers of the sum and
# of u_L of both ends (odd ones of the sum vanish, as either end may be the first), products of the two velocities.
_SUMS = (
    "pairs", "r", *(f"du{n}" for n in ORDERS), "su2", "su4", "su6", "u2", "u4", "u6", "product_l", "product", "square"
)  # fmt: skip
_N_SUMS = len(_SUMS)
_PILOT = 4000


@dataclass(frozen=True)
class PairStatistics:
    """Sums over pairs by separation, from which all statistics follow with their errors.

    Parameters
    ----------
    edges : array of shape (bins + 1,)
        Edges of the bins of separation.
    shares : array of shape (bins,)
        Share of the particles whose pairs were taken.
    expected : array of shape (regions + 1, bins)
        Pairs that as many particles strewn at random would have, without each region of space, and at last with all of
        them; NaN in open space.
    sums : array of shape (regions + 1, bins, ...)
        Sums over the pairs that have an end, or both, in each region, and at last over all pairs.
    samples : list of arrays of shape (m, 3)
        For each bin a random part of its pairs: difference, sum (of either sign), and u_L of one end.
    sample_regions : list of arrays of int
        Regions of these.
    """

    edges: FloatArray
    shares: FloatArray
    expected: FloatArray
    sums: FloatArray
    samples: list[FloatArray]
    sample_regions: list[IntArray]

    @property
    def pairs(self) -> FloatArray:
        """Number of pairs in each bin."""
        return np.asarray(self.sums[-1, :, 0])

    def values(self) -> dict[str, FloatArray]:
        """Return each statistic by bin; NaN where there are no pairs. `derived` says what they are."""
        return derived(self.sums[-1], self.expected[-1])

    def left_out(self) -> dict[str, FloatArray]:
        """Return each statistic without each region of space, [regions, bins].

        All pairs with an end in the region go: where separations are larger than regions, each particle has a part in
        many pairs, and leaving out half of them would leave out half of its scatter only.
        """
        return derived(self.sums[-1] - self.sums[:-1], self.expected[:-1])

    def errors(self) -> dict[str, FloatArray]:
        """Return the standard error of each statistic, by the jackknife over regions of space.

        It errs towards errors that are too large (Efron & Stein 1981), by up to sqrt(2) where pairs are independent.
        What a single box cannot show, waves longer than its regions or itself, is not in it.
        """
        return {name: jackknife_error(values) for name, values in self.left_out().items()}


def jackknife_error(left_out: FloatArray) -> FloatArray:
    """Return the standard error from estimates [n, ...] each made without one of n parts (Tukey 1958)."""
    n = len(left_out)
    deviation = left_out - left_out.mean(axis=0)
    return np.asarray(np.sqrt((n - 1) / n * np.sum(deviation**2, axis=0)))


def derived(totals: FloatArray, expected: FloatArray) -> dict[str, FloatArray]:
    """Return the statistics that belong to sums over pairs.

    ``r`` mean separation; ``du1`` to ``du6``, ``su2``, ``su4``, ``su6`` and ``u2``, ``u4``, ``u6`` moments about zero
    of the difference, the sum and u_L; ``du_skewness`` and ``*_kurtosis`` about the mean, standardised (3 for a
    Gaussian); ``correlation_total`` u.u', ``correlation_longitudinal`` u_L u'_L, ``correlation_transverse`` of one
    transverse component; ``structure_transverse`` the mean squared difference of one transverse component (the
    longitudinal one is ``du2``); ``rho_longitudinal`` and ``rho_total`` the correlations over the mean square at this
    separation; ``third_relation`` du3 / (3 du2 du1) and ``fifth_relation`` du5 / (5 du4 du1); ``xi`` the excess of
    pairs over random ones.

    Parameters
    ----------
    totals : array of shape (..., bins, sums)
        Sums of `PairStatistics`.
    expected : array of shape (..., bins)
        Pairs of particles strewn at random.
    """
    # Differences of sums of counts are counts, to the digit.
    count = np.where(totals[..., 0] > 0.0, totals[..., 0], np.nan)
    s = {name: totals[..., i] / count for i, name in enumerate(_SUMS)}
    with np.errstate(divide="ignore", invalid="ignore"):
        central = {n: _central([np.ones_like(count), *(s[f"du{k}"] for k in ORDERS)], n) for n in (2, 3, 4)}
        return {name: s[name] for name in _SUMS[1:14]} | {
            "du_skewness": central[3] / central[2] ** 1.5,
            "du_kurtosis": central[4] / central[2] ** 2,
            "su_kurtosis": s["su4"] / s["su2"] ** 2,
            "u_kurtosis": s["u4"] / s["u2"] ** 2,
            "correlation_total": s["product"],
            "correlation_longitudinal": s["product_l"],
            "correlation_transverse": 0.5 * (s["product"] - s["product_l"]),
            "structure_transverse": s["square"] - s["product"] - 0.5 * s["du2"],
            "rho_longitudinal": s["product_l"] / s["u2"],
            "rho_total": s["product"] / s["square"],
            "third_relation": s["du3"] / (3.0 * s["du2"] * s["du1"]),
            "fifth_relation": s["du5"] / (5.0 * s["du4"] * s["du1"]),
            "xi": count / expected - 1.0,
        }


def _central(raw: list[FloatArray], order: int) -> FloatArray:
    """Return a moment about the mean from moments about zero, which cost (mean / deviation)^order digits."""
    return np.asarray(sum(comb(order, k) * raw[k] * (-raw[1]) ** (order - k) for k in range(order + 1)))


def pair_statistics(
    positions: FloatArray,
    velocities: FloatArray,
    edges: FloatArray,
    box_size: float | None,
    *,
    max_pairs: int = 2_000_000,
    regions_per_side: int = 4,
    n_samples: int = 20_000,
    seed: int = 0,
    ids: IntArray | None = None,
    block_pairs: int = BLOCK_PAIRS,
) -> PairStatistics:
    """Sum over the pairs of equal particles by separation.

    Where a bin has more pairs than ``max_pairs``, a part of the particles stands for all: those whose number, hashed
    from their id, is below a limit. Which they are does not depend on where they are and how they move, so that means
    stay unbiased.

    Parameters
    ----------
    positions, velocities : arrays of shape (n, 3)
        Particles; positions in [0, box_size) where there is a box.
    edges : array
        Edges of the bins of separation, increasing; in a box the last is at most half its side.
    box_size : float or None
        Side of the periodic box; None for open space.
    max_pairs : int
        About how many pairs closer than the upper edge of a bin are looked at.
    regions_per_side : int
        The volume is cut into so many regions along each side for the jackknife.
    n_samples : int
        About how many pairs of each bin are kept one by one.
    seed : int
        Of the choice of particles and pairs.
    ids : array of int, shape (n,), optional
        By which particles are chosen; default their order.
    block_pairs : int
        Pairs held in memory at a time.

    Raises
    ------
    InputError
        If a position or velocity is not finite, or lies outside the box.
    UsageError
        If the edges do not increase, or reach beyond half the box.
    """
    check_particles(positions, velocities, box_size)
    check_edges(edges, box_size)
    n, bins = len(positions), len(edges) - 1
    bits = hashes(np.arange(n) if ids is None else ids, seed)
    number = bits / 2.0**64
    within = _expected_within(positions, number, edges, box_size)
    shares = np.minimum.accumulate(np.minimum(1.0, np.sqrt(max_pairs / np.maximum(within[1:], 1.0))))
    regions = regions_of(positions, box_size, regions_per_side)
    sums = np.zeros((regions_per_side**3 + 1, bins, _N_SUMS))
    samples: list[list[FloatArray]] = [[] for _ in range(bins)]
    sample_regions: list[list[IntArray]] = [[] for _ in range(bins)]
    counts = np.zeros((regions_per_side**3 + 1, bins))
    # Bins with one share go together: their pairs are found once.
    for share in np.unique(shares):
        mine = np.flatnonzero(shares == share)
        chosen = np.flatnonzero(number < share)
        counts[:, mine] = len(chosen)
        counts[:-1, mine] -= np.bincount(regions[chosen], minlength=regions_per_side**3)[:, None]
        inside = np.diff(within)[mine] * share**2
        keep = np.minimum(1.0, n_samples / np.maximum(inside, 1.0))
        tree = tree_of(positions[chosen], box_size)
        x, u, r, b = positions[chosen], velocities[chosen], regions[chosen], bits[chosen]
        part = np.zeros((len(sums), len(mine), _N_SUMS))
        squares = edges[mine[0] : mine[-1] + 2] ** 2
        for first, second in pair_blocks(tree, edges[mine[-1] + 1], block_pairs):
            kept = _add_pairs(x, u, r, b, first, second, squares, box_size or 0.0, keep, part)
            for i, bin_ in enumerate(mine):
                here = kept[0] == i
                samples[bin_].append(kept[2][here])
                sample_regions[bin_].append(kept[1][here])
        sums[:, mine] = part
    return PairStatistics(
        edges,
        shares,
        _expected_random(counts, edges, box_size),
        sums,
        [np.concatenate([np.empty((0, 3)), *parts]) for parts in samples],
        [np.concatenate([np.empty(0, dtype=np.int64), *parts]) for parts in sample_regions],
    )


def check_particles(positions: FloatArray, velocities: FloatArray, box_size: float | None) -> None:
    """Refuse particles that no statistics can be made of, naming the first; see `pair_statistics`."""
    if positions.shape != velocities.shape or positions.ndim != 2 or positions.shape[1] != 3:
        raise InputError(
            f"positions and velocities must both have the shape (particles, 3), not {positions.shape} and "
            f"{velocities.shape}"
        )
    if len(positions) < 2:
        raise InputError(f"pairs need two particles or more, and there are {len(positions)}")
    for name, values in (("position", positions), ("velocity", velocities)):
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if bad.size:
            raise InputError(f"particle {bad[0]}: {name} {values[bad[0]]} is not finite; remove or correct it")
    if box_size is None:
        return
    outside = np.flatnonzero(((positions < 0.0) | (positions >= box_size)).any(axis=1))
    if outside.size:
        raise InputError(
            f"particle {outside[0]}: position {positions[outside[0]]} is outside the box [0, {box_size:g}); "
            "take it modulo the side of the box, or correct the side"
        )


def check_edges(edges: FloatArray, box_size: float | None) -> None:
    """Refuse edges of bins that do not increase, or reach beyond half a box; see `pair_statistics`."""
    if len(edges) < 2 or not np.all(np.isfinite(edges)) or edges[0] < 0.0 or np.any(np.diff(edges) <= 0.0):
        raise UsageError(f"edges of the separation must increase from 0 or more, but are {edges}")
    if box_size is not None and edges[-1] > 0.5 * box_size * (1.0 + 1e-12):
        raise UsageError(
            f"separations up to {edges[-1]:g} reach beyond half the side of the periodic box, {box_size / 2:g}; "
            "lower the largest separation"
        )


def _expected_within(
    positions: FloatArray, number: FloatArray, edges: FloatArray, box_size: float | None
) -> FloatArray:
    """Return about how many pairs are closer than each edge, from the pairs of a few particles."""
    pilot = np.argsort(number, kind="stable")[:_PILOT]
    tree = tree_of(positions[pilot], box_size)
    found = (tree.count_neighbors(tree, edges) - len(pilot)) / 2.0
    return np.asarray(found * (len(positions) / len(pilot)) ** 2)


def _expected_random(counts: FloatArray, edges: FloatArray, box_size: float | None) -> FloatArray:
    """Return the pairs of as many particles strewn at random in the box without a region, or in all of it.

    Parameters
    ----------
    counts : array of shape (regions + 1, bins)
        Particles without each region, a cube, and at last with all of them.
    edges, box_size
        As in `pair_statistics`.
    """
    if box_size is None:
        return np.full(counts.shape, np.nan)
    regions = len(counts) - 1
    side = box_size / np.cbrt(regions)
    # Of pairs at a separation in any direction, the share with both ends in a cube, of those with one in it.
    grid, weights = np.polynomial.legendre.leggauss(32)
    polar, turn = 0.5 * (grid + 1.0)[:, None], 0.25 * np.pi * (grid + 1.0)[None, :]
    across = np.sqrt(1.0 - polar**2)
    directions = np.stack([across * np.cos(turn), across * np.sin(turn), np.broadcast_to(polar, (32, 32))], axis=-1)
    middle = 0.5 * (edges[1:] + edges[:-1]) / side
    overlap = np.prod(np.maximum(1.0 - middle[:, None, None, None] * directions, 0.0), axis=-1)
    both = np.einsum("bij,i,j->b", overlap, 0.5 * weights, 0.5 * weights)
    # Of two points strewn outside a cube, how much likelier than in the whole box they are that far apart.
    closeness = np.ones(counts.shape)
    closeness[:-1] = (1.0 - (2.0 - both) / regions) / (1.0 - 1.0 / regions) ** 2
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3) / box_size**3
    return np.asarray(0.5 * counts * (counts - 1.0) * shells * closeness)


def regions_of(positions: FloatArray, box_size: float | None, per_side: int) -> IntArray:
    """Return for each particle which of per_side^3 equal cuboids it is in."""
    low = np.zeros(3) if box_size is not None else positions.min(axis=0)
    side = np.full(3, box_size) if box_size is not None else np.maximum(np.ptp(positions, axis=0), 1e-300)
    cell = np.clip(((positions - low) / side * per_side).astype(np.int64), 0, per_side - 1)
    return np.asarray((cell[:, 0] * per_side + cell[:, 1]) * per_side + cell[:, 2])


@inlined_kernel
def _separation(first: FloatArray, second: FloatArray, box_size: float, out: FloatArray) -> float:
    """Write the vector from one place to another, in a box the shortest one, and return its square."""
    square = 0.0
    for axis in range(3):
        out[axis] = second[axis] - first[axis]
        if box_size > 0.0:
            out[axis] -= box_size * np.round(out[axis] / box_size)
        square += out[axis] * out[axis]
    return square


@inlined_kernel
def _write_terms(
    first: FloatArray, second: FloatArray, d: FloatArray, r: float, terms: FloatArray
) -> tuple[float, float]:
    """Write what a pair with two velocities adds to each of the sums, and return u_L of both ends."""
    near = far = product = norm = 0.0
    for axis in range(3):
        near += first[axis] * d[axis] / r
        far += second[axis] * d[axis] / r
        product += first[axis] * second[axis]
        norm += 0.5 * (first[axis] ** 2 + second[axis] ** 2)
    terms[0] = 1.0
    terms[1] = r
    power = 1.0
    for n in range(6):
        power *= far - near
        terms[2 + n] = power
    near2, far2, total2 = near * near, far * far, (far + near) * (far + near)
    terms[8] = total2
    terms[9] = total2 * total2
    terms[10] = total2 * total2 * total2
    terms[11] = 0.5 * (near2 + far2)
    terms[12] = 0.5 * (near2 * near2 + far2 * far2)
    terms[13] = 0.5 * (near2 * near2 * near2 + far2 * far2 * far2)
    terms[14] = near * far
    terms[15] = product
    terms[16] = norm
    return near, far


@inlined_kernel
def _lot(first: np.uint64, second: np.uint64) -> np.uint64:
    """Return the lot of a pair from the hashes of its ends."""
    lot = (first ^ (second >> np.uint64(17)) ^ (second << np.uint64(47))) * np.uint64(0xD6E8FEB86659FD93)
    lot = (lot ^ (lot >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return lot ^ (lot >> np.uint64(32))


@kernel
def _add_pairs(
    positions: FloatArray,
    velocities: FloatArray,
    regions: IntArray,
    bits: UintArray,
    first: IntArray,
    second: IntArray,
    squares: FloatArray,
    box_size: float,
    keep: FloatArray,
    sums: FloatArray,
) -> tuple[IntArray, IntArray, FloatArray]:
    """Add pairs to the sums of their bins, and return bin, region, and velocities of those that are kept."""
    bins, everywhere, kept = len(squares) - 1, sums.shape[0] - 1, 0
    kept_bins, kept_regions = np.empty(len(first), dtype=np.int64), np.empty(len(first), dtype=np.int64)
    kept_values = np.empty((len(first), 3))
    d, terms = np.empty(3), np.empty(sums.shape[2])
    for p in range(len(first)):
        i, j = first[p], second[p]
        square = _separation(positions[i], positions[j], box_size, d)
        if square < squares[0] or square >= squares[bins] or square == 0.0:
            continue
        # The bins above share a pass because there are few pairs in them: a search from the top is short.
        b = bins - 1
        while square < squares[b]:
            b -= 1
        near, far = _write_terms(velocities[i], velocities[j], d, np.sqrt(square), terms)
        one, other = regions[i], regions[j]
        for q in range(sums.shape[2]):
            sums[everywhere, b, q] += terms[q]
            sums[one, b, q] += terms[q]
            if other != one:
                sums[other, b, q] += terms[q]
        lot = _lot(bits[i], bits[j])
        if lot / 2.0**64 < keep[b]:
            kept_bins[kept], kept_regions[kept] = b, one
            kept_values[kept, 0] = far - near
            kept_values[kept, 1] = far + near if lot & np.uint64(1) else -(far + near)
            kept_values[kept, 2] = near
            kept += 1
    return kept_bins[:kept], kept_regions[:kept], kept_values[:kept]
