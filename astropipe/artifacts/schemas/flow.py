"""Artifacts of a periodic box of particles and of the flow in it."""

from __future__ import annotations

from collections.abc import Iterator

from astropipe.artifacts.schemas.base import Field, Schema


def _measured(name: str, description: str, unit: str | None = None) -> Iterator[Field]:
    yield Field(name, description, unit=unit)
    yield Field(f"{name}_error", f"its standard error, by the jackknife over regions of the box: {name}", unit=unit)


_VARIATES = {"difference": "velocity difference", "sum": "velocity sum", "velocity": "longitudinal velocity"}
_SOURCES = {"": "", "-x": ", X distribution fitted", "-logistic": ", logistic distribution fitted"}


def _speed(power: int) -> str:
    return "km/s" if power == 1 else f"km{power}/s{power}"


SCHEMAS = (
    Schema(
        "box-snapshots",
        "1.0",
        "Equal particles in a periodic box at one time or several; row of a particle is its id",
        columns=(
            Field("snapshot", "number of the snapshot, the name of its group below snapshots/", "int"),
            Field("scale_factor", "scale factor"),
            Field("redshift", "redshift"),
            Field("steps", "steps of the run so far; 0 where it did not run here", "int"),
            Field("kinetic_energy", "of peculiar velocities, per mass; NaN where it did not run here", unit="km2/s2"),
            Field("potential_energy", "of the contrast, per mass; NaN where it did not run here", unit="km2/s2"),
            Field("layzer_irvine_error", "error of the energy book since the start, over the potential energy"),
            Field("momentum_error", "total momentum over that of particles that all move one way"),
        ),
        datasets=(
            Field("snapshots/*/positions", "comoving, from 0 to the side", unit="Mpc", dims=("particle", "xyz")),
            Field("snapshots/*/velocities", "peculiar velocities", unit="km/s", dims=("particle", "xyz")),
            Field("box_size", "comoving side of the box", unit="Mpc"),
            Field("particle_mass", "mass of each particle", unit="Msun"),
            Field("cosmology", "the universe, as astropy writes it in YAML", "text"),
        ),
    ),
    Schema(
        "flow-statistics",
        "1.0",
        "Statistics of the flow in a box by snapshot and separation of pairs. Further tables are /laws, of small "
        "scales, /fits, distributions fitted to velocities, /one_point, velocities in and out of haloes, and /density",
        columns=(
            Field("snapshot", "number of the snapshot", "int"),
            Field("scale_factor", "scale factor"),
            Field("r_low", "lower edge of the bin of comoving separation", unit="Mpc"),
            Field("r_high", "upper edge of the bin", unit="Mpc"),
            Field("r", "mean comoving separation of the pairs", unit="Mpc"),
            Field("pairs", "pairs that were looked at; without any, all that follows is NaN", "int"),
            Field("share", "share of the particles whose pairs were looked at"),
            Field("hubble_flow", "H a r, which stable clustering balances", unit="km/s"),
            *_measured("xi", "excess of pairs over random ones: correlation function of the density"),
            *(
                field
                for n in range(1, 7)
                for field in _measured(f"du{n}", f"mean of the velocity difference to the power {n}", _speed(n))
            ),
            *_measured("du_skewness", "skewness of the velocity difference, about its mean"),
            *_measured("du_kurtosis", "kurtosis of the velocity difference, about its mean; 3 for a Gaussian"),
            *(
                field
                for n in (2, 4, 6)
                for field in _measured(f"su{n}", f"mean of the velocity sum to the power {n}", _speed(n))
            ),
            *_measured("su_kurtosis", "kurtosis of the velocity sum"),
            *(
                field
                for n in (2, 4, 6)
                for field in _measured(f"u{n}", f"mean of the longitudinal velocity to the power {n}", _speed(n))
            ),
            *_measured("u_kurtosis", "kurtosis of the longitudinal velocity"),
            *_measured("correlation_total", "mean of u.u'", "km2/s2"),
            *_measured("correlation_longitudinal", "mean of u_L u'_L", "km2/s2"),
            *_measured("correlation_transverse", "mean of u_T u'_T, one transverse component", "km2/s2"),
            *_measured("structure_transverse", "mean squared difference of one transverse component", "km2/s2"),
            *_measured("rho_longitudinal", "correlation of u_L and u'_L over the mean square at this separation"),
            *_measured("rho_total", "correlation of u and u' over the mean square at this separation"),
            *_measured("third_relation", "du3 / (3 du2 du1)"),
            *_measured("fifth_relation", "du5 / (5 du4 du1)"),
        ),
        datasets=(
            Field("pdf/values", "velocities in standard deviations, middles of bins", dims=("value",)),
            *(
                Field(f"pdf/{variate}{ending}", f"density of the {meaning}{source}", dims=("row", "value"))
                for variate, meaning in _VARIATES.items()
                for ending, source in _SOURCES.items()
            ),
        ),
        rows="row",
    ),
)
