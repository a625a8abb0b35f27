"""Outputs for a column of labels: losses and metrics by the plain formula, labels beside their positions."""

from math import log

import pytest
import torch
from torch import Tensor, nn

import merlin_models_torch as mm
from merlin_models_torch.masking import MaskPlan
from merlin_models_torch.outputs import BinaryOutput, ClassificationOutput, RegressionOutput
from merlin_models_torch.schema import ColumnSchema, Schema, Tags
from tests.unit.clicks import click_schema
from tests.unit.schemas import categorical

LOGITS = torch.tensor([[log(3.0)], [0.0], [-log(3.0)]])  # probabilities 3/4, 1/2, 1/4


def rows(**targets: object) -> mm.Batch:
    columns = {name: torch.tensor(values) for name, values in targets.items()}
    return mm.Batch({"row": torch.arange(3)}, columns)


def built(output: nn.Module, width: int = 1) -> nn.Module:
    output.build(None, width)  # type: ignore[operator]
    return output


def test_binary_loss_is_the_cross_entropy_by_hand() -> None:
    output = built(BinaryOutput("click", project=False))
    batch = rows(click=[1, 1, 0])
    expected = -(log(3 / 4) + log(1 / 2) + log(3 / 4)) / 3
    assert output.loss(LOGITS, batch).item() == pytest.approx(expected)
    heavier = built(BinaryOutput("click", project=False, positive_weight=2.0))
    expected = -(2 * log(3 / 4) + 2 * log(1 / 2) + log(3 / 4)) / 3
    assert heavier.loss(LOGITS, batch).item() == pytest.approx(expected)
    assert output.predictions(LOGITS, batch)["click_score"].tolist() == pytest.approx([0.75, 0.5, 0.25])


def test_a_sample_weight_below_zero_is_refused() -> None:
    output = built(BinaryOutput("click", weight="importance", project=False))
    batch = rows(click=[1, 0, 1], importance=[1.0, -0.5, 0.0])
    with pytest.raises(ValueError, match=r"weight 'importance' of 'click' is -0\.5, expected 0 or more"):
        output.loss(LOGITS, batch)


def test_metrics_take_labels_that_are_probabilities_as_the_likelier_label() -> None:
    output = built(BinaryOutput("click", project=False, metrics=("auc", "accuracy")))
    metrics = output.make_metrics()
    output.update_metrics(metrics, LOGITS, rows(click=[0.9, 0.1, 0.2]))
    assert {name: value.item() for name, value in metrics.compute().items()} == {
        "click_auc": 1.0,
        "click_accuracy": pytest.approx(1.0),
    }


def test_sample_weights_make_a_weighted_mean() -> None:
    batch = rows(click=[1, 1, 0], importance=[0.5, 0.0, 2.0])
    output = built(BinaryOutput("click", weight="importance", project=False))
    assert output.loss(LOGITS, batch).item() == pytest.approx(-(2.5 * log(3 / 4)) / 2.5)
    zero = rows(click=[1, 1, 0], importance=[0.0, 0.0, 0.0])
    assert output.loss(LOGITS, zero).item() == 0
    alone = mm.Batch({"importance": torch.tensor([0.0, 1.0, 0.0])}, {"click": torch.tensor([1, 1, 0])})
    assert output.loss(LOGITS, alone).item() == pytest.approx(-log(1 / 2))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mse", (1 + 0 + 9) / 3), ("mae", (1 + 0 + 3) / 3), ("huber", (0.5 + 0 + 2.5) / 3)],
)
def test_regression_losses_by_hand(name: str, expected: float) -> None:
    output = built(RegressionOutput("rating", loss=name, project=False))  # type: ignore[arg-type]
    hidden = torch.tensor([[1.0], [2.0], [5.0]])
    assert output.loss(hidden, rows(rating=[2.0, 2.0, 2.0])).item() == pytest.approx(expected)


def test_classification_loss_and_answers_by_hand() -> None:
    output = built(ClassificationOutput("brand", classes=3, project=False), 3)
    logits = torch.tensor([[2.0, 1.0, 1.0], [1.0, 1.0, 4.0], [4.0, 1.0, 1.0]]).log()
    batch = rows(brand=[0, 2, 1])
    expected = -(log(2 / 4) + log(4 / 6) + log(1 / 6)) / 3
    assert output.loss(logits, batch).item() == pytest.approx(expected)
    answers = output.predictions(logits, batch)
    assert answers["brand_class"].tolist() == [0, 2, 0]
    assert answers["brand_score"].tolist() == pytest.approx([1 / 2, 2 / 3, 2 / 3])
    metrics = output.make_metrics()
    output.update_metrics(metrics, logits, batch)
    assert metrics.compute()["brand_accuracy"].item() == pytest.approx(2 / 3)


