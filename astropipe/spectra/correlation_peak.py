"""The velocity at which a spectrum of wide lines resembles the same star with sharp ones most.

It differs from the fitted velocity where lines are asymmetric, as those of two stars are: it is that of the brighter
one, as a cross-correlation has it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from astropipe.spectra.pixels import PIXEL_KM_S
from astropipe.spectra.rendering import Renderer
from astropipe.spectra.search import vertex

_STEPS = 9
_TINY = 1e-12


class CorrelationPeak:
    """Finds the peak beside a velocity.

    For a template t the gain in chi² is ``(sum w r t)² / (sum w t²)``, as in `search`. Both sums over pixels are taken
    in Fourier space, where a shift is a factor, for all shifts together.

    Parameters
    ----------
    view : Renderer
        Renders the templates.
    """

    def __init__(self, view: Renderer) -> None:
        self._view = view
        self._steps_km_s = torch.from_numpy(np.arange(-_STEPS, _STEPS + 1) * PIXEL_KM_S).float()
        phases = torch.exp(-2j * torch.pi * view.frequency[:, None].double() * self._steps_km_s.double())
        # A real transform has half of the frequencies: all but the first and the last stand for two.
        phases[1:-1] *= 2.0
        self._real, self._imaginary = phases.real.float(), phases.imag.float()

    def __call__(self, sharp: Tensor, lines: Tensor, weights: Tensor) -> Tensor:
        """Return by how much the peak lies beside the velocity of the template, shape (n,), in km/s.

        Parameters
        ----------
        sharp : Tensor, shape (n, 2, frequencies)
            Transforms of the templates at the fitted velocity, in units of the continuum.
        lines : Tensor, shape (n, pixels)
            Observed spectra over their continuum, less 1.
        weights : Tensor, shape (n, pixels)
            Their inverse variances.
        """
        template = self._view.whole(sharp) - 1.0
        pulled = self._correlation(self._view.placed(weights * lines), template)
        norm = self._correlation(self._view.placed(weights), template**2)
        gain = pulled / norm.clamp_min(_TINY).sqrt()
        best = gain.argmax(1)
        return self._steps_km_s[best] + PIXEL_KM_S * vertex(gain, best)

    def _correlation(self, values: Tensor, moved: Tensor) -> Tensor:
        """Return the sums over pixels of values times what is moved, by each step, shape (n, steps)."""
        product = (torch.fft.rfft(values).conj() * torch.fft.rfft(moved)).sum(1) / values.shape[2]
        return product.real @ self._real - product.imag @ self._imaginary
