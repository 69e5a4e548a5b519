"""Settings of the morphology stage."""

from __future__ import annotations

from astropipe.config.base import Section


class MorphologyConfig(Section):
    """Galaxies. The stage is not part of this version: it has no settings, and any key given here is refused."""
