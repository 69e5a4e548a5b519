"""Rendered galaxies without noise, kept in memory: what denoiser and encoder learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
import torch
from numpy.typing import NDArray

from astropipe.morphology.classes import CLASSES
from astropipe.morphology.rendering.galaxies import TRUTH, Galaxy, render
from astropipe.runtime.errors import InterruptedRunError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.seeds import stream

LIBRARY_PX = 128
"""Rows and columns of the galaxies of a library."""
_R50_PX = 16.0


@dataclass(frozen=True)
class Library:
    """Rendered galaxies without noise, n of them.

    Attributes
    ----------
    images : ndarray of float16, shape (n, LIBRARY_PX, LIBRARY_PX)
        Of mean 1.
    r50_px : ndarray of float32, shape (n,)
        Half-light radii.
    classes : ndarray of int64, shape (n,)
        Places in `CLASSES`.
    truths : ndarray of float32, shape (n, len(TRUTH))
        NaN where a truth has no meaning.
    """

    images: NDArray[np.float16]
    r50_px: NDArray[np.float32]
    classes: NDArray[np.int64]
    truths: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.images)

    def on(self, device: str) -> Light:
        """Return the galaxies as a device has them at hand."""
        return Light(torch.from_numpy(self.images).to(device), torch.from_numpy(self.r50_px).to(device))


@dataclass(frozen=True)
class Light:
    """Images and half-light radii of a library, on the device that works with them."""

    images: torch.Tensor
    r50_px: torch.Tensor

    def __call__(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return some galaxies, of unit flux, and their half-light radii: what `augmentation.view` takes first."""
        return self.images[chosen].float() / LIBRARY_PX**2, self.r50_px[chosen]


def render_library(
    n: int, seed: int, *, threads: int = 1, progress: Callable[[int], None] = lambda done: None
) -> Library:
    """Render galaxies of all classes in equal numbers, each from a random stream of its own.

    Parameters
    ----------
    n, seed : int
        Number of galaxies, and root seed.
    threads : int
        Processes that render; never changes a result.
    progress : callable
        Told the number of galaxies done.

    Raises
    ------
    InterruptedRunError
        If the run was interrupted.
    """
    images = np.empty((n, LIBRARY_PX, LIBRARY_PX), dtype=np.float16)
    r50_px = np.empty(n, dtype=np.float32)
    truths = np.empty((n, len(TRUTH)), dtype=np.float32)
    with ExitStack() as stack:
        every: Callable[..., Iterable[Galaxy]] = map
        if threads > 1:
            every = partial(stack.enter_context(get_context("spawn").Pool(threads)).imap, chunksize=32)
        for i, galaxy in enumerate(every(partial(_render_one, seed), range(n))):
            if stop_requested():
                raise InterruptedRunError("interrupted while galaxies were rendered; run again with --force")
            images[i] = galaxy.image * LIBRARY_PX**2
            r50_px[i] = galaxy.r50_px
            truths[i] = [galaxy.truth[name] for name in TRUTH]
            progress(i + 1)
    return Library(images, r50_px, np.arange(n) % len(CLASSES), truths)


def _render_one(seed: int, number: int) -> Galaxy:
    rng = stream(seed, "morphology.library", number)
    return render(CLASSES[number % len(CLASSES)], rng, size=LIBRARY_PX, r50_px=_R50_PX)
