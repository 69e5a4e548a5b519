"""How much carbon and oxygen carbon monoxide leaves to other molecules, about where those of cool stars form.

Bands of TiO follow the oxygen that is left, those of C2 and CN the carbon. With C/O near 1 both change far more than
the abundances themselves, so that spectra are smoother functions of what is left.
"""

from __future__ import annotations

import torch
from torch import Tensor

from astropipe.spectra.emulator import INPUT_NAMES
from astropipe.spectra.synthesis.windows import SOLAR

# The layer at log tau = -1 of MARCS models of 3800-6000 K, log g 0.5-4.5, [M/H] -2 to 0.4: temperature over Teff, to
# 0.02, and a linear fit to log10 of the gas pressure in dyn/cm2, to 0.09 (benchmarks/carbon_monoxide_layer.py).
_T_OVER_T_EFF = 0.90
_LOG_PRESSURE, _BY_THETA, _BY_LOG_G, _BY_FE_H = 2.91, 1.22, 0.59, -0.39
_AT_THETA, _AT_LOG_G = 1.2, 1.0
# log10 of p(C) p(O) / p(CO) in dyn/cm2 as a polynomial in 5040 K / T (Tsuji 1973, A&A 23, 411).
_TSUJI = (13.820, -11.795, 0.17217, -0.022888, 0.0011349)
_T_EFF, _LOG_G, _FE_H, _C, _O = (INPUT_NAMES.index(name) for name in ("t_eff", "log_g", "fe_h", "c_h", "o_h"))


def free_carbon_and_oxygen(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return [C/H] and [O/H] of the atoms that are not in carbon monoxide.

    Parameters
    ----------
    labels : Tensor, shape (..., 18)
        In the order of `emulator.INPUT_NAMES`.

    Returns
    -------
    carbon, oxygen : Tensor, shape (...,)
        In dex over the Sun's whole abundances: never above the labels.
    """
    theta_eff = 5040.0 / labels[..., _T_EFF]
    theta = theta_eff / _T_OVER_T_EFF
    log_pressure = (
        _LOG_PRESSURE
        + _BY_THETA * (theta_eff - _AT_THETA)
        + _BY_LOG_G * (labels[..., _LOG_G] - _AT_LOG_G)
        + _BY_FE_H * labels[..., _FE_H]
    )
    log_dissociation = sum(factor * theta**power for power, factor in enumerate(_TSUJI))
    # n(CO) n(H) = binding n(C) n(O), with atoms per hydrogen; most of the gas is hydrogen.
    binding = 10.0 ** (log_pressure - log_dissociation)
    carbon = 10.0 ** (labels[..., _C] + SOLAR["C"] - 12.0)
    oxygen = 10.0 ** (labels[..., _O] + SOLAR["O"] - 12.0)
    half = 0.5 * (carbon + oxygen + 1.0 / binding)
    # The root of the quadratic equation that keeps its digits where little is bound.
    monoxide = carbon * oxygen / (half + torch.sqrt(half**2 - carbon * oxygen))
    return (
        labels[..., _C] + torch.log10(1.0 - monoxide / carbon),
        labels[..., _O] + torch.log10(1.0 - monoxide / oxygen),
    )
