r"""One step of each integrator, in place, in chain coordinates, as compiled loops.

``hermite_step`` is the predict-evaluate-correct scheme of order 4 (Makino & Aarseth 1992, PASJ 44, 141), 6 or 8
(Nitadori & Makino 2008, New Astron. 13, 498). The evaluation at the predicted state also serves as the start of the
next step, so a step costs one evaluation: of acceleration and jerk at order 4, and snap at 6, and crackle at 8.

``composition_step`` runs a symmetric composition of kick-drift-kick leapfrogs with adjoining kicks merged: leapfrog
itself (order 2), or Yoshida's (1990, Phys. Lett. A 150, 262) schemes of order 4 (3 stages) and 6 (solution A,
7 stages). A step costs one evaluation of accelerations a stage; the last force of a step is the first of the next.
Symplectic with a fixed step only.

``logh_step`` runs the same compositions in the time of the logarithmic Hamiltonian (Mikkola & Tanikawa 1999, MNRAS
310, 745; Preto & Tremaine 1999, AJ 118, 2532): with the binding energy :math:`B`, the kinetic energy :math:`T` and
the potential :math:`-U`, the physical time that a step :math:`\Delta s` takes is :math:`\Delta s / (T + B)` in a drift
and :math:`\Delta s / U` in a kick. Two bodies then follow their conic exactly up to an error of phase.

Arrays are handed over one by one rather than as a record: taking an array out of a record counts a reference, which in
the loop over steps is not small against the forces of three bodies.
"""

from __future__ import annotations

import math

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.compilation import inlined_kernel, kernel
from astropipe.nbody.forces import energies, evaluate, survey_pairs

_CUBE_ROOT_2 = 2.0 ** (1.0 / 3.0)
_YOSHIDA4_OUTER = 1.0 / (2.0 - _CUBE_ROOT_2)
_YOSHIDA4 = (_YOSHIDA4_OUTER, -_CUBE_ROOT_2 * _YOSHIDA4_OUTER, _YOSHIDA4_OUTER)

# Yoshida (1990), table 1, solution A: w1, w2, w3; the middle stage follows from the sum being 1.
_W1, _W2, _W3 = -1.17767998417887, 0.235573213359357, 0.784513610477560
_YOSHIDA6 = (_W3, _W2, _W1, 1.0 - 2.0 * (_W1 + _W2 + _W3), _W1, _W2, _W3)

# Stage weights of each composition.
STAGES: dict[str, tuple[float, ...]] = {
    "leapfrog": (1.0,),
    "yoshida4": _YOSHIDA4,
    "yoshida6": _YOSHIDA6,
    "logh2": (1.0,),
    "logh4": _YOSHIDA4,
    "logh6": _YOSHIDA6,
}
# Derivatives of the velocity that each Hermite scheme evaluates; its order is twice this.
DERIVATIVES = {"hermite4": 2, "hermite6": 3, "hermite8": 4}
METHODS = (*DERIVATIVES, *STAGES)
TIME_TRANSFORMED = ("logh2", "logh4", "logh6")

# Rows of the array of derivatives: acceleration, jerk, snap, crackle, and three that are only interpolated.
N_DERIVATIVES = 7
# A first step has no step before it from which to predict higher derivatives: it is corrected this often.
FIRST_CORRECTIONS = 3


