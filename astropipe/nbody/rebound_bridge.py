"""Systems from and to REBOUND (Rein & Liu 2012, A&A 537, A128), where it is installed: it is GPL and optional."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from astropipe.nbody.arrays import FloatArray
from astropipe.runtime.errors import InputError, MissingDependencyError


class ReboundSystem(NamedTuple):
    """What `integrate` needs of a simulation, in the units of the simulation.

    Attributes
    ----------
    masses : array of shape (N,)
    positions, velocities : arrays of shape (N, 3)
    G : float
    time : float
    """

    masses: FloatArray
    positions: FloatArray
    velocities: FloatArray
    G: float
    time: float


def from_rebound(simulation: Any) -> ReboundSystem:
    """Return the bodies of a `rebound.Simulation`.

    Examples
    --------
    ``m, x, v, G, t = from_rebound(sim)``; ``integrate(m, x, v, t + 10.0, t_start=t, G=G)``.

    Raises
    ------
    InputError
        If the simulation has variational particles, a softening length or no bodies: our forces know none of these.
    """
    n = int(simulation.N)
    if getattr(simulation, "N_var", 0):
        raise InputError("the simulation has variational particles, which have no counterpart here; remove them")
    if simulation.softening != 0.0:
        raise InputError(f"the simulation has softening = {simulation.softening}; forces here are those of points")
    if n == 0:
        raise InputError("the simulation has no particles; add some")
    masses, positions, velocities = np.zeros(n), np.zeros((n, 3)), np.zeros((n, 3))
    simulation.serialize_particle_data(m=masses, xyz=positions, vxvyvz=velocities)
    return ReboundSystem(masses, positions, velocities, float(simulation.G), float(simulation.t))


def to_rebound(masses: Any, positions: Any, velocities: Any, *, G: float = 1.0, time: float = 0.0) -> Any:
    """Return a `rebound.Simulation` of one system: masses (N,), positions and velocities (N, 3), in plain numbers.

    Raises
    ------
    MissingDependencyError
        If rebound is not installed.
    InputError
        If the shapes do not fit.
    """
    try:
        import rebound
    except ImportError as error:
        raise MissingDependencyError(
            "to_rebound needs REBOUND: pip install 'astropipe[peers]' (GPL; nothing else of astropipe needs it)"
        ) from error
    m, x, v = (np.asarray(values, dtype=np.float64) for values in (masses, positions, velocities))
    if m.ndim != 1 or x.shape != (m.size, 3) or v.shape != (m.size, 3):
        raise InputError(
            f"masses, positions and velocities must have shapes [N], [N, 3] and [N, 3], got {m.shape}, {x.shape} "
            f"and {v.shape}"
        )
    simulation = rebound.Simulation()
    simulation.G, simulation.t = G, time
    for body in range(m.size):
        (x0, y0, z0), (vx, vy, vz) = x[body].tolist(), v[body].tolist()
        simulation.add(m=float(m[body]), x=x0, y=y0, z=z0, vx=vx, vy=vy, vz=vz)
    return simulation
