"""Rows in whole batches: what is computed together is the same whatever part of the rows is asked for."""

from __future__ import annotations

from collections.abc import Iterator


def whole_batches(rows: slice, total: int, *, batch: int, block: int, skip: int = 0) -> Iterator[tuple[slice, slice]]:
    """Go through rows in blocks of whole batches, which are counted from row 0.

    Sums of a matrix product or a transform depend, in their last digits, on the size of a batch and on the place of a
    row in it. A part that begins or ends inside of a batch therefore needs the whole batch.

    Parameters
    ----------
    rows : slice
        The rows wanted, start and stop given.
    total : int
        Number of rows there are.
    batch : int
        Rows of a batch; the last one may have fewer.
    block : int
        Rows of a block at most, a multiple of `batch`.
    skip : int
        Number of the rows wanted that are behind already.

    Yields
    ------
    read : slice
        Rows to read: whole batches.
    wanted : slice
        Those of them that are wanted, counted from the first read.
    """
    begin = rows.start + skip
    while begin < rows.stop:
        first = begin // batch * batch
        last = min(first + block, -(-rows.stop // batch) * batch, total)
        end = min(last, rows.stop)
        yield slice(first, last), slice(begin - first, end - first)
        begin = end
