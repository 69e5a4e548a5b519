"""Each class of error has the exit code that house.md gives it, and is caught by the builtin it resembles."""

from __future__ import annotations

import pytest

from astropipe.runtime import errors


@pytest.mark.parametrize(
    ("kind", "code", "builtin"),
    [
        (errors.AstropipeError, 1, Exception),
        (errors.UsageError, 2, ValueError),
        (errors.ConfigError, 2, ValueError),
        (errors.MissingDependencyError, 2, ImportError),
        (errors.InputError, 3, ValueError),
        (errors.ArtifactError, 3, ValueError),
        (errors.OutputError, 3, OSError),
        (errors.QualityError, 4, Exception),
        (errors.InterruptedRunError, 77, Exception),
    ],
)
def test_exit_codes(kind: type[errors.AstropipeError], code: int, builtin: type[Exception]) -> None:
    assert kind.exit_code == code
    assert issubclass(kind, builtin) and issubclass(kind, errors.AstropipeError)
    assert str(kind("why and what to do")) == "why and what to do"
