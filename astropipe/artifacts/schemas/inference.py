"""Artifacts of the inference stage."""

from __future__ import annotations

from astropipe.artifacts.schemas.base import Field, Schema

_CHRONOMETERS = tuple(
    Field(f"chronometers/{name}", f"of ages of galaxies: {description}", unit=unit, dims=dims, required=False)
    for name, unit, dims, description in (
        ("redshift", None, ("bin",), "mean redshift of each bin"),
        ("age", "Gyr", ("bin",), "mean or median age in it"),
        ("age_err", "Gyr", ("bin",), "its standard error"),
        ("interval_redshift", None, ("interval",), "redshift in the middle between neighbouring bins"),
        ("hubble", "km / (Mpc s)", ("interval",), "expansion rate from the difference of their ages"),
        ("hubble_covariance", "km2 / (Mpc2 s2)", ("interval", "interval"), "covariance of these rates"),
    )
)

SCHEMAS = (
    Schema(
        "posterior",
        "1.3",
        "Posterior draws and evidence of one model given one set of data. That of simulated galaxies has a further "
        "table /truth: true values by parameter, what theory expects to be found instead (NAME_expected), and facts "
        "such as the purity of the selection",
        columns=(
            Field("parameter", "name of the parameter", "text"),
            Field("latex", "its symbol", "text"),
            Field("unit", "unit of the numbers in this row", "text"),
            Field("sampled", "whether it was sampled (true) or derived from those that were", "bool"),
            Field("prior", "prior distribution; empty for derived ones", "text"),
            Field("mean", "posterior mean"),
            Field("sd", "posterior standard deviation"),
            Field("q16", "16 % quantile"),
            Field("q50", "median"),
            Field("q84", "84 % quantile"),
            Field("prior_low", "lower end of the prior support; -inf where unbounded"),
            Field("prior_high", "upper end of the prior support; inf where unbounded"),
            Field("best_fit", "value at the largest likelihood"),
        ),
        datasets=(
            Field("posterior/*", "equal-weight draws in the ArviZ layout", dims=("chain", "draw")),
            Field("posterior/chain", "number of the chain", "int", dims=("chain",)),
            Field("posterior/draw", "number of the draw", "int", dims=("draw",)),
            Field("sample_stats/log_likelihood", "ln likelihood of each draw", dims=("chain", "draw")),
            Field("sample_stats/chain", "number of the chain", "int", dims=("chain",)),
            Field("sample_stats/draw", "number of the draw", "int", dims=("draw",)),
            Field(
                "nested/samples",
                "sampled parameters: dead and final live points, or those of the correction",
                dims=("sample", "parameter"),
            ),
            Field("nested/log_weights", "ln importance weight, normalised to the evidence", dims=("sample",)),
            Field("nested/log_likelihoods", "ln likelihood", dims=("sample",)),
            Field("nested/log_volumes", "ln of the prior volume enclosed", dims=("sample",)),
            Field(
                "nested/emulated_log_likelihoods",
                "ln likelihood as emulated before the true value was known; emulated only, enters nothing",
                dims=("sample",),
                required=False,
            ),
            *_CHRONOMETERS,
        ),
        attributes=(
            Field("nested@logz", "ln of the evidence"),
            Field("nested@logz_err", "its standard error"),
            Field("nested@information", "information gained over the prior, nat"),
            Field("nested@n_live", "number of live points; 0 if emulated", "int"),
            Field("nested@n_true_calls", "evaluations of the true likelihood", "int"),
            Field("nested@n_emulated_calls", "evaluations of the emulator; not if exact", "int", required=False),
            Field("nested@ess", "effective sample size (Kish)"),
            Field("nested@ess_per_call", "effective samples for each true call", required=False),
            Field("nested@converged", "whether the stopping criterion was met", "bool"),
            Field("nested@problem", "name of the problem", "text"),
            Field("nested@method", "exact, emulated or neuralike", "text"),
            Field(
                "nested@approximate",
                "whether emulated values stand among the likelihoods: neuralike only",
                "bool",
                required=False,
            ),
            Field("nested@trainings", "JSON: each training of the network; neuralike only", "text", required=False),
            Field("truth@selection", "how galaxies were selected; of simulated galaxies", "text", required=False),
        ),
    ),
    Schema(
        "sirens",
        "1.0",
        "Bright standard sirens: mergers of neutron stars with distances from gravitational waves and host redshifts",
        columns=(
            Field("z", "redshift of the host"),
            Field("luminosity_distance", "measured luminosity distance", unit="Mpc"),
            Field("sigma", "its standard error", unit="Mpc"),
            Field("true_distance", "luminosity distance in the universe simulated", unit="Mpc"),
            Field("snr", "signal-to-noise ratio in the network of detectors"),
            Field("kind", "what merged: BNS or NSBH", "text"),
            Field("counterpart", "how light gave the redshift: kilonova or burst", "text"),
        ),
    ),
    Schema(
        "metrics",
        "1.0",
        "Measured quality of a catalog or posterior, next to what was expected",
        columns=(
            Field("subject", "what was measured: an ensemble, a problem, a sample", "text"),
            Field("measure", "name of the measure", "text"),
            Field("value", "measured value"),
            Field("error", "its standard error; NaN where there is none"),
            Field("unit", "unit of the numbers in this row", "text"),
            Field("expected", "reference value; NaN where there is none"),
            Field("expected_error", "standard error of the reference value"),
            Field("deviation", "value minus expected, in standard errors", required=False),
            Field("source", "where the reference value stands; empty where there is none", "text"),
        ),
    ),
)
