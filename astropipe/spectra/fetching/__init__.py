"""Real spectra of LAMOST by observation number: downloaded on command, checked, and recorded in a manifest."""

from astropipe.spectra.fetching.folder import fetch

__all__ = ["fetch"]
