"""What may be wrong with a spectrum or with the labels read from it: one bit each, 0 is clean."""

from __future__ import annotations

from enum import IntFlag
from typing import Self

LOW_SNR_LIMIT = 5.0
"""Median S/N per pixel below which labels tell little beyond the prior."""
FAILED_COADD_LIMIT = 2.0
"""Median S/N per pixel below which a coadd is taken for failed: it looks like a spectrum but holds noise."""
MIN_USABLE_PIXELS = 1_000
"""An eighth of what both arms of LAMOST record."""


class SpectrumFlag(IntFlag):
    """Bits of the column ``flags``; ``meaning`` of a member says when it is set, `table` lists all."""

    meaning: str

    # The numbers are written to catalogs: never renumber, append only.
    FAILED_COADD = 1 << 0, f"a coadd is missing, or its S/N is below {FAILED_COADD_LIMIT:g}: that arm is masked"
    LOW_SNR = 1 << 1, f"no arm reaches a median S/N per pixel of {LOW_SNR_LIMIT:g}"
    MISSING_BLUE = 1 << 2, "no usable blue pixel: the arm is absent or masked throughout"
    MISSING_RED = 1 << 3, "no usable red pixel: the arm is absent or masked throughout"
    AIR_WAVELENGTHS = (
        1 << 4,
        "wavelengths are in air, as the file says or telluric oxygen shows; they were not converted",
    )
    NOT_HELIOCENTRIC = 1 << 5, "the file says that wavelengths were not corrected for the motion of the Earth"
    FEW_PIXELS = 1 << 6, f"fewer than {MIN_USABLE_PIXELS} usable pixels in both arms together: no labels"
    UNREADABLE = 1 << 7, "the file could not be read: no labels"
    OUT_OF_DOMAIN = 1 << 8, "the best labels lie at the edge of the range of the model"
    POOR_FIT = (
        1 << 9,
        "the model spectrum does not describe the observed one: no single FGK star, or a damaged spectrum",
    )
    BROADENED = 1 << 10, "lines wider than the model was tested for: rotation, or a second star"
    RV_UNCERTAIN = 1 << 11, "the radial velocity is not determined, or two velocities fit"
    COSMIC_RAYS = 1 << 12, "many pixels stand out upwards: cosmic rays or emission"
    MASKED_MUCH = 1 << 13, "less than half of the pixels are usable"
    ASYMMETRIC = 1 << 14, "lines are asymmetric, as those of two stars are: the radial velocity is that of their peak"
    NOT_CONVERGED = 1 << 15, "the fit ended before its steps became short: labels and errors are not to be trusted"
    NOT_FOR_NETWORK = 1 << 16, "labels were asked of a published network, which takes no missing arm or long gap: none"

    def __new__(cls, value: int, meaning: str = "") -> Self:
        """Make a member with its meaning."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = member.__doc__ = meaning
        return member

    @classmethod
    def table(cls) -> list[tuple[int, str, str]]:
        """Value, name and meaning of each flag, in rising order."""
        return [(member.value, str(member.name), member.meaning) for member in cls]

    @classmethod
    def names(cls, flags: int) -> tuple[str, ...]:
        """Names of the bits that are set in a number."""
        return tuple(str(member.name) for member in cls if flags & member.value)
