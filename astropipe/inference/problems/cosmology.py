"""Problems of cosmology: an expansion model, one or more data sets, and priors.

`cosmology` composes any of them; the named problems at the end are the ones whose results are published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from astropipe.inference.dark_energy import BARBOZA_ALCANIZ, JASSAL, STANDARD, EquationOfState
from astropipe.inference.datasets import NAMES, Dataset, dataset
from astropipe.inference.likelihoods import likelihood
from astropipe.inference.likelihoods.bao import RULERS
from astropipe.inference.likelihoods.gaussian import DataLikelihood
from astropipe.inference.likelihoods.joint import DerivedQuantities, JointLikelihood
from astropipe.inference.priors import Constraint, Distribution, Prior, Uniform
from astropipe.inference.problems.base import Problem, register
from astropipe.runtime.errors import UsageError

Array = NDArray[np.float64]
Priors = Mapping[str, Distribution | str]

ModelName = Annotated[str, Field(description="the name of a model, such as lcdm")]
Data = Annotated[
    Sequence[str | Path], Field(description="a list of data sets, each a shipped name or the path of an .ecsv file")
]
OwnPriors = Annotated[
    Priors | None, Field(description='a mapping from parameters to priors, such as {h0: "uniform(50, 90)"}')
]
OwnName = Annotated[str | None, Field(pattern=r"^[^\x00-\x1f]+$", description="one line of text")]


@dataclass(frozen=True)
class Model:
    """An expansion model: title, parameters beyond ``omega_m``, the papers that propose it, and what dark energy is."""

    title: str
    parameters: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    dark_energy: EquationOfState = STANDARD


_CPL = ("Chevallier2001", "Linder2003")

MODELS: Mapping[str, Model] = {
    "lcdm": Model("flat ΛCDM"),
    "olcdm": Model("curved ΛCDM", ("omega_k",)),
    "wcdm": Model("flat wCDM", ("w0",)),
    "w0wacdm": Model("flat w0waCDM", ("w0", "wa"), _CPL),
    "w0wawbcdm": Model("flat w0wawbCDM", ("w0", "wa", "wb"), (*_CPL, "AfrozMukherjee2024")),
    "ow0wacdm": Model("curved w0waCDM", ("omega_k", "w0", "wa"), _CPL),
    "w0wacdm-ba": Model(
        "flat w0waCDM of Barboza and Alcaniz",
        ("w0", "wa"),
        ("BarbozaAlcaniz2008",),
        EquationOfState(wa=BARBOZA_ALCANIZ),
    ),
    "w0wacdm-jbp": Model(
        "flat w0waCDM of Jassal, Bagla and Padmanabhan", ("w0", "wa"), ("Jassal2005",), EquationOfState(wa=JASSAL)
    ),
    "w0wawbcdm-ba": Model(
        "flat w0waCDM with a Barboza-Alcaniz term wb",
        ("w0", "wa", "wb"),
        (*_CPL, "BarbozaAlcaniz2008"),
        EquationOfState(wb=BARBOZA_ALCANIZ),
    ),
    "w0wawbcdm-jbp": Model(
        "flat w0waCDM with a transient term wb", ("w0", "wa", "wb"), (*_CPL, "Jassal2005"), EquationOfState(wb=JASSAL)
    ),
}
"""Expansion models by the name that configurations use."""

DEFAULT_PRIORS: Mapping[str, Distribution] = {
    "h0": Uniform(40.0, 100.0),
    "omega_m": Uniform(0.01, 0.99),
    "omega_k": Uniform(-0.3, 0.3),
    "w0": Uniform(-3.0, 1.0),
    "wa": Uniform(-3.0, 2.0),
    "wb": Uniform(-2.0, 3.0),
    "omega_b_h2": Uniform(0.005, 0.1),
    "r_d": Uniform(120.0, 180.0),
    "h_rd": Uniform(10.0, 1000.0),
    "sigma8": Uniform(0.5, 1.0),
}
"""All parameters in their order, with the priors that evidences refer to unless others are given.

