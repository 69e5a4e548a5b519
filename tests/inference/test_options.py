"""Options of problems: whatever a configuration may hold, a slip is an error of use that names the option."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import pytest
from pydantic import Field

from astropipe.inference.problems import problem, problem_names
from astropipe.inference.problems.base import _FACTORIES
from astropipe.inference.problems.options import check_options
from astropipe.runtime.errors import UsageError

OPTIONS = [(name, option) for name in problem_names() for option in inspect.signature(_FACTORIES[name]).parameters]
"""Every option of every registered problem."""

NEEDED = {
    "external": {"command": ["awk", "BEGIN {print 0}"], "priors": {"x": "uniform(0, 1)"}},
    "chronometers-catalog": {"catalog": "galaxies.h5"},
    "plummer-cluster": {
        "data": "stars.h5",
        "distance_pc": 800.0,
        "ra_deg": 132.0,
        "dec_deg": 12.0,
        "field_radius_arcmin": 30.0,
    },
}
"""Options without which a problem cannot be."""


@pytest.mark.parametrize(("name", "option"), OPTIONS)
@pytest.mark.parametrize("wrong", [b"bytes", [[3]], {"a": [None]}, 1j])
def test_no_option_takes_what_fits_none(name: str, option: str, wrong: object) -> None:
    with pytest.raises(UsageError, match=rf"{name}.*option {option}.* does not fit; {option} is \w"):
        problem(name, **NEEDED.get(name, {}) | {option: wrong})


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("cosmology", {"data": [3]}, r"option data\[0\] = 3 does not fit; data is a list of data sets"),
        ("cosmology", {"data": "desi-dr2"}, "option data = 'desi-dr2'.* a list"),
        ("cosmology", {"model": ["a"]}, r"option model = \['a'\]"),
        ("cosmology", {"priors": {"h0": 5}}, r"option priors\.h0 = 5"),
        ("cosmology", {"name": ["mine"]}, "option name"),
        ("cosmology", {"dat": ["desi-dr2"]}, "no option 'dat'; did you mean 'data'"),
        ("lcdm-union3", {"prior": {}}, "no option 'prior'; did you mean 'priors'"),
        ("gaussian", {"n_parameters": "x"}, "n_parameters = 'x' .* a whole number from 2 to 1000"),
        ("gaussian", {"n_parameters": True}, "n_parameters = True"),
        ("gaussian", {"n_parameters": 2.5}, r"n_parameters = 2\.5"),
        ("correlated-gaussian", {"n_parameters": 1}, "n_parameters = 1 .* a whole number from 2"),
        ("correlated-gaussian", {"rho": float("nan")}, "rho = nan"),
        ("eggbox", {"n_parameters": 3}, "no option 'n_parameters'; it has none"),
    ],
)
def test_the_message_names_option_value_and_remedy(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        problem(name, **options)
    assert caught.value.exit_code == 2


def test_good_options_pass() -> None:
    composed = problem("cosmology", model="wcdm", data=("union3",), priors={"w0": "uniform(-2, 0)"}, name="mine")
    assert composed.name == "mine" and composed.prior.names == ("omega_m", "w0")
    assert len(problem("correlated-gaussian", n_parameters=3, rho=0).prior) == 3


def test_missing_and_undescribed_options() -> None:
    def factory(size: Annotated[int, Field(ge=1)], anything=None) -> None:  # type: ignore[no-untyped-def]
        pass

    check_options("some", factory, {"size": 1, "anything": object()})
    with pytest.raises(UsageError, match="problem 'some' needs the option size: int"):
        check_options("some", factory, {})
    with pytest.raises(UsageError, match="size = 0 does not fit; size is int"):
        check_options("some", factory, {"size": 0})
