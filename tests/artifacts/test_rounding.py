import numpy as np
import pytest

from astropipe.artifacts.rounding import rounded


@pytest.mark.parametrize("bits", [7, 12])
def test_numbers_change_by_less_than_asked_and_end_in_zeros(bits: int) -> None:
    values = np.random.default_rng(0).normal(0.0, 1e3, 1000).astype(np.float32)
    kept = rounded(values, bits)
    assert np.max(np.abs(kept / values - 1.0)) <= 2.0 ** -(bits + 1)
    assert not np.any(kept.view(np.uint32) & np.uint32((1 << (23 - bits)) - 1))
    assert rounded(np.zeros(3, dtype=np.float32), bits).tolist() == [0.0, 0.0, 0.0]
