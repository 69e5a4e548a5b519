"""Names for groups of galaxies without anybody's eye: what a group is like, against rendered galaxies of known class.

Two things count. A prototype is what rendered galaxies of a class are like: the mean of each measured quantity, and the
scatter and correlations that the classes have in common; a class is likely for a group if the medians of the group are
likely under its prototype. And the clusterings that made the groups also put rendered galaxies into them: a class is
likely for a group if many of those of this class fall there. The first tells names more surely, the second how mixed a
group is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.stats import chi2

from astropipe.morphology.classes import CLASSES, UNCLASSIFIED
from astropipe.runtime.errors import InputError

_OUTLIER = 1e-4
# Least likelihood of a class: a prototype cannot exclude what falls into the group.
_FLOOR = 1e-3
_LEAST_PER_CLASS = 10


@dataclass(frozen=True)
class Prototypes:
    """What galaxies of each class are like.

    Attributes
    ----------
    quantities : tuple of str
        Names of the q quantities.
    mean : ndarray, shape (len(CLASSES), q)
        Of each class.
    covariance : ndarray, shape (q, q)
        Within classes, pooled.
    """

    quantities: tuple[str, ...]
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


@dataclass(frozen=True)
class GroupNames:
    """Names of k groups.

    Attributes
    ----------
    names : list of str
        A class, or `UNCLASSIFIED` for a group that is like none.
    probabilities : ndarray, shape (k, len(CLASSES))
        Of each class for a galaxy of the group; 0 for a group that is like none.
    medians : ndarray, shape (k, q)
        Of the quantities of the prototypes; NaN where no galaxy has one.
    """

    names: list[str]
    probabilities: NDArray[np.float64]
    medians: NDArray[np.float64]


def make_prototypes(quantities: Sequence[str], values: NDArray[np.floating], classes: NDArray[np.str_]) -> Prototypes:
    """Return prototypes from galaxies of known class.

    Parameters
    ----------
    quantities : sequence of str
        Names of the columns.
    values : ndarray, shape (n, q)
        Rows with NaN are left out.
    classes : ndarray of str, shape (n,)
        Class of each.

    Raises
    ------
    InputError
        If a class has too few galaxies.
    """
    complete = np.isfinite(values).all(axis=1)
    means, rests = [], []
    for name in CLASSES:
        of_class = values[complete & (classes == name)]
        if len(of_class) < _LEAST_PER_CLASS:
            raise InputError(f"{len(of_class)} galaxies of class {name}; at least {_LEAST_PER_CLASS} make a prototype")
        # Medians and clipped rests: a failed measurement must not make a prototype.
        middle = np.median(of_class, axis=0)
        spread = 1.4826 * np.median(np.abs(of_class - middle), axis=0) + 1e-9
        means.append(middle)
        rests.append(np.clip(of_class - middle, -4 * spread, 4 * spread))
    return Prototypes(tuple(quantities), np.array(means), np.cov(np.concatenate(rests).T))


def group_medians(values: NDArray[np.floating], groups: NDArray[np.integer], n_groups: int) -> NDArray[np.float64]:
    """Return the median of each column in each group, shape (n_groups, q), leaving NaN out."""
    result = np.full((n_groups, values.shape[1]), np.nan)
    for group in range(n_groups):
        members = values[groups == group]
        known = np.isfinite(members).any(axis=0)
        result[group, known] = np.nanmedian(members[:, known], axis=0)
    return result


def name_groups(
    medians: NDArray[np.floating], prototypes: Prototypes, shares: NDArray[np.floating] | None = None
) -> GroupNames:
    """Name groups by prototypes of the classes, and by the rendered galaxies that fall into them.

    Parameters
    ----------
    medians : ndarray, shape (k, q)
        Quantities without a value (NaN) do not count.
    prototypes : Prototypes
        Of the same quantities.
    shares : ndarray, optional, shape (k, len(CLASSES))
        Of the rendered galaxies of each class, the votes for each group. With them, probabilities are the shares of
        the classes in each group times the square root of the likelihood, which on its own is too sure: the
        quantities of a median are not independent of those of its neighbours.
    """
    names: list[str] = []
    probabilities = np.zeros((len(medians), len(CLASSES)))
    for i, row in enumerate(medians):
        known = np.isfinite(row)
        if not known.any():
            names.append(UNCLASSIFIED)
            continue
        inverse = np.linalg.pinv(prototypes.covariance[np.ix_(known, known)])
        rest = row[known] - prototypes.mean[:, known]
        distance = np.einsum("ci,ij,cj->c", rest, inverse, rest)
        if distance.min() > chi2.isf(_OUTLIER, known.sum()):
            names.append(UNCLASSIFIED)
            continue
        likelihood = np.exp(-0.5 * (distance - distance.min()))
        probable = likelihood / likelihood.sum()
        if shares is not None and shares[i].any():
            probable = shares[i] / shares[i].sum() * np.sqrt(probable + _FLOOR)
        probabilities[i] = probable / probable.sum()
        names.append(CLASSES[int(np.argmax(probabilities[i]))])
    return GroupNames(names, probabilities, np.asarray(medians, dtype=np.float64))


def overridden(named: GroupNames, wanted: Mapping[int, str]) -> GroupNames:
    """Return names of groups with some replaced by those that a user chose, of which they are then sure.

    Raises
    ------
    InputError
        If a group does not exist, or a name is no class.
    """
    names, probabilities = list(named.names), named.probabilities.copy()
    for group, name in wanted.items():
        if group not in range(len(names)):
            raise InputError(f"a name is given to group {group}, but there are groups 0 to {len(names) - 1}")
        if name not in (*CLASSES, UNCLASSIFIED):
            raise InputError(f"group {group} is named {name!r}; names are {', '.join(CLASSES)} and {UNCLASSIFIED}")
        names[group] = name
        probabilities[group] = [float(name == each) for each in CLASSES]
    return GroupNames(names, probabilities, named.medians)


def read_names(path: Path) -> dict[int, str]:
    """Read a YAML table of names that a user gives to groups, ``3: LTD``.

    Raises
    ------
    InputError
        If the file is no such table.
    """
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(table, dict) or not all(isinstance(group, int) for group in table):
            raise ValueError("it is no table of group numbers and names")
        return {int(group): str(name) for group, name in table.items()}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {error}; write one line a group, for example 3: LTD") from error
