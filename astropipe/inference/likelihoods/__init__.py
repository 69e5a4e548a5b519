"""Likelihoods of cosmological data, one module a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from astropipe.inference.datasets import Dataset
from astropipe.inference.likelihoods.bao import BaryonAcousticOscillations
from astropipe.inference.likelihoods.chronometers import Chronometers
from astropipe.inference.likelihoods.cmb import CompressedCmb
from astropipe.inference.likelihoods.gaussian import DataLikelihood
from astropipe.inference.likelihoods.growth import Growth
from astropipe.inference.likelihoods.sirens import Sirens
from astropipe.inference.likelihoods.supernovae import supernovae

KINDS: Mapping[str, Callable[[Dataset], DataLikelihood]] = {
    "chronometers": Chronometers,
    "bao": BaryonAcousticOscillations,
    "supernovae": supernovae,
    "cmb": CompressedCmb,
    "growth": Growth,
    "sirens": Sirens,
}
"""What turns a data set of each kind into its likelihood."""


def likelihood(data: Dataset) -> DataLikelihood:
    """Return the likelihood of a data set."""
    return KINDS[data.kind](data)
