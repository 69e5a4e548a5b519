"""The emulator: derivatives, half precision, and the error that it tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from line_emulator import SUN, line_emulator

from astropipe.artifacts import open_artifact
from astropipe.runtime.shipped import weights_file
from astropipe.spectra.emulator import INPUT_NAMES, SHIPPED, Emulator, features


def _stars(n: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    spread = torch.tensor([300.0, 0.5, *[0.3] * 15, 0.2])
    return SUN + spread * torch.randn(n, len(INPUT_NAMES), generator=generator)


def _double(emulator: Emulator) -> Emulator:
    def double(value: object) -> object:
        return tuple(map(double, value)) if isinstance(value, tuple) else value.double()  # type: ignore[attr-defined]

    return Emulator(**{name: double(value) for name, value in vars(emulator).items()})


def test_features_are_inverse_temperature_and_abundances_over_iron() -> None:
    star = SUN.clone()
    star[0], star[2], star[6] = 5040.0, -0.5, -0.2
    found = features(star)
    assert found[0] == 1.0
    assert float(found[6]) == np.float32(-0.2 + 0.5)


def test_the_gradient_is_that_of_differences() -> None:
    emulator, labels = _double(line_emulator()), _stars().double()
    _, gradient = emulator.coefficients_and_gradient(labels)
    for column, step in enumerate([1.0, *[1e-3] * 17]):
        up, down = labels.clone(), labels.clone()
        up[:, column] += step
        down[:, column] -= step
        difference = (emulator.coefficients(up) - emulator.coefficients(down)) / (2.0 * step)
        torch.testing.assert_close(gradient[:, column], difference, rtol=1e-4, atol=1e-7)


def test_coefficients_with_and_without_gradient_agree() -> None:
    emulator, labels = line_emulator(), _stars()
    torch.testing.assert_close(emulator.coefficients(labels), emulator.coefficients_and_gradient(labels)[0])


def test_arrays_give_the_emulator_back_in_half_precision() -> None:
    emulator = line_emulator()
    again = Emulator.of_arrays(emulator.arrays())
    labels = _stars()
    # 1e-3 is the last digit of half precision.
    torch.testing.assert_close(again.spectra(labels), emulator.spectra(labels), rtol=0, atol=2e-3)
    torch.testing.assert_close(again.error_variance, emulator.error_variance, rtol=2e-3, atol=0)
    assert again.n_parameters == emulator.n_parameters


def test_the_error_is_interpolated_between_temperatures_and_held_beyond() -> None:
    emulator = line_emulator()
    emulator.error_variance[:] = torch.tensor([4.0, 2.0, 1.0])[:, None]
    found = emulator.error(torch.tensor([3000.0, 3900.0, 4450.0, 5000.0, 5850.0, 9000.0]))[:, 0]
    torch.testing.assert_close(found, torch.tensor([4.0, 4.0, 3.0, 2.0, 1.5, 1.0]))


def test_titanium_oxide_is_an_input() -> None:
    emulator = line_emulator()
    labels = SUN.repeat(2, 1)
    labels[:, 0] = torch.tensor([4499.0, 4501.0])
    assert emulator.inputs(labels)[:, -1].tolist() == [1.0, 0.0]


def test_what_is_shipped_names_no_folder_of_the_machine_that_made_it() -> None:
    with open_artifact(weights_file(SHIPPED), "spectrum-emulator") as artifact:
        record = artifact.provenance
    assert "/" not in record.command
    assert "/" not in str(record.config["spectra"]["train"]["emulator"])


def test_the_error_is_larger_about_stars_where_it_was_and_usual_elsewhere() -> None:
    # Three stars of ten times the usual mean square.
    stars = torch.tensor([[6000.0, 4.0, 0.0]] * 3)
    emulator = replace(line_emulator(), residual_stars=torch.cat([stars, torch.full((3, 1), 10.0)], dim=1))
    here, far, cool = emulator.error_factor(torch.tensor([[6000.0, 4.0, 0.0], [5000.0, 2.0, -1.0], [4400.0, 4.0, 0.0]]))
    # Three witnesses of 10 and one pseudo-witness of 1.
    assert float(here) == pytest.approx((3 * 10 + 1) / 4, rel=1e-3)
    assert float(far) == pytest.approx(1.0, abs=1e-3)
    assert float(cool) == 1.0
    assert float(emulator.error_factor(stars, others=True)[0]) == 1.0
    assert float(line_emulator().error_factor(stars)[0]) == 1.0
