"""Settings of the spectra stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from astropipe.config.base import Section


class ClusterSurveyConfig(Section):
    """A survey of the field of a star cluster, for ``cluster-snapshots`` as input: which of its stars are observed."""

    snapshot: int = Field(-1, description="number of the snapshot, from 0; -1 for the last")
    distance_pc: float = Field(800.0, gt=0, description="distance of the cluster in pc")
    ra_deg: float = Field(132.0, ge=0, lt=360, description="right ascension of its centre in deg")
    dec_deg: float = Field(12.0, gt=-90, lt=90, description="declination of its centre in deg")
    systemic_velocity_km_s: float = Field(-30.0, ge=-300, le=300, description="its radial velocity in km/s")
    age_gyr: float = Field(4.0, gt=0, le=14, description="age of its stars, which were born together, in Gyr")
    fe_h: float = Field(-0.2, ge=-2, le=0.5, description="mean [Fe/H] of its stars")
    fe_h_scatter: float = Field(0.03, ge=0, le=0.5, description="standard deviation of [Fe/H] from star to star in dex")
    alpha_fe: float | None = Field(
        None,
        ge=-0.3,
        le=0.5,
        description="[O, Mg, Si, S, Ca, Ti/Fe], other elements follow iron; null for the trend of the Galaxy",
    )
    abundance_scatter: float = Field(
        0.03, ge=0, le=0.3, description="standard deviation of each [X/Fe] from star to star in dex"
    )
    field_radius_arcmin: float = Field(
        30.0, gt=0, le=300, description="radius of the circle that is observed in arcmin"
    )
    magnitude_limit: float = Field(16.5, description="magnitude in V of the faintest stars observed")
    snr_at_limit: float = Field(
        12.0,
        gt=0,
        description="signal-to-noise ratio of these per pixel of the red arm; it goes as the root of the flux",
    )
    snr_max: float = Field(150.0, gt=0, description="largest signal-to-noise ratio")
    max_stars: int | None = Field(
        None, ge=1, description="fibres, which go to stars at random; null for one to each star"
    )
    field_fraction: float = Field(
        0.2, ge=0, le=0.95, description="chance that a star is of the field and no member of the cluster"
    )
    field_velocity_km_s: float = Field(0.0, ge=-150, le=150, description="mean velocity of the field in km/s")
    field_dispersion_km_s: float = Field(40.0, gt=0, le=60, description="its dispersion of velocities in km/s")
    field_fe_h: float = Field(-0.2, ge=-1, le=0.2, description="mean [Fe/H] of the field")
    field_fe_h_dispersion: float = Field(0.25, ge=0, le=0.5, description="its standard deviation of [Fe/H] in dex")


class SimulateConfig(Section):
    """Settings of ``astropipe spectra simulate``: which stars, how observed."""

    n_spectra: int = Field(2000, ge=1, description="number of spectra")
    cluster: ClusterSurveyConfig = Field(
        ClusterSurveyConfig(),
        description="for cluster-snapshots as input, whose stars take the place of n_spectra, snr_low, snr_high and "
        "rv_limit_km_s",
    )
    emulator: str | None = Field(
        None, description="file of a spectrum-emulator artifact; null for the one that comes with astropipe"
    )
    snr_low: float = Field(10.0, gt=0, description="lowest signal-to-noise ratio per pixel of the red arm")
    snr_high: float = Field(200.0, gt=0, description="highest one; between them the logarithm is uniform")
    blue_to_red_snr: float = Field(0.6, gt=0, description="signal-to-noise ratio of the blue arm over that of the red")
    rv_limit_km_s: float = Field(300.0, ge=0, le=350, description="radial velocities are uniform between -/+ this")
    v_sin_i_limit_km_s: float = Field(
        40.0, ge=0, le=150, description="largest velocity of rotation; most stars are slow"
    )
    resolution_low: float = Field(6500.0, ge=3000, lt=12000, description="lowest resolving power of an arm")
    resolution_high: float = Field(8500.0, ge=3000, lt=12000, description="highest one")
    masked_fraction: float = Field(0.01, ge=0, lt=1, description="largest share of single pixels masked in a spectrum")
    gap_rate: float = Field(0.05, ge=0, description="mean number of gaps in a spectrum")
    gap_width_a: float = Field(20.0, gt=0, description="mean width of a gap in Angstrom")
    missing_arm_rate: float = Field(0.01, ge=0, le=1, description="share of spectra without one of the arms")
    cosmic_ray_rate: float = Field(0.2, ge=0, description="mean number of cosmic rays not masked in a spectrum")
    sky_residual: float = Field(
        1.0, ge=0, description="what is left of the sky line at 6300 Angstrom, in units of the noise at S/N 20"
    )
    continuum_tilt: float = Field(
        0.05, ge=0, description="standard deviation of the Legendre coefficients of the logarithm of the response"
    )

    air_mass_low: float = Field(1.0, ge=0, description="shortest path through the Earth's atmosphere, which absorbs")
    air_mass_high: float = Field(1.8, ge=0, le=5, description="longest one; 0 for both leaves the atmosphere out")
    model_error: bool = Field(
        True, description="whether spectra differ from emulated ones by as much as synthetic spectra do"
    )

    @model_validator(mode="after")
    def _ordered(self) -> SimulateConfig:
        for low, high in (
            ("snr_low", "snr_high"),
            ("resolution_low", "resolution_high"),
            ("air_mass_low", "air_mass_high"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} is above {high}; exchange them")
        return self


class PredictConfig(Section):
    """Settings of ``astropipe spectra predict``: what is read, and with what it is compared."""

    emulator: str | None = Field(
        None, description="file of a spectrum-emulator artifact; null for the one that comes with astropipe"
    )
    network: str | None = Field(
        None,
        description="file of a spectral-network artifact, whose labels are written in place of those of the fit: the "
        "published networks, for comparison",
    )
    exposures: Literal["coadd", "single", "all"] = Field(
        "coadd", description="of LAMOST files: coadds, single exposures, or both"
    )
    medium: Literal["vacuum", "air"] = Field(
        "vacuum", description="of the wavelengths; air converts them, also where a file does not say it"
    )
    models: bool = Field(False, description="write the model spectra, for figures of a few stars: 33 kB a spectrum")
    covariance: bool = Field(True, description="write the covariance of the labels, 1.2 kB a spectrum")


class EvaluateConfig(Section):
    """Settings of ``astropipe spectra evaluate``: predicted against true labels of simulated spectra."""

    snr_edges: tuple[float, ...] = Field(
        (5.0, 15.0, 35.0, 75.0, 150.0), min_length=2, description="edges of the bins of S/N per pixel of the red arm"
    )


class NetworkTrainConfig(Section):
    """How the baselines RRNet and StarNet learn; the defaults are those of Xiong, Li & Liao (2022)."""

    members: int = Field(6, ge=1, description="networks of each group of labels, whose mixture is the prediction")
    epochs: int = Field(30, ge=1, description="how often all spectra are seen")
    batch: int = Field(256, ge=1, description="spectra that are seen together")
    learning_rate: float = Field(5e-4, gt=0, description="of Adam; a tenth of it after every epochs_per_rate")
    epochs_per_rate: int = Field(10, ge=1, description="epochs at one learning rate")
    noise_from: int = Field(6, ge=1, description="epoch from which unit noise is added to a quarter of the pixels")
    validation_share: float = Field(
        0.1, gt=0, lt=1, description="share of the spectra set aside, by which the best epoch is chosen"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="of matrix products while learning; bfloat16 is faster where the processor has it",
    )


class TrainConfig(Section):
    """Settings of ``astropipe spectra train``: the emulator, or one of the networks with which it is compared."""

    model: Literal["emulator", "rrnet", "starnet"] = Field(
        "emulator",
        description="what is trained: the emulator, from a grid of synthetic spectra, or RRNet or StarNet as Xiong, "
        "Li & Liao (2022) have them, from a simulated survey",
    )
    network: NetworkTrainConfig = Field(NetworkTrainConfig(), description="for the models rrnet and starnet")
    n_components: int = Field(150, ge=8, description="principal components of the spectra")
    n_subset: int = Field(1300, ge=50, description="spectra on which the kernels of the Gaussian processes are fitted")
    iterations: int = Field(100, ge=1, description="steps of that fit")
    n_stars: int = Field(200_000, ge=100, description="stars on which the network learns what the processes say")
    epochs: int = Field(60, ge=1, description="how often it sees each of them")
    n_calibration: int = Field(
        360,
        ge=40,
        description="last stars of the grid that were not chosen for their temperature, from which the network does "
        "not learn: they tell its errors",
    )
    n_start: int = Field(
        120_000, ge=1000, description="simulated spectra on which the network that begins fits is trained"
    )
    emulator: str | None = Field(
        None,
        description="file of a spectrum-emulator artifact whose network is kept, so that only its errors and the "
        "network that begins fits are made anew; null trains all",
    )
    extend: str | None = Field(
        None,
        description="file of a spectrum-emulator artifact: the network is trained on the stars that this one learned "
        "from together with those of the grid; null for the grid alone",
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> TrainConfig:
        if self.emulator is not None and self.extend is not None:
            raise ValueError("emulator keeps a network and extend trains one; set one of them to null")
        return self


class FetchConfig(Section):
    """Settings of ``astropipe spectra fetch``: from where, and what the columns of the table are called."""

    url: str = Field(
        "https://www.lamost.org/openapi", pattern=r"^https?://[^\s?#@]+$", description="address of the LAMOST OpenAPI"
    )
    release: str = Field("dr10", pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$", description="data release")
    version: str = Field("v2.0", pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$", description="version of the release")
    token_variable: str = Field(
        "LAMOST_TOKEN",
        pattern=r"^\w+$",
        description="environment variable that holds the token of your account, if any",
    )
    obsid_column: str = Field("obsid", description="column of the observation numbers")
    sha256_column: str | None = Field(
        "sha256", description="column of checksums, which a table may lack under this name; null for none"
    )
    file_column: str | None = Field(
        "file",
        description="column of names for the files, which a table may lack under this name; null, and without: the "
        "observation number",
    )
    interval_s: float = Field(1.0, ge=0, description="least time between two requests in seconds")
    timeout_s: float = Field(60.0, gt=0, description="how long to wait for an answer in seconds")


class SpectraConfig(Section):
    """Stars."""

    fetch: FetchConfig = Field(FetchConfig(), description="real spectra from the archive of LAMOST")
    simulate: SimulateConfig = Field(SimulateConfig(), description="simulated survey")
    train: TrainConfig = Field(TrainConfig(), description="training of the emulator")
    predict: PredictConfig = Field(PredictConfig(), description="labels from spectra")
    evaluate: EvaluateConfig = Field(EvaluateConfig(), description="predicted against true labels")
