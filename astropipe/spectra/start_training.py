"""Training of the network that begins fits, on simulated spectra with noise, masks and all other damage."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse.linalg import svds
from torch import Tensor

from astropipe.runtime.seeds import stream
from astropipe.spectra.emulator import Emulator
from astropipe.spectra.pairs import pair
from astropipe.spectra.pixels import PIXEL_KM_S
from astropipe.spectra.rendering import renderer
from astropipe.spectra.search import Search
from astropipe.spectra.simulation import BLOCK, Survey, broadening_variance, draw_stars, simulate_rows
from astropipe.spectra.start import N_EXTRA, N_OUTPUTS, StartNetwork

# Signal-to-noise ratios on which it learns: from what is hardly of use to the best spectra.
_SNR = (4.0, 400.0)
# Where the search found another velocity than that of the star there is nothing to learn.
_LARGEST_SHIFT_KM_S = 40.0
_SMALLEST_LOG_SIGMA = -6.0


@dataclass(frozen=True)
class StartSettings:
    """How the network is trained: components, stars for them, spectra, widths of layers, and schedule."""

    n_components: int = 48
    n_clean: int = 6_000
    n_spectra: int = 120_000
    hidden: tuple[int, ...] = (192, 192)
    epochs: int = 40
    batch: int = 256
    learning_rate: float = 2e-3


def train_start(
    emulator: Emulator,
    settings: StartSettings,
    *,
    seed: int = 0,
    report: Callable[[float], None] = lambda share: None,
) -> StartNetwork:
    """Train the network of an emulator.

    Parameters
    ----------
    emulator : Emulator
        Gives the spectra.
    settings : StartSettings
        Sizes and schedule.
    seed : int
        Of stars, noise and first weights.
    report : callable
        Told which share is done.
    """
    view = renderer(emulator, 2)
    search = Search(view)
    with torch.no_grad():
        blank = _components(emulator, search, settings, seed)
        inputs, targets = [], []
        for stars, recorded in simulate_rows(emulator, Survey(snr=_SNR), _seed(seed), 0, settings.n_spectra):
            aligned = search(pair(recorded.flux, recorded.ivar))
            shift = torch.from_numpy(stars.rv_km_s).float() - aligned.rv_km_s
            found = shift.abs() < _LARGEST_SHIFT_KM_S
            inputs.append(blank.inputs(aligned)[found])
            labels = torch.from_numpy(np.column_stack([stars.labels, stars.v_sin_i_km_s])).float()
            targets.append(torch.cat([labels, shift[:, None], broadening_variance(stars)], dim=1)[found])
            report(0.6 * len(inputs) * BLOCK / settings.n_spectra)
    x, y = torch.cat(inputs), torch.cat(targets)
    centre, scale = y.mean(0), y.std(0)
    weights, biases = _fit(x, (y - centre) / scale, settings, seed, lambda share: report(0.6 + 0.4 * share))
    return replace(blank, weights=weights, biases=biases, centre=centre, scale=scale)


def _seed(seed: int) -> int:
    """Seed of the spectra, which no survey of a user has by chance."""
    return int(stream(seed, "spectra.train.start").integers(2**62))


def _components(emulator: Emulator, search: Search, settings: StartSettings, seed: int) -> StartNetwork:
    """Find the principal components of lines, in the frame of the star up to half a pair of pixels."""
    view = renderer(emulator, 2)
    rng = stream(seed, "spectra.train.components")
    lines = []
    for _ in range(-(-settings.n_clean // BLOCK)):
        stars = draw_stars(Survey(rv_limit_km_s=PIXEL_KM_S), rng, BLOCK)
        rv, v_sin_i = (torch.from_numpy(values).float() for values in (stars.rv_km_s, stars.v_sin_i_km_s))
        coefficients = emulator.coefficients(torch.from_numpy(stars.labels).float())
        transfer = view.transfer(rv, v_sin_i, broadening_variance(stars))
        lines.append(search.lines(view.pixels(view.transforms(coefficients) * transfer.factor)))
    spectra = torch.cat(lines)
    mean = spectra.mean(0)
    # A full decomposition takes a minute for the hundred times as many components that are thrown away.
    first_vector = np.ones(min(spectra.shape), dtype=np.float32)
    _, singular, basis = svds((spectra - mean).numpy(), settings.n_components, v0=first_vector)
    descending = np.argsort(-singular)
    basis, variance = (torch.from_numpy(part[descending]) for part in (basis, singular**2 / len(spectra)))
    nothing = torch.zeros(0)
    return StartNetwork(mean, basis, variance, (), (), nothing, nothing)


def _fit(
    x: Tensor, y: Tensor, settings: StartSettings, seed: int, report: Callable[[float], None]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Fit mean and standard deviation of standardised outputs by their Gaussian likelihood."""
    torch.manual_seed(_seed(seed) % 2**31)
    sizes = (settings.n_components + N_EXTRA, *settings.hidden, 2 * N_OUTPUTS)
    layers = [torch.nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    network = torch.nn.Sequential(*(part for layer in layers for part in (layer, torch.nn.SiLU())))[:-1]
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    steps = settings.epochs * -(-len(x) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=steps)
    for epoch in range(settings.epochs):
        for rows in torch.randperm(len(x)).split(settings.batch):
            mean, log_sigma = network(x[rows]).split(N_OUTPUTS, dim=1)
            log_sigma = log_sigma.clamp_min(_SMALLEST_LOG_SIGMA)
            loss = (log_sigma + 0.5 * ((mean - y[rows]) * torch.exp(-log_sigma)) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        report((epoch + 1) / settings.epochs)
    return tuple(layer.weight.detach() for layer in layers), tuple(layer.bias.detach() for layer in layers)
