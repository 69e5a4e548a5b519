r"""A survey of bright sirens: mergers drawn, heard, found in light, and measured with errors.

A merger counts if the network hears it and light gives the redshift of its host, in one of two ways: a kilonova,
where it is near enough and in the part of the sky that is searched, or a gamma-ray burst, where a jet points at us.
Mergers with black holes count only with a burst.

The error of the luminosity distance is the quadratic sum of

- the instrument, d/ρ where a jet fixes the inclination and 2 d/ρ where it does not (Zhao et al. 2011,
  arXiv:1009.0206, section II);
- weak lensing, 0.033 d [(1 − (1 + z)^(−1/4)) / (1/4)]^1.8 (Hirata, Holz and Cutler 2010, arXiv:1004.3988; eq. 7.3 of
  Tamanini et al. 2016, arXiv:1601.07112, is twice as large);
- peculiar velocities, d |1 − c (1 + z)² / (H d)| σ_v / c (Hui and Greene 2006, arXiv:astro-ph/0512159).

Errors are those of the true distance, and whether a merger is found does not depend on the error drawn: a Gaussian
likelihood of the measured distances at the redshifts found is therefore exact for these data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import QTable
from numpy.typing import NDArray

from astropipe.config.inference import SimulateConfig
from astropipe.inference.background import SPEED_OF_LIGHT, Cosmology, cosmology
from astropipe.inference.distances import Redshifts, hubble, luminosity_distance
from astropipe.inference.sirens.detectors import signal_to_noise
from astropipe.inference.sirens.population import BLACK_HOLE, NEUTRON_STAR, expected_number
from astropipe.runtime.errors import InputError
from astropipe.runtime.seeds import stream

Array = NDArray[np.float64]

CITATIONS = ("AfrozMukherjee2024", "MadauDickinson2014", "GWTC3population", "Zhao2011", "Hirata2010", "HuiGreene2006")

_KINDS = ("BNS", "NSBH")


@dataclass(frozen=True)
class Survey:
    """Bright sirens that a survey found.

    Attributes
    ----------
    z
        Redshifts of the hosts, shape [m].
    distance, sigma
        Measured luminosity distances and their standard errors in Mpc, shape [m].
    true_distance
        In Mpc, shape [m].
    snr
        Signal-to-noise ratio of the network, shape [m].
    kind, light
        ``BNS`` or ``NSBH``, and ``kilonova`` or ``burst``, shape [m].
    """

    z: Array
    distance: Array
    sigma: Array
    true_distance: Array
    snr: Array
    kind: NDArray[np.str_]
    light: NDArray[np.str_]

    def table(self) -> QTable:
        """Return the survey as the table of an artifact."""
        return QTable(
            {
                "z": self.z,
                "luminosity_distance": self.distance * u.Mpc,
                "sigma": self.sigma * u.Mpc,
                "true_distance": self.true_distance * u.Mpc,
                "snr": self.snr,
                "kind": self.kind,
                "counterpart": self.light,
            }
        )


def true_universe(config: SimulateConfig) -> Cosmology:
    """Return the universe in which the survey is made."""
    return cosmology(config.omega_m, config.h0, w0=config.w0, wa=config.wa, wb=config.wb)


def survey(config: SimulateConfig, seed: int) -> Survey:
    """Simulate a survey.

    Raises
    ------
    InputError
        If no merger is found.
    """
    universe = true_universe(config)
    parts = [_found(config, universe, kind, stream(seed, f"inference.sirens.{kind}")) for kind in _KINDS]
    found = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    order = np.argsort(found["z"], kind="stable")
    z, snr, light = found["z"][order], found["snr"][order], found["light"][order]
    if len(z) == 0:
        raise InputError(
            "the survey finds no merger; raise the rates or the redshift limits of inference.simulate, "
            "or lower snr_threshold"
        )
    true = _distances(universe, z)
    sigma = distance_error(universe, z, snr, light == "burst", config.peculiar_velocity)
    measured = true + sigma * stream(seed, "inference.sirens.errors").normal(size=len(z))
    return Survey(z, measured, sigma, true, snr, found["kind"][order], light)


def distance_error(
    universe: Cosmology, z: Array, snr: Array, inclination_known: NDArray[np.bool_], velocity: float
) -> Array:
    """Return the standard error of the luminosity distance in Mpc, shape [n].

    Parameters
    ----------
    universe
        One universe.
    z, snr
        Redshift and signal-to-noise ratio, shape [n].
    inclination_known
        Whether a jet fixes the inclination, shape [n].
    velocity
        Dispersion of peculiar velocities along the line of sight in km/s.
    """
    redshifts = Redshifts(z)
    distance = luminosity_distance(universe, redshifts)[0]
    instrument = np.where(inclination_known, 1.0, 2.0) / snr
    lensing = 0.033 * ((1.0 - (1.0 + z) ** -0.25) / 0.25) ** 1.8
    response = 1.0 - SPEED_OF_LIGHT * (1.0 + z) ** 2 / (hubble(universe, redshifts)[0] * distance)
    motion = response * velocity / SPEED_OF_LIGHT
    return np.asarray(distance * np.sqrt(instrument**2 + lensing**2 + motion**2))


def _found(config: SimulateConfig, universe: Cosmology, kind: str, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Draw all mergers of a kind and return redshift, ρ, kind and light of those found."""
    limit = max(config.burst_redshift, config.kilonova_redshift)
    grid = np.linspace(0.0, limit, 1000)
    rate = config.bns_rate if kind == "BNS" else config.nsbh_rate
    number = expected_number(universe, grid, rate, config.years * config.duty_cycle, config.shortest_delay_gyr)
    n = rng.poisson(number[-1])
    z = np.interp(rng.uniform(0.0, number[-1], n), number, grid)
    cos_inclination = rng.uniform(-1.0, 1.0, n)
    light = _light(config, kind, z, cos_inclination, rng)
    seen = light != ""
    z, light, cos_inclination = z[seen], light[seen], cos_inclination[seen]
    second = rng.uniform(*NEUTRON_STAR, len(z))
    first = (
        rng.uniform(*NEUTRON_STAR, len(z))
        if kind == "BNS"
        else BLACK_HOLE[0] * (BLACK_HOLE[1] / BLACK_HOLE[0]) ** rng.uniform(size=len(z))
    )
    snr = signal_to_noise((first, second), z, _distances(universe, z), cos_inclination, rng)
    heard = snr >= config.snr_threshold
    kinds = np.full(np.count_nonzero(heard), kind)
    return {"z": z[heard], "snr": snr[heard], "light": light[heard], "kind": kinds}


def _light(
    config: SimulateConfig, kind: str, z: Array, cos_inclination: Array, rng: np.random.Generator
) -> NDArray[np.str_]:
    """Return ``burst``, ``kilonova`` or nothing for each merger."""
    chance = rng.uniform(size=(2, len(z)))
    jet = np.abs(cos_inclination) >= np.cos(np.radians(config.jet_half_angle_deg))
    burst = jet & (z <= config.burst_redshift) & (chance[0] < config.burst_fraction)
    if kind == "NSBH":
        burst &= chance[1] < config.nsbh_disrupted
        return np.where(burst, "burst", "")
    kilonova = (z <= config.kilonova_redshift) & (chance[1] < config.kilonova_fraction)
    return np.select([burst, kilonova], ["burst", "kilonova"], default="")


def _distances(universe: Cosmology, z: Array) -> Array:
    return luminosity_distance(universe, Redshifts(z))[0] if len(z) else np.zeros(0)
