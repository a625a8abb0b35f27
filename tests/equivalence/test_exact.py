"""The exact arm: the drop-in against what 23.12.0 did with the same weights, batches and seeds."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

FOLDER = os.environ.get("EQUIVALENCE_DIR")
MASKINGS = ("mlm", "causal")
MODES = ("training", "evaluation", "inference")
OUTPUT = 1e-5
GRADIENT = 1e-4
CURVE = 1e-4
DAY = 24 * 3600

pytestmark = [
    pytest.mark.skipif(
        not FOLDER, reason="EQUIVALENCE_DIR is not set: run `make equivalence`, which records anew"
    ),
    # The drop-in warns at the lines of this program, as it should; that is tested in tests/compat.
    pytest.mark.filterwarnings("ignore"),
]


@dataclass(frozen=True)
class Sides:
    """What the original recorded and what the drop-in does."""

    recorded: dict[str, Tensor]
    observed: dict[str, Tensor]
    recorded_rest: dict[str, Any]
    observed_rest: dict[str, Any]

    def pairs(self, prefix: str) -> dict[str, tuple[Tensor, Tensor]]:
        """Recorded and observed tensor of every name under a prefix, which must be the same names."""
        recorded = {name for name in self.recorded if name.startswith(prefix)}
        observed = {name for name in self.observed if name.startswith(prefix)}
        assert recorded, f"nothing was recorded under {prefix!r}"
        assert observed == recorded
        return {name: (self.recorded[name], self.observed[name]) for name in sorted(recorded)}


@pytest.fixture(scope="module", params=MASKINGS)
def sides(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sides:
    from tests.equivalence.observe import observe

    folder = Path(str(FOLDER))
    recorded = load_file(folder / f"{request.param}.safetensors")
    rest = json.loads((folder / f"{request.param}.json").read_text())
    age = time.time() - rest["recorded_at"]
    assert age < DAY, (
        f"the recording in {folder} is {age / DAY:.1f} days old: record anew with `make equivalence`"
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    scratch = tmp_path_factory.mktemp(request.param)
    try:
        observed, observed_rest = observe(folder / "data", scratch, request.param, recorded)
    finally:
        torch.set_num_threads(threads)
    return Sides(recorded, observed, rest, observed_rest)


def close(pairs: dict[str, tuple[Tensor, Tensor]], tolerance: float) -> None:
    """Every pair has one shape, and differs by no more than the tolerance, absolute and relative."""
    for name, (recorded, observed) in pairs.items():
        torch.testing.assert_close(
            observed, recorded, rtol=tolerance, atol=tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


def identical(pairs: dict[str, tuple[Tensor, Tensor]]) -> None:
    """Every pair has one shape, one dtype and the same values."""
    for name, (recorded, observed) in pairs.items():
        assert observed.dtype == recorded.dtype, name
        assert torch.equal(observed, recorded), name


def test_state_dict_has_the_same_keys_shapes_and_aliases(sides: Sides) -> None:
    for name, (recorded, observed) in sides.pairs("drawn/").items():
        assert observed.shape == recorded.shape, name
        assert observed.dtype == recorded.dtype, name
    assert sides.observed_rest["aliases"] == sides.recorded_rest["aliases"]


def test_recorded_weights_load_as_they_are(sides: Sides) -> None:
    identical(sides.pairs("initial/"))


def test_initial_weights_are_drawn_from_the_same_distribution(sides: Sides) -> None:
    for name, (recorded, observed) in sides.pairs("drawn/").items():
        if recorded.std(correction=0) == 0:
            torch.testing.assert_close(observed, recorded, rtol=0, atol=0, msg=name)
            continue
        # Five standard errors of a mean and of a standard deviation, of both sides.
        spread = 5 * (2 / recorded.numel()) ** 0.5
        scale = recorded.std(correction=0).item()
        assert abs(observed.std(correction=0).item() / scale - 1) < spread, name
        assert abs(observed.mean().item() - recorded.mean().item()) < spread * scale, name


def test_loader_gives_the_same_batches(sides: Sides) -> None:
    # float64 becomes float32 at the start of the original's model, and already in the drop-in's loader.
    pairs = sides.pairs("loader/")
    doubles = {name for name, (recorded, _) in pairs.items() if recorded.dtype == torch.float64}
    assert {name.rsplit("/", 1)[1] for name in doubles} == {"price"}
    identical(pairs | {name: (pairs[name][0].float(), pairs[name][1].float()) for name in doubles})


@pytest.mark.parametrize("mode", MODES)
def test_masks_are_the_same_under_the_same_seed(sides: Sides, mode: str) -> None:
    pairs = sides.pairs(f"{mode}/")
    masks = {name: pair for name, pair in pairs.items() if name.endswith(("mask_schema", "masked_targets"))}
    assert len(masks) == 2 * 3
    identical(masks)


@pytest.mark.parametrize("mode", MODES)
def test_hidden_states_are_the_same(sides: Sides, mode: str) -> None:
    pairs = sides.pairs(f"{mode}/")
    close({name: pair for name, pair in pairs.items() if name.endswith(("/inputs", "/body"))}, OUTPUT)


@pytest.mark.parametrize("mode", MODES)
def test_predictions_and_loss_are_the_same(sides: Sides, mode: str) -> None:
    pairs = sides.pairs(f"{mode}/")
    close({name: pair for name, pair in pairs.items() if name.endswith(("/predictions", "/loss"))}, OUTPUT)
    identical({name: pair for name, pair in pairs.items() if name.endswith("/labels")})


def test_gradients_are_the_same(sides: Sides) -> None:
    recorded = {name: t for name, t in sides.recorded.items() if "/gradient/" in name}
    assert len(recorded) >= 3 * 20
    for name, gradient in recorded.items():
        observed = sides.observed[name]
        torch.testing.assert_close(
            observed, gradient, rtol=GRADIENT, atol=GRADIENT * gradient.abs().max().item()
        )
    for name, gradient in sides.observed.items():
        if "/gradient/" in name and name not in recorded:
            assert not gradient.any(), f"{name} has a gradient, but none on the other side"


def test_top_k_of_the_model_is_identical(sides: Sides) -> None:
    pairs = sides.pairs("inference/")
    identical({name: pair for name, pair in pairs.items() if name.endswith("/top_k_ids")})
    close({name: pair for name, pair in pairs.items() if name.endswith("/top_k_scores")}, OUTPUT)


def test_streaming_metrics_are_the_same(sides: Sides) -> None:
    close(sides.pairs("metrics/"), OUTPUT)


def test_learning_rate_follows_the_same_schedule(sides: Sides) -> None:
    close(sides.pairs("curve/rates"), 1e-12)


def test_twenty_steps_of_the_trainer_give_the_same_losses(sides: Sides) -> None:
    pairs = sides.pairs("curve/losses")
    assert len(pairs["curve/losses"][0]) == 20
    close(pairs, CURVE)


def test_weights_after_twenty_steps_are_the_same(sides: Sides) -> None:
    close(sides.pairs("final/"), 10 * CURVE)


def test_evaluate_of_the_trainer_gives_the_same_metrics_under_the_same_keys(sides: Sides) -> None:
    recorded, observed = sides.recorded_rest["metrics"], sides.observed_rest["metrics"]
    assert set(observed) >= set(recorded)
    values = [name for name in recorded if "_/" in name]
    assert len(values) == 5
    assert {name: observed[name] for name in values} == pytest.approx(
        {name: recorded[name] for name in values}, abs=OUTPUT
    )


def test_log_history_has_the_same_keys(sides: Sides) -> None:
    assert set(sides.observed_rest["log_keys"]) >= set(sides.recorded_rest["log_keys"])


def test_predict_of_the_trainer_gives_identical_items(sides: Sides) -> None:
    close(sides.pairs("predict/scores"), OUTPUT)
    identical(sides.pairs("predict/ids"))


def test_dropout_is_at_the_same_places_and_as_strong(sides: Sides) -> None:
    (mean, mean_observed), (std, std_observed) = sides.pairs("dropout/").values()
    # Over 300 passes equal sides stay within 0.03 and 0.001; dropout of 0.28 for 0.3 gives 0.09 and 0.03.
    squares = (mean - mean_observed) ** 2 / ((std**2 + std_observed**2) / 300)
    assert abs(squares.mean().item() - 1) < 0.06
    spread = (std_observed / std).log()
    assert abs(spread.mean().item()) < 0.01
    for kept in range(3):
        over = tuple(axis for axis in range(3) if axis != kept)
        assert spread.mean(over).abs().max().item() < 0.03
