"""The policy that comes with astropipe: it is the one its training made, it saves work, and it holds its tolerance."""

from __future__ import annotations

import json

import numpy as np
import pytest

from astropipe.artifacts import open_artifact
from astropipe.nbody import agekyan_anosova, integrate, integrate_batch, named_system, plummer_sphere, stack
from astropipe.nbody.policy import shipped_policy
from astropipe.nbody.timesteps import N_WEIGHTS
from astropipe.runtime.seeds import stream
from astropipe.runtime.shipped import weights_file


def test_it_tells_where_it_comes_from() -> None:
    with open_artifact(weights_file("nbody-timestep.h5"), "policy") as artifact:
        training = json.loads(artifact.text("training"))
        assert artifact.array("weights/policy").shape == (N_WEIGHTS,)
        assert artifact.array("curve/relative_cost").size > 10
    assert (training["seed"], training["generations"]) == (1, 200)
    assert np.isfinite(shipped_policy().weights).all()


@pytest.mark.parametrize(("tolerance", "saved"), [(1e-5, 0.05), (1e-7, 0.1), (1e-9, 0.1)])
def test_it_saves_evaluations_and_holds_the_tolerance(tolerance: float, saved: float) -> None:
    systems = stack([agekyan_anosova(stream(7, "test.policy", k)) for k in range(200)])
    power, learned = (
        integrate_batch(*systems, 10.0, tolerance=tolerance, timestep=rule) for rule in ("power", "learned")
    )
    logs = [np.log(run.force_evaluations) for run in (power, learned)]
    assert np.exp(np.mean(logs[1] - logs[0])) < 1.0 - saved
    held = np.isin(learned.status, ("ok", "escape"))
    assert (learned.energy_error[held] <= tolerance).all()
    assert held.mean() > (0.95 if tolerance > 1e-8 else 0.85)


def test_it_meets_systems_that_it_has_never_seen() -> None:
    sphere = plummer_sphere(stream(7, "test.sphere", 0), 8)
    run = integrate(*sphere, 5.0, tolerance=1e-8)
    finer = integrate(*sphere, 5.0, tolerance=1e-11)
    assert (run.status, finer.status) == ("ok", "ok")
    assert run.energy_error <= 1e-8
    eight = named_system("figure-eight")
    back = integrate(eight.masses, eight.positions, eight.velocities, eight.period, tolerance=1e-10)
    np.testing.assert_allclose(back.positions, eight.positions, atol=1e-9)
