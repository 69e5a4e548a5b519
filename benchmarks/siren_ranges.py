"""Print how far detectors of the third generation hear: the numbers of `astropipe.inference.sirens.detectors`.

Run ``python benchmarks/siren_ranges.py ET_D_psd.txt CE_psd.txt``, two columns each: frequency in Hz, one-sided power
spectral density of the noise in 1/Hz. bilby 2.8.2 carries these files in ``bilby/gw/detector/noise_curves``.

For each curve: the distance at which an optimally placed and oriented binary of redshifted chirp mass 1.2 Msun has a
signal-to-noise ratio of 8 in one L-shaped detector, and the share of its square that lies below a frequency.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import constants
from scipy.integrate import cumulative_trapezoid

from astropipe.inference.sirens.detectors import FREQUENCIES, LOWEST_FREQUENCY, SOLAR_MASS


def main() -> None:
    """Print one line for each noise curve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("curves", type=Path, nargs="+")
    for path in parser.parse_args().curves:
        frequency, density = np.loadtxt(path, unpack=True)
        keep = frequency >= LOWEST_FREQUENCY
        frequency, density = frequency[keep], density[keep]
        power = cumulative_trapezoid(frequency ** (-7.0 / 3.0) / density, frequency, initial=0.0)
        # rho² = 4 ∫ |h|²/S df, |h| = sqrt(5/24) pi^(-2/3) (G M)^(5/6) c^(-3/2) f^(-7/6) / d (Cutler, Flanagan 1994).
        mass = constants.G * 1.2 * SOLAR_MASS
        squared = 5.0 / 6.0 * np.pi ** (-4.0 / 3.0) * mass ** (5.0 / 3.0) * constants.c**-3 * power[-1]
        horizon = np.sqrt(squared) / 8.0 / (1e6 * constants.parsec)
        shares = np.interp(FREQUENCIES, frequency, power) / power[-1]
        print(f"{path.name}: {horizon:.0f} Mpc; {', '.join(f'{share:.4f}' for share in shares)}")


if __name__ == "__main__":
    main()
