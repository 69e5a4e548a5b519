"""Settings of star clusters, in the sections ``nbody.simulate.cluster`` and ``nbody.integrate.cluster``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from astropipe.config.base import Section


class ClusterStartConfig(Section):
    """Initial conditions of a cluster, for ``family: cluster``."""

    profile: Literal["plummer", "king"] = Field(
        "plummer", description="density profile of stars and massless particles"
    )
    w0: float = Field(6.0, ge=0.1, le=16, description="central depth of a King profile")
    n_stars: int = Field(256, ge=2, description="stars")
    n_massless: int = Field(0, ge=0, description="massless particles, which feel the stars and pull nothing")
    masses: Literal["equal", "kroupa"] = Field("kroupa", description="masses of the stars")
    lowest_mass: float = Field(0.08, ge=0.01, description="lowest mass in Msun, for masses kroupa")
    highest_mass: float = Field(8.0, le=150, description="highest mass in Msun, for masses kroupa")
    virial_ratio: float = Field(
        0.5, ge=0, lt=1, description="kinetic over absolute potential energy; 0.5 is equilibrium"
    )
    binary_fraction: float = Field(0.0, ge=0, le=1, description="share of the systems that are binaries")
    shortest_axis: float = Field(1e-4, gt=0, description="shortest semi-major axis of a binary, in virial radii")
    longest_axis: float = Field(1e-2, gt=0, description="longest semi-major axis of a binary, in virial radii")
    virial_radius: str | None = Field(
        None, description="virial radius with its unit, such as 1 pc; null: N-body (Henon) units"
    )
    total_mass: str | None = Field(
        None,
        description="mass of the stars with its unit, such as 1000 Msun; null: the sum of the masses that were drawn",
    )


class TideConfig(Section):
    """The tidal field around a cluster on a circular orbit. Numbers are in N-body units, texts have units."""

    kind: Literal["none", "point-mass", "oort"] = Field(
        "none", description="no field, that of a point mass, or that of a galaxy with Oort's constants"
    )
    angular_speed: float | str = Field(
        0.0, description="angular speed of the orbit, such as 27.5 km / (s kpc), for a point mass"
    )
    a: float | str = Field("15.3 km / (s kpc)", description="Oort's A, after Bovy (2017, MNRAS 468, L63)")
    b: float | str = Field("-11.9 km / (s kpc)", description="Oort's B, after the same")
    density: float | str = Field(
        "0.1 Msun / pc3",
        description="density of the galaxy at the cluster, after Holmberg & Flynn (2000, MNRAS 313, 209)",
    )


class ClusterRunConfig(Section):
    """Integration of a cluster, for ``cluster-snapshots`` as input."""

    eta: Annotated[float, Field(gt=0, le=1)] | Literal["learned"] = Field(
        0.02,
        description="accuracy parameter of the steps of stars, under the root (Aarseth 1985); learned: a policy "
        "chooses it for every star at every step",
    )
    energy_target: float = Field(
        1e-7,
        gt=0,
        lt=1,
        description="relative energy error that is aimed at in each time sqrt(r_h^3 / G M), for eta learned",
    )
    massless_eta: float = Field(0.02, gt=0, le=1, description="the same of massless particles")
    longest_step: float = Field(
        0.0625, gt=0, description="longest step, in N-body units; all particles meet at least this often"
    )
    pair_disturbance: float = Field(
        0.01, ge=0, le=0.03, description="most tides at which a bound pair is an orbit of Kepler with kicks; 0: never"
    )
    n_snapshots: int = Field(51, ge=2, description="snapshots, evenly spaced, both ends included")
    snapshot_times: tuple[float, ...] | None = Field(
        None,
        description="times of the snapshots after the first, increasing, in the time unit of t_end, in place of it",
    )
    logs_per_snapshot: int = Field(
        4, ge=1, description="times between two snapshots at which energies, radii and escapes are looked at"
    )
    n_twins: int = Field(
        32,
        ge=0,
        description="massless particles that are integrated twice, with steps of half the size, to see their errors",
    )
    escape_radius: float | None = Field(
        None,
        gt=0,
        description="distance at which an unbound particle has escaped, in N-body units; null: 10 half-mass radii, "
        "or 2 tidal radii where there is a field",
    )
    heavy_share: float = Field(0.1, gt=0, le=1, description="share of the stars that count as heavy, by mass")
    tide: TideConfig = Field(TideConfig(), description="tidal field")
    softening: float = Field(0.0, description="always 0: encounters are integrated as they are")

    @field_validator("softening")
    @classmethod
    def _is_zero(cls, value: float) -> float:
        if value != 0.0:
            raise ValueError(
                "there is no softening: close pairs are integrated as they are (pair_disturbance); leave it out"
            )
        return value

    @field_validator("snapshot_times", mode="after")
    @classmethod
    def _increase(cls, value: tuple[float, ...] | None) -> Any:
        for i, (before, after) in enumerate(zip((0.0, *(value or ())), value or (), strict=False)):
            if not after > before:
                raise ValueError(
                    f"must increase from the first snapshot, at 0, on, but entry {i} is {after} after {before}"
                )
        if value is not None and not value:
            raise ValueError("must name at least one time")
        return value
