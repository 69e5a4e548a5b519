"""What is written down of a cluster on its way: a log of radii and energies, and when and how fast particles escape."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.clusters import diagnostics
from astropipe.nbody.clusters.diagnostics import CLASSES, FRACTIONS
from astropipe.nbody.clusters.run import ClusterRun
from astropipe.nbody.conserved import angular_momentum_scale

_ESCAPE_HALF_MASS_RADII = 10.0
_ESCAPE_TIDAL_RADII = 2.0
_HALF = FRACTIONS.index(0.5)
_NUMBERS = (
    "time",
    "energy_error",
    "angular_momentum_error",
    "virial_ratio",
    "core_radius",
    "relaxation_time",
    "bound_stars",
    "bound_massless",
    "pairs",
    "force_evaluations",
    "massless_force_evaluations",
    "massless_error",
)


class Records:
    """A log of so many rows, and the escapes of all particles.

    Parameters
    ----------
    run : ClusterRun
        The cluster at its start, of which the first row is made.
    n_rows : int
        Rows, the first one included.
    escape_radius : float or None
        Distance from the density centre at which an unbound particle counts as escaped, or, with a tidal field, any
        particle; None for 10 initial half-mass radii, or 2 tidal radii.
    heavy_share : float
        Share of the stars that are heavy.
    """

    def __init__(self, run: ClusterRun, n_rows: int, escape_radius: float | None, heavy_share: float) -> None:
        n = run.n_stars
        self.log: dict[str, FloatArray] = {name: np.full(n_rows, np.nan) for name in _NUMBERS}
        self.log |= {f"radii_{name}": np.full((n_rows, len(FRACTIONS)), np.nan) for name in CLASSES}
        self.log["centre"] = np.full((n_rows, 3), np.nan)
        self.escape_time, self.escape_speed = (np.full(n + run.n_massless, np.nan) for _ in range(2))
        self.done = np.zeros(1, dtype=np.int64)
        self.reference = np.zeros(5)
        heaviest = np.argsort(-run.masses, kind="stable")[: max(1, math.ceil(heavy_share * n))]
        self.heavy = np.isin(np.arange(n), heaviest)
        # Of the state at the end of the run.
        self.bound = np.ones(n + run.n_massless, dtype=np.bool_)
        self.companion = np.full(n, -1, dtype=np.int64)
        if escape_radius is None:
            x = run.phase().positions[:n]
            distances = np.linalg.norm(x - diagnostics.density_centre(run.masses, x).place, axis=1)
            escape_radius = _ESCAPE_HALF_MASS_RADII * diagnostics.lagrangian_radii(distances, run.masses)[_HALF]
            if run.controls.tide.is_there:
                escape_radius = _ESCAPE_TIDAL_RADII * run.controls.tide.radius(float(run.masses.sum()))
        self.escape_radius = escape_radius
        self.write(run)

    def write(self, run: ClusterRun) -> None:
        """Write the next row, and look for escapes."""
        n, tide, time = run.n_stars, run.controls.tide, run.time
        positions, velocities = run.phase()
        inside = np.isnan(self.escape_time)
        state = diagnostics.energies(run.masses, positions, velocities, inside[:n], tide, time)
        centre = diagnostics.density_centre(run.masses[inside[:n]], positions[:n][inside[:n]])
        distances = np.linalg.norm(positions - centre.place, axis=1)
        unbound = distances > tide.radius(run.masses.sum()) if tide.is_there else state.specific > 0.0
        gone = inside & unbound & (distances > self.escape_radius)
        inside &= ~gone
        drift = np.average(velocities[:n][inside[:n]], axis=0, weights=run.masses[inside[:n]])
        self.escape_time[gone] = time
        self.escape_speed[gone] = np.linalg.norm(velocities[gone] - drift, axis=1)
        self.bound, self.companion = inside & ~unbound, state.companion
        row = int(self.done[0])
        if row == 0:
            self.reference[:4] = state.energy, *state.spin
            self.reference[4] = float(angular_momentum_scale(run.masses, state.spin, state.potential))
        weights = np.r_[run.masses, np.ones(run.n_massless)]
        kinds = np.r_[np.zeros(n), np.ones(run.n_massless)]
        for name, chosen in (
            ("stars", inside & (kinds == 0)),
            ("heavy", inside & np.r_[self.heavy, np.zeros(run.n_massless, np.bool_)]),
            ("massless", inside & (kinds == 1)),
        ):
            self.log[f"radii_{name}"][row] = diagnostics.lagrangian_radii(distances[chosen], weights[chosen])
        n_inside = int(inside[:n].sum())
        half_mass_radius = self.log["radii_stars"][row, _HALF]
        offsets = run.twin_offsets()
        values = {
            "time": time,
            "energy_error": state.energy / self.reference[0] - 1.0,
            "angular_momentum_error": np.linalg.norm(state.spin - self.reference[1:4]) / self.reference[4],
            "virial_ratio": state.virial_ratio,
            "core_radius": centre.core_radius,
            "relaxation_time": diagnostics.half_mass_relaxation_time(
                n_inside, half_mass_radius, float(run.masses[inside[:n]].sum())
            ),
            "bound_stars": self.bound[:n].mean(),
            "bound_massless": self.bound[n:].mean() if run.n_massless else np.nan,
            "pairs": float((state.companion >= 0).sum() // 2),
            "force_evaluations": float(run.star_forces),
            "massless_force_evaluations": float(run.massless_forces),
            "massless_error": float(np.median(offsets)) if offsets.size else np.nan,
        }
        if tide.is_there:
            values["angular_momentum_error"] = np.nan
        for name, value in values.items():
            self.log[name][row] = value
        self.log["centre"][row] = centre.place
        self.done[0] += 1

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return all that was written, for a checkpoint."""
        named: dict[str, NDArray[np.generic]] = {f"log-{name}": values for name, values in self.log.items()}
        return named | {
            "escape_time": self.escape_time,
            "escape_speed": self.escape_speed,
            "done": self.done,
            "reference": self.reference,
            "bound": self.bound,
            "companion": self.companion,
        }
