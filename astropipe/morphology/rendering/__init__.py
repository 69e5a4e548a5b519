"""Renderers of galaxies of known class, structure and noise; those of training and of testing share nothing."""
