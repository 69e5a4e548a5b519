"""How much features and classes of galaxies change when their pictures are turned, and what it is that changes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import rotate, shift

from astropipe.morphology import describing
from astropipe.morphology.classification import Settings, by_clusters
from astropipe.morphology.encoder_artifact import Encoder
from astropipe.morphology.encoding import Encoded, Seen, encode, see
from astropipe.morphology.measures import measure
from astropipe.morphology.reduction import fit_reduction
from astropipe.morphology.stamps import Stamps
from astropipe.morphology.voting import consensus

_TURNS = 36
_CHOSEN = 80
_MOVES_PX = ((0.5, 0.5), (0.5, 0.0), (0.3, -0.3), (-0.5, 0.2))
# Votes of the same galaxies, of other seeds.
_VOTES = 5
_SURE = 0.8


def turn_rows(stamps: Stamps, known: describing.Described, encoder: Encoder, threads: int) -> list[list[str]]:
    """Return the rows of the table; all galaxies show a shape, turned or not."""
    at = np.arange(0, len(stamps), len(stamps) // _CHOSEN)
    chosen = stamps.rows(at)
    before = seen(chosen, encoder)
    # Turned by interpolation, which changes the noise too; quarters are exact.
    turns = [seen(turned_by(chosen, 360.0 * i / _TURNS), encoder) for i in range(1, _TURNS)]
    kinds = {
        "turned": turns,
        "network": [replace(before, features=turn.features) for turn in turns],
        "rings": [replace(before, profile=turn.profile) for turn in turns],
        "moved": [seen(moved_by(chosen, *by), encoder) for by in _MOVES_PX],
    }
    encoded = {kind: [read(one, encoder) for one in parts] for kind, parts in kinds.items()}
    votes = list(class_votes(known, encoder, [one for parts in encoded.values() for one in parts], threads))
    told = [one.argmax(axis=1) for one in votes]
    own, agreement = told[0][at], votes[0][at].max(axis=1)
    by_kind = np.split(told[0][len(stamps) :].reshape(-1, len(at)), np.cumsum([len(parts) for parts in kinds.values()]))
    same = {kind: labels == own for kind, labels in zip(kinds, by_kind, strict=False)}
    nearest = told[0][places_of_nearest(encoded["turned"], known.encoded.embedding)] == own
    head = read(before, encoder).probabilities.argmax(axis=1)
    kept, sure = agreement >= Settings().min_agreement, agreement >= _SURE
    cosine = [similarity(turn.features, before.features) for turn in turns]
    values = [
        ("class of the encoder unchanged", [one.probabilities.argmax(axis=1) == head for one in encoded["turned"]]),
        ("class of the nearest galaxy unchanged", nearest),
        ("the same of kept galaxies", nearest[:, kept]),
        ("class by the clusters unchanged", same["turned"]),
        ("the same of kept galaxies", same["turned"][:, kept]),
        (f"of the {100 * sure.mean():.0f} % of agreement {_SURE:g} or more", same["turned"][:, sure]),
        ("of the others", same["turned"][:, ~sure]),
        ("if only the view of the network is turned", same["network"]),
        ("if only the rings are", same["rings"]),
        ("if the picture is moved by parts of a pixel, not turned", same["moved"]),
        (
            "if nothing is turned and the vote has another seed",
            [each[: len(stamps)] == told[0][: len(stamps)] for each in told[1:]],
        ),
    ]
    return [
        ["cosine of features, mean", f"{np.mean(cosine):.4f}"],
        ["cosine of features, lowest of 100", f"{np.quantile(cosine, 0.01):.4f}"],
        *([name, f"{np.mean(unchanged):.3f}"] for name, unchanged in values),
    ]


def turns_note() -> str:
    """Say what the table was made of."""
    return (
        f"{_CHOSEN} galaxies of S/N 100, {_TURNS} turns, each resampled, measured and encoded again. By the clusters: "
        "those of the vote of all galaxies as they are give classes to the turned ones. Other seeds: of all galaxies."
    )


def seen(stamps: Stamps, encoder: Encoder) -> Seen:
    """Measure stamps and return what is seen of them."""
    rows, view, _ = describing.viewed(stamps, measure(stamps))
    return see(encoder.network, encoder.denoiser, stamps.rows(rows), view)


def read(one: Seen, encoder: Encoder) -> Encoded:
    """Return what the reader says of what was seen."""
    return encode(one, encoder.reader, truth_mean=encoder.truth_mean, truth_std=encoder.truth_std)


def similarity(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the cosine of each pair of rows."""
    return np.asarray(np.sum(one * other, axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1))


def places_of_nearest(parts: list[Encoded], embedding: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return which galaxies are nearest in the embedding, a row for each part."""
    distances = (((one.embedding[:, None] - embedding[None]) ** 2).sum(axis=2) for one in parts)
    return np.array([distance.argmin(axis=1) for distance in distances])


def class_votes(
    known: describing.Described, encoder: Encoder, others: list[Encoded], threads: int
) -> Iterator[NDArray[np.float64]]:
    """Return, seed after seed, the votes for classes of all galaxies and, by the same clusters, of others."""
    assert encoder.reference is not None
    settings = Settings()
    values = describing.quantities(known.measures.__getitem__, known.encoded.truths)
    reduction = fit_reduction(known.encoded.embedding, settings.n_components)
    reduced = reduction.apply(known.encoded.embedding)
    everything = np.concatenate([reduced, *(reduction.apply(one.embedding) for one in others)])
    for seed in range(_VOTES):
        found = consensus(
            reduced,
            n_groups=settings.n_groups,
            n_runs=settings.n_runs,
            sample_fraction=settings.sample_fraction,
            feature_fraction=settings.feature_fraction,
            seed=seed,
            threads=threads,
        )
        yield by_clusters(found, everything, values, reduction, encoder.reference, threads)[1]


def turned_by(stamps: Stamps, angle: float) -> Stamps:
    """Return stamps turned by an angle in degrees."""
    images = np.stack([rotate(image, angle, reshape=False, order=3) for image in stamps.images])
    masks = [rotate(mask.astype(float), angle, reshape=False, order=1, cval=1.0) > 0.3 for mask in stamps.masks]
    return _resampled(stamps, images, np.stack(masks))


def moved_by(stamps: Stamps, rows: float, columns: float) -> Stamps:
    """Return stamps moved by parts of a pixel."""
    images = np.stack([shift(image, (rows, columns), order=3) for image in stamps.images])
    masks = [shift(mask.astype(float), (rows, columns), order=1, cval=1.0) > 0.3 for mask in stamps.masks]
    return _resampled(stamps, images, np.stack(masks))


def _resampled(stamps: Stamps, images: NDArray[np.floating], masks: NDArray[np.bool_]) -> Stamps:
    # Interpolation lowers the noise, which is measured again as it would be.
    sky_rms = stamps.sky_rms * _sky(images, masks) / _sky(stamps.images, stamps.masks)
    return replace(stamps, images=np.where(masks, 0, images).astype(np.float32), masks=masks, sky_rms=sky_rms)


def _sky(images: NDArray[np.floating], masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the scatter of the pixels far from the middle of each stamp."""
    axis = np.arange(images.shape[1]) - (images.shape[1] - 1) / 2
    far = np.hypot(axis[:, None], axis[None, :]) >= 50.0
    pixels = [image[far & ~mask] for image, mask in zip(images, masks, strict=True)]
    return np.array([1.4826 * np.median(np.abs(values - np.median(values))) for values in pixels])
