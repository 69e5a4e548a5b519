"""What is told where GalSim is not installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from astropipe.morphology.rendering.galsim_renderer import render_galaxy, render_set
from astropipe.runtime.errors import MissingDependencyError


def test_without_galsim_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "galsim", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'astropipe\[galsim\]'"):
        render_galaxy("SPH", np.random.default_rng(0))
    with pytest.raises(MissingDependencyError, match=r"pip install 'astropipe\[galsim\]'"):
        render_set(1, (20.0,), seed=0)
