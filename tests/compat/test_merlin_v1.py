"""What V1 of merlin.models.torch did otherwise than the later Transformers4Rec, as seen on 23.02."""

from __future__ import annotations

from typing import Any

import merlin.models.torch as mm
import numpy as np
import pytest
import torch
from merlin.models.torch.losses import LabelSmoothCrossEntropyLoss
from merlin.schema import ColumnSchema, Schema, Tags
from torch import Tensor, nn

pytestmark = pytest.mark.filterwarnings("ignore::deprecation.DeprecatedWarning")
SCHEMA = Schema(
    [
        ColumnSchema(
            "item",
            tags=[Tags.CATEGORICAL, Tags.ITEM_ID],
            dtype=np.int64,
            properties={"domain": {"min": 0, "max": 9, "name": "item"}},
        ),
        ColumnSchema("price", tags=[Tags.CONTINUOUS], dtype=np.float32),
    ]
)
COLUMNS = {"item": torch.arange(1, 9).view(8, 1), "price": torch.linspace(0, 1, 8).view(8, 1)}
TARGETS = {"click": torch.tensor([0.0, 1.0] * 4), "spent": torch.linspace(1, 2, 8)}


def features(**options: Any) -> Any:
    return mm.TabularFeatures.from_schema(SCHEMA, aggregation="concat", embedding_dim_default=4, **options)


def body() -> Any:
    return mm.SequentialBlock(features(), mm.MLPBlock([6]))


def tasks() -> list[Any]:
    import torchmetrics as tm

    return [
        mm.BinaryClassificationTask("click", metrics=[tm.Accuracy(task="binary")]),
        mm.RegressionTask("spent", metrics=[tm.MeanSquaredError()]),
    ]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_a_model_answers_in_training_too() -> None:
    model = mm.Head(body(), tasks()).to_model()
    answers = model(COLUMNS)
    again = model(COLUMNS, training=True, targets=TARGETS)
    assert list(again) == ["click/binary_classification_task", "spent/regression_task"]
    for name, answer in answers.items():
        torch.testing.assert_close(again[name], answer, rtol=0, atol=0)


def test_losses_of_tasks_heads_and_models_are_asked_for() -> None:
    head = mm.Head(body(), tasks(), task_weights=[0.5, 2.0], loss_reduction="sum")
    model = mm.Head.to_model(head)
    hidden = head.body(COLUMNS)
    click, spent = (task(hidden) for task in head.prediction_task_dict.values())
    binary = nn.functional.binary_cross_entropy(click, TARGETS["click"])
    squared = (spent - TARGETS["spent"]).square().mean()
    first, second = head.prediction_task_dict.values()
    torch.testing.assert_close(first.compute_loss(hidden, TARGETS["click"]), binary)
    torch.testing.assert_close(second.compute_loss(hidden, TARGETS), squared)
    torch.testing.assert_close(head.compute_loss(hidden, TARGETS), 0.5 * binary + 2 * squared)
    torch.testing.assert_close(
        head.compute_loss(COLUMNS, TARGETS, call_body=True), 0.5 * binary + 2 * squared
    )
    torch.testing.assert_close(model.compute_loss(COLUMNS, TARGETS), 0.5 * binary + 2 * squared)


def test_a_missing_target_is_named() -> None:
    with pytest.raises(KeyError, match="spent"):
        mm.Head(body(), tasks()).compute_loss(COLUMNS, {"click": TARGETS["click"]}, call_body=True)


def test_several_heads_have_one_loss_by_weights() -> None:
    heads = [mm.Head(body(), task) for task in tasks()]
    one, two = (head.compute_loss(COLUMNS, TARGETS, call_body=True) for head in heads)
    model = mm.model.base.Model(*heads, head_weights=[0.25, 3.0])
    torch.testing.assert_close(model.compute_loss(COLUMNS, TARGETS), (0.25 * one + 3 * two) / 2)
    assert list(model(COLUMNS)) == ["click/binary_classification_task", "spent/regression_task"]


def test_metrics_are_measured_from_what_comes_in() -> None:
    head = mm.Head(body(), tasks())
    model = head.to_model()
    probabilities = model(COLUMNS)["click/binary_classification_task"]
    right = ((probabilities > 0.5).float() == TARGETS["click"]).float().mean()
    first = head.prediction_task_dict["click/binary_classification_task"]
    name = "click/binary_classification_task/binary_accuracy"
    hidden = head.body(COLUMNS)
    assert first.calculate_metrics(hidden, TARGETS)[name] == right
    assert first.calculate_metrics(probabilities, TARGETS, forward=False)[name] == right
    assert head.calculate_metrics(COLUMNS, TARGETS, call_body=True)[name] == right
    assert model.calculate_metrics(COLUMNS, TARGETS, mode="train")[name] == right
    found = model.evaluate([(COLUMNS, TARGETS)], False, "test")
    assert found["test_click/binary_classification_task"] == {name: right}
    assert list(found) == ["test_click/binary_classification_task", "test_spent/regression_task"]