@inlined_kernel
def hermite_step(
    highest: int,
    corrections: int,
    gm: FloatArray,
    x: FloatArray,
    v: FloatArray,
    d: FloatArray,
    x_ahead: FloatArray,
    v_ahead: FloatArray,
    d_ahead: FloatArray,
    body: FloatArray,
    geometry: FloatArray,
    pairs: FloatArray,
    dt: float,
) -> tuple[float, float]:
    """Advance by dt with a Hermite scheme.

    Parameters
    ----------
    highest : int
        2, 3 or 4 for order 4, 6 or 8.
    corrections : int
        How often to evaluate and correct; 1 but for a first step.
    gm : array of shape (N,)
        Gravitational parameters G m, in chain order.
    x, v : arrays of shape (N - 1, 3)
        Chain vectors and velocities, changed in place.
    d : array of shape (7, N - 1, 3)
        Derivatives of the velocity at the start of the step, changed in place to those at its end; beyond the
        evaluated ones, they come from the interpolation of the step (order 6 and 8) and serve the next prediction.
    x_ahead, v_ahead : arrays of shape (N - 1, 3)
        Scratch.
    d_ahead : array of shape (4, N - 1, 3)
        Scratch.
    body, geometry, pairs : arrays
        As `astropipe.nbody.forces.evaluate`; `pairs` describes the last state at which forces were evaluated.
    dt : float
        Step.

    Returns
    -------
    rate2, binding : float
        As `astropipe.nbody.forces.evaluate`. If rate2 is not finite, two bodies met, and the state is left as it was.
    """
    n = gm.size - 1
    half = 0.5 * dt
    for i in range(n):
        for k in range(3):
            if highest == 2:
                x_ahead[i, k] = x[i, k] + dt * (v[i, k] + half * (d[0, i, k] + dt / 3.0 * d[1, i, k]))
                v_ahead[i, k] = v[i, k] + dt * (d[0, i, k] + half * d[1, i, k])
            else:
                tail = d[3, i, k] + dt / 6.0 * d[4, i, k]
                fall = d[3, i, k] + dt / 5.0 * d[4, i, k]
                if highest == 4:
                    tail += dt * dt / 42.0 * (d[5, i, k] + dt / 8.0 * d[6, i, k])
                    fall += dt * dt / 30.0 * (d[5, i, k] + dt / 7.0 * d[6, i, k])
                x_ahead[i, k] = x[i, k] + dt * (
                    v[i, k] + half * (d[0, i, k] + dt / 3.0 * (d[1, i, k] + 0.25 * dt * (d[2, i, k] + 0.2 * dt * tail)))
                )
                v_ahead[i, k] = v[i, k] + dt * (
                    d[0, i, k] + half * (d[1, i, k] + dt / 3.0 * (d[2, i, k] + 0.25 * dt * fall))
                )
    rate2, binding = 0.0, 0.0
    for _ in range(corrections):
        rate2, binding = evaluate(highest, gm, x_ahead, v_ahead, d_ahead, body, geometry, pairs)
        if not rate2 < math.inf:
            return rate2, binding
        _correct(highest, x, v, d, x_ahead, v_ahead, d_ahead, dt)
    for i in range(n):
        for k in range(3):
            x[i, k] = x_ahead[i, k]
            v[i, k] = v_ahead[i, k]
            if highest > 2:
                _interpolate(highest, d, d_ahead, dt, i, k)
            for row in range(highest):
                d[row, i, k] = d_ahead[row, i, k]
    return rate2, binding


@inlined_kernel
def _correct(
    highest: int,
    x: FloatArray,
    v: FloatArray,
    d: FloatArray,
    x_ahead: FloatArray,
    v_ahead: FloatArray,
    d_ahead: FloatArray,
    dt: float,
) -> None:
    """Write the corrected end of a step into `x_ahead`, `v_ahead` (Nitadori & Makino 2008, eqs. 3, 7 and 11)."""
    half = 0.5 * dt
    dt2 = dt * dt
    for i in range(x.shape[0]):
        for k in range(3):
            a_sum, a_drop = d[0, i, k] + d_ahead[0, i, k], d[0, i, k] - d_ahead[0, i, k]
            j_sum, j_drop = d[1, i, k] + d_ahead[1, i, k], d[1, i, k] - d_ahead[1, i, k]
            if highest == 2:
                v_end = v[i, k] + half * a_sum + dt2 / 12.0 * j_drop
                x_end = x[i, k] + (half * (v[i, k] + v_end) + dt2 / 12.0 * a_drop)
            else:
                s_sum, s_drop = d[2, i, k] + d_ahead[2, i, k], d[2, i, k] - d_ahead[2, i, k]
                if highest == 3:
                    v_end = v[i, k] + (half * a_sum + dt2 * (0.1 * j_drop + dt / 120.0 * s_sum))
                    x_end = x[i, k] + (half * (v[i, k] + v_end) + dt2 * (0.1 * a_drop + dt / 120.0 * j_sum))
                else:
                    c_drop = d[3, i, k] - d_ahead[3, i, k]
                    v_end = v[i, k] + (
                        half * a_sum + dt2 * (3.0 / 28.0 * j_drop + dt * (s_sum / 84.0 + dt / 1680.0 * c_drop))
                    )
                    x_end = x[i, k] + (
                        half * (v[i, k] + v_end)
                        + dt2 * (3.0 / 28.0 * a_drop + dt * (j_sum / 84.0 + dt / 1680.0 * s_drop))
                    )
            v_ahead[i, k] = v_end
            x_ahead[i, k] = x_end


