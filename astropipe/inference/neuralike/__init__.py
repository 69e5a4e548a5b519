"""The published method, approximate: a network takes the likelihood's place during nested sampling.

Gómez-Vargas & Vázquez 2024, Phys. Rev. D 110, 083518 (arXiv:2405.03293). `sample_neuralike` of the module ``run``
needs torch and DEAP, which are imported with it and not here.
"""

from __future__ import annotations

from astropipe.inference.neuralike.result import Architecture, NeuralikeResult, Training

__all__ = ["Architecture", "NeuralikeResult", "Training"]