def test_binary_metrics_by_hand_over_two_batches() -> None:
    names = ("auc", "average_precision", "log_loss", "accuracy", "f1", "precision", "recall")
    output = built(BinaryOutput("click", metrics=names, project=False))
    metrics = output.make_metrics()
    probabilities, labels = [0.9, 0.8, 0.6, 0.4, 0.2], [1, 0, 1, 1, 0]
    for part in (slice(0, 3), slice(3, 5)):
        logits = torch.tensor(probabilities[part]).logit()[:, None]
        output.update_metrics(metrics, logits, mm.Batch({}, {"click": torch.tensor(labels[part])}))
    found = {name: value.item() for name, value in metrics.compute().items()}
    pairs = [(p, n) for p in (0.9, 0.6, 0.4) for n in (0.8, 0.2)]
    assert found == pytest.approx(
        {
            "click_auc": sum(p > n for p, n in pairs) / len(pairs),
            "click_average_precision": (1 / 1 + 2 / 3 + 3 / 4) / 3,
            "click_log_loss": -(log(0.9) + log(0.2) + log(0.6) + log(0.4) + log(0.8)) / 5,
            "click_accuracy": 3 / 5,
            "click_precision": 2 / 3,
            "click_recall": 2 / 3,
            "click_f1": 2 / 3,
        }
    )


def test_regression_metrics_by_hand_over_uneven_batches() -> None:
    output = built(RegressionOutput("rating", project=False))
    metrics = output.make_metrics()
    for numbers, labels in (([1.0, 2.0, 5.0], [2.0, 2.0, 2.0]), ([4.0], [2.0])):
        batch = mm.Batch({}, {"rating": torch.tensor(labels)})
        output.update_metrics(metrics, torch.tensor(numbers)[:, None], batch)
    found = {name: value.item() for name, value in metrics.compute().items()}
    mse = (1 + 0 + 9 + 4) / 4
    assert found == pytest.approx({"rating_mse": mse, "rating_rmse": mse**0.5, "rating_mae": 6 / 4})


def plan(lengths: list[int], steps: int, extend: int = 0) -> MaskPlan:
    empty = torch.zeros(len(lengths), steps, dtype=torch.bool)
    return MaskPlan(empty, empty, empty.long(), torch.tensor(lengths), "full", extend)


def ragged(*lists: list[float]) -> mm.Ragged:
    lengths = torch.tensor([len(one) for one in lists])
    return mm.Ragged(
        torch.tensor([x for one in lists for x in one]), torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    )


def numbers_at(hidden: Tensor, batch: mm.Batch, **options: object) -> tuple[list[float], list[float]]:
    output = built(RegressionOutput("rating", project=False, summary="none", **options))  # type: ignore[arg-type]
    numbers, labels, _ = output.answers(hidden, batch)
    return numbers.tolist(), labels.tolist()


def test_labels_of_positions_are_those_of_the_visible_latest_positions() -> None:
    hidden = torch.tensor([[10.0, 11.0], [20.0, 21.0]])[..., None]
    # The first row has three positions of which the latest two are visible, the second has one.
    batch = mm.Batch({}, {"rating": ragged([1.0, 2.0, 3.0], [4.0])}, plan([2, 1], 2))
    assert numbers_at(hidden, batch) == ([10.0, 11.0, 20.0], [2.0, 3.0, 4.0])
    # With a mask position appended, that one has no label.
    longer = torch.cat([hidden, torch.tensor([[[12.0]], [[22.0]]])], 1)
    appended = mm.Batch({}, batch.targets, plan([3, 2], 3, extend=1))
    assert numbers_at(longer, appended) == ([10.0, 11.0, 20.0], [2.0, 3.0, 4.0])
    # With the last item of each row left out, its label is, also where the matrix has room for it.
    shorter = mm.Batch({}, {"rating": ragged([1.0, 2.0, 3.0], [4.0])}, plan([3, 1], 2, extend=-1))
    assert numbers_at(hidden, shorter) == ([10.0, 11.0], [1.0, 2.0])
    padded = mm.Batch({}, {"rating": torch.tensor([[2.0, 3.0], [4.0, 0.0]])}, plan([2, 1], 2))
    assert numbers_at(hidden, padded) == ([10.0, 11.0, 20.0], [2.0, 3.0, 4.0])


def test_weights_of_positions_go_with_their_labels() -> None:
    hidden = torch.tensor([[1.0, 2.0], [3.0, 9.0]])[..., None]
    targets = {"rating": ragged([7.0, 0.0, 0.0], [0.0]), "w": ragged([9.0, 1.0, 2.0], [3.0])}
    output = built(RegressionOutput("rating", project=False, summary="none", weight="w"))
    batch = mm.Batch({}, targets, plan([2, 1], 2))
    assert output.loss(hidden, batch).item() == pytest.approx((1 * 1 + 2 * 4 + 3 * 9) / 6)
    by_row = mm.Batch({}, {**targets, "w": torch.tensor([1.0, 0.0])}, plan([2, 1], 2))
    assert output.loss(hidden, by_row).item() == pytest.approx((1 + 4) / 2)