@inlined_kernel
def _interpolate(highest: int, d: FloatArray, d_ahead: FloatArray, dt: float, i: int, k: int) -> None:
    """Write into `d` the derivatives that are not evaluated, at the end of the step.

    They are those of the polynomial in time through the evaluated ones at both ends.
    """
    dt2 = dt * dt
    if highest == 3:
        a1, j1, half_s1 = d_ahead[0, i, k], dt * d_ahead[1, i, k], 0.5 * dt2 * d_ahead[2, i, k]
        e0 = d[0, i, k] - (a1 - j1 + half_s1)
        e1 = dt * d[1, i, k] - (j1 - 2.0 * half_s1)
        e2 = dt2 * d[2, i, k] - 2.0 * half_s1
        c5 = -0.5 * (12.0 * e0 + 6.0 * e1 + e2)
        c3 = c5 - e1 - 4.0 * e0
        d[3, i, k] = 6.0 * c3 / (dt2 * dt)
        d[4, i, k] = 24.0 * (e0 + c3 + c5) / (dt2 * dt2)
    else:
        dt3 = dt2 * dt
        a1, j1 = d_ahead[0, i, k], dt * d_ahead[1, i, k]
        half_s1, sixth_c1 = 0.5 * dt2 * d_ahead[2, i, k], dt3 / 6.0 * d_ahead[3, i, k]
        # Backward from the end, in w = (t_end - t) / dt: the part of degree 4 to 7.
        e0 = d[0, i, k] - (a1 - j1 + half_s1 - sixth_c1)
        e1 = -dt * d[1, i, k] - (-j1 + 2.0 * half_s1 - 3.0 * sixth_c1)
        e2 = dt2 * d[2, i, k] - (2.0 * half_s1 - 6.0 * sixth_c1)
        e3 = -dt3 * d[3, i, k] + 6.0 * sixth_c1
        scale = 24.0 / (dt2 * dt2)
        d[4, i, k] = scale * (35.0 * e0 - 15.0 * e1 + 2.5 * e2 - e3 / 6.0)
        d[5, i, k] = -5.0 * scale / dt * (-84.0 * e0 + 39.0 * e1 - 7.0 * e2 + 0.5 * e3)
        d[6, i, k] = 30.0 * scale / dt2 * (70.0 * e0 - 34.0 * e1 + 6.5 * e2 - 0.5 * e3)


@inlined_kernel
def composition_step(
    stages: FloatArray,
    gm: FloatArray,
    x: FloatArray,
    v: FloatArray,
    d: FloatArray,
    x_before: FloatArray,
    v_before: FloatArray,
    body: FloatArray,
    geometry: FloatArray,
    pairs: FloatArray,
    dt: float,
) -> tuple[float, float]:
    """Advance with a composition of leapfrogs, each kick-drift-kick.

    Parameters
    ----------
    stages : array of shape (n_stages,)
        Weights of the leapfrogs; their sum is 1.
    gm, x, v, body, geometry, pairs
        As in `hermite_step`; `pairs` describes the end of the step.
    d : array of shape (>= 1, N - 1, 3)
        Accelerations at the start of the step, changed in place to those at its end.
    x_before, v_before : arrays of shape (N - 1, 3)
        Scratch: the state to return to.
    dt : float
        Step.

    Returns
    -------
    rate2, binding : float
        As in `hermite_step`. If rate2 is not finite, two bodies met, and the state is left as it was.
    """
    n = gm.size - 1
    for i in range(n):
        for k in range(3):
            x_before[i, k] = x[i, k]
            v_before[i, k] = v[i, k]
    weight = 0.5 * stages[0]
    for s in range(stages.size):
        for i in range(n):
            for k in range(3):
                v[i, k] += weight * dt * d[0, i, k]
        for i in range(n):
            for k in range(3):
                x[i, k] += stages[s] * dt * v[i, k]
        evaluate(1, gm, x, v, d, body, geometry, pairs)
        following = stages[s + 1] if s + 1 < stages.size else 0.0
        weight = 0.5 * (stages[s] + following)
    for i in range(n):
        for k in range(3):
            v[i, k] += weight * dt * d[0, i, k]
    rate2, binding = survey_pairs(gm, x, v, pairs)
    if not rate2 < math.inf:
        for i in range(n):
            for k in range(3):
                x[i, k] = x_before[i, k]
                v[i, k] = v_before[i, k]
    return rate2, binding