def test_a_head_of_one_task_gives_its_tensor() -> None:
    head = mm.Head(body(), mm.RegressionTask("spent"))
    assert head(head.body(COLUMNS)).shape == (8,)
    assert list(head(head.body(COLUMNS), always_output_dict=True)) == ["spent/regression_task"]


class Absolute(mm.PredictionTask):
    """A task of a program's own, with a ``forward`` of its own."""

    def __init__(self, target: str) -> None:
        super().__init__(nn.L1Loss(), target_name=target, pre=mm.MLPBlock([1], activation=None))

    def forward(self, inputs: Tensor, **kwargs: Any) -> Tensor:
        return super().forward(inputs).view(-1)


def test_a_task_of_ones_own_learns() -> None:
    model = mm.Head(body(), Absolute("spent")).to_model()
    expected = (model(COLUMNS).detach() - TARGETS["spent"]).abs().mean()
    losses = model.fit([(COLUMNS, TARGETS)], num_epochs=30, verbose=False)
    assert losses[0] == pytest.approx(float(expected), abs=1e-6)
    assert losses[-1] < losses[0]


def test_transformations_reach_ids_only() -> None:
    class Next(mm.TabularTransformation):
        def forward(self, inputs: dict[str, Tensor], **kwargs: Any) -> dict[str, Tensor]:
            return {name: x + 1 for name, x in inputs.items()}

        def forward_output_size(self, input_size: Any) -> Any:
            return input_size

    plain, moved = features(), features(pre=Next())
    moved.load_state_dict(plain.state_dict())
    expected = plain({**COLUMNS, "item": COLUMNS["item"] + 1})
    torch.testing.assert_close(moved(COLUMNS), expected, rtol=0, atol=0)


@pytest.mark.parametrize("named", [True, False])
def test_noise_is_there_in_evaluation(named: bool) -> None:
    noisy = features(pre="ssn" if named else mm.StochasticSwapNoise(replacement_prob=1.0)).eval()
    torch.manual_seed(1)
    outputs = [noisy(COLUMNS) for _ in range(20)]
    assert any(not torch.equal(outputs[0], output) for output in outputs)
    assert all(torch.equal(output[..., -1], COLUMNS["price"]) for output in outputs)


def test_the_fourth_argument_is_the_aggregation() -> None:
    block = mm.TabularFeatures.from_schema(SCHEMA, Tags.CONTINUOUS, Tags.CATEGORICAL, "concat")
    assert block(COLUMNS).shape == (8, 1, 65)


def test_stacked_columns_have_rows_columns_and_width() -> None:
    sizes = {"a": torch.Size([2, 3]), "b": torch.Size([2, 3])}
    assert mm.StackFeatures(axis=1).forward_output_size(sizes) == (2, 2, 3)


def test_inputs_go_into_an_mlp_by_an_arrow() -> None:
    block = features() >> mm.MLPBlock([3])
    assert block(COLUMNS).shape == (8, 1, 3)
    assert mm.MLPBlock([4, 3]).to_module([5, 6])(torch.ones(2, 6)).shape == (2, 3)
    assert mm.MLPBlock(4).dimensions == [4]


def test_smoothed_labels_are_of_log_probabilities() -> None:
    logs = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]))
    loss = LabelSmoothCrossEntropyLoss(smoothing=0.2, reduction="none")(logs, torch.tensor([0, 1]))
    by_hand = [
        -(0.8 * np.log(0.5) + 0.1 * np.log(0.25) * 2),
        -(0.8 * np.log(0.8) + 0.1 * np.log(0.1) * 2),
    ]
    torch.testing.assert_close(loss, torch.tensor(by_hand, dtype=torch.float32))
    weight = torch.tensor([2.0, 1.0, 1.0])
    first = LabelSmoothCrossEntropyLoss(weight, "sum")(logs[:1], torch.tensor([0]))
    torch.testing.assert_close(first, torch.tensor(-2 * np.log(0.5), dtype=torch.float32))
    with pytest.raises(ValueError, match="smoothing is 1"):
        LabelSmoothCrossEntropyLoss(smoothing=1)
    with pytest.raises(ValueError, match="reduction is 'max'"):
        LabelSmoothCrossEntropyLoss(reduction="max")  # type: ignore[arg-type]


def test_aggregations_of_ones_own_are_registered() -> None:
    from merlin.models.torch.tabular.base import tabular_aggregation_registry

    assert isinstance(tabular_aggregation_registry.parse("concat"), mm.ConcatFeatures)
