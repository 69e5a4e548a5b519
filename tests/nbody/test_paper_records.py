from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from astropipe.nbody.paper.agent import AgentConfig, nothing_learned
from astropipe.nbody.paper.records import policy_of, record
from astropipe.nbody.paper.task import MENDED, TaskConfig
from astropipe.nbody.paper.training import train
from astropipe.runtime.errors import InputError, UsageError

# Large steps, so that the scores cost little.
SMALL = AgentConfig(TaskConfig(decisions=10, mu_range=(2e-2, 1e-1), defects=MENDED), width=8, n_hidden=2, test_every=1)


def test_a_recorded_policy_comes_back_with_its_task() -> None:
    learned = train(SMALL, 3, 2)
    kept = record(SMALL, learned, 3)
    network, task = policy_of(kept["weights"], kept["architecture"])
    assert task == SMALL.task and network.n_hidden == 2
    assert learned.network is not None
    for name, values in learned.network.arrays().items():
        np.testing.assert_array_equal(network.arrays()[name], values, strict=True)
    told = json.loads(kept["training"])
    assert (told["seed"], told["episodes"], told["system_seeds"]) == (3, 2, [1_000_000, 2_000_000])
    scores = {measure: value for measure, value, _ in kept["scores"]}
    assert scores["error_p50, seeds 1000-1199"] > 0.0 and not any("wall" in measure for measure in scores)


def test_policies_of_another_kind_are_refused() -> None:
    with pytest.raises(InputError, match="'other'"):
        policy_of({}, json.dumps({"method": "other"}))
    with pytest.raises(InputError, match="cannot be read"):
        policy_of({}, "{}")


def test_an_untested_training_cannot_be_recorded() -> None:
    with pytest.raises(UsageError, match="test_every"):
        record(replace(SMALL, test_every=5), nothing_learned(), 1)
