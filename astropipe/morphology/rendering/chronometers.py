"""Redshifts of simulated galaxies and ages of their stars, in a universe of known expansion."""

from __future__ import annotations

import numpy as np
from astropy.cosmology import FlatLambdaCDM
from numpy.typing import NDArray

from astropipe.config.morphology import ChronometersConfig
from astropipe.morphology.classes import CLASSES
from astropipe.runtime.seeds import stream

# The redshift at which galaxies are as large as the survey makes them.
_REDSHIFT_OF_SIZES = 0.5
_EARLY = CLASSES[:2]


class Chronometers:
    """Redshifts, ages and apparent sizes of galaxies `first` to `last` of a survey.

    Stars of early types formed together at one redshift, with a little scatter in time, and have aged since. Those of
    other types have a mean age that is a share of this, different for each galaxy and the same at all redshifts.

    Parameters
    ----------
    config : ChronometersConfig
        The universe and the ages.
    seed : int
        Root seed; each galaxy has a stream of its own, apart from that of its image.
    """

    def __init__(self, config: ChronometersConfig, seed: int) -> None:
        self._config, self._seed = config, seed
        self._universe = FlatLambdaCDM(H0=config.h0, Om0=config.omega_m)

    def truth(self) -> dict[str, float]:
        """Return what a ``stamps`` artifact records of the universe."""
        share = (self._config.late_share_low + self._config.late_share_high) / 2
        return {"h0": self._config.h0, "omega_m": self._config.omega_m, "late_age_share": share}

    def columns(self, numbers: NDArray[np.integer], classes: NDArray[np.str_]) -> dict[str, NDArray[np.float64]]:
        """Return redshift, measured age in Gyr and its standard error of galaxies of known class, shape [n] each."""
        config = self._config
        rngs = [self._stream(int(number)) for number in numbers]
        redshift = np.array([self._redshift(rng) for rng in rngs])
        scatter, noise = np.array([rng.normal(size=2) for rng in rngs]).T
        share = np.array([rng.uniform(config.late_share_low, config.late_share_high) for rng in rngs])
        formed = self._universe.age(config.formation_redshift).to_value("Gyr")
        passive = self._universe.age(redshift).to_value("Gyr") - formed
        early = np.isin(classes, _EARLY)
        age = np.where(early, passive + config.formation_scatter_gyr * scatter, share * passive)
        error = config.age_error * age
        return {"redshift": redshift, "age": age + error * noise, "age_err": error}

    def size_factors(self, numbers: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return by how much galaxies appear larger than at z = 0.5: angular diameter distance there over theirs."""
        redshift = np.array([self._redshift(self._stream(int(number))) for number in numbers])
        distance = self._universe.angular_diameter_distance
        return np.asarray((distance(_REDSHIFT_OF_SIZES) / distance(redshift)).to_value(""))

    def _stream(self, number: int) -> np.random.Generator:
        return stream(self._seed, "morphology.simulate.chronometers", number)

    def _redshift(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self._config.redshift_low, self._config.redshift_high))
