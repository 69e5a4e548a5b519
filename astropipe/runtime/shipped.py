"""Where the files that come with astropipe are: the measurements in ``data/``, the models in ``astropipe/weights``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from astropipe.runtime.errors import InputError, MissingDependencyError

_PACKAGE = Path(__file__).resolve().parents[1]


def data_folder() -> Path:
    """Return the folder of the shipped measurements.

    A wheel carries it as ``astropipe/data``; in a clone it stands at the root of the repository.
    """
    inside = _PACKAGE / "data"
    return inside if inside.is_dir() else _PACKAGE.parent / "data"


def data_file(relative: str) -> Path:
    """Return the path of one shipped data file.

    Parameters
    ----------
    relative : str
        Path below ``data/``, for example ``"desi-dr2/bao.ecsv"``.

    Raises
    ------
    InputError
        If the file is not there: the installation is incomplete.
    """
    path = data_folder() / relative
    if not path.is_file():
        raise InputError(
            f"shipped data file {relative!r} is missing below {data_folder()}; "
            "reinstall astropipe or restore the file from the repository"
        )
    return path


def weights_folder() -> Path:
    """Return the folder of the shipped models."""
    return _PACKAGE / "weights"


def weights_file(name: str) -> Path:
    """Return the path of one shipped trained model.

    Parameters
    ----------
    name : str
        Name of the file in ``astropipe/weights``.

    Raises
    ------
    InputError
        If the file is not there: the installation is incomplete.
    """
    path = weights_folder() / name
    if not path.is_file():
        raise InputError(f"the shipped model {path} is missing; reinstall astropipe")
    return path


HUBBLE_DEEP_FIELD = "hubble-deep-field"
"""Name that stands for a picture of the Hubble Deep Field (NASA/ESA), which the library scikit-image carries."""


def picture_folder() -> Path | None:
    """Return the folder of the pictures that scikit-image carries, None where it is not installed."""
    return _package_folder("skimage", "data")


def supernova_folder() -> Path | None:
    """Return the folder of the supernova releases that cosmofit carries, None where it is not installed."""
    return _package_folder("cosmofit", "data/sn")


def _package_folder(package: str, folder: str) -> Path | None:
    """Return a folder of an installed package, which is found without running its code."""
    found = find_spec(package)
    return None if found is None or found.origin is None else Path(found.origin).parent / folder


def picture_file(name: str) -> Path:
    """Return the path of a picture: that of the Hubble Deep Field for its name, else the name as it is.

    Raises
    ------
    MissingDependencyError
        If the Hubble Deep Field is wanted and scikit-image is not installed.
    """
    if name != HUBBLE_DEEP_FIELD or Path(name).exists():
        return Path(name)
    folder = picture_folder()
    if folder is None:
        raise MissingDependencyError(
            f"{name} is a picture that scikit-image carries; install it with pip install 'astropipe[morphology]'"
        )
    return folder / "hubble_deep_field.jpg"
