"""The grid of synthetic spectra behind the emulator: an optional recipe, with sources of its own."""
