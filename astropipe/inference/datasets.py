"""Published measurements as arrays: the data sets in ``data/``, and a user's own files in the same layout.

A data set is one ECSV table whose metadata say what ``kind`` it is:

==============  ================================================  =============================================
kind            columns                                           rows
==============  ================================================  =============================================
chronometers    z, hubble [km/s/Mpc], sigma                       H(z) of differential galaxy ages
bao             z, quantity, value                                quantity ``DM/r_d``, ``DH/r_d`` or ``DV/r_d``
supernovae      z, magnitude [mag], sigma; may z_heliocentric     magnitudes or moduli, zero point arbitrary
cmb             quantity, value, sigma                            see `CMB_QUANTITIES`
growth          z, f_sigma8, sigma                                f σ8 from redshift-space distortions
sirens          z, luminosity_distance [Mpc], sigma               distances of mergers with redshifts of their hosts
==============  ================================================  =============================================

The covariance is diag(sigma²), plus the pairs listed in the file that the metadata name as ``covariance``
(columns row, column, covariance), plus for chronometers the errors that share stellar physics, from the table
named as ``systematics``. At least one of the first two must be there.

Beside these files there are the compilations of supernovae that are too large to ship and are read from an installed
package (`astropipe.inference.releases`), and bright sirens: the artifacts of ``astropipe inference simulate``, and
``mock-sirens``, what that verb makes by default with seed 0.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import QTable, Table
from numpy.typing import NDArray

from astropipe.artifacts import open_artifact
from astropipe.config.inference import SimulateConfig
from astropipe.inference.covariances import (
    check_positive_definite,
    column_values,
    listed_covariance,
    shared_systematics,
    table_column,
)
from astropipe.inference.releases import RELEASES
from astropipe.inference.sirens.survey import CITATIONS, survey
from astropipe.runtime.errors import InputError, UsageError
from astropipe.runtime.shipped import data_file

Array = NDArray[np.float64]

BAO_QUANTITIES = ("DM/r_d", "DH/r_d", "DV/r_d")
CMB_QUANTITIES = ("theta_star", "omega_b_h2", "omega_bc_h2", "R", "l_A")


@dataclass(frozen=True)
class Dataset:
    """Measurements with Gaussian errors.

    Attributes
    ----------
    name, kind, title
        Name it was asked for by, one of `LAYOUTS`, and one line for people.
    z
        Redshifts, shape [m]; empty for the CMB.
    value
        Measurements in the units of the layout, shape [m].
    covariance
        Their covariance, shape [m, m], positive definite; or of sirens, which are many and independent, their
        variances, shape [m].
    quantity
        What each row measures; empty where all rows measure the same.
    citations
        Keys of the papers to cite.
    sources
        Files that were read.
    z_heliocentric
        Redshifts of supernovae in the frame of the Sun, which dims and delays their light, shape [m]; None if `z`
        stands for them too.
    calibrator
        Distance moduli of supernovae in hosts with Cepheids in mag, NaN for the others, shape [m]; None without any.
    """

    name: str
    kind: str
    title: str
    z: Array
    value: Array
    covariance: Array
    quantity: tuple[str, ...]
    citations: tuple[str, ...]
    sources: tuple[Path, ...]
    z_heliocentric: Array | None = None
    calibrator: Array | None = None

    def __len__(self) -> int:
        return len(self.value)


@dataclass(frozen=True)
class Layout:
    """Columns of one kind of data set: the measurement with its unit, what else must be there, and may not."""

    value: str
    unit: u.UnitBase
    redshift: bool = True
    independent: bool = False
    quantities: tuple[str, ...] = ()


LAYOUTS: Mapping[str, Layout] = {
    "chronometers": Layout("hubble", u.km / u.s / u.Mpc),
    "bao": Layout("value", u.dimensionless_unscaled, quantities=BAO_QUANTITIES),
    "supernovae": Layout("magnitude", u.mag),
    "cmb": Layout("value", u.dimensionless_unscaled, redshift=False, quantities=CMB_QUANTITIES),
    "growth": Layout("f_sigma8", u.dimensionless_unscaled),
    "sirens": Layout("luminosity_distance", u.Mpc, independent=True),
}


@dataclass(frozen=True)
class Shipped:
    """A data set of the package: its file below ``data/`` and, for a subset, the references to keep."""

    file: str
    references: tuple[str, ...] = ()


SHIPPED: Mapping[str, Shipped] = {
    "chronometers-15": Shipped("chronometers/bc03.ecsv", ("Moresco2012", "Moresco2015", "Moresco2016")),
    "chronometers-31": Shipped("chronometers/rounded-31.ecsv"),
    "chronometers-32": Shipped("chronometers/bc03.ecsv"),
    "desi-dr1": Shipped("desi-dr1/bao.ecsv"),
    "desi-dr2": Shipped("desi-dr2/bao.ecsv"),
    "pantheon-40": Shipped("pantheon-40/supernovae.ecsv"),
    "sdss-growth": Shipped("sdss-growth/growth.ecsv"),
    "union3": Shipped("union3/supernovae.ecsv"),
    "planck-2018": Shipped("planck-2018/distance-priors.ecsv"),
    "planck-pr4": Shipped("planck-pr4/acoustic.ecsv"),
}

MOCK_SIRENS = "mock-sirens"

NAMES = (*SHIPPED, *RELEASES, MOCK_SIRENS)
"""Names of data sets that configurations use."""


def dataset(name: str | Path) -> Dataset:
    """Return the data set of this name, or read the ECSV file or ``sirens`` artifact at this path.

    Raises
    ------
    UsageError
        If it is neither the name of a data set nor a path that ends in ``.ecsv`` or ``.h5``.
    MissingDependencyError
        If the data set is a release of an installed package, which is absent.
    InputError
        If the file cannot be used, see `read_dataset`.
    ArtifactError
        If the artifact is damaged or of another kind.
    """
    shipped = SHIPPED.get(str(name))
    if shipped is not None:
        return read_dataset(data_file(shipped.file), name=str(name), references=shipped.references)
    if str(name) in RELEASES:
        return _released(str(name))
    if str(name) == MOCK_SIRENS:
        return _sirens(survey(SimulateConfig(), seed=0).table(), MOCK_SIRENS)
    if Path(name).suffix == ".h5":
        with open_artifact(name, "sirens") as artifact:
            return _sirens(artifact.table(), Path(name).stem, (Path(name),))
    if Path(name).suffix == ".ecsv":
        return read_dataset(Path(name))
    near = difflib.get_close_matches(str(name), NAMES, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(
        f"no data set is called {str(name)!r}; {hint}the names are {', '.join(NAMES)}; your own must be an "
        ".ecsv file, or the .h5 file of simulated sirens"
    )


def _sirens(table: QTable, name: str, sources: tuple[Path, ...] = ()) -> Dataset:
    return Dataset(
        name=name,
        kind="sirens",
        title=f"{len(table)} simulated bright sirens",
        z=np.asarray(table["z"]),
        value=table["luminosity_distance"].to_value(u.Mpc),
        covariance=table["sigma"].to_value(u.Mpc) ** 2,
        quantity=(),
        citations=CITATIONS,
        sources=sources,
    )


def _released(name: str) -> Dataset:
    release = RELEASES[name]
    sources = release.paths()
    rows = release.read(*sources)
    return Dataset(
        name=name,
        kind="supernovae",
        title=release.title,
        z=rows.z,
        value=rows.magnitude,
        covariance=rows.covariance,
        quantity=(),
        citations=release.citations,
        sources=sources,
        z_heliocentric=rows.z_heliocentric,
        calibrator=rows.calibrator,
    )


def read_dataset(path: Path, name: str | None = None, references: tuple[str, ...] = ()) -> Dataset:
    """Read one data set and the files that its metadata name.

    Parameters
    ----------
    path
        ECSV file in the layout of the module docstring.
    name
        Name of the data set; the file's stem if not given.
    references
        Keep only rows whose ``reference`` is one of these; all rows if empty.

    Raises
    ------
    InputError
        If a file is missing or is not ECSV, the kind is unknown, a column is missing or in the wrong unit, a
        row holds NaN, a redshift ≤ 0 or a standard error ≤ 0, or the covariance is not positive definite. The
        message names the file and the row.
    """
    table = _read(path)
    layout = _layout(table, path)
    if references:
        # Companion files count the rows of the whole table, so a subset of a table with one would misread it.
        if "covariance" in table.meta:
            raise InputError(f"{path}: cannot select rows of a table whose covariance is listed by row")
        table = table[np.isin(table_column(table, "reference", path), references)]
    if len(table) == 0:
        raise InputError(f"{path}: the table has no rows; a data set needs at least one measurement")
    z = _redshifts(table, path) if layout.redshift else np.zeros(0)
    value = column_values(table, layout.value, layout.unit, path)
    covariance, companions = _covariance(table, layout, z, value, path)
    meta = table.meta
    return Dataset(
        name=name or path.stem,
        kind=str(meta["kind"]),
        title=str(meta.get("title", name or path.stem)),
        z=z,
        value=value,
        covariance=covariance,
        quantity=_quantities(table, layout, path),
        citations=tuple(str(key) for key in meta.get("citations", ())),
        sources=(path, *companions),
        z_heliocentric=_heliocentric(table, path),
    )


def _read(path: Path) -> Table:
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of an ECSV table or a shipped name")
    try:
        return Table.read(path, format="ascii.ecsv")
    except Exception as error:  # astropy and its YAML reader raise many kinds for a damaged header
        raise InputError(
            f"{path}: not a readable ECSV table ({error}); the first line must be '# %ECSV 1.0'"
        ) from error


def _layout(table: Table, path: Path) -> Layout:
    kind = table.meta.get("kind")
    if kind not in LAYOUTS:
        said = "no kind" if kind is None else f"kind {kind!r}"
        raise InputError(
            f"{path}: the metadata give {said}; write meta: {{kind: ...}} with one of {', '.join(LAYOUTS)}"
        )
    return LAYOUTS[kind]


def _redshifts(table: Table, path: Path) -> Array:
    z = column_values(table, "z", u.dimensionless_unscaled, path)
    bad = np.flatnonzero(z <= 0.0)
    if bad.size:
        raise InputError(f"{path}: row {bad[0]} has z = {z[bad[0]]:g}; redshifts must be > 0")
    return z


def _heliocentric(table: Table, path: Path) -> Array | None:
    if "z_heliocentric" not in table.colnames:
        return None
    return column_values(table, "z_heliocentric", u.dimensionless_unscaled, path)


def _quantities(table: Table, layout: Layout, path: Path) -> tuple[str, ...]:
    if not layout.quantities:
        return ()
    names = tuple(str(name) for name in table_column(table, "quantity", path))
    for row, name in enumerate(names):
        if name not in layout.quantities:
            raise InputError(f"{path}: row {row} measures {name!r}, which is not one of {', '.join(layout.quantities)}")
    return names


def _covariance(table: Table, layout: Layout, z: Array, value: Array, path: Path) -> tuple[Array, tuple[Path, ...]]:
    """Return the total covariance [m, m], or the variances [m], and the companion files that were read for it."""
    if layout.independent:
        return _errors(table, layout, path) ** 2, ()
    total = np.zeros((len(value), len(value)))
    companions: list[Path] = []
    if "sigma" in table.colnames:
        total += np.diag(_errors(table, layout, path) ** 2)
    elif "covariance" not in table.meta:
        raise InputError(
            f"{path}: no errors; add a column 'sigma', or name a table of covariances as 'covariance' in the metadata"
        )
    if "covariance" in table.meta:
        companions.append(path.parent / str(table.meta["covariance"]))
        total += listed_covariance(_read(companions[-1]), len(value), layout.unit**2, companions[-1])
    if "systematics" in table.meta:
        companions.append(path.parent / str(table.meta["systematics"]))
        correlated = np.isin(table_column(table, "reference", path), table.meta.get("correlated", []))
        total += shared_systematics(_read(companions[-1]), z, value, correlated, companions[-1])
    check_positive_definite(total, path)
    return total, tuple(companions)


def _errors(table: Table, layout: Layout, path: Path) -> Array:
    sigma = column_values(table, "sigma", layout.unit, path)
    bad = np.flatnonzero(sigma <= 0.0)
    if bad.size:
        raise InputError(f"{path}: row {bad[0]} has sigma = {sigma[bad[0]]:g}; standard errors must be > 0")
    return sigma
