"""The call itself: what is refused, and what happens with units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy import constants
from astropy import units as u

from astropipe.nbody import integrate, integrate_batch, named_system
from astropipe.runtime.errors import InputError, UsageError

MASSES = np.ones(3)
POSITIONS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
VELOCITIES = np.zeros((3, 3))


def changed(array: np.ndarray, index: Any, value: float) -> np.ndarray:
    copy = array.copy()
    copy[index] = value
    return copy


BAD_SYSTEMS = {
    "nan position": ({"positions": changed(POSITIONS, (2, 1), np.nan)}, r"body 2: position .* is not finite"),
    "infinite velocity": ({"velocities": changed(VELOCITIES, (1, 0), np.inf)}, r"body 1: velocity .* is not finite"),
    "nan mass": ({"masses": changed(MASSES, 0, np.nan)}, r"body 0: mass nan is not finite"),
    "negative mass": ({"masses": changed(MASSES, 1, -2.0)}, r"body 1: mass -2.0 is negative"),
    "no mass": ({"masses": np.zeros(3)}, r"masses are all 0"),
    "coincident": ({"positions": changed(POSITIONS, 2, [0.0, 0, 0])}, r"body 0 and body 2 are at the same place"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_SYSTEMS)
def test_bad_systems_are_refused_and_named(name: str) -> None:
    change, message = BAD_SYSTEMS[name]
    system = {"masses": MASSES, "positions": POSITIONS, "velocities": VELOCITIES, **change}
    with pytest.raises(InputError, match="^" + message):
        integrate(*system.values(), 1.0)
    good = {"masses": MASSES, "positions": POSITIONS, "velocities": VELOCITIES}
    batch = [np.stack([good[key], good[key], system[key]]) for key in system]
    with pytest.raises(InputError, match="^system 2(, |: )" + message):
        integrate_batch(*batch, 1.0)


def test_signed_zeros_coincide() -> None:
    with pytest.raises(InputError, match="same place"):
        integrate([1.0, 1.0], [[0.0, 0, 0], [-0.0, 0, 0]], np.zeros((2, 3)), 1.0)


@pytest.mark.parametrize(
    ("masses", "positions", "velocities"),
    [
        (np.ones(2), POSITIONS, VELOCITIES),
        (MASSES, POSITIONS[:, :2], VELOCITIES),
        (MASSES, POSITIONS, VELOCITIES[None]),
        (MASSES[None], POSITIONS[None], VELOCITIES[None]),
        (np.ones(1), np.zeros((1, 3)), np.zeros((1, 3))),
        (["heavy", "light", "light"], POSITIONS, VELOCITIES),
    ],
)
def test_bad_shapes(masses: Any, positions: Any, velocities: Any) -> None:
    with pytest.raises(InputError, match=r"shapes|at least 2 bodies|arrays of numbers"):
        integrate(masses, positions, velocities, 1.0)


def test_a_single_system_is_not_a_batch() -> None:
    with pytest.raises(InputError, match="for one system use integrate"):
        integrate_batch(MASSES, POSITIONS, VELOCITIES, 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"t_end": -1.0}, "not before t_start"),
        ({"t_end": 1.0, "t_start": 2.0}, "not before t_start"),
        ({"t_end": np.nan}, "must be finite"),
        ({"t_end": [1.0, 2.0]}, "one number for all systems"),
        ({"mu": 0.0}, "mu = 0.0 must be positive"),
        ({"mu": np.nan}, "mu = nan must be positive"),
        ({"dt": -0.1}, "dt = -0.1 must be positive"),
        ({"dt": 0.0}, "dt = 0.0 must be positive"),
        ({"method": "euler"}, "choose one of hermite4, hermite6, hermite8, leapfrog, yoshida4"),
        ({"timestep": "guessed"}, "choose one of fixed, shared, power, learned"),
        ({"timestep": "shared"}, "needs its accuracy parameter mu"),
        ({"timestep": "fixed"}, "needs its step dt"),
        ({"tolerance": 1e-14}, "double precision allows 1e-12"),
        ({"tolerance": 1.0}, "1 asks for nothing"),
        ({"tolerance": np.nan}, "tolerance = nan"),
        ({"G": 0.0}, "G = 0.0 must be positive"),
        ({"max_force_evaluations": 0}, "at least 1"),
        ({"save_times": [0.5, 1.5]}, r"save_times\[1\] = 1.5 is not between"),
        ({"save_times": [np.nan]}, r"save_times\[0\] = nan is not between"),
        ({"save_times": [0.5, 0.2]}, "must not decrease"),
        ({"save_times": 0.5}, "list of times"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        integrate(MASSES, POSITIONS, VELOCITIES, **{"t_end": 1.0, "timestep": "power", **options})


def test_input_arrays_are_not_changed() -> None:
    system = named_system("figure-eight")
    before = system.positions.copy()
    integrate(system.masses, system.positions, system.velocities, 1.0, timestep="power")
    integrate_batch(system.masses[None], system.positions[None], system.velocities[None], 1.0, timestep="power")
    np.testing.assert_array_equal(system.positions, before)


def earth_and_sun() -> tuple[Any, Any, Any]:
    masses = [1.0, 3.003e-6] * u.Msun
    speed = np.sqrt(constants.G * masses.sum() / u.au).to(u.km / u.s)
    share = (masses[1] / masses.sum()).value
    positions = [[-share, 0, 0], [1 - share, 0, 0]] * u.au
    return masses, positions, [[0, -share, 0], [0, 1 - share, 0]] * speed


def test_a_year_with_units() -> None:
    masses, positions, velocities = earth_and_sun()
    year = 2 * np.pi * np.sqrt((1 * u.au) ** 3 / (constants.G * masses.sum()))
    assert year.to_value(u.day) == pytest.approx(365.2563, abs=0.001)
    run = integrate(
        masses, positions, velocities, year, timestep="power", tolerance=1e-9, save_times=[0.25, 0.5] * year
    )
    assert run.positions.unit == u.au
    assert run.velocities.unit == u.km / u.s
    assert run.time.to_value(u.day) == pytest.approx(365.2563, abs=0.001)
    np.testing.assert_allclose(run.positions.value, positions.value, atol=1e-8)
    np.testing.assert_allclose(run.velocities.value, velocities.value, atol=1e-6)
    np.testing.assert_allclose(run.trajectory.positions[1].to_value(u.au), -positions.value, atol=1e-8)
    assert run.trajectory.times.unit == year.unit
    assert run.closest_approach.separation.to_value(u.au) == pytest.approx(1.0, abs=1e-8)
    assert isinstance(run.energy_error, float)


def test_the_unit_given_does_not_matter() -> None:
    masses, positions, velocities = earth_and_sun()
    one = integrate(masses, positions, velocities, 0.3 * u.yr, timestep="power")
    other = integrate(
        masses.to(u.kg),
        positions.to(u.m),
        velocities.to(u.cm / u.s),
        (0.3 * u.yr).to(u.s),
        timestep="power",
        t_start=0 * u.day,
    )
    assert other.positions.unit == u.m
    np.testing.assert_allclose(other.positions.to_value(u.au), one.positions.value, rtol=1e-10, atol=1e-12)


def test_units_in_a_batch() -> None:
    masses, positions, velocities = earth_and_sun()
    batch = integrate_batch(masses[None], positions[None], velocities[None], 0.3 * u.yr, dt=1 * u.day)
    one = integrate(masses, positions, velocities, 0.3 * u.yr, dt=1 * u.day)
    assert (batch.positions[0] == one.positions).all()
    assert batch.time.unit == u.yr
    assert one.force_evaluations == 1 + 110 + 2  # 109.6 days, and the first step corrected three times


def test_gravity_may_be_given_with_units() -> None:
    masses, positions, velocities = earth_and_sun()
    plain = integrate(masses, positions, velocities, 0.3 * u.yr, timestep="power")
    same = integrate(masses, positions, velocities, 0.3 * u.yr, timestep="power", G=constants.G)
    none = integrate(masses, positions, velocities, 0.3 * u.yr, timestep="power", G=1e-20 * constants.G)
    assert (plain.positions == same.positions).all()
    straight = positions + velocities * (0.3 * u.yr)
    np.testing.assert_allclose(none.positions.to_value(u.au), straight.to_value(u.au), rtol=1e-9)


def test_mixing_units_and_numbers_is_refused() -> None:
    masses, positions, velocities = earth_and_sun()
    with pytest.raises(UsageError, match="masses, positions, velocities have units but t_end do not"):
        integrate(masses, positions, velocities, 1.0)
    with pytest.raises(UsageError, match="t_end have units but masses, positions, velocities do not"):
        integrate(MASSES, POSITIONS, VELOCITIES, 1.0 * u.yr)
    with pytest.raises(UsageError, match="dt do not"):
        integrate(masses, positions, velocities, 1.0 * u.yr, dt=0.1)
    with pytest.raises(UsageError, match="t_start do not"):
        integrate(masses, positions, velocities, 1.0 * u.yr, t_start=0.5)
    with pytest.raises(UsageError, match="leave G out"):
        integrate(masses, positions, velocities, 1.0 * u.yr, G=39.5)
    with pytest.raises(UsageError, match="G has units but nothing else"):
        integrate(MASSES, POSITIONS, VELOCITIES, 1.0, G=constants.G)


def test_wrong_dimensions_are_refused() -> None:
    masses, positions, velocities = earth_and_sun()
    with pytest.raises(UsageError, match="velocities has the wrong unit"):
        integrate(masses, positions, positions, 1.0 * u.yr)
    with pytest.raises(UsageError, match="G has the wrong unit"):
        integrate(masses, positions, velocities, 1.0 * u.yr, G=1.0 * u.m)
