"""What a problem of Bayesian inference is, and the registry through which a name becomes one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from astropy.units import Quantity
from numpy.typing import NDArray

from astropipe.inference.priors import Prior
from astropipe.inference.problems.options import check_options
from astropipe.inference.problems.own import is_own, own_factory
from astropipe.runtime.errors import UsageError

LogLikelihood: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""ln L of points [n, d], in the order of the prior's names, as [n]."""

DerivedParameters: TypeAlias = Callable[[NDArray[np.float64]], dict[str, NDArray[np.float64]]]
"""Further quantities of points [n, d], each [n], by name."""


@dataclass(frozen=True)
class Problem:
    """A likelihood, its prior, and what a reader needs to understand and cite them.

    Every member can be pickled by reference (functions at module level, objects of module-level classes), so
    that worker processes can be given the problem.

    Attributes
    ----------
    name, title
        Key in the registry, and one line for people.
    prior
        Joint prior; its names fix the order of the parameters everywhere.
    log_likelihood
        Vectorised ln L: points [n, d] to [n]. Natural logarithm; −inf is allowed, NaN is not.
    latex, units
        Symbol (without dollar signs) and unit of each parameter; an absent unit means dimensionless.
    derived, derived_units, derived_latex
        Further quantities computed from the parameters, with their units and symbols.
    citations
        Keys of the papers whose data or method the likelihood uses.
    sources
        Data files that the likelihood read.
    log_evidence
        True ln Z with this prior, where it is known.
    datasets
        Data that the likelihood was made of, by the path that they get in the artifact of the posterior.
    truth
        What is known of simulated data: true values of parameters by name, what theory expects to be found instead
        (``h0_expected``), facts of the data. No likelihood uses it; `astropipe.inference.recovery` does.
    """

    name: str
    title: str
    prior: Prior
    log_likelihood: LogLikelihood
    latex: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    derived: DerivedParameters | None = None
    derived_units: Mapping[str, str] = field(default_factory=dict)
    derived_latex: Mapping[str, str] = field(default_factory=dict)
    citations: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()
    log_evidence: float | None = None
    datasets: Mapping[str, Quantity] = field(default_factory=dict)
    truth: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for label, mapping in (("latex", self.latex), ("units", self.units)):
            if strangers := sorted(set(mapping) - set(self.prior.names)):
                raise UsageError(
                    f"problem {self.name!r}: {label} given for {', '.join(strangers)},"
                    f" which the prior does not have; its parameters are {', '.join(self.prior.names)}"
                )


Factory = TypeVar("Factory", bound=Callable[..., Problem])

_FACTORIES: dict[str, Callable[..., Problem]] = {}


def register(name: str) -> Callable[[Factory], Factory]:
    """Return a decorator that makes a factory of problems known under `name`.

    Raises
    ------
    UsageError
        If the name is taken by another factory.
    """

    def add(factory: Factory) -> Factory:
        known = _FACTORIES.get(name)
        # The same function again is a reloaded module, not a clash.
        if known is not None and (known.__module__, known.__qualname__) != (
            factory.__module__,
            factory.__qualname__,
        ):
            raise UsageError(f"problem {name!r} is already registered by {known.__module__}; choose another name")
        _FACTORIES[name] = factory
        return factory

    return add


def problem(name: str, /, **options: object) -> Problem:
    """Build the problem `name`, handing `options` to its factory.

    Parameters
    ----------
    name
        Name of a registered problem, or ``path/to/file.py:function`` for a factory in a file of your own, which
        then is among the sources of the problem.
    **options
        Options of the factory.

    Raises
    ------
    UsageError
        If no problem has this name (the message gives the nearest ones), an option is unknown or does not fit the
        annotation of the factory (see `check_options`), or a function of your own does not return a `Problem`.
    InputError
        If a file of your own is missing or cannot be imported.
    """
    if is_own(name):
        return _own_problem(name, options)
    factory = _FACTORIES.get(name)
    if factory is None:
        near = difflib.get_close_matches(name, _FACTORIES, n=3, cutoff=0.4) or problem_names()
        raise UsageError(
            f"no problem is called {name!r}; did you mean {', '.join(near)}? "
            "One of your own is path/to/file.py:function"
        )
    check_options(name, factory, options)
    return factory(**options)


def _own_problem(name: str, options: Mapping[str, object]) -> Problem:
    factory, path = own_factory(name)
    check_options(name, factory, options)
    built = factory(**options)
    if not isinstance(built, Problem):
        raise UsageError(f"{name} returned {type(built).__name__}; it must return astropipe.inference.Problem")
    return replace(built, sources=(*built.sources, path))


def problem_names() -> tuple[str, ...]:
    """Return the names of all registered problems, sorted."""
    return tuple(sorted(_FACTORIES))
