"""Expansion history from a catalog of classified galaxies with redshifts and ages: early types as chronometers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from astropy import units as u
from numpy.typing import NDArray
from pydantic import Field

from astropipe.inference.datasets import Dataset
from astropipe.inference.galaxy_ages.differences import AgeBins, binned, differences, expansion_rates
from astropipe.inference.galaxy_ages.selection import ages_of, mixed, read_catalog, selected, true_classes
from astropipe.inference.likelihoods.age_differences import AgeDifferences
from astropipe.inference.problems.base import Problem, register
from astropipe.inference.problems.cosmology import ModelName, OwnPriors, composed, known_model
from astropipe.runtime.errors import UsageError

CITATIONS = ("JimenezLoeb2002", "Moresco2022")
_RATE = u.km / u.s / u.Mpc

Classes = Annotated[
    Sequence[Literal["SPH", "ETD", "LTD", "IRR"]], Field(description="a list of classes among SPH, ETD, LTD and IRR")
]
EARLY: Classes = ("SPH", "ETD")
Share = Annotated[float, Field(ge=0, le=1, description="a number from 0 to 1")]


@register("chronometers-catalog")
def chronometers_catalog(
    catalog: Annotated[str, Field(description="the path of a morphology-catalog with redshifts and ages")],
    model: ModelName = "lcdm",
    classes: Classes = EARLY,
    score: Literal["agreement", "probability"] = "agreement",
    min_score: Share = 0.6,
    n_bins: Annotated[int, Field(ge=3, description="a whole number from 3 on")] = 8,
    statistic: Literal["mean", "median"] = "mean",
    priors: OwnPriors = None,
    truth: Annotated[str | None, Field(description="the path of the stamps the catalog was made of")] = None,
    purity: Annotated[float | None, Field(gt=0, le=1, description="a number above 0, up to 1")] = None,
    seed: Annotated[int, Field(ge=0, description="a whole number from 0 on")] = 0,
) -> Problem:
    """Build the problem of the differential ages of galaxies that a catalog calls early types.

    Parameters
    ----------
    catalog
        A ``morphology-catalog`` with the columns ``redshift`` and ``age``.
    model
        One of the models of the problem ``cosmology``.
    classes, score, min_score
        Which galaxies are taken, see `astropipe.inference.galaxy_ages.selection.selected`.
    n_bins, statistic
        Bins of redshift, with equal numbers of galaxies, and what is taken of the ages in each.
    priors
        Priors that replace the default ones.
    truth
        The ``stamps`` artifact of simulated galaxies that the catalog was made of. With it the posterior records the
        true parameters and the purity of the selection; the likelihood does not change.
    purity
        Take galaxies by their true class instead, exchanging at random all but this share for others; needs `truth`.
    seed
        Seed of that exchange.

    Raises
    ------
    UsageError
        If the model is unknown, or `purity` is given without `truth`.
    InputError
        If the catalog lacks ages, or too few galaxies are taken, or `truth` does not belong to it.
    """
    if purity is not None and truth is None:
        raise UsageError("problem 'chronometers-catalog': option purity needs truth, the stamps with the true classes")
    path = Path(catalog)
    table = read_catalog(path)
    chosen: NDArray[np.intp] = np.flatnonzero(selected(table, classes, score, min_score))
    known: dict[str, float | str] = {}
    if truth is not None:
        names, universe = true_classes(table, Path(truth))
        right = np.isin(names, list(classes))
        chosen = chosen if purity is None else mixed(right, purity, seed)
        taken = f"selected by {score}" if purity is None else "mixed on purpose"
        own = [f"{name} {prior}" for name, prior in sorted((priors or {}).items())]
        how = ", ".join([statistic, *own, taken])
        share = float(np.mean(right[chosen])) if len(chosen) else np.nan
        known = _truth(universe, share, purity, how, statistic) | {"n_galaxies": float(len(chosen))}
    bins = binned(ages_of(table).rows(chosen), n_bins, statistic)
    delta, covariance = differences(bins)
    data = Dataset(
        name=path.stem,
        kind="age-differences",
        title=f"ages of {len(chosen)} galaxies in {n_bins} bins of redshift",
        z=bins.redshift[:-1],
        value=delta,
        covariance=covariance,
        quantity=(),
        citations=CITATIONS,
        sources=(path,) if truth is None else (path, Path(truth)),
    )
    built = composed(
        model,
        [AgeDifferences(data, bins.redshift, bins.spread)],
        priors or {},
        name="chronometers-catalog",
        title=f"{known_model(model).title} with {data.title}",
        citations=data.citations,
        sources=data.sources,
    )
    return replace(built, datasets=_record(bins), truth=known)


def _record(bins: AgeBins) -> Mapping[str, u.Quantity]:
    middle, rate, covariance = expansion_rates(bins)
    return {
        "chronometers/redshift": u.Quantity(bins.redshift),
        "chronometers/age": bins.age * u.Gyr,
        "chronometers/age_err": np.sqrt(bins.variance) * u.Gyr,
        "chronometers/interval_redshift": u.Quantity(middle),
        "chronometers/hubble": rate * _RATE,
        "chronometers/hubble_covariance": covariance * _RATE**2,
    }


def _truth(
    universe: Mapping[str, float], share: float, purity: float | None, how: str, statistic: str
) -> dict[str, float | str]:
    """Return what the posterior records of the truth.

    Contaminants whose age is on average a share s of that of early types make all mean ages, and their differences,
    smaller by the factor 1 - (1 - purity) (1 - s), at every redshift alike: H0 is found larger by its inverse.
    """
    known: dict[str, float | str] = {"h0": universe["h0"], "omega_m": universe["omega_m"]}
    known |= {"purity": share, "selection": how}
    if purity is not None:
        known["purity_expected"] = purity
    if statistic == "mean":
        known["h0_expected"] = universe["h0"] / (1.0 - (1.0 - share) * (1.0 - universe["late_age_share"]))
    return known
