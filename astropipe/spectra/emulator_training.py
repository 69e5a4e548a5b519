"""How the emulator is made of a grid of synthetic spectra: to pixels, components, Gaussian processes, honest errors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import fftconvolve
from torch import Tensor

from astropipe.spectra.components import population_weights, principal_components
from astropipe.spectra.emulator import N_INPUTS, RESOLUTION, TIO_T_EFF_K, Emulator, no_calibration
from astropipe.spectra.gaussian_process import Process, fit_process, process_features
from astropipe.spectra.pixels import LOG10_STEP, PixelRange
from astropipe.spectra.population import draw_labels

Floats = NDArray[np.floating]

# Fine pixels in a pixel: the step of the grid, 0.04 Angstrom, is a third of a pixel.
_OVERSAMPLED = 4
_MARGIN_PIXELS = 200
_SIGMA_PER_FWHM = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))
# Effective temperatures in K about which the error of the emulator is averaged; TiO makes it jump.
_ERROR_T_EFF_K = (3_900.0, 4_200.0, TIO_T_EFF_K - 10.0, TIO_T_EFF_K + 10.0, 5_000.0, 5_700.0, 6_700.0)
_ERROR_WIDTH_K = 200.0


@dataclass(frozen=True)
class TrainingSettings:
    """How the Gaussian processes are fitted and the network is trained.

    Attributes
    ----------
    n_components : int
        Principal components kept.
    blocks : tuple of int
        Where the groups of components begin that share a kernel.
    iterations : int
        Steps of Adam for the parameters of a kernel.
    n_subset : int
        Spectra on which they are fitted; the weights then use all.
    hidden : tuple of int
        Widths of the hidden layers of the network.
    n_stars, epochs, batch : int
        Stars on which it is trained, how often, and how many together.
    learning_rate : float
        Largest of the cycle.
    """

    n_components: int = 150
    blocks: tuple[int, ...] = (0, 8, 40)
    iterations: int = 150
    n_subset: int = 1_200
    hidden: tuple[int, ...] = (384, 384)
    n_stars: int = 200_000
    epochs: int = 40
    batch: int = 512
    learning_rate: float = 3e-3


def to_rest_pixels(wavelength_a: Floats, flux: Floats, arm: PixelRange) -> NDArray[np.float32]:
    """Smooth synthetic spectra to `RESOLUTION` and average them over pixels.

    Parameters
    ----------
    wavelength_a : ndarray, shape (m,)
        Vacuum wavelengths in Angstrom.
    flux : ndarray, shape (n, m)
        Flux in units of the continuum; beyond its ends the last value is taken to go on.
    arm : PixelRange
        The pixels.

    Returns
    -------
    ndarray of float32, shape (n, arm.size)
    """
    fine = np.arange(-_MARGIN_PIXELS * _OVERSAMPLED, (arm.size + _MARGIN_PIXELS) * _OVERSAMPLED)
    log10 = (arm.first - 0.5 + (fine + 0.5) / _OVERSAMPLED) * LOG10_STEP
    inside = np.clip(10.0**log10, wavelength_a[0], wavelength_a[-1])
    sigma = _SIGMA_PER_FWHM / RESOLUTION / math.log(10.0) / LOG10_STEP * _OVERSAMPLED
    reach = int(5.0 * sigma) + 1
    profile = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    profile /= profile.sum()
    out = np.empty((len(flux), arm.size), dtype=np.float32)
    for i, spectrum in enumerate(flux):
        smooth = fftconvolve(CubicSpline(wavelength_a, spectrum)(inside), profile, mode="same")
        kept = smooth[_MARGIN_PIXELS * _OVERSAMPLED : -_MARGIN_PIXELS * _OVERSAMPLED]
        out[i] = kept.reshape(arm.size, _OVERSAMPLED).mean(axis=1)
    return out


@dataclass(frozen=True)
class Teacher:
    """What the grid says of any star: Gaussian processes on principal components, in float64.

    Attributes
    ----------
    centre, scale : Tensor, shape (20,)
        Mean and standard deviation of the features.
    processes : tuple of Process
        One for each block of components.
    mean : ndarray, shape (pixels of REST,)
        Mean spectrum.
    basis : ndarray, shape (k, pixels of REST)
        Principal components.
    """

    centre: Tensor
    scale: Tensor
    processes: tuple[Process, ...]
    mean: NDArray[np.float64]
    basis: NDArray[np.float64]

    def coefficients(self, labels: Tensor) -> Tensor:
        """Return coefficients of the basis, shape (n, k), for labels in float64, shape (n, 18)."""
        z = (process_features(labels) - self.centre) / self.scale
        return torch.cat([process.mean(z) for process in self.processes], dim=1)

    def left_out(self) -> NDArray[np.float64]:
        """Coefficients of each training spectrum less those from all others, shape (n, k)."""
        return torch.cat([process.left_out for process in self.processes], dim=1).numpy()


def fit_teacher(
    labels: Floats,
    spectra: Floats,
    settings: TrainingSettings,
    *,
    seed: int = 0,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Teacher:
    """Fit Gaussian processes to synthetic spectra.

    Parameters
    ----------
    labels : ndarray, shape (n, 18)
        In the order of `emulator.INPUT_NAMES`.
    spectra : ndarray, shape (n, pixels of REST)
        In units of the continuum, at `RESOLUTION`.
    settings : TrainingSettings
        Sizes and schedule.
    seed : int
        Chooses the subset on which kernels are fitted.
    report : callable
        Told how many steps of how many are done.
    """
    x = process_features(torch.from_numpy(np.asarray(labels, dtype=np.float64)))
    centre, scale = x.mean(0), x.std(0)
    z = (x - centre) / scale
    mean, basis = principal_components(spectra, population_weights(labels[:, 0]), settings.n_components)
    y = torch.from_numpy((spectra - mean) @ basis.T)
    subset = torch.from_numpy(np.random.default_rng(seed).permutation(len(labels))[: settings.n_subset])
    edge = float((5040.0 / TIO_T_EFF_K - centre[0]) / scale[0])
    edges = (*(start for start in settings.blocks if start < settings.n_components), settings.n_components)
    total = settings.iterations * (len(edges) - 1)
    processes = []
    for i, (start, stop) in enumerate(itertools.pairwise(edges)):

        def step(done: int, before: int = i * settings.iterations) -> None:
            report(before + done, total)

        processes.append(fit_process(z, y[:, start:stop], subset, edge, iterations=settings.iterations, report=step))
    return Teacher(centre, scale, tuple(processes), mean, basis)


def draw_training_labels(rng: np.random.Generator, n: int) -> Floats:
    """Draw labels on which the network learns: the population, scattered a little beyond its edges."""
    labels = draw_labels(rng, n)
    labels[:, 0] += rng.normal(0.0, 40.0, n)
    labels[:, 1] += rng.normal(0.0, 0.1, n)
    labels[:, 2:17] += rng.normal(0.0, 0.05, (n, 1))
    labels[:, 3:17] += rng.normal(0.0, 0.1, (n, 14))
    labels[:, 17] += rng.normal(0.0, 0.15, n)
    return labels


def teach(
    teacher: Teacher,
    labels: Floats,
    settings: TrainingSettings,
    *,
    seed: int = 0,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Emulator:
    """Train the network on stars drawn at random whose spectra the teacher gives.

    Parameters
    ----------
    teacher : Teacher
        Gives the coefficients.
    labels : ndarray, shape (n, 18)
        Labels of the grid, for the box of the training set.
    settings : TrainingSettings
        Sizes and schedule.
    seed : int
        Of stars and of first weights.
    report : callable
        Told how many epochs of how many are done.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    stars = torch.from_numpy(draw_training_labels(rng, settings.n_stars))
    target = torch.cat([teacher.coefficients(part) for part in stars.split(512)])
    spread = target.std(0)
    sizes = (N_INPUTS + 1, *settings.hidden, target.shape[1])
    layers = [torch.nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    network = torch.nn.Sequential(*(part for layer in layers for part in (layer, torch.nn.SiLU())))[:-1]
    blank = Emulator(
        centre=teacher.centre[:N_INPUTS].float(),
        scale=teacher.scale[:N_INPUTS].float(),
        weights=(),
        biases=(),
        mean=torch.from_numpy(teacher.mean).float(),
        basis=torch.from_numpy(teacher.basis).float(),
        error_t_eff=torch.tensor(_ERROR_T_EFF_K),
        error_variance=torch.zeros(len(_ERROR_T_EFF_K), len(teacher.mean)),
        low=torch.from_numpy(labels.min(0)).float(),
        high=torch.from_numpy(labels.max(0)).float(),
        **no_calibration(len(teacher.mean), len(_ERROR_T_EFF_K)),
    )
    inputs, wanted = blank.inputs(stars.float()), (target / spread).float()
    # Between equal errors of all components, and errors in proportion to their spread.
    weight = (spread / spread.mean()).float()
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    steps = -(-len(inputs) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=settings.epochs * steps, pct_start=0.05, final_div_factor=1e3
    )
    for epoch in range(settings.epochs):
        for rows in torch.randperm(len(inputs)).split(settings.batch):
            loss = (weight * (network(inputs[rows]) - wanted[rows]) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        report(epoch + 1, settings.epochs)
    weights = [layer.weight.detach() for layer in layers]
    biases = [layer.bias.detach() for layer in layers]
    weights[-1], biases[-1] = weights[-1] * spread.float()[:, None], biases[-1] * spread.float()
    return replace(blank, weights=tuple(weights), biases=tuple(biases))


def with_errors(emulator: Emulator, teacher: Teacher, labels: Floats, *, seed: int = 0) -> Emulator:
    """Return the emulator with its error variance in each pixel, at some temperatures.

    The variance is that of the teacher at a spectrum that it does not know, by leaving out each of its own in turn, and
    that of the network about the teacher at stars that it has not seen.
    """
    stars = torch.from_numpy(draw_labels(np.random.default_rng([seed, 1]), len(labels)))
    taught = torch.cat([teacher.coefficients(part) for part in stars.split(512)])
    missed = (emulator.coefficients(stars.float()).double() - taught).numpy()
    error = np.zeros((len(_ERROR_T_EFF_K), len(teacher.mean)))
    for at, coefficients in ((labels[:, 0], teacher.left_out()), (stars[:, 0].numpy(), missed)):
        residual = np.abs(coefficients @ teacher.basis)
        for i, t_eff in enumerate(_ERROR_T_EFF_K):
            same_side = (at < TIO_T_EFF_K) == (t_eff < TIO_T_EFF_K)
            near = same_side * np.exp(-0.5 * ((at - t_eff) / _ERROR_WIDTH_K) ** 2)
            # From the mean of absolute values, which single stars far off weigh down less than the mean of squares.
            error[i] += 0.5 * np.pi * (near @ residual / near.sum()) ** 2
    return replace(emulator, error_t_eff=torch.tensor(_ERROR_T_EFF_K), error_variance=torch.from_numpy(error).float())
