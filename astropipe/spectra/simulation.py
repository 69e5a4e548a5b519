"""Simulated survey: stars drawn from `population`, emulated, broadened, shifted and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from astropipe.runtime.seeds import stream
from astropipe.spectra.emulator import TIO_T_EFF_K, Emulator
from astropipe.spectra.instrument import Damage, Recorded, observe
from astropipe.spectra.population import draw_labels
from astropipe.spectra.rendering import line_spread_variance, renderer

Floats = NDArray[np.float64]

BLOCK = 256
"""Spectra that are drawn together: a spectrum depends on the seed and on the number of its block only."""
# Macroturbulence of RRNet's reference set (Xiong et al. 2022): 2.42 +- 3.37 km/s; rotation is small for most stars.
_V_MACRO_KM_S = (2.42, 3.37)
_SLOW_ROTATION_KM_S, _FAST_SHARE = 4.0, 0.15
# Errors of the emulator are those of one of so many stars that are near in t_eff [K], log_g and fe_h.
_NEIGHBOURS = 5
_NEAR = np.array([300.0, 0.6, 0.3])


@dataclass(frozen=True)
class Survey:
    """What is observed, and how well.

    Attributes
    ----------
    snr : tuple of float
        Signal-to-noise ratios per pixel of the red arm, one of which each spectrum gets; two numbers with ``snr_range``
        are the ends of a range, equal in the logarithm.
    snr_range : bool
        See ``snr``.
    blue_to_red_snr : float
        Signal-to-noise ratio of the blue arm in units of that of the red arm.
    rv_limit_km_s : float
        Radial velocities are uniform between plus and minus this.
    v_sin_i_limit_km_s : float
        Largest rotation; most stars are slow.
    resolution : tuple of float
        Resolving powers of the arms are uniform between these.
    damage : Damage
        What goes wrong.
    model_error : bool
        Whether spectra differ from emulated ones by as much as synthetic ones do.
    """

    snr: tuple[float, ...] = (10.0, 200.0)
    snr_range: bool = True
    blue_to_red_snr: float = 0.6
    rv_limit_km_s: float = 300.0
    v_sin_i_limit_km_s: float = 40.0
    resolution: tuple[float, float] = (6_500.0, 8_500.0)
    damage: Damage = field(default_factory=Damage)
    model_error: bool = True


@dataclass(frozen=True)
class Stars:
    """The truth of simulated spectra: labels of shape (n, 18), the rest (n,) or, per arm, (n, 2)."""

    labels: Floats
    rv_km_s: Floats
    v_sin_i_km_s: Floats
    v_macro_km_s: Floats
    resolution: Floats
    snr: Floats

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, rows: slice) -> Stars:
        """Return some of the stars."""
        return Stars(*(values[rows] for values in vars(self).values()))


DrawBlock = Callable[[Survey, np.random.Generator, int], Stars]
"""Gives the stars of a block of a survey."""


def draw_stars(survey: Survey, rng: np.random.Generator, n: int) -> Stars:
    """Draw stars and how they are observed."""
    fast = rng.random(n) < _FAST_SHARE
    v_sin_i = np.where(fast, rng.uniform(0.0, survey.v_sin_i_limit_km_s, n), rng.exponential(_SLOW_ROTATION_KM_S, n))
    if survey.snr_range:
        low, high = np.log(survey.snr[0]), np.log(survey.snr[-1])
        snr_red = np.exp(rng.uniform(low, high, n))
    else:
        snr_red = rng.choice(np.asarray(survey.snr, dtype=np.float64), n)
    return Stars(
        labels=draw_labels(rng, n),
        rv_km_s=rng.uniform(-survey.rv_limit_km_s, survey.rv_limit_km_s, n),
        v_sin_i_km_s=np.minimum(v_sin_i, survey.v_sin_i_limit_km_s),
        v_macro_km_s=np.abs(rng.normal(*_V_MACRO_KM_S, n)),
        resolution=rng.uniform(*survey.resolution, (n, 2)),
        snr=np.stack([survey.blue_to_red_snr * snr_red, snr_red], axis=1),
    )


def broadening_variance(stars: Stars) -> torch.Tensor:
    """Variance of line-spread function and macroturbulence beyond the resolution of the emulator, shape (n, 2)."""
    # exp(-(v / v_macro)²) has half the variance v_macro².
    variance = line_spread_variance(torch.from_numpy(stars.resolution)) + torch.from_numpy(
        0.5 * stars.v_macro_km_s[:, None] ** 2
    )
    return variance.float()


def draw_residuals(emulator: Emulator, labels: Floats, rng: np.random.Generator) -> torch.Tensor:
    """Draw by what spectra of stars differ from emulated ones, as coefficients of `Emulator.residual_basis`.

    Parameters
    ----------
    emulator : Emulator
        Knows its errors at some stars.
    labels : ndarray, shape (n, 18)
        The stars; each has, with a random sign, the error of one of the nearest stars on its side of the onset of TiO.
    rng : Generator
        Source of randomness.

    Returns
    -------
    Tensor, shape (n, m)
    """
    known = emulator.residual_stars[:, :3].numpy()
    choice, sign = rng.integers(_NEIGHBOURS, size=len(labels)), rng.choice([-1.0, 1.0], size=(len(labels), 1))
    if not len(known):
        return torch.zeros(len(labels), len(emulator.residual_basis))
    picked = np.zeros(len(labels), dtype=np.int64)
    for cool in (False, True):
        rows, there = (np.flatnonzero((t_eff < TIO_T_EFF_K) == cool) for t_eff in (labels[:, 0], known[:, 0]))
        there = there if len(there) else np.arange(len(known))
        k = min(_NEIGHBOURS, len(there))
        near = cKDTree(known[there] / _NEAR).query(labels[rows, :3] / _NEAR, k=k)[1].reshape(len(rows), k)
        picked[rows] = there[near[np.arange(len(rows)), choice[rows] % k]]
    return emulator.residuals[torch.from_numpy(picked)] * torch.from_numpy(sign).float()


def clean_spectra(
    emulator: Emulator, stars: Stars, residuals: torch.Tensor | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return spectra before they are recorded, in units of the continuum, and where they are known.

    Parameters
    ----------
    emulator : Emulator
        Labels to spectra.
    stars : Stars
        The stars.
    residuals : Tensor, shape (n, m), optional
        By what their spectra differ from emulated ones, see `draw_residuals`.
    """
    view = renderer(emulator)
    rv = torch.from_numpy(stars.rv_km_s).float()
    transfer = view.transfer(rv, torch.from_numpy(stars.v_sin_i_km_s).float(), broadening_variance(stars))
    coefficients = emulator.coefficients(torch.from_numpy(stars.labels).float())
    spectra = view.pixels(view.transforms(coefficients, residuals) * transfer.factor)
    return spectra.numpy(), view.valid(rv).numpy()


