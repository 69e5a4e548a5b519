"""Settings of the morphology stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from astropipe.config.base import Section


class ChronometersConfig(Section):
    """Redshifts of simulated galaxies, and ages of their stars: those of early types tell the time."""

    enabled: bool = Field(False, description="give each galaxy a redshift and an age")
    h0: float = Field(67.36, gt=0, description="true expansion rate in km/s/Mpc; default: Planck 2018")
    omega_m: float = Field(0.3153, gt=0, lt=1, description="true matter density of the flat universe")
    redshift_low: float = Field(0.1, gt=0, description="lowest redshift; redshifts are uniform")
    redshift_high: float = Field(1.4, gt=0, description="highest redshift")
    formation_redshift: float = Field(
        3.0, gt=0, description="redshift at which the stars of early types formed, all at once, to age since"
    )
    formation_scatter_gyr: float = Field(0.3, ge=0, description="standard deviation of the time at which they did")
    late_share_low: float = Field(
        0.2, gt=0, description="least mean age of the stars of other types, as a share of that of early types"
    )
    late_share_high: float = Field(
        0.8, gt=0, le=1, description="largest one; uniform between, and 0.5 is star formation at a constant rate"
    )
    age_error: float = Field(0.05, gt=0, lt=1, description="standard error of a measured age, relative to the age")

    @model_validator(mode="after")
    def _ordered(self) -> ChronometersConfig:
        if not self.redshift_low < self.redshift_high < self.formation_redshift:
            raise ValueError("redshift_low, redshift_high and formation_redshift must rise in this order")
        if self.late_share_low > self.late_share_high:
            raise ValueError("late_share_low is above late_share_high; exchange them")
        return self


class SimulateConfig(Section):
    """Settings of ``astropipe morphology simulate``: which galaxies, how observed."""

    n_galaxies: int = Field(2000, ge=1, description="number of galaxies; the classes take turns")
    renderer: Literal["analytic", "galsim"] = Field(
        "analytic", description="what draws the galaxies; galsim needs that library, and no encoder learned from it"
    )
    size: int = Field(128, ge=32, le=512, description="rows and columns of a stamp in pixels")
    pixel_scale_arcsec: float = Field(0.03, gt=0, description="size of a pixel")
    psf_fwhm_arcsec: float = Field(
        0.1, gt=0, description="full width at half maximum of the point spread function of the analytic renderer"
    )
    snr_low: float = Field(50.0, gt=0, description="lowest signal-to-noise ratio inside the half-light radius")
    snr_high: float = Field(200.0, gt=0, description="highest one; between them the logarithm is uniform")
    noise_correlation_px: float = Field(
        0.5, ge=0, description="standard deviation of the Gaussian that correlates the noise of the analytic renderer"
    )
    chronometers: ChronometersConfig = Field(ChronometersConfig(), description="redshifts and ages")

    @model_validator(mode="after")
    def _ordered(self) -> SimulateConfig:
        if self.snr_low > self.snr_high:
            raise ValueError("snr_low is above snr_high; exchange them")
        return self


class CutConfig(Section):
    """Settings of ``astropipe morphology cut``: how galaxies are found on pictures and cut out."""

    size: int = Field(128, ge=16, description="rows and columns of a stamp in pixels")
    kind: Literal["auto", "cutouts", "mosaic"] = Field(
        "auto", description="whether a picture shows one galaxy or many; auto decides where that is certain"
    )
    catalog: str | None = Field(None, description="table of positions in the mosaic; null: what is detected")
    pixel_scale_arcsec: float | None = Field(None, description="size of a pixel; null: what the header says")
    psf_fwhm_arcsec: float | None = Field(None, gt=0, description="width of the PSF; null: what the header says")
    saturation: float | None = Field(None, description="level at which pixels saturate; null: what the header says")
    detect_sigma: float = Field(
        2.5, gt=0, description="threshold of detection in standard deviations of the smoothed sky"
    )
    min_area_px: int = Field(50, ge=1, description="least area of a galaxy where a mosaic has no catalog")
    deblend_contrast: float = Field(
        0.03, gt=0, le=1, description="share of the light that makes a peak a source; clumps are part of their galaxy"
    )
    bridge: float = Field(
        0.3, gt=0, le=1, description="touching peaks are one galaxy if the saddle reaches this share of the lower one"
    )
    min_separation_px: float = Field(3.0, ge=0, description="touching peaks closer than this are one galaxy")
    size_factor: float = Field(4.0, gt=0, description="half-light radii to each side that a stamp shows at least")
    background_box_px: int = Field(128, ge=16, description="width of the meshes in which a mosaic's sky is measured")
    positions: Literal["auto", "pixels", "sky"] = Field(
        "auto", description="columns of a catalog that count: x and y, ra and dec, or the first of these there is"
    )
    first_pixel: Literal[0, 1] = Field(0, description="coordinate of the first pixel in the columns x and y")


class EncodeConfig(Section):
    """Settings of ``astropipe morphology encode``: what describes a galaxy."""

    encoder: str | None = Field(
        None,
        description="file of an encoder artifact, folder of a ConvNeXt in the layout of Hugging Face, "
        "efficientnet-lite0, or harmonics for features without a network; null for the encoder that comes with "
        "astropipe",
    )
    measures: Literal["fast", "statmorph"] = Field(
        "fast", description="by what structural parameters are measured; statmorph is much slower"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the network's matrix products; bfloat16 is faster where the processor has it"
    )
    features: bool = Field(False, description="write the output of the encoder before the embedding, for probes")


class ClassifyConfig(Section):
    """Settings of ``astropipe morphology classify``: the votes, the names and the second step."""

    vote: Literal["consensus", "overwrite", "union", "hungarian"] = Field(
        "consensus",
        description="votes of many clusterings, or three that must agree, as Fang et al. (2025) have it: clusters of "
        "two take the group of the first in which most of their members are; of several that take the same the last "
        "counts (overwrite, as published), all do (union), or each takes another (hungarian)",
    )
    n_groups: int = Field(12, ge=2, description="number of unsupervised groups")
    n_runs: int = Field(60, ge=2, description="clusterings that vote")
    n_components: int = Field(20, ge=1, description="principal components of the embedding that are clustered")
    sample_fraction: float = Field(0.7, gt=0, le=1, description="share of the galaxies that a clustering sees")
    feature_fraction: float = Field(0.85, gt=0, le=1, description="share of the components that a clustering sees")
    min_agreement: float = Field(
        0.6, ge=0, le=1, description="agreement of the votes on the class from which a galaxy is kept"
    )
    keep_fraction: float | None = Field(
        None, gt=0, le=1, description="share of the galaxies to keep, in place of min_agreement"
    )
    min_probability: float = Field(
        0.5, ge=0, le=1, description="probability below which the second step leaves a galaxy unclassified"
    )
    names: str | None = Field(None, description="YAML table of group numbers and names that replace the automatic ones")
    map: Literal["pca", "umap"] = Field(
        "pca", description="map of the galaxies for a figure: two principal components, or UMAP (extra umap)"
    )
    examples: int = Field(16, ge=0, description="stamps of each group that are kept for its mosaic")
    cut: CutConfig = Field(CutConfig(), description="for pictures")
    encode: EncodeConfig = Field(EncodeConfig(), description="for pictures and stamps")


class EvaluateConfig(Section):
    """Settings of ``astropipe morphology evaluate``: catalogs of simulated galaxies against the truth."""

    min_purity: float = Field(0.95, gt=0, le=1, description="purity for which the fraction that can be kept is told")


class TrainConfig(Section):
    """Settings of ``astropipe morphology train``: the encoder."""

    encoder: str | None = Field(
        None,
        description="file of an encoder whose denoiser and network are kept, so that only the reader and the reference "
        "are made anew; null trains all",
    )
    n_galaxies: int = Field(50_000, ge=100, description="galaxies that are rendered to learn from")
    denoiser_steps: int = Field(2000, ge=1, description="batches of pairs of exposures from which the denoiser learns")
    steps: int = Field(2600, ge=1, description="batches from which the network learns")
    batch: int = Field(128, ge=8, description="galaxies of a batch, each seen twice")
    learning_rate: float = Field(1e-3, gt=0, description="highest rate of AdamW")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="of matrix products while learning; bfloat16 is faster where the processor has it",
    )
    n_stamps: int = Field(
        40_000, ge=100, description="further galaxies, as stamps and pictures, from which the reader learns"
    )
    epochs: int = Field(30, ge=1, description="how often the reader sees all of them")
    n_reference: int = Field(
        2000, ge=100, description="further galaxies whose measurements are kept, to name groups and calibrate by"
    )


class MorphologyConfig(Section):
    """Galaxies."""

    simulate: SimulateConfig = Field(SimulateConfig(), description="simulated survey")
    cut: CutConfig = Field(CutConfig(), description="pictures to stamps")
    train: TrainConfig = Field(TrainConfig(), description="training of the encoder")
    encode: EncodeConfig = Field(EncodeConfig(), description="stamps to features and measurements")
    classify: ClassifyConfig = Field(ClassifyConfig(), description="classes from features")
    evaluate: EvaluateConfig = Field(EvaluateConfig(), description="classes against the truth")
