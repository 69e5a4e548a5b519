"""Artifacts of the spectra stage."""

from __future__ import annotations

from astropipe.artifacts.schemas.base import Field, Schema, trained_model

_ABUNDANCES = ("fe", "c", "n", "o", "mg", "al", "si", "s", "k", "ca", "ti", "cr", "mn", "ni", "cu")


def _labels(*, errors: bool, required: bool) -> tuple[Field, ...]:
    """Columns of the 17 labels, each followed by its standard error."""
    fields = []
    for name, text, unit in (
        ("t_eff", "effective temperature", "K"),
        ("log_g", "logarithm of the surface gravity in cm/s^2", None),
        *((f"{element}_h", f"abundance [{element.title()}/H]", None) for element in _ABUNDANCES),
    ):
        fields.append(Field(name, text, unit=unit, required=required))
        if errors:
            fields.append(Field(f"{name}_err", f"standard error of {name}", unit=unit, required=required))
    return tuple(fields)


# Where a star is and how bright, in a survey and in the catalog that is made of it.
_SKY = (
    Field("ra", "right ascension", unit="deg", required=False),
    Field("dec", "declination", unit="deg", required=False),
    Field("magnitude", "magnitude in V", unit="mag", required=False),
)

SCHEMAS = (
    Schema(
        "synthetic-grid",
        "1.1",
        "Synthetic spectra at full resolution with their labels, on which the emulator is trained",
        columns=(
            Field("index", "number of the star in the sequence of drawn labels", "int"),
            *_labels(errors=False, required=True),
            Field("v_micro", "microturbulence", unit="km/s"),
            Field("kind", "box, giant, clump, subgiant or dwarf", "text"),
            Field("held_out", "true for spectra that no training may see", "bool"),
            Field(
                "population",
                "false for stars that were chosen for their temperature; all are of the population where it is missing",
                "bool",
                required=False,
            ),
            Field("status", "ok, or what is wrong with the spectrum", "text"),
        ),
        datasets=tuple(
            field
            for arm in ("blue", "red")
            for field in (
                Field(f"wavelength_{arm}", "vacuum wavelength", unit="Angstrom", dims=(f"pixel_{arm}",)),
                Field(f"flux_{arm}", "flux in units of the continuum", dims=("spectrum", f"pixel_{arm}")),
            )
        ),
        rows="spectrum",
    ),
    Schema(
        "spectra",
        "1.2",
        "Stellar spectra on one wavelength grid, with inverse variance and mask; of simulated ones also the truth. "
        "Those of a star cluster have a further table /truth with what is true of the cluster, by parameter",
        columns=(
            Field("id", "identifier of the spectrum", "text"),
            *_labels(errors=False, required=False),
            Field("v_micro", "microturbulence", unit="km/s", required=False),
            Field("rv", "radial velocity", unit="km/s", required=False),
            Field("v_sin_i", "projected velocity of rotation", unit="km/s", required=False),
            Field("v_macro", "macroturbulence", unit="km/s", required=False),
            Field("resolution_blue", "resolving power of the blue arm", required=False),
            Field("resolution_red", "resolving power of the red arm", required=False),
            Field("snr_blue", "wanted signal-to-noise ratio per pixel of the blue arm", required=False),
            Field("snr_red", "wanted signal-to-noise ratio per pixel of the red arm", required=False),
            *_SKY,
            Field("mass", "mass of the star", unit="Msun", required=False),
            Field("member", "whether it belongs to the star cluster that was observed", "bool", required=False),
        ),
        datasets=(
            Field("wavelength", "vacuum wavelength of the pixels", unit="Angstrom", dims=("pixel",)),
            Field("flux", "flux, in units of the continuum or as observed", dims=("spectrum", "pixel")),
            Field("ivar", "inverse variance of the flux; 0 where masked", dims=("spectrum", "pixel")),
            Field("mask", "true where a pixel must not be used", "bool", dims=("spectrum", "pixel")),
        ),
        rows="spectrum",
    ),
    trained_model("spectrum-emulator", "2.0", "Trained network from stellar labels to spectra"),
    trained_model("spectral-network", "1.0", "Trained network from spectra to stellar labels"),
    Schema(
        "stellar-catalog",
        "1.3",
        "Labels of stars with uncertainties, in the order of the input",
        columns=(
            Field("id", "identifier of the spectrum", "text"),
            *(
                Field(field.name, field.description, unit=field.unit, required=field.name[:3] in ("t_e", "log", "fe_"))
                for field in _labels(errors=True, required=True)
            ),
            Field("rv", "radial velocity, heliocentric where the wavelengths are", unit="km/s"),
            Field("rv_err", "standard error of rv", unit="km/s"),
            Field("v_sin_i", "projected velocity of rotation, macroturbulence included", unit="km/s", required=False),
            Field(
                "asymmetry",
                "velocity of the peak of wide lines, which is rv, less that of the fit",
                unit="km/s",
                required=False,
            ),
            Field("snr_blue", "median signal-to-noise ratio per pixel of the blue arm", required=False),
            Field("snr_red", "median signal-to-noise ratio per pixel of the red arm", required=False),
            Field("chi2_blue", "chi squared over the number of pairs of pixels, blue arm", required=False),
            Field("chi2_red", "chi squared over the number of pairs of pixels, red arm", required=False),
            *(
                Field(
                    f"excess_{arm}",
                    f"rms misfit beyond the noise as a share of the continuum, {arm} arm",
                    required=False,
                )
                for arm in ("blue", "red")
            ),
            Field("rv_second", "gain in chi squared of a second velocity over that of the first", required=False),
            Field(
                "air_gain",
                "fall of chi squared if telluric oxygen is looked for in air wavelengths, less that in vacuum",
                required=False,
            ),
            Field("rv_red_blue", "velocity of the red arm less that of the blue arm", unit="km/s", required=False),
            Field("rv_red_blue_err", "standard error of rv_red_blue", unit="km/s", required=False),
            Field("n_spikes", "pairs of pixels left out because they stand out upwards", "int", required=False),
            Field("measured", "bit i set: label i has more from the data than from the prior", "int", required=False),
            Field("flags", "bit mask of warnings; 0 is clean", "int"),
            *_SKY,
            Field("file", "file that the spectrum is from", "text", required=False),
            Field("hdu", "parts of the file that it is from", "text", required=False),
        ),
        datasets=(
            Field(
                "covariance",
                "covariance of the 17 labels, t_eff in K",
                dims=("star", "label", "label_"),
                required=False,
            ),
            Field(
                "bound",
                "standard errors if misfits were independent from pixel to pixel: Fisher matrix and prior; t_eff in K",
                dims=("star", "label"),
                required=False,
            ),
            Field("model", "model spectrum, of pairs of pixels", dims=("star", "pixel"), required=False),
            Field(
                "information",
                "1 - variance / prior variance of the labels; of abundances, that of [X/Fe] given [Fe/H]",
                dims=("star", "label"),
                required=False,
            ),
        ),
        rows="star",
    ),
)
