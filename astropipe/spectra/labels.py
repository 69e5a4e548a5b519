"""The stellar labels of the stage: names, units and how they are written, in the order of all label arrays."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """One stellar label.

    Attributes
    ----------
    name : str
        Name of the column, such as ``fe_h``.
    symbol : str
        How it is written in plain text, such as ``[Fe/H]``.
    unit : str
        Unit as astropy reads it; empty for logarithms, which are in dex.
    text : str
        For the axes of figures, with its unit.
    """

    name: str
    symbol: str
    unit: str
    text: str


ELEMENTS = ("Fe", "C", "N", "O", "Mg", "Al", "Si", "S", "K", "Ca", "Ti", "Cr", "Mn", "Ni", "Cu")

LABELS: tuple[Label, ...] = (
    Label("t_eff", "Teff", "K", r"$T_\mathrm{eff}$ [K]"),
    Label("log_g", "log g", "", r"$\log g$ [dex]"),
    *(Label(f"{element.lower()}_h", f"[{element}/H]", "", f"[{element}/H] [dex]") for element in ELEMENTS),
)
"""The 17 labels that are predicted. Surface gravity is log10 of cm/s²; abundances are relative to the Sun."""

V_MICRO = Label("v_micro", "v_micro", "km/s", r"$v_\mathrm{micro}$ [km/s]")
"""Microturbulence: known for training spectra, not predicted."""

LABEL_NAMES: tuple[str, ...] = tuple(label.name for label in LABELS)


def label_index(name: str) -> int:
    """Position of a label in arrays.

    Raises
    ------
    KeyError
        If there is no such label.
    """
    try:
        return LABEL_NAMES.index(name)
    except ValueError:
        raise KeyError(f"{name!r} is no label; labels are {', '.join(LABEL_NAMES)}") from None
