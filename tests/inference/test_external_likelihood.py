"""Likelihoods computed by a program: what it is told, what it may answer, and a posterior of one."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from astropipe.inference import ExternalLikelihood, problem, sample
from astropipe.runtime.errors import InputError, UsageError

NAMES = ("x", "y")
SQUARES = ("awk", "-v", "x={x}", "-v", "y={y}", 'BEGIN {printf "progress\\n%.17g\\n", -0.5 * (x * x + y * y)}')


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_parameters_reach_the_command_with_all_digits() -> None:
    x = np.random.default_rng(1).normal(size=(3, 2))
    np.testing.assert_allclose(ExternalLikelihood(SQUARES, NAMES)(x), -0.5 * np.sum(x**2, axis=1), rtol=1e-15)


def test_parameters_on_standard_input() -> None:
    likelihood = ExternalLikelihood(python("import json, sys; p = json.load(sys.stdin); print(p['x'] - p['y'])"), NAMES)
    assert likelihood(np.array([[0.1, 0.3]]))[0] == 0.1 - 0.3


def test_minus_infinity_is_an_answer() -> None:
    assert ExternalLikelihood(python("print('-inf')"), NAMES)(np.zeros((1, 2)))[0] == -math.inf


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('no table of opacities')", "ended with code 1: no table of opacities"),
        ("print('ln L = 3')", "'ln L = 3', not a number"),
        ("pass", "'', not a number"),
        ("import time; time.sleep(5)", "more than timeout_s = 0.2 s"),
    ],
)
def test_a_command_that_fails_says_how(code: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ExternalLikelihood(python(code), NAMES, timeout_s=0.2 if "sleep" in code else 60.0)(np.zeros((1, 2)))


def test_a_failure_names_the_point() -> None:
    likelihood = ExternalLikelihood(python("print('nan')"), NAMES)
    with pytest.raises(InputError, match=r"returned nan at x=.*, y="):
        sample(likelihood, {"x": "uniform(-5, 5)", "y": "uniform(-5, 5)"}, method="emulated", vectorized=True)


def test_no_program_and_wrong_placeholders() -> None:
    with pytest.raises(UsageError, match="no-such-program"):
        ExternalLikelihood(("no-such-program",), NAMES)
    with pytest.raises(UsageError, match=r"no \{y\}; name each parameter"):
        ExternalLikelihood(("awk", "{x}", "{z}"), NAMES)


def test_posterior_of_a_command(tmp_path: Path) -> None:
    script = tmp_path / "likelihood.awk"
    script.write_text('{ printf "%.17g\\n", -0.5 * ($1 * $1 + $2 * $2) }')
    task = problem(
        "external",
        command=["sh", "-c", f"echo {{x}} {{y}} | awk -f {script}"],
        priors={"x": "uniform(-5, 5)", "y": "uniform(-5, 5)"},
        files=[str(script)],
    )
    assert task.sources == (script,)
    result = sample(
        task.log_likelihood, task.prior, method="emulated", precision=0.05, min_ess=100, vectorized=True, pool=2, seed=1
    )
    truth = math.log(2.0 * math.pi) - 2.0 * math.log(10.0)
    assert result.converged
    assert abs(result.logz - truth) < 4.0 * result.logz_err


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"opacities\.dat: no such file"):
        problem("external", command=["awk", "BEGIN {print 0}"], priors={"x": "uniform(0, 1)"}, files=["opacities.dat"])
