"""Settings of the periodic box of the nbody stage, and of the statistics of its flow."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from astropipe.config.base import Section


class BoxStartConfig(Section):
    """A periodic box of equal particles at its start."""

    n_side: int = Field(64, ge=2, description="particles along each side")
    size_mpc: float = Field(50.0, gt=0, description="side of the box, comoving, in Mpc")
    redshift: float = Field(49.0, gt=0, description="redshift of the start")
    cosmology: str = Field("Planck18", description="a cosmology of astropy, by its name")
    sigma8: float | None = Field(
        None, gt=0, description="amplitude of the linear power spectrum today; null: that of the cosmology"
    )
    spectral_index: float | None = Field(
        None, description="slope of the primordial power spectrum; null: that of the cosmology"
    )
    perturbations: Literal["2lpt", "zeldovich"] = Field(
        "2lpt", description="Lagrangian perturbation theory of second or of first order"
    )


class BoxRunConfig(Section):
    """The way of a box through time."""

    redshifts: tuple[float, ...] = Field(
        (3.0, 1.0, 0.5, 0.0), min_length=1, description="redshifts of the snapshots, in order of time"
    )
    n_steps: int = Field(
        120, ge=1, description="steps from the start to redshift 0, even in the square root of the scale factor"
    )
    mesh: int | None = Field(
        None, ge=4, description="nodes of the mesh along each side of the box; null: two for each particle"
    )


class FlowConfig(Section):
    """What is measured of the flow in a box."""

    snapshots: Literal["all", "last"] = Field("all", description="which snapshots are measured")
    r_min_mpc: float | None = Field(
        None, gt=0, description="least separation, comoving, in Mpc; null: a fifth of the mean separation"
    )
    r_max_mpc: float | None = Field(
        None, gt=0, description="largest separation, comoving, in Mpc; null: half the side of the box"
    )
    n_bins: int = Field(20, ge=1, description="bins of the separation, even in its logarithm")
    law_r_min_mpc: float | None = Field(
        None, gt=0, description="least separation of the laws of small scales; null: the mean separation"
    )
    law_r_max_mpc: float | None = Field(
        None, gt=0, description="largest separation of the laws of small scales; null: three mean separations"
    )
    max_pairs: int = Field(
        2_000_000, ge=1000, description="about how many pairs within a separation are looked at; beyond, a part of them"
    )
    regions_per_side: int = Field(
        4, ge=2, le=16, description="regions along each side of the box, for the jackknife errors"
    )
    linking_length: float = Field(
        0.2, gt=0, lt=1, description="friends of friends: linking length in mean separations of the particles"
    )
    min_members: int = Field(20, ge=2, description="least number of particles in a halo")
    density: bool = Field(True, description="whether the density is measured by Delaunay tessellation")
