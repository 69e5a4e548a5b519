"""One root seed, from which every stage and every object gets its own random stream.

The stream of an object depends on the root seed, the name of the stage and the object's id only: not on
how the work was cut into chunks, in which order it ran, or on how many threads. Streams come from
`numpy.random.SeedSequence`, whose hashing makes streams of different keys independent for practical purposes.
"""

from __future__ import annotations

import hashlib

import numpy as np

from astropipe.runtime.errors import UsageError


def _words(name: str) -> tuple[int, ...]:
    """Hash a name to four 32-bit words, the form in which SeedSequence takes keys."""
    digest = hashlib.sha256(name.encode()).digest()[:16]
    return tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))


def seed_sequence(seed: int, stage: str, object_id: int | str | None = None) -> np.random.SeedSequence:
    """Return the seed sequence of a stage, or of one object of it.

    Parameters
    ----------
    seed : int
        Root seed, 0 or larger.
    stage : str
        Name of the stage and purpose, for example ``"nbody.simulate"``.
    object_id : int or str, optional
        Id of the object. Integers and strings give different streams (``7`` is not ``"7"``).

    Raises
    ------
    UsageError
        If the seed or an integer id is negative.
    """
    if seed < 0:
        raise UsageError(f"the seed must be 0 or larger, not {seed}")
    key = _words(stage)
    if isinstance(object_id, int | np.integer):
        object_id = int(object_id)
        if object_id < 0:
            raise UsageError(f"an integer object id must be 0 or larger, not {object_id}")
        key += (0, object_id & 0xFFFFFFFF, object_id >> 32)
    elif object_id is not None:
        key += (1, *_words(object_id))
    return np.random.SeedSequence(entropy=seed, spawn_key=key)


def stream(seed: int, stage: str, object_id: int | str | None = None) -> np.random.Generator:
    """Return the random generator of a stage, or of one object of it; see `seed_sequence`."""
    return np.random.Generator(np.random.PCG64(seed_sequence(seed, stage, object_id)))