def draw_any_stars(survey: Survey, rng: np.random.Generator, block: int) -> Stars:
    """Draw the stars of a block of a survey that looks at no place in particular."""
    return draw_stars(survey, rng, BLOCK)


def simulate_rows(
    emulator: Emulator, survey: Survey, seed: int, start: int, stop: int, draw: DrawBlock = draw_any_stars
) -> Iterator[tuple[Stars, Recorded]]:
    """Simulate the spectra ``start`` to ``stop`` of a survey, block by block.

    Parameters
    ----------
    emulator : Emulator
        Labels to spectra.
    survey : Survey
        How well stars are observed.
    seed : int
        Root seed.
    start, stop : int
        Rows wanted.
    draw : callable
        Takes the survey, the generator of a block and its number; returns its stars, `BLOCK` of them but for the last.

    Yields
    ------
    Stars, Recorded
        Truth and spectra of up to `BLOCK` rows.
    """
    for block in range(start // BLOCK, -(-stop // BLOCK)):
        rng = stream(seed, "spectra.simulate", block)
        stars = draw(survey, rng, block)
        residuals = draw_residuals(emulator, stars.labels, rng) if survey.model_error else None
        spectra, valid = clean_spectra(emulator, stars, residuals)
        recorded = observe(spectra, valid, stars.labels[:, 0], stars.snr, survey.damage, rng)
        rows = slice(max(start - block * BLOCK, 0), min(stop - block * BLOCK, BLOCK))
        yield stars.rows(rows), Recorded(recorded.flux[rows], recorded.ivar[rows], recorded.mask[rows])
