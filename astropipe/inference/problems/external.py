"""A likelihood computed by a program of its own, in whatever language: parameters in, one number out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from astropipe.inference.priors import Prior
from astropipe.inference.problems.base import Problem, register
from astropipe.runtime.errors import InputError, UsageError

Command = Annotated[
    Sequence[str], Field(min_length=1, description="a list of program and arguments, with {name} for a parameter")
]
Seconds = Annotated[float, Field(gt=0.0, description="a number of seconds above 0")]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class ExternalLikelihood:
    """ln L as the last line that a command prints, which is run once a point.

    Each ``{name}`` in the arguments is replaced by the value of a parameter, with all digits. A command without any
    is given all parameters as one JSON object on its standard input. No shell is involved.

    Attributes
    ----------
    command : tuple of str
        Program and arguments.
    names : tuple of str
        The parameters, in the order of the columns of points.
    timeout_s : float
        Time after which a call has failed, in seconds.

    Raises
    ------
    UsageError
        If the program is not found, or the placeholders are not those of the parameters.
    """

    command: tuple[str, ...]
    names: tuple[str, ...]
    timeout_s: float = 3600.0

    def __post_init__(self) -> None:
        if shutil.which(self.command[0]) is None:
            raise UsageError(f"{self.command[0]!r} is no program; give a path to one, or a name that PATH leads to")
        asked = {name for part in self.command for name in _PLACEHOLDER.findall(part)}
        missing = [name for name in self.names if name not in asked]
        if 0 < len(missing) < len(self.names):
            raise UsageError(
                f"{' '.join(self.command)}: no {{{missing[0]}}}; name each parameter in the command, or none"
            )

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ln L of points [n, d] as [n].

        Raises
        ------
        InputError
            If a call fails, takes too long, or prints no number.
        """
        return np.array([self._value(point) for point in x])

    def _value(self, point: NDArray[np.float64]) -> float:
        values = dict(zip(self.names, map(float, point), strict=True))
        arguments = [_PLACEHOLDER.sub(lambda found: _text(found, values), part) for part in self.command]
        try:
            done = subprocess.run(
                arguments, input=json.dumps(values), capture_output=True, text=True, timeout=self.timeout_s, check=True
            )
        except subprocess.TimeoutExpired as error:
            raise InputError(f"{arguments[0]} took more than timeout_s = {self.timeout_s:g} s") from error
        except subprocess.CalledProcessError as error:
            said = error.stderr.strip().splitlines()
            raise InputError(
                f"{arguments[0]} ended with code {error.returncode}: {said[-1] if said else ''}"
            ) from error
        last = done.stdout.strip().rpartition("\n")[2]
        try:
            return float(last)
        except ValueError as error:
            raise InputError(f"the last line that {arguments[0]} printed is {last!r}, not a number") from error


def _text(found: re.Match[str], values: Mapping[str, float]) -> str:
    """Return what takes the place of braces: the value of a parameter; others stay, as programs have their own."""
    return repr(values[found[1]]) if found[1] in values else found[0]


@register("external")
def external_problem(
    command: Command, priors: Mapping[str, str], timeout_s: Seconds = 3600.0, files: Sequence[str] = ()
) -> Problem:
    """Build the problem of a likelihood that a command computes.

    Parameters
    ----------
    command
        Program and arguments; see `ExternalLikelihood`.
    priors
        Distribution of each parameter, as text, for example ``uniform(0, 1)``.
    timeout_s
        Time after which a call has failed, in seconds.
    files
        Data that the command reads. They are recorded with the result, as is every file that the command names.

    Raises
    ------
    UsageError
        If there is no such program, or a prior cannot be read.
    InputError
        If a file is missing.
    """
    prior = Prior(dict(priors))
    likelihood = ExternalLikelihood(tuple(command), prior.names, float(timeout_s))
    named = [Path(part) for part in command if Path(part).is_file()]
    for file in map(Path, files):
        if not file.is_file():
            raise InputError(f"{file}: no such file; it is listed in the option files of the problem 'external'")
        named.append(file)
    title = f"Likelihood computed by {Path(command[0]).name}"
    return Problem("external", title, prior, likelihood, sources=tuple(named))