Those of DESI 2025 (arXiv:2503.14738) for omega_m, w0, wa, omega_b_h2 and h_rd; of SimpleMC for omega_k, wb and sigma8.
"""

LATEX = {
    "h0": "H_0",
    "omega_m": r"\Omega_\mathrm{m}",
    "omega_k": r"\Omega_k",
    "w0": "w_0",
    "wa": "w_a",
    "wb": "w_b",
    "omega_b_h2": r"\Omega_\mathrm{b} h^2",
    "r_d": r"r_\mathrm{d}",
    "h_rd": r"h r_\mathrm{d}",
    "sigma8": r"\sigma_8",
    "omega_m_h2": r"\Omega_\mathrm{m} h^2",
}
UNITS = {"h0": "km / (s Mpc)", "r_d": "Mpc", "h_rd": "Mpc"}


@register("cosmology")
def cosmology(
    model: ModelName = "lcdm",
    data: Data = ("desi-dr2",),
    priors: OwnPriors = None,
    name: OwnName = None,
) -> Problem:
    """Compose a problem from a model and data sets.

    The name of a problem whose results are published is kept for exactly that problem: any other one that would
    bear it says in its name what is its own, as in ``lcdm-desi-dr2 (own priors)``.

    Parameters
    ----------
    model
        One of `MODELS`.
    data
        Shipped names (`astropipe.inference.datasets.SHIPPED`) or paths of ECSV files in the same layout.
    priors
        Priors that replace those of `DEFAULT_PRIORS`. A prior on ``h_rd``, ``r_d`` or ``omega_b_h2`` also
        chooses the ruler of BAO; without one it is computed from ``omega_b_h2`` where the CMB needs that,
        ``r_d`` where chronometers need H0, and ``h_rd`` alone otherwise.
    name
        Name of the problem; made of the parts if not given.

    Raises
    ------
    UsageError
        If the model, a data set or a parameter is unknown, two data sets share measurements, or a prior is given
        for a parameter that the combination does not have.
    """
    known_model(model)
    if isinstance(data, str) or not data:
        raise UsageError(f"data must be a list of one or more data sets, got {data!r}")
    sets = [dataset(one) for one in data]
    _refuse_overlap(sets)
    parts = [likelihood(one) for one in sets]
    asked = name or "-".join((model, *(one.name for one in sets)))
    built = composed(
        model,
        parts,
        priors or {},
        name=asked,
        title=f"{MODELS[model].title} with {'; '.join(one.title for one in sets)}",
        citations=[key for one in sets for key in one.citations],
        sources=[path for one in sets for path in one.sources],
    )
    return replace(built, name=asked + _own(asked, model, data, parts, built.prior))


def known_model(name: str) -> Model:
    """Return the model of this name.

    Raises
    ------
    UsageError
        If there is none.
    """
    if name not in MODELS:
        raise UsageError(f"no model is called {name!r}; the models are {', '.join(MODELS)}")
    return MODELS[name]


def composed(
    model: str,
    parts: Sequence[DataLikelihood],
    priors: Priors,
    *,
    name: str,
    title: str,
    citations: Sequence[str],
    sources: Sequence[Path],
) -> Problem:
    """Return the problem of a model and the likelihoods of data sets.

    Parameters
    ----------
    model
        One of `MODELS`.
    parts
        The likelihoods, of independent data.
    priors
        Priors that replace those of `DEFAULT_PRIORS`.
    name, title, citations, sources
        As in `Problem`; the papers of the model are cited before those of the data.

    Raises
    ------
    UsageError
        If a prior is given for a parameter that there is not.
    """
    prior = _prior(model, parts, priors)
    names = prior.names
    derived = DerivedQuantities(names, MODELS[model].dark_energy)
    produces = derived.produces
    return Problem(
        name=name,
        title=title,
        prior=prior,
        log_likelihood=JointLikelihood(names, parts, MODELS[model].dark_energy),
        latex={key: LATEX[key] for key in names},
        units={key: UNITS[key] for key in names if key in UNITS},
        derived=derived if produces else None,
        derived_units={key: UNITS[key] for key in produces if key in UNITS},
        derived_latex={key: LATEX[key] for key in produces},
        citations=tuple(dict.fromkeys((*MODELS[model].citations, *citations))),
        sources=tuple(dict.fromkeys(sources)),
    )


def _prior(model: str, parts: Sequence[DataLikelihood], priors: Priors) -> Prior:
    """Return the joint prior of the parameters that a model and data have, the default where none is given."""
    names = _parameters(model, parts, priors)
    return Prior(
        {key: priors.get(key, DEFAULT_PRIORS[key]) for key in names}, _constraints(names, MODELS[model].dark_energy)
    )


def _own(name: str, model: str, data: Sequence[str | Path], parts: Sequence[DataLikelihood], prior: Prior) -> str:
    """Return what to add to a name that a published problem has, in which this one differs from it; else nothing."""
    known = _PUBLISHED.get(name)
    if known is None:
        return ""
    differs = [what for what, same in (("model", model == known.model), ("data", {*data} == {*known.data})) if not same]
    # Other models or data have other parameters, so their priors cannot be compared.
    if not differs and prior.parameters != _prior(model, parts, known.priors).parameters:
        differs = ["priors"]
    return f" (own {' and '.join(differs)})" if differs else ""


def _refuse_overlap(sets: Sequence[Dataset]) -> None:
    """Refuse the same measurement twice; any two sets of one kind that have names share some."""
    for i, one in enumerate(sets):
        for other in sets[:i]:
            named = one.name in NAMES and other.name in NAMES
            if one.sources == other.sources or (named and one.kind == other.kind):
                raise UsageError(
                    f"data sets {other.name!r} and {one.name!r} share measurements, which may enter the "
                    "likelihood only once; keep one of them"
                )


def _parameters(model: str, parts: Sequence[DataLikelihood], priors: Priors) -> tuple[str, ...]:
    """Return the parameter names that a model, the data and the choice of ruler lead to, in their order."""
    if unknown := sorted(set(priors) - set(DEFAULT_PRIORS)):
        raise UsageError(f"no parameter is called {unknown[0]!r}; they are {', '.join(DEFAULT_PRIORS)}")
    needed = {"omega_m", *MODELS[model].parameters}
    needed |= {group[0] for part in parts for group in part.needs if len(group) == 1}
    if any(RULERS in part.needs for part in parts):
        chosen = _ruler(needed, priors)
        needed |= {chosen} if chosen == "h_rd" else {chosen, "h0"}
    if spare := sorted(set(priors) - needed):
        names = [name for name in DEFAULT_PRIORS if name in needed]
        raise UsageError(
            f"a prior is given for {spare[0]}, which this model and data do not use; they use {', '.join(names)}"
        )
    return tuple(name for name in DEFAULT_PRIORS if name in needed)


def _ruler(needed: set[str], priors: Priors) -> str:
    """Return the parameter that sets the ruler of BAO: the one given a prior, else what the data suggest."""
    asked = [name for name in RULERS if name in priors]
    # The CMB samples omega_b_h2 anyway, so its prior says nothing about the ruler.
    free = [name for name in asked if name not in needed]
    if len(free) > 1:
        raise UsageError(f"priors on {' and '.join(free)} would set the ruler of BAO twice; keep one")
    if free:
        return free[0]
    if "omega_b_h2" in needed:
        return "omega_b_h2"
    return "r_d" if "h0" in needed or "h0" in priors else "h_rd"


def _matter_era(dark_energy: EquationOfState, values: dict[str, Array]) -> NDArray[np.bool_]:
    """Return whether w stays below 0 as a → 0, so that there is a matter era."""
    return np.asarray(dark_energy.early(values) < 0.0)


def _constraints(names: tuple[str, ...], dark_energy: EquationOfState) -> tuple[Constraint, ...]:
    if "wa" not in names:
        return ()
    weights = {"w0": 1.0, "wa": dark_energy.wa.early, "wb": dark_energy.wb.early}
    terms = [name for name, weight in weights.items() if name in names and weight]
    return (Constraint(" + ".join(terms) + " < 0", partial(_matter_era, dark_energy)),)


@dataclass(frozen=True)
class _Published:
    """A problem of fixed model, data and priors, whose results are published or have been computed as a reference."""

    model: str
    data: tuple[str, ...]
    priors: Priors = field(default_factory=dict)


_NARROW_H0: Priors = {"h0": Uniform(50.0, 90.0)}

_PUBLISHED: Mapping[str, _Published] = {
    "lcdm-desi-dr1": _Published("lcdm", ("desi-dr1",)),
    "lcdm-desi-dr2": _Published("lcdm", ("desi-dr2",)),
    "lcdm-chronometers-15": _Published("lcdm", ("chronometers-15",)),
    "lcdm-chronometers-31": _Published("lcdm", ("chronometers-31",)),
    "lcdm-chronometers-32": _Published("lcdm", ("chronometers-32",)),
    "lcdm-pantheon-40": _Published("lcdm", ("pantheon-40",)),
    "lcdm-union3": _Published("lcdm", ("union3",)),
    "lcdm-sirens": _Published("lcdm", ("mock-sirens",)),
    "w0wawb-sirens": _Published("w0wawbcdm", ("mock-sirens",)),
    "lcdm-sdss-growth": _Published("lcdm", ("sdss-growth",)),
    "lcdm-pantheon-plus": _Published("lcdm", ("pantheon-plus",)),
    "lcdm-pantheon-plus-sh0es": _Published("lcdm", ("pantheon-plus-sh0es",)),
    "lcdm-des-dovekie": _Published("lcdm", ("des-dovekie",)),
    "lcdm-desi-dr2-cmb": _Published("lcdm", ("desi-dr2", "planck-pr4")),
    "w0wa-pantheon-plus": _Published("w0wacdm", ("pantheon-plus",)),
    "w0wa-desi-dr2": _Published("w0wacdm", ("desi-dr2",)),
    "w0wa-desi-dr2-cmb": _Published("w0wacdm", ("desi-dr2", "planck-pr4")),
    "w0wa-desi-dr2-cmb-union3": _Published("w0wacdm", ("desi-dr2", "planck-pr4", "union3")),
    "w0wa-desi-dr2-cmb-pantheon-plus": _Published("w0wacdm", ("desi-dr2", "planck-pr4", "pantheon-plus")),
    "w0wa-desi-dr2-cmb-des-dovekie": _Published("w0wacdm", ("desi-dr2", "planck-pr4", "des-dovekie")),
    "w0wa-desi-dr1-cmb-pantheon-plus": _Published("w0wacdm", ("desi-dr1", "planck-pr4", "pantheon-plus")),
    "w0wa-chronometers-desi-dr2": _Published("w0wacdm", ("chronometers-31", "desi-dr2"), _NARROW_H0),
    "w0wawb-chronometers-desi-dr2": _Published("w0wawbcdm", ("chronometers-31", "desi-dr2"), _NARROW_H0),
}


def _named(name: str, published: _Published) -> None:
    """Register a problem of fixed model and data; a caller may replace its priors."""

    def factory(priors: OwnPriors = None) -> Problem:
        return cosmology(published.model, published.data, {**published.priors, **(priors or {})}, name=name)

    register(name)(factory)


for _name, _problem in _PUBLISHED.items():
    _named(_name, _problem)
