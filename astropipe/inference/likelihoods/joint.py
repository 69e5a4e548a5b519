"""Several data sets as one likelihood of sampled points, and the quantities derived from the same points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.background import BACKGROUND_PARAMETERS, Cosmology, cosmology
from astropipe.inference.dark_energy import STANDARD, EquationOfState
from astropipe.inference.likelihoods.bao import RULERS, ruler
from astropipe.inference.likelihoods.gaussian import DataLikelihood, Parameters
from astropipe.runtime.errors import UsageError

Array = NDArray[np.float64]

BATCH = 2048
"""Most points computed at once; more would leave the processor's cache."""

PREDICTIONS = 400_000
"""Most predictions of one data set computed at once, for the same reason: fewer points for thousands of supernovae."""


class JointLikelihood:
    """ln L of points [n, d]: the sum over independent data sets, each Gaussian with its normalisation.

    Parameters
    ----------
    names
        Parameter names in the order of the columns.
    parts
        The likelihood of each data set.
    dark_energy
        The equation of state that the parameters belong to.

    Raises
    ------
    UsageError
        If a data set needs a parameter that is not among `names`.
    """

    def __init__(
        self, names: Sequence[str], parts: Sequence[DataLikelihood], dark_energy: EquationOfState = STANDARD
    ) -> None:
        self.names = tuple(names)
        self.dark_energy = dark_energy
        self.parts = tuple(parts)
        self._batch = min(BATCH, *(max(1, PREDICTIONS // len(part.data)) for part in self.parts))
        if "omega_m" not in self.names:
            raise UsageError(f"every model needs omega_m as a parameter; given are {', '.join(self.names)}")
        for part in self.parts:
            for group in part.needs:
                if not set(group) & set(self.names):
                    raise UsageError(
                        f"data set {part.data.name!r} needs {' or '.join(group)} as a parameter; "
                        f"given are {', '.join(self.names)}"
                    )

    def __call__(self, points: Array) -> Array:
        """Return ln L, shape [n]; −inf where a universe cannot predict the data."""
        total = np.zeros(len(points))
        for start in range(0, len(points), self._batch):
            batch = slice(start, start + self._batch)
            universe, others = interpret(self.names, points[batch], self.dark_energy)
            # No matter, or densities beyond what a float holds: the prediction is not finite, ln L is −inf.
            with np.errstate(all="ignore"):
                for part in self.parts:
                    total[batch] += part.log_likelihood(universe, others)
        return total

    def chi_squared(self, points: Array) -> Array:
        """Return χ² of points [n, d] summed over the data sets, shape [n]."""
        universe, others = interpret(self.names, points, self.dark_energy)
        return np.asarray(np.sum([part.chi_squared(universe, others) for part in self.parts], axis=0))


class DerivedQuantities:
    """Ω_m h² and the ruler in the forms that are not parameters themselves, of points [n, d].

    Parameters
    ----------
    names
        Parameter names in the order of the columns.
    dark_energy
        The equation of state that the parameters belong to.
    """

    def __init__(self, names: Sequence[str], dark_energy: EquationOfState = STANDARD) -> None:
        self.names = tuple(names)
        self.dark_energy = dark_energy
        self.produces: tuple[str, ...] = ()
        if "h0" in self.names:
            has_ruler = any(name in self.names for name in RULERS)
            rulers = [name for name in ("r_d", "h_rd") if has_ruler and name not in self.names]
            self.produces = ("omega_m_h2", *rulers)

    def __call__(self, points: Array) -> dict[str, Array]:
        """Return the quantities named in `produces`, shape [n] each."""
        universe, others = interpret(self.names, points, self.dark_energy)
        values = {"omega_m_h2": universe.omega_m_h2[:, 0]}
        if len(self.produces) > 1:
            values["r_d"] = ruler(universe, others)
            values["h_rd"] = values["r_d"] * universe.h[:, 0]
        return {name: values[name] for name in self.produces}


def interpret(
    names: tuple[str, ...], points: Array, dark_energy: EquationOfState = STANDARD
) -> tuple[Cosmology, Parameters]:
    """Return the universes of points [n, d], and the parameters that are not part of the background."""
    columns = dict(zip(names, points.T, strict=True))
    background = {name: columns.pop(name) for name in names if name in BACKGROUND_PARAMETERS}
    return cosmology(**background, dark_energy=dark_energy), columns
