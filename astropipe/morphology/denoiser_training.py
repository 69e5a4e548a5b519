"""Training of the denoiser, which never sees a galaxy without noise: noise2noise on pairs of exposures.

Two exposures of a galaxy have the same light and different noise. A network that guesses one from the other can do no
better than to give the light (Lehtinen et al. 2018, arXiv 1803.04189), because the noise of the other has no mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from astropipe.morphology.augmentation import exposures
from astropipe.morphology.denoiser import Denoiser
from astropipe.morphology.library import Library
from astropipe.runtime.errors import InterruptedRunError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.seeds import stream

_BATCH = 64
_LEARNING_RATE = 2e-3


def train_denoiser(
    library: Library,
    size: int,
    steps: int,
    seed: int,
    *,
    progress: Callable[[int], None] = lambda done: None,
    device: str = "cpu",
) -> Denoiser:
    """Train a denoiser of views of galaxies.

    Parameters
    ----------
    library : Library
        Rendered galaxies.
    size : int
        Rows and columns of the views.
    steps : int
        Batches of 64 pairs of exposures; Adam, whose rate falls as a cosine.
    seed : int
        Root of the random streams.
    progress : callable
        Told the number of steps done.
    device : str
        ``cpu`` or ``cuda``; numbers drawn on one are not those of the other.

    Returns
    -------
    Denoiser
        In evaluation mode, on the processor.

    Raises
    ------
    InterruptedRunError
        If the run was interrupted.
    """
    torch.manual_seed(int(stream(seed, "morphology.denoiser").integers(2**62)))
    rng = torch.Generator(device).manual_seed(int(stream(seed, "morphology.denoiser.pairs").integers(2**62)))
    denoiser, light = Denoiser().to(device), library.on(device)
    optimiser = torch.optim.Adam(denoiser.parameters(), lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))
    for step in range(steps):
        if stop_requested():
            raise InterruptedRunError("interrupted while the denoiser learned; run again with --force")
        chosen = torch.randint(len(library), (_BATCH,), generator=rng, device=device)
        first, second, variance = exposures(*light(chosen), size, rng)
        with torch.autocast(device, torch.bfloat16):
            guessed = denoiser(first)
        # Where photons of the galaxy make the noise, errors count less.
        loss = torch.mean((guessed - second) ** 2 / variance)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        progress(step + 1)
    return denoiser.cpu().eval()
