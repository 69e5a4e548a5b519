"""A survey of the field of a star cluster: members and stars of the field, as bright and as fast as they are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from astropy import units as u
from astropy.table import QTable
from numpy.typing import NDArray

from astropipe.config.spectra import ClusterSurveyConfig
from astropipe.runtime.errors import InputError
from astropipe.runtime.seeds import stream
from astropipe.spectra.clusters.evolution import absolute_magnitude, evolve, surface
from astropipe.spectra.clusters.snapshot import Snapshot, plummer_radius
from astropipe.spectra.labels import ELEMENTS
from astropipe.spectra.population import (
    ALPHA_ELEMENTS,
    FE_H_RANGE,
    LOG_G_RANGE,
    T_EFF_RANGE_K,
    V_MICRO_RANGE_KM_S,
    V_MICRO_SCATTER_KM_S,
    least_log_g,
    mean_v_micro,
    mean_x_fe,
)
from astropipe.spectra.simulation import BLOCK, Stars, Survey, draw_stars

Floats = NDArray[np.float64]

# Stars of the field have ages uniform between these, and lie out to so many distances of the cluster, evenly in volume.
_FIELD_AGES_MYR, _FIELD_DEPTH = (1_000.0, 10_000.0), 2.0


@dataclass(frozen=True, eq=False)
class ObservedStars:
    """The stars of a field that a survey observes, all of shape (n,) but for the labels.

    Attributes
    ----------
    labels : ndarray, shape (n, 18)
        The 17 labels, then microturbulence.
    rv_km_s, ra_deg, dec_deg, magnitude, mass_msun, snr : ndarray
        Velocity, place, magnitude in V, mass, and signal-to-noise ratio of the red arm.
    member : ndarray of bool
        Whether it belongs to the cluster.
    """

    labels: Floats
    rv_km_s: Floats
    ra_deg: Floats
    dec_deg: Floats
    magnitude: Floats
    mass_msun: Floats
    snr: Floats
    member: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_] | slice) -> ObservedStars:
        """Return some of the stars."""
        return ObservedStars(*(values[rows] for values in vars(self).values()))

    def joined(self, other: ObservedStars) -> ObservedStars:
        """Return these stars and others."""
        return ObservedStars(
            *(
                np.concatenate([ours, theirs])
                for ours, theirs in zip(vars(self).values(), vars(other).values(), strict=True)
            )
        )

    def block(self, survey: Survey, rng: np.random.Generator, block: int) -> Stars:
        """Return a block of the stars with what else an observation has at random: rotation, resolution."""
        rows = slice(block * BLOCK, (block + 1) * BLOCK)
        snr = self.snr[rows]
        return replace(
            draw_stars(survey, rng, len(snr)),
            labels=self.labels[rows],
            rv_km_s=self.rv_km_s[rows],
            snr=np.stack([survey.blue_to_red_snr * snr, snr], axis=1),
        )

    def columns(self, rows: slice) -> QTable:
        """Return what the table of a survey has on its stars beside their labels."""
        return QTable(
            {
                "ra": self.ra_deg[rows] * u.deg,
                "dec": self.dec_deg[rows] * u.deg,
                "magnitude": self.magnitude[rows] * u.mag,
                "mass": self.mass_msun[rows] * u.Msun,
                "member": self.member[rows],
            }
        )


def observe_cluster(cluster: Snapshot, config: ClusterSurveyConfig, seed: int) -> ObservedStars:
    """Choose the stars that a survey of the field of a cluster observes.

    Members are those bright enough, inside the field, and within the labels that the emulator knows. For each there is
    a star of the field with the odds that ``field_fraction`` says, so that given their number the fraction of the field
    is that of a Bernoulli trial for each star. Fibres go to stars at random.

    Parameters
    ----------
    cluster : Snapshot
        The cluster.
    config : ClusterSurveyConfig
        The survey.
    seed : int
        Root seed.

    Raises
    ------
    InputError
        If no member is observed.
    """
    members = _members(cluster, config, stream(seed, "spectra.cluster.members"))
    if not len(members):
        raise InputError(
            f"no star of the cluster is brighter than magnitude {config.magnitude_limit:g} and within the labels that "
            "the emulator knows; raise spectra.simulate.cluster.magnitude_limit, or bring the cluster nearer"
        )
    rng = stream(seed, "spectra.cluster.field")
    n_field = int(rng.negative_binomial(len(members), 1.0 - config.field_fraction)) if config.field_fraction else 0
    stars = members.joined(_field(cluster, config, n_field, rng))
    order = stream(seed, "spectra.cluster.fibres").permutation(len(stars))
    return stars.take(order if config.max_stars is None else order[: config.max_stars])


def truth_table(cluster: Snapshot, config: ClusterSurveyConfig) -> QTable:
    """Return what is true of a cluster and its field, by the names of the parameters that are inferred from them."""
    rows = [
        ("log10_mass", np.log10(cluster.mass_msun.sum()), ""),
        ("log10_scale_radius", np.log10(plummer_radius(cluster.position_pc)), ""),
        ("systemic_velocity", config.systemic_velocity_km_s, "km / s"),
        ("fe_h_mean", config.fe_h, ""),
        ("fe_h_scatter", config.fe_h_scatter, ""),
        ("field_fraction", config.field_fraction, ""),
    ]
    return QTable(rows=rows, names=("parameter", "value", "unit"))


def _members(cluster: Snapshot, config: ClusterSurveyConfig, rng: np.random.Generator) -> ObservedStars:
    n = len(cluster.mass_msun)
    luminosity, radius = evolve(cluster.mass_msun, np.full(n, 1e3 * config.age_gyr), config.fe_h)
    ra, dec = _on_sky(
        cluster.position_pc[:, 0] / config.distance_pc, cluster.position_pc[:, 1] / config.distance_pc, config
    )
    labels, brightness = _labels(
        cluster.mass_msun, luminosity, radius, rng.normal(config.fe_h, config.fe_h_scatter, n), config, rng
    )
    magnitude = brightness + 5.0 * np.log10(config.distance_pc / 10.0)
    stars = ObservedStars(
        labels,
        config.systemic_velocity_km_s + cluster.velocity_km_s[:, 2],
        ra,
        dec,
        magnitude,
        cluster.mass_msun,
        _snr(magnitude, config),
        np.ones(n, dtype=bool),
    )
    inside = np.hypot(*cluster.position_pc[:, :2].T) <= config.distance_pc * _field_radius(config)
    return stars.take(inside & _observable(stars, config))


def _field(cluster: Snapshot, config: ClusterSurveyConfig, n: int, rng: np.random.Generator) -> ObservedStars:
    """Draw stars of the field: masses as in the cluster, ages, distances, metallicities and velocities of their own."""
    found = _field_candidates(cluster, config, 0, rng)
    while len(found) < n:
        found = found.joined(_field_candidates(cluster, config, max(1_000, 20 * n), rng))
    return found.take(slice(n))


def _field_candidates(
    cluster: Snapshot, config: ClusterSurveyConfig, n: int, rng: np.random.Generator
) -> ObservedStars:
    mass = rng.choice(cluster.mass_msun, n)
    luminosity, radius = evolve(mass, rng.uniform(*_FIELD_AGES_MYR, n), config.field_fe_h)
    distance = _FIELD_DEPTH * config.distance_pc * np.cbrt(rng.random(n))
    angle, azimuth = _field_radius(config) * np.sqrt(rng.random(n)), rng.uniform(0.0, 2.0 * np.pi, n)
    ra, dec = _on_sky(angle * np.cos(azimuth), angle * np.sin(azimuth), config)
    fe_h = rng.normal(config.field_fe_h, config.field_fe_h_dispersion, n)
    labels, brightness = _labels(mass, luminosity, radius, fe_h, config, rng)
    magnitude = brightness + 5.0 * np.log10(np.maximum(distance, 1.0) / 10.0)
    velocity = rng.normal(config.field_velocity_km_s, config.field_dispersion_km_s, n)
    stars = ObservedStars(labels, velocity, ra, dec, magnitude, mass, _snr(magnitude, config), np.zeros(n, dtype=bool))
    return stars.take(_observable(stars, config))


def _labels(
    mass: Floats,
    luminosity: Floats,
    radius: Floats,
    fe_h: Floats,
    config: ClusterSurveyConfig,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Return labels, shape (n, 18), and absolute magnitudes in V."""
    t_eff, log_g = surface(mass, luminosity, radius)
    alpha = np.array([element in ALPHA_ELEMENTS for element in ELEMENTS[1:]])
    x_fe = mean_x_fe(fe_h) if config.alpha_fe is None else config.alpha_fe * alpha
    x_h = fe_h[:, None] + x_fe + rng.normal(0.0, config.abundance_scatter, (len(mass), len(alpha)))
    v_micro = mean_v_micro(t_eff, log_g) + rng.normal(0.0, V_MICRO_SCATTER_KM_S, len(mass))
    labels = np.column_stack([t_eff, log_g, fe_h, x_h, np.clip(v_micro, *V_MICRO_RANGE_KM_S)])
    return labels, absolute_magnitude(luminosity, t_eff)


