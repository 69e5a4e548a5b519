"""Artifacts of the morphology stage."""

from __future__ import annotations

from astropipe.artifacts.schemas.base import Field, Schema, trained_model

SCHEMAS = (
    Schema(
        "stamps",
        "1.0",
        "Images of single galaxies, centred, with noise and pixel scale",
        columns=(
            Field("id", "identifier of the galaxy", "text"),
            Field("pixel_scale", "size of a pixel on the sky", unit="arcsec"),
            Field("sky_rms", "standard deviation of the sky in the unit of the images"),
        ),
        datasets=(
            Field("images", "images, linear in flux", dims=("galaxy", "row", "column")),
            Field("masks", "true where a pixel belongs to something else", "bool", dims=("galaxy", "row", "column")),
        ),
        rows="galaxy",
    ),
    trained_model("encoder", "1.0", "Trained encoder from galaxy images to features"),
    Schema(
        "morphology-catalog",
        "1.0",
        "Morphological class of each galaxy with agreement of the votes, in the order of the input",
        columns=(
            Field("id", "identifier of the galaxy", "text"),
            Field("group", "number of the unsupervised group", "int"),
            Field("morphology", "name of the class", "text"),
            Field("agreement", "share of the votes that agree, 0 to 1"),
            Field("kept", "whether the agreement reaches the chosen threshold", "bool"),
        ),
    ),
)
