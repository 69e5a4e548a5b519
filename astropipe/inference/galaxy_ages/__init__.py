"""Ages of galaxies: which are taken from a catalog, and what their differences between redshifts say."""
