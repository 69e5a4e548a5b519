"""Artifacts of the morphology stage."""

from __future__ import annotations

from collections.abc import Iterator

from astropipe.artifacts.schemas.base import Field, Schema, trained_model

CLASSES = ("SPH", "ETD", "LTD", "IRR")

# Name, unit and meaning of what is measured of a galaxy. Lengths are in pixels of its stamp, or in arcsec.
MEASURES = (
    ("x_centre", "pix", "column of the centre of symmetry in the stamp, from 0"),
    ("y_centre", "pix", "row of the centre of symmetry in the stamp, from 0"),
    ("flux", None, "sum within 1.5 Petrosian radii, in the unit of the images"),
    ("snr", None, "signal-to-noise ratio within the half-light radius, of sky noise"),
    ("petrosian_radius", "pix", "radius where the brightness is 0.2 of the mean inside, in stamp pixels"),
    ("petrosian_radius_err", "pix", "standard error of the Petrosian radius"),
    ("r20", "pix", "radius of 20 % of the flux, in stamp pixels"),
    ("r50", "pix", "radius of half the flux, in stamp pixels, as seen through the PSF"),
    ("r80", "pix", "radius of 80 % of the flux, in stamp pixels"),
    ("r_e", "arcsec", "effective radius of the Sersic profile along the major axis"),
    ("r_e_err", "arcsec", "standard error of r_e"),
    ("r_e_pixels", "pix", "effective radius of the Sersic profile along the major axis, in stamp pixels"),
    ("r_e_pixels_err", "pix", "standard error of r_e_pixels"),
    ("sersic_index", None, "index n of the Sersic profile"),
    ("sersic_index_err", None, "standard error of the Sersic index"),
    ("axis_ratio", None, "minor over major axis, less the PSF where it is known"),
    ("axis_ratio_err", None, "standard error of the axis ratio"),
    ("position_angle", "deg", "major axis from the x axis of the stamp towards its y axis, 0 to 180"),
    ("concentration", None, "C = 5 log10(r80 / r20)"),
    ("concentration_err", None, "standard error of the concentration"),
    ("asymmetry", None, "asymmetry A under a turn by 180 degrees, less that of the sky"),
    ("asymmetry_err", None, "standard error of the asymmetry"),
    ("smoothness", None, "smoothness (clumpiness) S, less that of the sky"),
    ("gini", None, "Gini coefficient of the pixels of the Petrosian segment"),
    ("gini_err", None, "standard error of the Gini coefficient"),
    ("m20", None, "log10 of the share of the brightest 20 % in the second moment of the light"),
    ("m20_err", None, "standard error of M20"),
    ("multimode", None, "multimode M: area of the second to the first clump"),
    ("intensity", None, "intensity I: flux of the second to the first peak"),
    ("deviation", None, "deviation D: distance of the brightest peak from the centroid, in segment radii"),
)

TRUTHS = (
    ("sersic_index", None, "Sersic index; of several parts, that of the profile with their concentration"),
    ("bulge_fraction", None, "share of the light in the bulge"),
    ("arm_strength", None, "share of the light in spiral arms"),
    ("bar_strength", None, "share of the light in a bar"),
    ("clumpiness", None, "share of the light in knots"),
    ("disturbance", None, "0 for a galaxy in order, 1 for a merger of equals"),
    ("inclination", "deg", "of a disk, 0 seen from above"),
    ("axis_ratio", None, "minor over major axis of the isophotes"),
)


def _known() -> Iterator[Field]:
    """Yield what may be known of a galaxy from elsewhere."""
    for name, unit, description in (
        ("ra", "deg", "right ascension, ICRS"),
        ("dec", "deg", "declination, ICRS"),
        ("x", "pix", "column of the centre in the picture, from 0"),
        ("y", "pix", "row of the centre in the picture, from 0"),
        ("mag", "mag", "magnitude as the input gave it"),
        ("redshift", None, "redshift"),
        ("age", "Gyr", "age of the stars as measured"),
        ("age_err", "Gyr", "standard error of the age"),
    ):
        yield Field(name, description, unit=unit, required=False)


