"""Whether repeated measurements of one number scatter as their errors say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from astropipe.runtime.errors import InputError


@dataclass(frozen=True, slots=True)
class Scatter:
    """What n ≥ 2 independent measurements with quoted errors say of these errors.

    Attributes
    ----------
    n : int
        Measurements.
    mean : float
        Mean, weighted by the inverse variances.
    ratio, ratio_err : float
        Standard deviation over the root mean square of the quoted errors, and its standard error 1/√(2 (n − 1)) for
        normal measurements whose errors are right; then the ratio is 1.
    chi_squared : float
        Σ (value − mean)² / error², with n − 1 degrees of freedom.
    p_value : float
        Probability of a chi_squared as large or larger: small if the quoted errors are too small, near 1 if they are
        too large.
    """

    n: int
    mean: float
    ratio: float
    ratio_err: float
    chi_squared: float
    p_value: float


def scatter(values: NDArray[np.float64], errors: NDArray[np.float64]) -> Scatter:
    """Compare the scatter of values [n] with their quoted errors [n].

    Raises
    ------
    InputError
        If there are fewer than two values, or an error is not positive.
    """
    n = len(values)
    if n < 2 or not np.all((errors > 0.0) & np.isfinite(errors)):
        raise InputError(f"{n} values with errors {errors}: scatter needs two or more, with positive errors")
    mean = float(np.average(values, weights=errors**-2.0))
    chi_squared = float(np.sum(((values - mean) / errors) ** 2))
    ratio = float(np.std(values, ddof=1) / np.sqrt(np.mean(errors**2)))
    return Scatter(n, mean, ratio, (2.0 * (n - 1)) ** -0.5, chi_squared, float(chi2.sf(chi_squared, n - 1)))
