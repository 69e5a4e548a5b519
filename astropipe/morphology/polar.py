"""Features from the polar image of a galaxy that no turn changes, without a network.

The polar image has the flux-weighted centre of the galaxy as its origin and its half-light radius as the unit. A turn
of the galaxy shifts it along the angle, which changes the phases of its harmonics over the angle, not their strengths.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

N_ANGLES = 64
"""Angles of a polar image."""
RADII = np.linspace(0.15, 3.0, 20)
"""Radii of a polar image in half-light radii."""
HARMONICS = (0, 1, 2, 3, 4, 6)
"""Harmonics over the angle that become features; 2 is an ellipse or two arms, 1 is lopsidedness."""


def polar_images(images: NDArray[np.float32], r50_px: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return images in polar coordinates, interpolated linearly.

    Parameters
    ----------
    images : ndarray, shape (n, size, size)
        The galaxy in the middle of each.
    r50_px : ndarray, shape (n,)
        Half-light radii.

    Returns
    -------
    ndarray, shape (n, len(RADII), N_ANGLES)
        Brightness at each radius and angle.
    """
    middle = (images.shape[1] - 1) / 2
    angle = 2 * np.pi * np.arange(N_ANGLES) / N_ANGLES
    x, y = RADII[:, None] * np.cos(angle), RADII[:, None] * np.sin(angle)
    result = np.empty((len(images), len(RADII), N_ANGLES), dtype=np.float32)
    for i, (image, radius) in enumerate(zip(images, r50_px, strict=True)):
        places = np.stack((middle + radius * y, middle + radius * x))
        result[i] = map_coordinates(image, places, order=1, mode="constant")
    return result


def harmonic_phase(polar: NDArray[np.floating], m: int = 2) -> NDArray[np.float64]:
    """Return the angle in radians by which each polar image is turned, from the phase of a harmonic, shape (n,).

    The harmonics of all radii are added before the phase is taken, so that no single noisy pixel decides, as the
    darkest does in the published transform.
    """
    spectrum = np.fft.fft(polar, axis=2)[:, :, m]
    return -np.angle(np.sum(spectrum * RADII[None, :], axis=1)) / m


def aligned(polar: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return polar images turned so that the phase of their second harmonic is zero."""
    frequency = np.fft.rfftfreq(N_ANGLES, d=1 / N_ANGLES)
    turn = np.exp(1j * frequency[None, None, :] * harmonic_phase(polar)[:, None, None])
    return np.fft.irfft(np.fft.rfft(polar, axis=2) * turn, n=N_ANGLES, axis=2).astype(np.float32)


def fourier_features(
    images: NDArray[np.float32], r50_px: NDArray[np.floating], sky_rms: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return strengths of the harmonics of each radius.

    Parameters
    ----------
    images : ndarray, shape (n, size, size)
        Less the sky, the galaxy in the middle, nothing else in them.
    r50_px, sky_rms : ndarray, shape (n,)
        Half-light radii and noise of a pixel.

    Returns
    -------
    ndarray, shape (n, len(HARMONICS) * len(RADII))
        arcsinh of the brightness over the noise, its harmonics over the angle, in units of the mean inside r50.
    """
    polar = polar_images(images, r50_px)
    polar = np.arcsinh(polar / (2 * sky_rms[:, None, None]))
    strength = np.abs(np.fft.fft(polar, axis=2))[:, :, list(HARMONICS)] / N_ANGLES
    level = np.maximum(strength[:, RADII < 1, 0].mean(axis=1), 1e-3)
    return (strength / level[:, None, None]).reshape(len(images), -1).astype(np.float32)
