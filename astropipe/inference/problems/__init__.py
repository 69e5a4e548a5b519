"""Inference problems by name: likelihood, prior and what to cite. Importing this registers those we ship."""

from __future__ import annotations

from astropipe.inference.problems import chronometers_catalog, cosmology, external, star_cluster, toys
from astropipe.inference.problems.base import Problem, problem, problem_names, register

__all__ = [
    "Problem",
    "chronometers_catalog",
    "cosmology",
    "external",
    "problem",
    "problem_names",
    "register",
    "star_cluster",
    "toys",
]
