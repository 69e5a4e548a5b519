"""Simulated bright sirens of the third generation of detectors, after Afroz and Mukherjee (arXiv:2412.12285)."""
