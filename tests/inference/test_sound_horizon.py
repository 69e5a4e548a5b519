"""Recombination and the sound horizon against CAMB and the published fits."""

from __future__ import annotations

import numpy as np
import pytest
from astropy_reference import astropy_of

from astropipe.inference.background import Radiation, cosmology
from astropipe.inference.likelihoods.cmb import acoustic_scale, shift_parameters
from astropipe.inference.sound_horizon import (
    drag_horizon,
    sound_horizon,
    transverse_distance_to,
    z_drag,
    z_star,
    z_star_hu_sugiyama,
)

# CAMB 2.0.5, get_derived_params, T 2.7255 K, N_eff 3.044, one neutrino of 0.06 eV:
# (H0, Ω_b h², Ω_c h², w0, wa, Ω_k): z*, r*, 100 θ*, z_drag, r_drag
CAMB = {
    (67.36, 0.02237, 0.12000, -1.0, 0.0, 0.0): (1089.9067, 144.44312, 1.04119812, 1059.9322, 147.10270),
    (68.00, 0.02223, 0.11985, -1.0, 0.0, 0.0): (1090.0706, 144.58869, 1.04331287, 1059.5965, 147.29829),
    (64.00, 0.02220, 0.12050, -0.43, -1.72, 0.0): (1090.1658, 144.44385, 1.04286885, 1059.5737, 147.16003),
    (70.00, 0.02300, 0.11000, -0.9, 0.0, 0.0): (1088.2708, 146.60553, 1.04764555, 1060.6551, 149.10737),
    (60.00, 0.02150, 0.13500, -1.0, 0.0, -0.02): (1092.3624, 141.37522, 1.05815111, 1058.9623, 144.25201),
    (75.00, 0.02250, 0.12500, -1.2, 0.3, 0.02): (1090.1751, 143.07483, 1.02379740, 1060.5859, 145.66045),
}


@pytest.mark.parametrize("point", CAMB)
def test_the_acoustic_scales_are_cambs(point: tuple[float, float, float, float, float, float]) -> None:
    h0, omega_b_h2, omega_c_h2, w0, wa, omega_k = point
    star, r_star, theta_star, drag, r_drag = CAMB[point]
    baryons, matter = np.array([omega_b_h2]), np.array([omega_b_h2 + omega_c_h2])
    total = matter + Radiation().massive_today
    universe = cosmology(total / (h0 / 100.0) ** 2, h0, omega_k=omega_k, w0=w0, wa=wa)
    assert z_star(baryons, matter).item() == pytest.approx(star, abs=0.05)
    assert z_drag(baryons, total).item() == pytest.approx(drag, abs=0.1)
    assert sound_horizon(universe, baryons, z_star(baryons, matter)).item() == pytest.approx(r_star, rel=3e-5)
    assert drag_horizon(universe, baryons).item() == pytest.approx(r_drag, rel=3e-5)
    # A tenth of the 2.5e-4 to which the CMB measures it.
    assert 100.0 * acoustic_scale(universe, baryons).item() == pytest.approx(theta_star, rel=2.5e-5)


def test_the_ruler_follows_the_power_law_that_desi_quotes() -> None:
    # Brieden, Gil-Marín and Verde 2023 (arXiv:2212.04522), quoted by DESI 2025: good to 0.1 % near Planck.
    baryons, matter = np.array([0.0219, 0.02236, 0.0228]), np.array([0.147, 0.1432, 0.139])
    expected = 147.05 * (baryons / 0.02236) ** -0.13 * (matter / 0.1432) ** -0.23 * (3.044 / 3.04) ** -0.1
    universe = cosmology((matter + Radiation().massive_today) / 0.68**2, 68.0)
    np.testing.assert_allclose(drag_horizon(universe, baryons), expected, rtol=2e-3)


def test_planck_2018_has_its_published_scales() -> None:
    # Planck 2018 VI (arXiv:1807.06209), table 2, TT,TE,EE+lowE+lensing: mean and standard error.
    baryons, matter = np.array([0.02237]), np.array([0.02237 + 0.1200])
    universe = cosmology((matter + Radiation().massive_today) / 0.6736**2, 67.36)
    assert z_star(baryons, matter).item() == pytest.approx(1089.92, abs=0.25)
    assert sound_horizon(universe, baryons, z_star(baryons, matter)).item() == pytest.approx(144.43, abs=0.26)
    assert drag_horizon(universe, baryons).item() == pytest.approx(147.09, abs=0.26)
    assert 100.0 * acoustic_scale(universe, baryons).item() == pytest.approx(1.04110, abs=0.00031)


def test_the_distance_to_recombination_is_astropys() -> None:
    for omega_k in (0.0, -0.05, 0.05):
        theirs = astropy_of(67.0, 0.32, omega_k, -0.9, -0.3, Radiation())
        universe = cosmology(0.32, 67.0, omega_k=omega_k, w0=-0.9, wa=-0.3)
        for z in (700.0, 1089.9, 1500.0):
            expected = theirs.comoving_transverse_distance(z).value
            assert transverse_distance_to(universe, np.array([z])).item() == pytest.approx(expected, rel=1e-8)


def test_shift_parameters_are_those_of_planck() -> None:
    # Zhai, Park, Wang and Ratra 2020 (arXiv:1912.04921), Planck 2018 flat: R 1.74963, l_A 301.80845; Chen et al.
    # (arXiv:1808.05724) publish R 1.7502 and, untraceably, l_A 301.471.
    baryons = np.array([0.02237])
    universe = cosmology((0.02237 + 0.1200 + 0.000645) / 0.6736**2, 67.36)
    shift, scale = shift_parameters(universe, baryons)
    assert shift.item() == pytest.approx(1.74963, abs=0.0023)
    assert scale.item() == pytest.approx(301.808, abs=0.045)


def test_hu_and_sugiyama_give_the_redshift_they_are_known_for() -> None:
    # Komatsu et al. 2009 (arXiv:0803.0547), table 1, WMAP5: z* = 1090.51 by this formula at its mean densities.
    assert z_star_hu_sugiyama(np.array([0.02273]), np.array([0.1326])).item() == pytest.approx(1090.51, abs=0.3)