def _observable(stars: ObservedStars, config: ClusterSurveyConfig) -> NDArray[np.bool_]:
    """Return which stars are bright enough and within what the emulator knows; those that are no more are not."""
    t_eff, log_g, fe_h = stars.labels[:, :3].T
    observable = stars.magnitude <= config.magnitude_limit
    for values, (low, high) in ((t_eff, T_EFF_RANGE_K), (log_g, LOG_G_RANGE), (fe_h, FE_H_RANGE)):
        observable &= (values >= low) & (values <= high)
    return np.asarray(observable & (log_g >= least_log_g(t_eff)))


def _snr(magnitude: Floats, config: ClusterSurveyConfig) -> Floats:
    """Return signal-to-noise ratios, those of photon noise: the root of the flux."""
    return np.minimum(config.snr_at_limit * 10.0 ** (0.2 * (config.magnitude_limit - magnitude)), config.snr_max)


def _field_radius(config: ClusterSurveyConfig) -> float:
    """Return the tangent of the radius of the field."""
    return float(np.tan(np.radians(config.field_radius_arcmin / 60.0)))


def _on_sky(x: Floats, y: Floats, config: ClusterSurveyConfig) -> tuple[Floats, Floats]:
    """Return ra and dec in deg of points of the plane that touches the sphere at the centre, x to the east."""
    dec_0 = np.radians(config.dec_deg)
    below = np.cos(dec_0) - y * np.sin(dec_0)
    ra = config.ra_deg + np.degrees(np.arctan2(x, below))
    return ra % 360.0, np.degrees(np.arctan2(np.sin(dec_0) + y * np.cos(dec_0), np.hypot(x, below)))
