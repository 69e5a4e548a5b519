"""Stage 3, galaxies: unsupervised classes from images, with an agreement score for each."""
