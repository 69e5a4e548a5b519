"""Centre of symmetry, asymmetry and smoothness of many galaxies at once, through the Fourier transform."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.float64]
Images = NDArray[np.float32]
Spectrum = NDArray[np.complex64]
Mask = NDArray[np.bool_]

# The images are smoothed with this before the centre is sought, so that noise does not lead it away.
_SMOOTHING_PX = 2.0
# Fewer pixels do not tell the smoothness of the sky.
_SKY_PIXELS = 300


def transform(images: Images) -> Spectrum:
    """Return the Fourier transform of images, shape (n, size, size // 2 + 1)."""
    return fft.rfft2(images)


def find_centres(spectrum: Spectrum, size: int) -> tuple[Array, Array]:
    """Find the point about which a turn by 180 degrees changes an image least.

    The sum of squared differences of an image and itself turned about c is 2 sum(I^2) - 2 (I * I)(2 c): its minimum is
    the maximum of the convolution of the image with itself, which holds all c at once, at every half pixel. A parabola
    through it gives the fraction. Centres are sought within a quarter of the stamp from its middle.

    Parameters
    ----------
    spectrum : ndarray of complex64, shape (n, size, size // 2 + 1)
        Transforms of images that are 0 where nothing is known.
    size : int
        Rows of the images.

    Returns
    -------
    x, y : ndarray, shape (n,)
        In pixels.
    """
    smooth = spectrum * gaussian_transfer(np.full(len(spectrum), _SMOOTHING_PX), size)
    likeness = fft.irfft2(smooth * smooth, s=(size, size))
    half = size // 2
    likeness = np.roll(likeness, (-half, -half), axis=(1, 2))
    best = np.argmax(likeness.reshape(len(likeness), -1), axis=1)
    row, col = np.divmod(best, size)
    each = np.arange(len(likeness))

    def vertex(low: Images, mid: Images, high: Images) -> Array:
        bend = low.astype(np.float64) - 2.0 * mid + high
        return np.clip(0.5 * (low - high) / np.where(bend < 0.0, bend, -np.inf), -0.5, 0.5)

    mid = likeness[each, row, col]
    y = vertex(likeness[each, row - 1, col], mid, likeness[each, (row + 1) % size, col])
    x = vertex(likeness[each, row, col - 1], mid, likeness[each, row, (col + 1) % size])
    return (col + x + half) / 2.0, (row + y + half) / 2.0


def turned(spectrum: Spectrum, x: Array, y: Array, size: int) -> Images:
    """Turn images by 180 degrees about a centre, which need not be that of a pixel.

    Interpolation is by the Fourier shift theorem, which leaves the power of noise as it is, so that the asymmetry of
    the sky can be computed: a linear interpolation would smooth one of the two images that are compared.
    """
    shift_y = np.exp(-4j * np.pi * fft.fftfreq(size) * y[:, None]).astype(np.complex64)
    shift_x = np.exp(-4j * np.pi * fft.rfftfreq(size) * x[:, None]).astype(np.complex64)
    return fft.irfft2(np.conj(spectrum) * shift_y[:, :, None] * shift_x[:, None, :], s=(size, size))


def gaussian_transfer(sigma_px: Array, size: int) -> Images:
    """Return the transfer function of a Gaussian for each image, to be multiplied with its transform."""
    rows, cols = (
        np.exp(-2.0 * (np.pi * frequency * sigma_px[:, None]) ** 2).astype(np.float32)
        for frequency in (fft.fftfreq(size), fft.rfftfreq(size))
    )
    return rows[:, :, None] * cols[:, None, :]


def box_transfer(width_px: NDArray[np.int64], size: int) -> Images:
    """Return the transfer function of the mean over a square of an odd number of pixels, for each image."""
    rows, cols = (
        _dirichlet(frequency, width_px[:, None]).astype(np.float32)
        for frequency in (fft.fftfreq(size), fft.rfftfreq(size))
    )
    return rows[:, :, None] * cols[:, None, :]


def _dirichlet(frequency: Array, width: NDArray[np.int64]) -> Array:
    below = width * np.sin(np.pi * frequency)
    return np.where(below == 0.0, 1.0, np.sin(np.pi * frequency * width) / np.where(below == 0.0, 1.0, below))


def smoothed(spectrum: Spectrum, transfer: Images, size: int) -> Images:
    """Return images smoothed with a transfer function."""
    return fft.irfft2(spectrum * transfer, s=(size, size))


def asymmetry(images: Images, turned_images: Images, inside: Mask, sky_rms: Array) -> tuple[Array, Array]:
    """Measure the asymmetry A = (sum |I - I180| - sky) / sum I (Conselice 2003; Lotz et al. 2004, eq. 10).

    Lotz et al. divide by sum |I|, which grows with the noise of the sky in the aperture; without noise both are equal.
    The difference of two sky pixels has the mean size 2 sigma / sqrt(pi), which is taken off for each pixel. Where a
    galaxy itself is asymmetric above the noise this takes off too much: A falls with the noise, as in all codes.

    Parameters
    ----------
    images, turned_images : ndarray, shape (n, size, size)
    inside : ndarray of bool, shape (n, size, size)
        Pixels of the aperture that are valid and whose counterparts are.
    sky_rms : ndarray, shape (n,)
        0 if unknown.

    Returns
    -------
    asymmetry, error : ndarray, shape (n,)
        NaN where the aperture is empty or dark.
    """
    difference = np.abs(images - turned_images) * inside
    light = np.sum(images * inside, axis=(1, 2), dtype=np.float64)
    pixels = inside.sum(axis=(1, 2))
    known = (light > 0.0) & (pixels > 1)
    light = np.where(known, light, np.nan)
    total = np.sum(difference, axis=(1, 2), dtype=np.float64)
    squares = np.einsum("nij,nij->n", difference, difference, dtype=np.float64)
    value = (total - pixels * 2.0 * sky_rms / np.sqrt(np.pi)) / light
    # Each pair of pixels is counted twice. The size of a difference varies by 2 sigma^2 where it is large and by
    # 2 sigma^2 (1 - 2 / pi) where it is only noise; the share of the first kind is taken from the mean square.
    noise = 2.0 * sky_rms**2 * pixels
    real = np.clip((squares - noise) / np.where(squares > 0.0, squares, 1.0), 0.0, 1.0)
    spread = 2.0 * noise * (1.0 - 2.0 / np.pi * (1.0 - real))
    return value, np.sqrt(spread + value**2 * noise / 2.0) / light


def smoothness(
    images: Images, boxed: Images, inside: Mask, outside: Mask, width_px: NDArray[np.int64], sky_rms: Array
) -> Array:
    """Measure the smoothness S = (sum of positive I - I_smooth - sky) / sum I (Lotz et al. 2004, eq. 11).

    What the sky gives is the mean of the same over the pixels outside of the galaxy, as noise may be correlated; where
    there are few of them it is computed for independent noise.

    Parameters
    ----------
    images, boxed : ndarray, shape (n, size, size)
        The images, and their means over squares.
    inside, outside : ndarray of bool, shape (n, size, size)
        Pixels of the annulus of 0.25 to 1.5 Petrosian radii, and of the sky.
    width_px : ndarray of int, shape (n,)
        Width of the squares.
    sky_rms : ndarray, shape (n,)
        0 if unknown.
    """
    clumps = np.maximum(images - boxed, 0.0)
    light = np.sum(images * inside, axis=(1, 2), dtype=np.float64)
    # A normal deviate has the positive mean sigma / sqrt(2 pi); less its own part in the mean over the square.
    white = sky_rms * np.sqrt((1.0 - 1.0 / width_px.astype(float) ** 2) / (2.0 * np.pi))
    pixels = outside.sum(axis=(1, 2))
    seen = np.sum(clumps * outside, axis=(1, 2), dtype=np.float64) / np.maximum(pixels, 1)
    sky = np.where(pixels >= _SKY_PIXELS, seen, white)
    total = np.sum(clumps * inside, axis=(1, 2), dtype=np.float64) - inside.sum(axis=(1, 2)) * sky
    return np.asarray(total / np.where(light > 0.0, light, np.nan))
