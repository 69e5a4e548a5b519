"""The baseline: the task, the agent and the integrator of Saz Ulibarrena & Portegies Zwart (2025), as they published.

Nothing else in `astropipe.nbody` imports this; it is what our own time step is compared with, and what
``astropipe nbody train`` makes with ``policy: paper``.
"""
