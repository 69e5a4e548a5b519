"""Random streams: one for each object, whatever the order and the cut; without correlation between them."""

from __future__ import annotations

import numpy as np
import pytest

from astropipe.runtime.errors import UsageError
from astropipe.runtime.run import Chunk
from astropipe.runtime.seeds import seed_sequence, stream


def _draws(seed: int, stage: str, object_id: int | str | None = None, n: int = 4) -> list[float]:
    return stream(seed, stage, object_id).random(n).tolist()


def test_a_stream_depends_on_its_key_only_and_not_on_order_or_chunks() -> None:
    whole = [_draws(5, "nbody.simulate", number) for number in range(40)]
    for count in (1, 3, 7):
        for index in reversed(range(1, count + 1)):
            rows = Chunk(index, count).rows(40)
            assert [_draws(5, "nbody.simulate", number) for number in range(40)[rows]] == whole[rows]


def test_other_keys_give_other_streams() -> None:
    keys = [
        (0, "a", None), (1, "a", None), (0, "b", None), (0, "a", 0), (0, "a", 1), (0, "a", 7), (0, "a", "7"),
        (0, "a", "0"), (0, "a", ""), (0, "a", 2**32), (0, "a", 2**32 + 1), (0, "a", 2**64), (0, "a", 2**64 + 1),
        (2**32, "a", None), (0, "a", "Ω"), (2**64, "a", 0),
    ]  # fmt: skip
    assert len({tuple(_draws(*key)) for key in keys}) == len(keys)


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_ids_from_a_table_are_ids(kind: type[np.integer]) -> None:
    assert _draws(0, "a", kind(7)) == _draws(0, "a", 7)
    assert _draws(0, "a", np.str_("x")) == _draws(0, "a", "x")


def test_the_key_is_numpys_own_spawning() -> None:
    """A child made by `SeedSequence.spawn` from the stage's sequence has a different key, so that both can be used."""
    sequence = seed_sequence(3, "stage")
    assert sequence.entropy == 3
    child = sequence.spawn(1)[0]
    assert child.spawn_key[:-1] == sequence.spawn_key
    assert np.random.default_rng(child).random() not in _draws(3, "stage", 0)


def test_streams_of_neighbouring_ids_are_uncorrelated() -> None:
    """The largest of the C(60, 2) correlations of 4000 draws stays below 5 standard errors, 5 / sqrt(4000)."""
    draws = np.array([_draws(0, "stage", number, 4000) for number in range(60)])
    correlations = np.corrcoef(draws)[np.triu_indices(60, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(4000)
    assert abs(correlations.std() * np.sqrt(4000) - 1) < 0.1
    first = np.array(_first_draws(2000))
    assert abs(first.mean() - 0.5) < 5 * np.sqrt(1 / 12 / 2000)
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 5 / np.sqrt(2000)


def _first_draws(count: int) -> list[float]:
    return [stream(0, "stage", number).random() for number in range(count)]


@pytest.mark.parametrize(("seed", "object_id"), [(-1, None), (0, -1), (0, np.int64(-1))])
def test_negative_keys_are_refused(seed: int, object_id: int | None) -> None:
    with pytest.raises(UsageError, match="must be 0 or larger, not -1"):
        stream(seed, "stage", object_id)
