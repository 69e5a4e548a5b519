"""The weights of pixels against what they are defined to be, written out in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from astropipe.spectra.known_error import KnownError
from astropipe.spectra.pairs import N_PAIRS, SIZES
from astropipe.spectra.weighing import known_weights, weigh

N = 5
ENDS = [[[0, SIZES[0]], [0, SIZES[1]]], [[7, SIZES[0]], [0, 1_900]], [[0, 0], [3, 10]], [[0, 2_050], [0, SIZES[1]]]]
ENDS.append([[4, 2_000], [11, 1_500]])
CORE = [[2_990, 3_002], [2_100, 2_100], [2_105, 2_120], [N_PAIRS, N_PAIRS], [3_000, 3_001]]


def _error(rng: np.random.Generator) -> KnownError:
    return KnownError(
        table=torch.from_numpy(rng.uniform(0.0, 1e-3, (3, N_PAIRS))).float(),
        row=torch.tensor([0, 1, 1, 0, 0]),
        share=torch.tensor([0.0, 1.0, 0.3, 0.9, 0.5]),
        factor=torch.tensor([1.0, 0.1, 3.0, 0.0, 2.0]),
        always=torch.from_numpy(rng.uniform(0.0, 1e-4, N_PAIRS)).float(),
        ends=torch.tensor(ENDS),
        core=torch.tensor(CORE),
    )


def _used() -> np.ndarray:
    used = np.zeros((N, N_PAIRS), dtype=bool)
    for i in range(N):
        for arm, first in enumerate((0, SIZES[0])):
            used[i, first + ENDS[i][arm][0] : first + ENDS[i][arm][1]] = True
        used[i, CORE[i][0] : CORE[i][1]] = False
    return used


def _expected(ivar: torch.Tensor, level: torch.Tensor, error: KnownError) -> np.ndarray:
    table, row = error.table.double().numpy(), error.row.numpy()
    share, factor = error.share.double().numpy()[:, None], error.factor.double().numpy()[:, None]
    emulated = (table[row] * (1.0 - share) + table[row + 1] * share) * factor + error.always.double().numpy()
    with np.errstate(divide="ignore"):
        noise = 1.0 / ivar.double().numpy()
    return np.where(_used(), 1.0 / (noise + emulated * level.double().numpy() ** 2), 0.0)


def _observed(rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    ivar = (
        torch.from_numpy(rng.uniform(0.5, 2.0, (N, N_PAIRS))).float() * torch.tensor([1e4, 1e2, 1e6, 1e3, 1e4])[:, None]
    )
    ivar[torch.from_numpy(rng.random((N, N_PAIRS)) < 0.1)] = 0.0
    level = torch.from_numpy(rng.uniform(0.8, 1.2, (N, N_PAIRS))).float()
    model = torch.from_numpy(rng.uniform(0.4, 1.0, (N, N_PAIRS))).float()
    return ivar, level, model


def test_known_weights_are_those_of_noise_and_emulator() -> None:
    rng = np.random.default_rng(1)
    error, (ivar, level, _) = _error(rng), _observed(rng)
    found = known_weights(ivar, level, error).numpy()
    np.testing.assert_allclose(found, _expected(ivar, level, error), rtol=1e-5)
    np.testing.assert_allclose(error.variance()[0], error.table[0] + error.always)
    np.testing.assert_allclose(
        error.variance(torch.tensor([5]), always=False)[2, 0], 3.0 * torch.lerp(*error.table[1:, 5], 0.3)
    )


def test_the_excess_is_found_and_what_stands_out_is_taken_out() -> None:
    rng = np.random.default_rng(2)
    error, (ivar, level, model) = _error(rng), _observed(rng)
    known = _expected(ivar, level, error)
    # Residuals of the known size, and 3 % more in the red arm.
    sigma = np.where(known > 0.0, 1.0 / np.sqrt(np.where(known > 0.0, known, 1.0)), 0.0)
    more = np.where(np.arange(N_PAIRS) >= SIZES[0], 0.03, 0.0)
    residual = rng.standard_normal((N, N_PAIRS)) * np.hypot(sigma, more)
    spiked = rng.random((N, N_PAIRS)) < 0.002
    residual = np.where(spiked, 20.0 * np.hypot(sigma, more), residual)
    flux = torch.from_numpy(level.double().numpy() * model.double().numpy() + residual).float()
    seen = weigh(flux, ivar, level, model, error, torch.from_numpy(spiked))

    for i in range(N):
        for arm, part in enumerate((slice(0, SIZES[0]), slice(SIZES[0], N_PAIRS))):
            weight, off = np.where(spiked[i], 0.0, known[i])[part], residual[i, part]
            size = (weight**2).sum()
            excess = max(((weight * off) ** 2 - weight).sum() / size, 0.0) if size else 0.0
            assert seen.excess[i, arm] == pytest.approx(excess, rel=1e-3, abs=1e-6 / max(size, 1.0) ** 0.5)
            weight = known[i, part] / (1.0 + known[i, part] * excess)
            out = (off > 0.0) & (off**2 * weight > 25.0)
            clear = np.abs(off * np.sqrt(weight) - 5.0) > 0.01
            np.testing.assert_array_equal(seen.spikes[i, part].numpy()[clear], out[clear])
            weight[out] = 0.0
            np.testing.assert_allclose(seen.weights[i, part].numpy()[clear], weight[clear], rtol=2e-3)
            np.testing.assert_allclose(seen.pull[i, part].numpy()[clear], (weight * off)[clear], rtol=3e-3, atol=0.3)
    assert seen.excess[0, 1] ** 0.5 == pytest.approx(0.03, rel=0.1)
    assert (seen.spikes.numpy() & spiked & (known > 0.0)).sum() == (spiked & (known > 0.0)).sum()
