"""Rendered galaxies of known type: the analytic renderer, from which networks learn, and GalSim's, for tests."""
