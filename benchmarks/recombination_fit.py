"""Fit the redshift of recombination to CAMB and print the coefficients that sound_horizon.py holds.

Run ``pip install camb`` and ``python benchmarks/recombination_fit.py``. CAMB defines z* by optical depth 1, as
Planck and DESI do; one massive neutrino of 0.06 eV, N_eff 3.044, T 2.7255 K. H0 and dark energy do not matter
at z ≈ 1090, so they are fixed. Also printed: how far the fit, and the published z_drag that the package uses,
are from CAMB on a grid that the fit did not see.
"""

from __future__ import annotations

import itertools

import camb
import numpy as np
from numpy.typing import NDArray

from astropipe.inference.background import Radiation
from astropipe.inference.sound_horizon import PIVOT_BARYONS, PIVOT_MATTER, z_drag, z_star

BARYONS = (0.019, 0.026)
MATTER = (0.10, 0.19)


def from_camb(omega_b_h2: float, omega_bc_h2: float) -> tuple[float, float]:
    """Return (z*, z_drag)."""
    settings = camb.CAMBparams()
    settings.set_cosmology(
        H0=67.0,
        ombh2=omega_b_h2,
        omch2=omega_bc_h2 - omega_b_h2,
        mnu=0.06,
        nnu=3.044,
        num_massive_neutrinos=1,
        TCMB=2.7255,
    )
    derived = camb.get_background(settings).get_derived_params()
    return derived["zstar"], derived["zdrag"]


def table(points: int) -> NDArray[np.float64]:
    """Return rows of (Ω_b h², Ω_bc h², z*, z_drag) on a grid of points × points."""
    grid = itertools.product(np.linspace(*BARYONS, points), np.linspace(*MATTER, points))
    return np.array([(b, m, *from_camb(b, m)) for b, m in grid])


def main() -> None:
    """Fit on one grid, compare on another."""
    rows = table(8)
    b, m = np.log(rows[:, 0] / PIVOT_BARYONS), np.log(rows[:, 1] / PIVOT_MATTER)
    design = np.stack([np.ones_like(b), b, m, b * b, b * m, m * m], axis=1)
    coefficients, *_ = np.linalg.lstsq(design, np.log(rows[:, 2]), rcond=None)
    print(f"CAMB {camb.__version__}")
    print("ln z* coefficients (1, b, m, b², bm, m²):", ", ".join(f"{c:.7f}" for c in coefficients))
    baryons, matter, star, drag = table(7).T
    print(f"z* fit - CAMB: largest {np.abs(z_star(baryons, matter) - star).max():.3f}")
    total = matter + Radiation().massive_today
    print(f"z_drag published - CAMB: largest {np.abs(z_drag(baryons, total) - drag).max():.3f}")


if __name__ == "__main__":
    main()