@inlined_kernel
def logh_step(
    stages: FloatArray,
    binding_energy: float,
    gm: FloatArray,
    x: FloatArray,
    v: FloatArray,
    d: FloatArray,
    x_before: FloatArray,
    v_before: FloatArray,
    body: FloatArray,
    geometry: FloatArray,
    pairs: FloatArray,
    step: float,
) -> tuple[float, float, float]:
    """Advance with a composition of leapfrogs of the logarithmic Hamiltonian, each drift-kick-drift.

    The order matters: kick-drift-kick leaves the conic of two bodies.

    Parameters
    ----------
    stages, gm, x, v, x_before, v_before, body, geometry, pairs
        As in `composition_step`.
    binding_energy : float
        Minus the initial energy, times G.
    d : array of shape (>= 1, N - 1, 3)
        Scratch for accelerations.
    step : float
        Step, in time x energy x G.

    Returns
    -------
    rate2, binding : float
        As in `composition_step`.
    elapsed : float
        Physical time that the step took.
    """
    n = gm.size - 1
    for i in range(n):
        for k in range(3):
            x_before[i, k] = x[i, k]
            v_before[i, k] = v[i, k]
    elapsed = 0.0
    for s in range(stages.size + 1):
        before = stages[s - 1] if s > 0 else 0.0
        following = stages[s] if s < stages.size else 0.0
        kinetic, _ = energies(gm, x, v)
        drift = 0.5 * (before + following) * step / (kinetic + binding_energy)
        elapsed += drift
        for i in range(n):
            for k in range(3):
                x[i, k] += drift * v[i, k]
        if s == stages.size:
            break
        evaluate(1, gm, x, v, d, body, geometry, pairs)
        _, potential = energies(gm, x, v)
        kick = stages[s] * step / potential
        for i in range(n):
            for k in range(3):
                v[i, k] += kick * d[0, i, k]
    rate2, binding = survey_pairs(gm, x, v, pairs)
    if not rate2 < math.inf:
        for i in range(n):
            for k in range(3):
                x[i, k] = x_before[i, k]
                v[i, k] = v_before[i, k]
    return rate2, binding, elapsed


@kernel
def interpolate_state(
    order7: bool,
    span: float,
    at: float,
    x0: FloatArray,
    v0: FloatArray,
    d0: FloatArray,
    x1: FloatArray,
    v1: FloatArray,
    d1: FloatArray,
    x: FloatArray,
    v: FloatArray,
) -> None:
    """Write the state within a step: the polynomial through positions and their derivatives at both ends.

    Parameters
    ----------
    order7 : bool
        Degree 7, which matches jerks too, or degree 5.
    span, at : float
        Length of the step, and the time since its start, 0 <= at <= span.
    x0, v0, x1, v1 : arrays of shape (N - 1, 3)
        States at the start and the end.
    d0, d1 : arrays of shape (>= 2, N - 1, 3)
        Accelerations, and jerks if `order7`.
    x, v : arrays of shape (N - 1, 3)
        Output.
    """
    u = at / span
    for i in range(x0.shape[0]):
        for k in range(3):
            p0, p1, p2 = x0[i, k], v0[i, k] * span, 0.5 * d0[0, i, k] * span**2
            q1, q2 = v1[i, k] * span, d1[0, i, k] * span**2
            p3, q3 = 0.0, 0.0
            if order7:
                p3, q3 = d0[1, i, k] * span**3 / 6.0, d1[1, i, k] * span**3
            # What the end asks for beyond the Taylor polynomial of the start.
            e0 = x1[i, k] - (p0 + p1 + p2 + p3)
            e1 = q1 - (p1 + 2.0 * p2 + 3.0 * p3)
            e2 = q2 - (2.0 * p2 + 6.0 * p3)
            if order7:
                e3 = q3 - 6.0 * p3
                c4 = 35.0 * e0 - 15.0 * e1 + 2.5 * e2 - e3 / 6.0
                c5 = -84.0 * e0 + 39.0 * e1 - 7.0 * e2 + 0.5 * e3
                c6 = 70.0 * e0 - 34.0 * e1 + 6.5 * e2 - 0.5 * e3
                c7 = -20.0 * e0 + 10.0 * e1 - 2.0 * e2 + e3 / 6.0
            else:
                p3 = 10.0 * e0 - 4.0 * e1 + 0.5 * e2
                c4 = -15.0 * e0 + 7.0 * e1 - e2
                c5 = 6.0 * e0 - 3.0 * e1 + 0.5 * e2
                c6 = c7 = 0.0
            x[i, k] = p0 + u * (p1 + u * (p2 + u * (p3 + u * (c4 + u * (c5 + u * (c6 + u * c7))))))
            slope = p1 + u * (
                2.0 * p2 + u * (3.0 * p3 + u * (4.0 * c4 + u * (5.0 * c5 + u * (6.0 * c6 + 7.0 * u * c7))))
            )
            v[i, k] = slope / span
