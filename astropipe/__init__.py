"""astropipe: orbits, spectra, images and cosmological data to catalogs with honest uncertainties."""

__version__ = "0.1.0"
