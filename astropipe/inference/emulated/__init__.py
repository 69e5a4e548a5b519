"""Few calls of an expensive likelihood: an emulator proposes points, true values at them decide."""

from __future__ import annotations

from astropipe.inference.emulated.result import EmulatedDiagnostics, EmulatedResult
from astropipe.inference.emulated.run import sample_emulated

__all__ = ["EmulatedDiagnostics", "EmulatedResult", "sample_emulated"]
