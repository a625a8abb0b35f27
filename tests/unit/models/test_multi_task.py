"""MultiTaskModel equals gates over experts, and a tower for each target."""

import pytest
import torch
from torch import Tensor

import merlin_models_torch as mm
from tests.unit.clicks import click_schema
from tests.unit.models.ranking import affine, click_batch, weights

TASKS = ("click", "rating")


def mixed(inputs: Tensor, w: dict[str, Tensor], gate: str, experts: list[str]) -> Tensor:
    shares = affine(inputs, w, f"{gate}.linear").softmax(1)
    outputs = [affine(inputs, w, f"{expert}.linears.0").relu() for expert in experts]
    return sum(shares[:, i : i + 1] * one for i, one in enumerate(outputs))  # type: ignore[return-value]


def answers(hidden: dict[str, Tensor], w: dict[str, Tensor], tower: str) -> dict[str, Tensor]:
    towers = {t: affine(x, w, tower.format(t)).relu() for t, x in hidden.items()}
    return {t: affine(x, w, f"output.outputs.{t}.linear")[:, 0] for t, x in towers.items()}


@pytest.mark.parametrize("experts", ["mmoe", "ple", "none"])
def test_the_model_is_the_one_written_out(experts: str) -> None:
    model = mm.MultiTaskModel(
        click_schema(),
        experts=experts,  # type: ignore[arg-type]
        embedding_dim=3,
        expert=[4],
        num_experts=2,
        num_task_experts=1,
        towers=[5],
    ).eval()
    w, batch = weights(model), click_batch()
    x, at = model.inputs(batch), "body.layers.1"
    tower = "body.layers.2.branches.{}.layers.1.linears.0"
    if experts == "mmoe":
        hidden = {
            t: mixed(x, w, f"{at}.gates.{t}", [f"{at}.experts.experts.{i}" for i in range(2)]) for t in TASKS
        }
    elif experts == "ple":
        at += ".layers.0"
        shared = [f"{at}.shared_experts.experts.{i}" for i in range(2)]
        hidden = {
            t: mixed(x, w, f"{at}.gates.{t}", [f"{at}.task_experts.{t}.experts.0", *shared]) for t in TASKS
        }
    else:
        hidden = dict.fromkeys(TASKS, affine(x, w, f"{at}.linears.0").relu())
        tower = "body.layers.2.branches.{}.linears.0"
    expected = answers(hidden, w, tower)
    assert list(model(batch)) == list(TASKS)
    for task, value in model(batch).items():
        torch.testing.assert_close(value, expected[task])


def test_unknown_experts_are_refused() -> None:
    with pytest.raises(ValueError, match="experts is 'moe', expected 'mmoe', 'ple' or 'none'"):
        mm.MultiTaskModel(click_schema(), experts="moe")  # type: ignore[arg-type]


def test_no_target_is_among_the_features() -> None:
    schema = click_schema()
    untagged = mm.ColumnSchema("rating", tags=[mm.Tags.CONTINUOUS, mm.Tags.REGRESSION], dtype="float32")
    model = mm.MultiTaskModel(mm.Schema([*schema.remove_col("rating"), untagged]), experts="none")
    assert model.schema.column_names == ["user_id", "item_id", "age"]
    with pytest.raises(ValueError, match="is a target: tag them"):
        mm.MultiTaskModel(schema.excluding_by_tag(mm.Tags.TARGET))
