"""Whole batches: every part of the rows is read with the same neighbours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astropipe.runtime.batches import whole_batches


@pytest.mark.parametrize(
    ("rows", "skip", "expected"),
    [
        (slice(0, 150), 0, [(slice(0, 128), slice(0, 128)), (slice(128, 150), slice(0, 22))]),
        (slice(37, 100), 0, [(slice(0, 128), slice(37, 100))]),
        (slice(64, 128), 0, [(slice(64, 128), slice(0, 64))]),
        (slice(37, 140), 91, [(slice(128, 150), slice(0, 12))]),
        (slice(37, 140), 103, []),
        (slice(5, 5), 0, []),
    ],
)
def test_blocks_of_whole_batches(rows: slice, skip: int, expected: list[tuple[slice, slice]]) -> None:
    assert list(whole_batches(rows, 150, batch=64, block=128, skip=skip)) == expected


@given(st.data())
def test_a_row_is_always_in_the_same_batch(data: st.DataObject) -> None:
    total, batch = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 9))
    start = data.draw(st.integers(0, total))
    rows = slice(start, data.draw(st.integers(start, total)))
    block, skip = batch * data.draw(st.integers(1, 4)), data.draw(st.integers(0, 60))
    found = []
    for read, wanted in whole_batches(rows, total, batch=batch, block=block, skip=skip):
        assert read.start % batch == 0
        assert read.stop % batch == 0 or read.stop == total
        assert 0 < read.stop - read.start <= block
        found += range(total)[read][wanted]
    assert found == [*range(rows.start + skip, rows.stop)]