SCHEMAS = (
    Schema(
        "stamps",
        "1.2",
        "Images of single galaxies, centred, with noise and pixel scale",
        columns=(
            Field("id", "identifier of the galaxy", "text"),
            Field("pixel_scale", "size of a pixel on the sky; NaN if unknown", unit="arcsec"),
            Field("sky_rms", "standard deviation of the sky in the unit of the images"),
            Field("psf_fwhm", "full width at half maximum of the PSF; NaN if unknown", unit="arcsec", required=False),
            Field("flags", "bit mask of warnings; 0 is clean", "int", required=False),
            *_known(),
            Field("file", "file that the galaxy is from", "text", required=False),
            Field("morphology", "true class of a rendered galaxy", "text", required=False),
            Field("r_e", "true half-light radius of a rendered galaxy, not blurred", unit="arcsec", required=False),
            Field("snr", "true signal-to-noise ratio inside the half-light radius", required=False),
            *(
                Field(name, f"truth of a rendered galaxy: {description}", unit=unit, required=False)
                for name, unit, description in TRUTHS
            ),
        ),
        datasets=(
            Field("images", "images less the sky", dims=("galaxy", "row", "column")),
            Field("masks", "true where a pixel belongs to something else", "bool", dims=("galaxy", "row", "column")),
        ),
        attributes=(
            Field("truth@h0", "expansion rate in km/s/Mpc of the universe of simulated ages", required=False),
            Field("truth@omega_m", "matter density of that flat universe", required=False),
            Field("truth@late_age_share", "mean age of other types over that of early types", required=False),
        ),
        rows="galaxy",
    ),
    trained_model("encoder", "3.0", "Trained encoder from galaxy images to features"),
    Schema(
        "galaxy-features",
        "1.1",
        "What encoder and measurements say of each galaxy, before any vote, in the order of the input",
        columns=(
            Field("id", "identifier of the galaxy", "text"),
            Field("flags", "bit mask of warnings; 0 is clean", "int"),
            *_known(),
            Field("file", "file that the galaxy is from", "text", required=False),
            *(Field(name, description, unit=unit, required=False) for name, unit, description in MEASURES),
        ),
        datasets=(
            Field("features", "output of the encoder", dims=("galaxy", "feature"), required=False),
            Field("embedding", "what is clustered", dims=("galaxy", "embedded")),
            Field("probabilities", "of the classes of rendered galaxies", dims=("galaxy", "class"), required=False),
            Field("truths", "what the encoder reads of the truths", dims=("galaxy", "truth"), required=False),
        ),
        rows="galaxy",
    ),
    Schema(
        "morphology-catalog",
        "1.3",
        "Morphological class of each galaxy with agreement of the votes, in the order of the input",
        columns=(
            Field("id", "identifier of the galaxy", "text"),
            Field("group", "number of the unsupervised group; -1 for none", "int"),
            Field("morphology", "name of the class", "text"),
            Field("agreement", "share of the votes that agree, 0 to 1"),
            Field("kept", "whether the agreement reaches the chosen threshold", "bool"),
            *_known(),
            Field("file", "file that the galaxy is from", "text", required=False),
            Field("flags", "bit mask of warnings; 0 is clean", "int", required=False),
            Field("step", "1: class by the votes, 2: by the classifier, 0: none", "int", required=False),
            *(
                Field(f"probability_{name.lower()}", f"probability of {name} by the classifier", required=False)
                for name in CLASSES
            ),
            *(Field(name, description, unit=unit, required=False) for name, unit, description in MEASURES),
        ),
        datasets=(
            Field("embedding", "what was clustered", dims=("galaxy", "embedded"), required=False),
            Field("map", "place on a map of what was clustered", dims=("galaxy", "axis"), required=False),
            Field("map_method", "how the map was made: pca or umap", "text", required=False),
            Field(
                "mosaic/images",
                "grey levels of stamps of some galaxies of each group",
                "int",
                dims=("example", "row", "column"),
                required=False,
            ),
            Field("mosaic/galaxy", "rows of these galaxies in the catalog", "int", dims=("example",), required=False),
            Field(
                "groups/medians",
                "medians of each group in the quantities of the prototypes",
                dims=("group", "quantity"),
                required=False,
            ),
            Field("groups/names", "name, size and likeliest classes of each group, as JSON", "text", required=False),
        ),
        rows="galaxy",
    ),
)
