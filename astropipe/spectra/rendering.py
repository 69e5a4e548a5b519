"""Emulated spectra as a spectrograph sees them: broadened, shifted, on observed pixels, all in Fourier space.

The principal components are kept as Fourier transforms, so that a spectrum costs one matrix product and one inverse
transform whatever its velocity and broadening; derivatives by both are factors too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from astropipe.spectra.broadening import frequencies_s_km, rotation
from astropipe.spectra.emulator import RESOLUTION, REST, Emulator, rest_slices
from astropipe.spectra.pixels import OBSERVED, PIXEL_KM_S, SPEED_OF_LIGHT_KM_S

N_FFT = 4_320
"""Pixels of a transform: the longer arm and a ramp that leads from its end back to its start."""
_SIGMA_PER_FWHM = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))
# Pixels at the ends of an emulated spectrum into which the ramp is smeared.
_EDGE_PIXELS = 8
# Table of the rotation profile over frequency times velocity; the largest is 0.072 cycles per km/s times 400 km/s.
_TABLE_STEP, _TABLE_END = 0.005, 40.0


def line_spread_variance(resolution: Tensor | float) -> Tensor | float:
    """Variance in (km/s)² by which emulated spectra must be broadened to a resolving power; negative if sharper."""
    sigma = SPEED_OF_LIGHT_KM_S * _SIGMA_PER_FWHM
    return sigma**2 * (resolution**-2.0 - RESOLUTION**-2.0)


@dataclass(frozen=True)
class Transfer:
    """Factors on the transform of a spectrum, shape (n, 2 arms, frequencies), complex.

    Attributes
    ----------
    factor : Tensor
        Broadening, Doppler shift and averaging over pixels.
    by_rotation : Tensor, or None
        What takes a broadened spectrum to its derivative by v_sin_i², real; only where it is asked for.
    """

    factor: Tensor
    by_rotation: Tensor | None = None


class Renderer:
    """An emulator whose spectra are seen on the pixels of `OBSERVED`.

    Parameters
    ----------
    emulator : Emulator
        Gives mean and basis.
    binning : int
        1 for the pixels as they are, 2 for the means of two neighbours, which keep all that the line-spread function
        lets through.
    """

    def __init__(self, emulator: Emulator, binning: int = 1) -> None:
        self.emulator = emulator
        self.binning = binning
        self.sizes = tuple(arm.size // binning for arm in OBSERVED)
        self._n_kept = N_FFT // binning
        frequency = frequencies_s_km(N_FFT)[: self._n_kept // 2 + 1]
        self.frequency = torch.from_numpy(frequency).float()
        # What takes a spectrum to its derivatives by velocity, and by the variance of a broadening.
        self.by_velocity, self.by_variance = -2j * math.pi * self.frequency, -2.0 * (math.pi * self.frequency) ** 2
        self._averaging = torch.cos(math.pi * self.frequency * PIXEL_KM_S) if binning == 2 else None
        # Where observed pixels lie in a transform.
        starts = [(observed.first - rest.first) // binning for observed, rest in zip(OBSERVED, REST, strict=True)]
        self._places = [slice(start, start + size) for start, size in zip(starts, self.sizes, strict=True)]
        self._mean = self._transformed(emulator.mean[None])[0]
        basis = self._transformed(emulator.basis)
        self._basis = torch.view_as_real(basis).flatten(1).contiguous()
        residual_basis = self._transformed(emulator.residual_basis)
        self._residual_basis = torch.view_as_real(residual_basis).flatten(1).contiguous()
        y = np.arange(0.0, _TABLE_END, _TABLE_STEP)
        table = rotation(y, 1.0)
        slope = np.gradient(table, _TABLE_STEP)
        # dR/d(v²) = f² R'(y) / (2 y) with y = f v; at 0 the limit.
        by_square = np.divide(slope, 2.0 * y, out=np.zeros_like(y), where=y > 0.0)
        by_square[:2] = by_square[2]
        self._rotation = torch.from_numpy(table).float()
        self._rotation_slope = torch.from_numpy(by_square).float()

    def _transformed(self, spectra: Tensor) -> Tensor:
        """Transform emulated spectra, shape (n, pixels of REST) to (n, 2, frequencies)."""
        if not len(spectra):
            return torch.zeros(0, 2, len(self.frequency), dtype=torch.complex64)
        arms = []
        for place in rest_slices():
            arm = spectra[:, place].double()
            way = torch.linspace(0.0, 1.0, N_FFT - arm.shape[1] + 2, dtype=arm.dtype)[1:-1]
            ramp = arm[:, -1:] * (1.0 - way) + arm[:, :1] * way
            arms.append(torch.fft.rfft(torch.cat([arm, ramp], dim=1))[:, : len(self.frequency)])
        return torch.stack(arms, dim=1).to(torch.complex64)

    def transfer(
        self, rv_km_s: Tensor, v_sin_i_km_s: Tensor, variance: Tensor, *, derivatives: bool = False
    ) -> Transfer:
        """Return the factors for velocities, shape (n,), and variances of the line-spread functions, (n, 2).

        The variance is that which comes on top of `RESOLUTION` (see `line_spread_variance`), in (km/s)².
        """
        f = self.frequency
        position = (f * v_sin_i_km_s[:, None] / _TABLE_STEP).clamp(max=len(self._rotation) - 2)
        left = position.long()
        share = position - left
        profile = torch.lerp(self._rotation[left], self._rotation[left + 1], share)
        shift = SPEED_OF_LIGHT_KM_S * torch.log1p(rv_km_s / SPEED_OF_LIGHT_KM_S)
        # Averaged pixels lie half a pixel to the right of the first of them.
        phase = -2.0 * math.pi * f * (shift[:, None] - 0.5 * (self.binning - 1) * PIXEL_KM_S)
        both_arms = torch.polar(profile if self._averaging is None else profile * self._averaging, phase)
        factor = both_arms[:, None] * torch.exp(self.by_variance * variance[:, :, None])
        if not derivatives:
            return Transfer(factor)
        slope = f**2 * torch.lerp(self._rotation_slope[left], self._rotation_slope[left + 1], share)
        # Where the profile passes through zero the quotient is not defined, and neither is the factor.
        safe = torch.where(profile.abs() < 1e-3, torch.full_like(profile, 1e-3), profile)
        return Transfer(factor, (slope / safe)[:, None])

    def transforms(self, coefficients: Tensor, residuals: Tensor | None = None, *, with_mean: bool = True) -> Tensor:
        """Return transforms of spectra, shape (n, 2, frequencies).

        Parameters
        ----------
        coefficients : Tensor, shape (n, k)
            Of the basis.
        residuals : Tensor, shape (n, m), optional
            Of `Emulator.residual_basis`.
        with_mean : bool
            Whether the mean spectrum is added: not for derivatives.
        """
        product = coefficients @ self._basis
        if residuals is not None and residuals.shape[1]:
            product = product + residuals @ self._residual_basis
        product = product.reshape(len(coefficients), 2, -1, 2)
        transforms = torch.view_as_complex(product)
        return transforms + self._mean if with_mean else transforms

    def pixels(self, transforms: Tensor, out: Tensor | None = None) -> Tensor:
        """Return observed pixels, (..., blue + red), in `out` if given, from transforms, (..., 2, frequencies)."""
        values = torch.fft.irfft(transforms, n=self._n_kept)
        if out is None:
            out = torch.empty(*values.shape[:-2], sum(self.sizes))
        start = 0
        for i, place in enumerate(self._places):
            arm = values[..., i, place]
            torch.div(arm, self.binning, out=out[..., start : start + arm.shape[-1]])
            start += arm.shape[-1]
        return out

    def whole(self, transforms: Tensor) -> Tensor:
        """Return spectra as long as transforms see them, shape (n, 2, pixels of a transform)."""
        return torch.fft.irfft(transforms, n=self._n_kept) / self.binning

    def placed(self, values: Tensor) -> Tensor:
        """Place values of observed pixels, shape (n, blue + red), where `whole` has these pixels, and 0 elsewhere."""
        out = torch.zeros(len(values), 2, self._n_kept)
        for i, (place, part) in enumerate(zip(self._places, values.split(self.sizes, dim=1), strict=True)):
            out[:, i, place] = part
        return out

    def ends(self, rv_km_s: Tensor) -> Tensor:
        """Return where the emulator has something to say: shifts move its ends into view.

        Parameters
        ----------
        rv_km_s : Tensor, shape (n,)
            Radial velocities.

        Returns
        -------
        Tensor of int64, shape (n, 2, 2)
            The first pixel of each arm, and the one after the last.
        """
        shift = SPEED_OF_LIGHT_KM_S * torch.log1p(rv_km_s / SPEED_OF_LIGHT_KM_S) / PIXEL_KM_S
        arms = []
        for observed, rest, size in zip(OBSERVED, REST, self.sizes, strict=True):
            begin = shift - (observed.first - rest.first)
            first = torch.ceil((begin + _EDGE_PIXELS) / self.binning)
            last = torch.floor((begin + rest.size - self.binning - _EDGE_PIXELS) / self.binning)
            arms.append(torch.stack([first, last + 1.0], dim=1).clamp(0.0, size).long())
        return torch.stack(arms, dim=1)

    def valid(self, rv_km_s: Tensor) -> Tensor:
        """Return which pixels lie between the `ends`, shape (n, blue + red)."""
        ends = self.ends(rv_km_s)
        arms = []
        for i, size in enumerate(self.sizes):
            place = torch.arange(size)
            arms.append((place >= ends[:, i, :1]) & (place < ends[:, i, 1:]))
        return torch.cat(arms, dim=1)


@lru_cache(maxsize=4)
def renderer(emulator: Emulator, binning: int = 1) -> Renderer:
    """Return the renderer of an emulator, made once."""
    return Renderer(emulator, binning)