@pytest.mark.parametrize(
    ("summary", "expected"), [("last", [2.0, 3.0]), ("first", [1.0, 3.0]), ("mean", [1.5, 3.0])]
)
def test_a_sequence_becomes_one_answer_without_its_padding(summary: str, expected: list[float]) -> None:
    hidden = torch.tensor([[1.0, 2.0], [3.0, 99.0]])[..., None]
    output = built(RegressionOutput("rating", project=False, summary=summary))  # type: ignore[arg-type]
    batch = mm.Batch({}, {"rating": torch.tensor([0.0, 0.0])}, plan([2, 1], 2))
    assert output(hidden, batch).tolist() == expected


def test_what_the_schema_says_decides() -> None:
    schema = click_schema()
    assert BinaryOutput(schema.select(Tags.BINARY_CLASSIFICATION)).target == "click"
    assert BinaryOutput(schema["click"]).summary == "last"
    per_position = ColumnSchema("click", is_list=True, is_ragged=True, dtype="int64")
    assert BinaryOutput(per_position).summary == "none"
    assert ClassificationOutput(categorical("brand", 4)).classes == 5


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"target has columns \['click', 'rating'\], expected one"):
        BinaryOutput(click_schema().select(Tags.TARGET))
    with pytest.raises(ValueError, match="target has columns \\[\\], expected one"):
        BinaryOutput(Schema())
    with pytest.raises(TypeError, match="target is a int, expected the name of a column"):
        BinaryOutput(3)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match="metric 'mape' of 'rating' is not known: choose from mae, mse, rmse"
    ):
        RegressionOutput("rating", metrics=("mape",))
    with pytest.raises(ValueError, match="metric 'auroc' of 'click' is not known"):
        BinaryOutput("click", metrics=("auroc",))
    with pytest.raises(ValueError, match="positive_weight is 0"):
        BinaryOutput("click", positive_weight=0)
    with pytest.raises(ValueError, match="threshold is 1"):
        BinaryOutput("click", threshold=1)
    with pytest.raises(ValueError, match="loss is 'l2'"):
        RegressionOutput("rating", loss="l2")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="summary is 'cls'"):
        BinaryOutput("click", summary="cls")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the classes of 'brand' are not known"):
        ClassificationOutput("brand")
    with pytest.raises(ValueError, match="the body gives 8 numbers for 'click', but project=False needs 1"):
        BinaryOutput("click", project=False).build(None, 8)
    with pytest.raises(ValueError, match=r"the body gives several outputs \(a, b\) and 'click' needs one"):
        BinaryOutput("click").build(None, {"a": 1, "b": 2})
    with pytest.raises(RuntimeError, match="put it into a Model"):
        BinaryOutput("click")(torch.zeros(2, 3), mm.Batch({}))
    output = built(BinaryOutput("click", project=False))
    with pytest.raises(ValueError, match="target 'click' has label 2, expected 0 or 1"):
        output.loss(LOGITS, rows(click=[1, 2, 0]))
    with pytest.raises(KeyError, match=r"target 'click' is not in the batch, which has targets \['rating'\]"):
        output.loss(LOGITS, rows(rating=[1, 2, 0]))
    with pytest.raises(ValueError, match="column 'click' has a list in each row"):
        output.loss(LOGITS, mm.Batch({}, {"click": ragged([1.0], [0.0], [1.0])}))
    classes = built(ClassificationOutput("brand", classes=3), 1)
    with pytest.raises(ValueError, match="target 'brand' has label 3, expected 0 to 2"):
        classes.loss(LOGITS, rows(brand=[1, 2, 3]))


def test_without_bias_zeros_mean_one_half_and_the_choice_is_kept() -> None:
    output = built(BinaryOutput("click", bias=False), 3)
    assert [name for name, _ in output.named_parameters()] == ["linear.weight"]
    answers = output.predictions(torch.zeros(2, 3), rows(click=[1, 0, 1]))
    assert answers["click_score"].tolist() == [0.5, 0.5]
    assert output.init_arguments()["bias"] is False


@pytest.mark.parametrize(
    ("loss", "expected"), [("mae", (0.75 * 3 + 0.25) / 2), ("mse", (0.5625 * 3 + 0.0625) / 2)]
)
def test_losses_of_the_probability(loss: str, expected: float) -> None:
    """Logit -log 3 is 1/4: 3/4 away from a 1, which counts thrice, and 1/4 from a 0."""
    output = mm.BinaryOutput("click", loss=loss, positive_weight=3.0)  # type: ignore[arg-type]
    numbers = -torch.tensor([3.0, 3.0]).log()
    assert output.losses(numbers, torch.tensor([1, 0])).mean() == pytest.approx(expected)
    with pytest.raises(ValueError, match="loss is 'hinge', expected 'bce', 'mae' or 'mse'"):
        mm.BinaryOutput("click", loss="hinge")  # type: ignore[arg-type]
