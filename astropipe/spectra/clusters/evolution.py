"""Single stars of 0.1-1.8 Msun from the zero-age main sequence to the tip of the giant branch, by analytic fits.

Tout, Pols, Eggleton & Han (1996, MNRAS 281, 257), tables 1 and 2, and Hurley, Pols & Tout (2000, MNRAS 315, 543; HPT),
whose equations are named below. Of HPT's main sequence there are its two ends and its duration; between them the
logarithm of the radius grows as the square of the age, and that of the luminosity half in proportion to it and half as
its square, where HPT have polynomials of 48 coefficients. Nothing loses mass, and what burns helium is left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MASS_RANGE_MSUN = (0.1, 1.8)
T_EFF_SUN_K, LOG_G_SUN = 5_772.0, 4.438
_SOLAR_Z = 0.02
# HPT hold up to Z = 0.03.
_MOST_FE_H = 0.176

# Rows are polynomials in zeta = log10(Z / 0.02). Tout et al. (1996), tables 1 (alpha ... eta) and 2 (theta ... pi).
_ZAMS_LUMINOSITY = (
    (0.39704170, -0.32913574, 0.34776688, 0.37470851, 0.09011915),
    (8.52762600, -24.41225973, 56.43597107, 37.06152575, 5.45624060),
    (0.00025546, -0.00123461, -0.00023246, 0.00045519, 0.00016176),
    (5.43288900, -8.62157806, 13.44202049, 14.51584135, 3.39793084),
    (5.56357900, -10.32345224, 19.44322980, 18.97361347, 4.16903097),
    (0.78866060, -2.90870942, 6.54713531, 4.05606657, 0.53287322),
    (0.00586685, -0.01704237, 0.03872348, 0.02570041, 0.00383376),
)
_ZAMS_RADIUS = (
    (1.71535900, 0.62246212, -0.92557761, -1.16996966, -0.30631491),
    (6.59778800, -0.42450044, -12.13339427, -10.73509484, -2.51487077),
    (10.08855000, -7.11727086, -31.67119479, -24.24848322, -5.33608972),
    (1.01249500, 0.32699690, -0.00923418, -0.03876858, -0.00412750),
    (0.07490166, 0.02410413, 0.07233664, 0.03040467, 0.00197741),
    (0.01077422,),
    (3.08223400, 0.94472050, -2.15200882, -2.49219496, -0.63848738),
    (17.84778000, -7.45345690, -48.96066856, -40.05386135, -9.09331816),
    (0.00022582, -0.00186899, 0.00388783, 0.00142402, -0.00007671),
)
# HPT, appendix A: a_n by number.
_A = {
    1: (1593.890, 2053.038, 1231.226, 232.7785),
    2: (2706.708, 1483.131, 577.2723, 74.11230),
    3: (146.6143, -104.8442, -67.95374, -13.91127),
    4: (0.04141960, 0.04564888, 0.02958542, 0.005571483),
    5: (0.3426349,),
    6: (19.49814, 1.758178, -6.008212, -4.470533),
    7: (4.903830,),
    8: (0.05212154, 0.03166411, -0.002750074, -0.002271549),
    9: (1.312179, -0.3294936, 0.09231860, 0.02610989),
    10: (0.8073972,),
    11: (1.031538, -0.2434480, 7.732821, 6.460705, 1.374484),
    12: (1.043715, -1.577474, -5.168234, -5.596506, -1.299394),
    13: (785.9573, -8.542048, -26.42511, -9.585707),
    14: (3858.911, 2459.681, -76.30093, -348.6057, -48.61703),
    15: (288.8720, 295.2979, 185.0341, 37.97254),
    16: (7.196580, 0.5613746, 0.3805871, 0.08398728),
    18: (0.2187715, -2.154437, -3.768678, -1.975518, -0.3021475),
    19: (1.466440, 1.839725, 6.442199, 4.023635, 0.6957529),
    20: (26.52091, 81.78458, 115.6058, 76.33811, 19.50698),
    21: (1.472103, -2.947609, -3.312828, -0.9945065),
    22: (3.071048, -5.679941, -9.745523, -3.594543),
    23: (2.617890, 1.019135, -0.03292551, -0.07445123),
    24: (0.01075567, 0.01773287, 0.009610479, 0.001732469),
    25: (1.476246, 1.899331, 1.195010, 0.3035051),
    26: (5.502535, -0.06601663, 0.09968707, 0.03599801),
    27: (95.11033, 68.19618, -10.45625, -14.74939),
    28: (31.13458, 10.12033, -4.650511, -2.463185),
    29: (1.413057, 0.4578814, -0.06850581, -0.05588658),
    30: (39.10862, 51.96646, 22.64970, 2.873680),
    31: (4.597479, -0.2855179, 0.2709724),
    32: (6.682518, 0.2827718, -0.07294429),
}
_C = (9.301992, 4.637345)
# HPT, appendix A: b_n of the radius on the giant branch and of the luminosity at its tip.
_B = {
    1: (0.397, 0.28826, 0.5293),
    4: (0.9960283, 0.8164393, 2.383830, 2.223436, 0.8638115, 0.1231572),
    5: (0.2561062, 0.07072646, -0.05444596, -0.05798167, -0.01349129),
    6: (1.157338, 1.467883, 4.299661, 3.130500, 0.6992080, 0.01640687),
    7: (0.4022765, 0.3050010, 0.9962137, 0.7914079, 0.1728098),
    9: (2751.631, 355.7098),
    10: (-0.03820831, 0.05872664),
}


def zams(mass: Floats, fe_h: float) -> tuple[Floats, Floats]:
    """Return luminosity [Lsun] and radius [Rsun] at the zero-age main sequence (Tout et al. 1996, eqs. 1 and 2).

    Parameters
    ----------
    mass : ndarray
        Mass in Msun.
    fe_h : float
        Metallicity.
    """
    m, zeta = np.asarray(mass, dtype=np.float64), _zeta(fe_h)
    alpha, beta, gamma, delta, epsilon, z, eta = (_polynomial(row, zeta) for row in _ZAMS_LUMINOSITY)
    luminosity = (alpha * m**5.5 + beta * m**11) / (
        gamma + m**3 + delta * m**5 + epsilon * m**7 + z * m**8 + eta * m**9.5
    )
    theta, iota, kappa, lam, mu, nu, xi, omicron, pi = (_polynomial(row, zeta) for row in _ZAMS_RADIUS)
    radius = (theta * m**2.5 + iota * m**6.5 + kappa * m**11 + lam * m**19 + mu * m**19.5) / (
        nu + xi * m**2 + omicron * m**8.5 + m**18.5 + pi * m**19.5
    )
    return luminosity, radius


def lifetimes_myr(mass: Floats, fe_h: float) -> tuple[Floats, Floats]:
    """Return the ages in Myr at which the main sequence ends and the giant branch begins (HPT, eqs. 4-7)."""
    m, zeta = np.asarray(mass, dtype=np.float64), _zeta(fe_h)
    a = _coefficients(_A, zeta)
    branch = (a[1] + a[2] * m**4 + a[3] * m**5.5 + m**7) / (a[4] * m**2 + a[5] * m**7)
    hook = np.maximum(0.5, 1.0 - 0.01 * np.maximum(a[6] / m ** a[7], a[8] + a[9] / m ** a[10]))
    x = max(0.95, min(0.95 - 0.03 * (zeta + 0.30103), 0.99))
    return branch * np.maximum(hook, x), branch


def main_sequence_end(mass: Floats, fe_h: float) -> tuple[Floats, Floats]:
    """Return luminosity and radius where the main sequence ends (HPT, eqs. 8 and 9, up to their mass a17)."""
    m, a = np.asarray(mass, dtype=np.float64), _coefficients(_A, _zeta(fe_h))
    luminosity = (a[11] * a[14] * m**3 + a[12] * a[14] * m**4 + a[13] * m ** (a[16] + 1.8)) / (
        a[14] + a[15] * m**5 + m ** a[16]
    )
    radius = (a[18] * a[20] + a[19] * a[20] * m ** a[21]) / (a[20] + m ** a[22])
    # As HPT prescribe where the fit falls below the zero-age main sequence.
    return luminosity, np.maximum(radius, 1.5 * zams(m, fe_h)[1] * (m < 0.5))


def branch_base(mass: Floats, fe_h: float) -> Floats:
    """Return the luminosity at the base of the giant branch (HPT, eq. 10)."""
    m, a = np.asarray(mass, dtype=np.float64), _coefficients(_A, _zeta(fe_h))
    scale = a[29] ** a[32]
    return np.asarray((a[27] * m ** a[31] + a[28] * m ** _C[0]) / (scale + a[30] * m ** _C[1] + m ** a[32]))


def branch_radius(mass: Floats, luminosity: Floats, fe_h: float) -> Floats:
    """Return the radius on the giant branch (HPT, eq. 46)."""
    m, zeta = np.asarray(mass, dtype=np.float64), _zeta(fe_h)
    b, z = _coefficients(_B, zeta), _SOLAR_Z * 10.0**zeta
    sigma = np.log10(z)
    b_2 = min(max(10.0 ** (-4.6739 - 0.9394 * sigma), -0.04167 + 55.67 * z), 0.4771 - 9329.21 * z**2.94)
    b_3 = 10.0 ** max(-0.1451, -2.2794 - 1.5175 * sigma - 0.254 * sigma**2)
    if z > 0.004:
        b_3 = max(b_3, 0.7307 + 14265.1 * z**3.395)
    factor = np.minimum(b[4] * m ** -b[5], b[6] * m ** -b[7])
    return np.asarray(factor * (luminosity ** min(0.54, b[1]) + b_2 * luminosity**b_3))


def branch_luminosity(mass: Floats, since_base_myr: Floats, fe_h: float) -> Floats:
    """Return the luminosity on the giant branch some time after its base; inf past its tip (HPT, eqs. 31-40 and 49)."""
    m, zeta = np.asarray(mass, dtype=np.float64), _zeta(fe_h)
    d, p = 10.0 ** (5.37 + 0.135 * zeta), 6.0
    b, q = np.maximum(3.0e4, 500.0 + 1.75e4 * m**0.6), 3.0
    rate = 10.0 ** np.clip(-5.7 + 0.8 * m, -4.8, -4.1 + 0.14 * m)
    base = branch_base(m, fe_h)
    bend = b * (b / d) ** (q / (p - q))
    # Time from here to where the lower of the two power laws would be infinite, then the same of the upper one.
    left = (d / base) ** ((p - 1.0) / p) / ((p - 1.0) * rate * d)
    to_bend = left * (1.0 - (base / bend) ** ((p - 1.0) / p))
    left_after = (b / bend) ** ((q - 1.0) / q) / ((q - 1.0) * rate * b)
    early = np.minimum(since_base_myr, to_bend)
    late = np.clip(since_base_myr - to_bend, 0.0, left_after * (1.0 - 1e-9))
    below = d * ((p - 1.0) * rate * d * (left - early)) ** (p / (1.0 - p))
    above = b * ((q - 1.0) * rate * b * (left_after - late)) ** (q / (1.0 - q))
    luminosity = np.where(since_base_myr < to_bend, below, above)
    b_n = _coefficients(_B, zeta)
    tip = b_n[9] * m ** b_n[10]
    return np.where(luminosity < tip, luminosity, np.inf)


def evolve(mass: Floats, age_myr: Floats, fe_h: float) -> tuple[Floats, Floats]:
    """Return luminosity and radius of stars at an age, in solar units; NaN where there is no such star any more.

    Parameters
    ----------
    mass : ndarray, shape (n,)
        Mass in Msun; outside `MASS_RANGE_MSUN` the result is NaN.
    age_myr : ndarray
        Age in Myr.
    fe_h : float
        Metallicity, that of the Sun being Z = 0.02.

    Returns
    -------
    luminosity, radius : ndarray, shape (n,)
    """
    mass = np.asarray(mass, dtype=np.float64)
    known = (mass >= MASS_RANGE_MSUN[0]) & (mass <= MASS_RANGE_MSUN[1])
    m = np.where(known, mass, 1.0)
    end, base = lifetimes_myr(m, fe_h)
    start_l, start_r = (np.log10(values) for values in zams(m, fe_h))
    end_l, end_r = (np.log10(values) for values in main_sequence_end(m, fe_h))
    tau = np.minimum(age_myr / end, 1.0)
    log_l = start_l + 0.5 * (tau + tau**2) * (end_l - start_l)
    log_r = start_r + tau**2 * (end_r - start_r)
    # Across the gap both change as exponentials of the time (HPT, eqs. 26 and 27).
    gap = np.clip((age_myr - end) / (base - end), 0.0, 1.0)
    base_l = branch_base(m, fe_h)
    log_l += gap * (np.log10(base_l) - end_l)
    log_r += gap * (np.log10(branch_radius(m, base_l, fe_h)) - end_r)
    giant = age_myr >= base
    luminosity = np.where(giant, branch_luminosity(m, np.maximum(age_myr - base, 0.0), fe_h), 10.0**log_l)
    luminosity = np.where(known & np.isfinite(luminosity), luminosity, np.nan)
    return luminosity, np.where(giant, branch_radius(m, luminosity, fe_h), 10.0**log_r)


def surface(mass: Floats, luminosity: Floats, radius: Floats) -> tuple[Floats, Floats]:
    """Return effective temperature in K and log g of stars in solar units."""
    return T_EFF_SUN_K * luminosity**0.25 / np.sqrt(radius), LOG_G_SUN + np.log10(mass) - 2.0 * np.log10(radius)


def bolometric_correction(t_eff_k: Floats) -> Floats:
    """Return the bolometric correction in V of Flower (1996), as corrected by Torres (2010, AJ 140, 1158), table 1.

    That of the Sun is -0.08 with an absolute bolometric magnitude of 4.73.
    """
    cool = (-0.190537291496456e05, 0.155144866764412e05, -0.421278819301717e04, 0.381476328422343e03)
    warm = (
        -0.370510203809015e05,
        0.385672629965804e05,
        -0.150651486316025e05,
        0.261724637119416e04,
        -0.170623810323864e03,
    )
    x = np.log10(t_eff_k)
    return np.where(x < 3.70, _polynomial(cool, x), _polynomial(warm, x))


def absolute_magnitude(luminosity: Floats, t_eff_k: Floats) -> Floats:
    """Return the absolute magnitude in V of stars below 7900 K, of luminosities in Lsun."""
    return np.asarray(4.73 - 2.5 * np.log10(luminosity) - bolometric_correction(t_eff_k))


def _zeta(fe_h: float) -> float:
    return float(min(fe_h, _MOST_FE_H))


def _polynomial(coefficients: tuple[float, ...], x: Floats | float) -> Floats:
    return np.asarray(np.polynomial.polynomial.polyval(x, coefficients))


def _coefficients(table: dict[int, tuple[float, ...]], zeta: float) -> dict[int, float]:
    return {n: float(_polynomial(row, zeta)) for n, row in table.items()}
