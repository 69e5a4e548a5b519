"""Stage 2, stars: spectra to labels with uncertainties."""
