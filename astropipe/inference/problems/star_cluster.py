"""The problem of a star cluster: its mass, size, motion and metallicity from a catalog of stars in its field."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from astropipe.config.base import nearest
from astropipe.inference.priors import Distribution, Prior, Uniform
from astropipe.inference.problems.base import Problem, register
from astropipe.inference.star_clusters import stars as catalog
from astropipe.inference.star_clusters.mixture import NAMES, ClusterLikelihood, FieldStars
from astropipe.inference.star_clusters.plummer import GRAVITY
from astropipe.runtime.errors import UsageError

Number = Annotated[float | int, Field(description="a number")]
Positive = Annotated[float | int, Field(gt=0.0, description="a number above 0")]

DEFAULT_PRIORS: Mapping[str, Distribution] = {
    "log10_mass": Uniform(1.0, 7.0),
    "log10_scale_radius": Uniform(-1.0, 2.0),
    "systemic_velocity": Uniform(-500.0, 500.0),
    "fe_h_mean": Uniform(-2.5, 0.5),
    "fe_h_scatter": Uniform(0.0, 0.5),
    "field_fraction": Uniform(0.0, 1.0),
}
LATEX = {
    "log10_mass": r"\log_{10} (M / M_\odot)",
    "log10_scale_radius": r"\log_{10} (a / \mathrm{pc})",
    "systemic_velocity": r"v_\mathrm{sys}",
    "fe_h_mean": r"\langle\mathrm{[Fe/H]}\rangle",
    "fe_h_scatter": r"\sigma_\mathrm{[Fe/H]}",
    "field_fraction": r"f_\mathrm{field}",
    "central_dispersion": r"\sigma_0",
}
UNITS = {"systemic_velocity": "km / s"}


CITATIONS = ("Plummer1911", "Dejonghe1987")


@register("plummer-cluster")
def plummer_cluster(
    data: Annotated[str, Field(description="the file of a stellar-catalog artifact")],
    distance_pc: Positive,
    ra_deg: Number,
    dec_deg: Number,
    field_radius_arcmin: Positive,
    field_velocity_km_s: Number = 0.0,
    field_dispersion_km_s: Positive = 40.0,
    field_fe_h: Number = -0.2,
    field_fe_h_dispersion: Positive = 0.3,
    priors: Annotated[
        Mapping[str, Distribution | str] | None,
        Field(description='a mapping from parameters to priors, such as {log10_mass: "uniform(2, 5)"}'),
    ] = None,
) -> Problem:
    """Build the problem of an isotropic Plummer sphere among stars of the field.

    Parameters
    ----------
    data
        Catalog of stars with positions, velocities and [Fe/H]; rows with a flag are not used.
    distance_pc, ra_deg, dec_deg
        Where the cluster is, taken to be known.
    field_radius_arcmin
        Radius of the circle about the centre in which stars were observed.
    field_velocity_km_s, field_dispersion_km_s, field_fe_h, field_fe_h_dispersion
        The stars of the field, which are uniform in the circle; taken to be known.
    priors
        Priors that replace those of `DEFAULT_PRIORS`. The velocity should be bounded to some ten km/s, as a histogram
        of the catalog tells: an emulator does not find a needle in 1000 km/s.

    Raises
    ------
    UsageError
        If a prior is given for a parameter that there is not.
    InputError
        If the catalog has no positions, or no star is left.
    """
    for name in priors or {}:
        if name not in NAMES:
            raise UsageError(f"no parameter is called {name!r}; {nearest(name, NAMES)}")
    place = catalog.Field(float(ra_deg), float(dec_deg), float(field_radius_arcmin), float(distance_pc))
    stars = catalog.read_stars(Path(data), place)
    field = FieldStars(
        float(field_velocity_km_s), float(field_dispersion_km_s), float(field_fe_h), float(field_fe_h_dispersion)
    )
    return Problem(
        name="plummer-cluster",
        title=f"Plummer sphere among {len(stars)} stars",
        prior=Prior({**DEFAULT_PRIORS, **(priors or {})}),
        log_likelihood=ClusterLikelihood(stars, place.radius_pc, field),
        latex={name: LATEX[name] for name in NAMES},
        units=UNITS,
        derived=_central_dispersion,
        derived_units={"central_dispersion": "km / s"},
        derived_latex={"central_dispersion": LATEX["central_dispersion"]},
        citations=CITATIONS,
        sources=(Path(data),),
    )


def _central_dispersion(x: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the velocity dispersion in each direction at the centre, sqrt(GM / 6a), in km/s."""
    return {"central_dispersion": np.sqrt(GRAVITY * 10.0 ** (x[:, 0] - x[:, 1]) / 6.0)}
