"""Artifacts of the spectra stage."""

from __future__ import annotations

from astropipe.artifacts.schemas.base import Field, Schema, trained_model

SCHEMAS = (
    Schema(
        "spectra",
        "1.0",
        "Stellar spectra on one wavelength grid, with inverse variance and mask",
        columns=(Field("id", "identifier of the spectrum", "text"),),
        datasets=(
            Field("wavelength", "vacuum wavelength of the pixels", unit="Angstrom", dims=("pixel",)),
            Field("flux", "flux, in units of the continuum or as observed", dims=("spectrum", "pixel")),
            Field("ivar", "inverse variance of the flux; 0 where masked", dims=("spectrum", "pixel")),
            Field("mask", "true where a pixel must not be used", "bool", dims=("spectrum", "pixel")),
        ),
        rows="spectrum",
    ),
    trained_model("spectral-network", "1.0", "Trained network from spectra to stellar labels"),
    Schema(
        "stellar-catalog",
        "1.0",
        "Labels of stars with uncertainties, in the order of the input",
        columns=(
            Field("id", "identifier of the spectrum", "text"),
            Field("t_eff", "effective temperature", unit="K"),
            Field("t_eff_err", "standard error of t_eff", unit="K"),
            Field("log_g", "logarithm of the surface gravity in cm/s^2"),
            Field("log_g_err", "standard error of log_g"),
            Field("fe_h", "iron abundance [Fe/H]"),
            Field("fe_h_err", "standard error of fe_h"),
            Field("rv", "radial velocity, heliocentric", unit="km/s"),
            Field("rv_err", "standard error of rv", unit="km/s"),
            Field("flags", "bit mask of warnings; 0 is clean", "int"),
        ),
    ),
)
