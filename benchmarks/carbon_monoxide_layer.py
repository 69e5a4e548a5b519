"""Fit the layer at log tau = -1 of MARCS models and print the coefficients that carbon_monoxide.py holds.

Run ``python benchmarks/carbon_monoxide_layer.py SOURCES``, the folder that ``python -m astropipe.spectra.synthesis
prepare SOURCES`` made. tau is that at 5000 Angstrom.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np

from astropipe.spectra.synthesis import sources
from astropipe.spectra.synthesis.atmospheres import MarcsGrid

T_EFF_K = (3800.0, 4200.0, 4600.0, 5200.0, 6000.0)
LOG_G = (0.5, 1.5, 2.5, 3.5, 4.5)
M_H = (-2.0, -1.0, 0.0, 0.4)
LOG_TAU = -1.0
# There are no hot supergiants among the models.
HOT_K, LEAST_HOT_LOG_G = 5000.0, 2.5
# In the file of a model: lines of its head, and columns.
HEAD, TAU, TEMPERATURE, PRESSURE = 6, 1, 4, 6


def main(folder: Path) -> None:
    """Print both fits."""
    models = MarcsGrid(sources.marcs_folder(folder))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model"
        for t_eff, log_g, m_h in itertools.product(T_EFF_K, LOG_G, M_H):
            if t_eff > HOT_K and log_g < LEAST_HOT_LOG_G:
                continue
            models.write(path, t_eff, log_g, m_h)
            lines = [line.split()[: PRESSURE + 1] for line in path.read_text().splitlines()[HEAD:]]
            layers = np.array([line for line in lines if len(line) > PRESSURE][:56], dtype=np.float64)
            layer = layers[np.argmin(np.abs(layers[:, TAU] - LOG_TAU))]
            rows.append((t_eff, log_g, m_h, layer[TEMPERATURE] / t_eff, np.log10(layer[PRESSURE])))
    t_eff, log_g, m_h, ratio, log_pressure = np.array(rows).T
    print(f"{len(rows)} models; T over Teff {ratio.mean():.3f}, standard deviation {ratio.std():.3f}")
    design = np.column_stack([np.ones(len(rows)), 5040.0 / t_eff - 1.2, log_g - 1.0, m_h])
    found = np.linalg.lstsq(design, log_pressure, rcond=None)[0]
    rms = np.sqrt(np.mean((design @ found - log_pressure) ** 2))
    print(
        f"log10 of the pressure in dyn/cm2: {found.round(2)} by 1, 5040 K/Teff - 1.2, log g - 1, [M/H]; rms {rms:.2f}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
