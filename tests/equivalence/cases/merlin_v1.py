"""V1 of ``merlin.models.torch``, recorded on merlin-models 23.2.0: what that can run itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import merlin.models.torch as mm
import numpy as np
import torch
import torchmetrics as tm
from merlin.models.torch import losses
from merlin.models.torch.block import base
from merlin.schema import ColumnSchema, Schema, Tags
from torch import Tensor, nn

from tests.equivalence.side import Side

ROWS = 12
TAGS = {"click": Tags.BINARY_CLASSIFICATION, "spent": Tags.REGRESSION}


def schema() -> Schema:
    """Two ids, two numbers and two targets."""
    ids = [
        ColumnSchema(
            name,
            tags=[Tags.CATEGORICAL, *tags],
            dtype=np.int64,
            properties={"domain": {"min": 0, "max": largest, "name": name}},
        )
        for name, largest, tags in (("item", 20, [Tags.ITEM_ID]), ("store", 6, []))
    ]
    numbers = [ColumnSchema(name, tags=[Tags.CONTINUOUS], dtype=np.float32) for name in ("age", "price")]
    targets = [ColumnSchema(name, tags=[tag], dtype=np.float32) for name, tag in TAGS.items()]
    return Schema([*ids, *numbers, *targets])


def columns(side: Side) -> dict[str, Tensor]:
    """(B, 1) each."""
    side.seed()
    made = {"item": torch.randint(0, 21, (ROWS, 1)), "store": torch.randint(0, 7, (ROWS, 1))}
    made |= {"age": torch.rand(ROWS, 1), "price": torch.rand(ROWS, 1)}
    return side.given("columns", made)


def targets(side: Side) -> dict[str, Tensor]:
    """(B,) each."""
    side.seed(1)
    return side.given("targets", {"click": (torch.rand(ROWS) > 0.4).float(), "spent": torch.rand(ROWS)})


def features(**options: Any) -> Any:
    """The input block, columns side by side."""
    given = {"aggregation": "concat", **options}
    if not given.get("continuous_soft_embeddings"):  # beside it 23.02 takes no argument of tables
        given.setdefault("embedding_dim_default", 4)
    return mm.TabularFeatures.from_schema(schema().select_by_name(["item", "store", "age", "price"]), **given)


def body(**options: Any) -> Any:
    """Inputs and a layer."""
    return mm.SequentialBlock(features(**options), mm.MLPBlock([6]))


def tasks() -> list[Any]:
    """One of each kind, with a metric."""
    return [
        mm.BinaryClassificationTask("click", metrics=[tm.Accuracy(task="binary")]),
        mm.RegressionTask("spent", metrics=[tm.MeanSquaredError()]),
    ]


def observed(side: Side, module: nn.Module, inputs: Any) -> None:
    """Outputs and gradients of a module with the original's weights."""
    side.weights(module)
    found = module(inputs)
    outputs = found if isinstance(found, dict) else {"all": found}
    side.value("names", sorted(outputs))
    for name, tensor in outputs.items():
        side.close(f"output/{name}", tensor)
    sum(tensor.square().sum() for tensor in outputs.values()).backward()
    side.gradients(module)


def inputs_of(side: Side, **options: Any) -> None:
    """``TabularFeatures`` with options."""
    block = features(**options)
    observed(side, block, columns(side))
    if options.get("aggregation") == "element-wise-sum":
        return  # 23.02 tells a size without the positions that its output has
    sizes = {name: torch.Size([ROWS, 1]) for name in ("item", "store", "age", "price")}
    found = block.output_size(sizes)
    listed = {name: list(size) for name, size in found.items()} if isinstance(found, dict) else list(found)
    side.value("size", listed)


def mlp(side: Side, **options: Any) -> None:
    """Layers over a matrix."""
    side.seed(2)
    given = side.given("matrix", {"x": torch.randn(ROWS, 5)})["x"]
    block = mm.MLPBlock([6, 3], **options).to_module([ROWS, 5])
    observed(side, block.eval() if "dropout" in options else block, given)


def blocks(side: Side) -> None:
    """A module with its size in a row of blocks."""
    observed(
        side,
        mm.SequentialBlock(features(), base.Block(nn.Linear(10, 4), [-1, 1, 4]), mm.MLPBlock([3])),
        columns(side),
    )


def aggregations(side: Side) -> None:
    """Columns of one width in one tensor."""
    side.seed(3)
    given = side.given("named", {"a": torch.randn(ROWS, 4), "b": torch.randn(ROWS, 4)})
    side.close("concat", mm.ConcatFeatures()(given))
    side.close("stack", mm.StackFeatures()(given))
    side.close("stack/1", mm.StackFeatures(axis=1)(given))
    side.close("sum", mm.ElementwiseSum()(given))
    multi = mm.ElementwiseSumItemMulti(schema().select_by_name(["item"]))
    side.close("multi", multi({"item": given["a"], "other": given["b"]}))
    longer = {"a": torch.randn(ROWS, 5), "b": given["b"]}
    side.error("sum of two widths", lambda: mm.ElementwiseSum()(longer))


def transformations(side: Side) -> None:
    """A norm for each column, a choice of columns, and noise, which is there in evaluation, too."""
    side.seed(4)
    given = side.given("named", {"a": torch.randn(ROWS, 4), "b": torch.randn(ROWS, 3)})
    norm = mm.TabularLayerNorm({"a": 4, "b": 3})
    side.weights(norm)
    for name, tensor in norm(given).items():
        side.close(f"norm/{name}", tensor)
    side.value("kept", sorted(mm.FilterFeatures(["a"])(given)))
    noise = mm.StochasticSwapNoise(replacement_prob=0.5).eval()
    ids = columns(side)["item"]
    drawn = []
    for number in range(400):
        side.seed(number)
        drawn.append((noise({"item": ids})["item"] != ids).float().mean())
    side.draws("swapped", torch.stack(drawn)[:, None])


def smoothed(side: Side, reduction: str, *, weighted: bool) -> None:
    """Of log-probabilities, with a share of every class."""
    side.seed(5)
    given = side.given("logs", {"x": torch.randn(ROWS, 5).log_softmax(1), "w": torch.rand(5)})
    loss = losses.LabelSmoothCrossEntropyLoss(given["w"] if weighted else None, reduction, smoothing=0.2)
    logs = given["x"].requires_grad_()
    found = loss(logs, torch.arange(ROWS) % 5)
    found.sum().backward()
    side.close("loss", found)
    side.close("gradient", logs.grad)


def of_task(side: Side, number: int) -> None:
    """Answers, loss and metrics of one task over vectors."""
    task, name = tasks()[number], list(TAGS)[number]
    side.seed(6)
    hidden = side.given("hidden", {"x": torch.randn(ROWS, 6)})["x"]
    task.build(mm.SequentialBlock(mm.MLPBlock([6]).to_module([ROWS, 6])), (ROWS, 6))
    side.weights(task)
    wanted = targets(side)
    side.value("name", task.task_name)
    side.close("answers", task(hidden))
    side.close("loss", task.compute_loss(hidden, wanted[name]))
    side.close("loss by name", task.compute_loss(hidden, wanted))
    for metric, value in task.calculate_metrics(hidden, wanted).items():
        side.close(f"metric/{metric}", value)
    for metric, value in task.compute_metrics().items():
        side.close(f"so far/{metric}", value)


def note_head(side: Side, head: Any) -> None:
    """Answers, losses and metrics of a head and its model, and twenty steps."""
    given, wanted = columns(side), targets(side)
    model = head.to_model()
    model(given)
    side.weights(model)
    answers = model(given)
    for name, tensor in answers.items():
        side.close(f"answer/{name}", tensor)
    hidden = head.body(given)
    side.close("loss", head.compute_loss(hidden, wanted))
    side.close("loss of the body's inputs", head.compute_loss(given, wanted, call_body=True))
    side.close("loss of the model", model.compute_loss(given, wanted))
    for name, value in head.calculate_metrics(given, wanted, call_body=True).items():
        side.close(f"metric/{name}", value)
    side.value("weights of tasks", {name: float(w) for name, w in head._task_weights.items()})
    model.compute_loss(given, wanted).backward()
    side.gradients(model)
    model.reset_metrics()
    evaluated = model.evaluate([(given, wanted)], verbose=False, mode="valid")
    for task, metrics in evaluated.items():
        for name, value in metrics.items():
            side.close(f"evaluated/{task}/{name}", value)
    found = model.fit([(given, wanted)], optimizer=torch.optim.Adam, num_epochs=20, verbose=False)
    side.curve("losses", torch.tensor(np.asarray(found, dtype=np.float64)))


def head_of_tasks(side: Side, **options: Any) -> None:
    """A head of two tasks."""
    note_head(side, mm.Head(body(), tasks(), **options))


def head_of_schema(side: Side) -> None:
    """Tasks from the targets of a schema, each with a block of its own."""
    head = mm.Head.from_schema(
        schema(), body(), task_weight_dict={"click": 2.0}, task_blocks=mm.MLPBlock([5])
    )
    side.value("tasks", sorted(head.prediction_task_dict))
    model = head.to_model()
    model(columns(side))
    side.weights(model)
    for name, tensor in model(columns_again(side)).items():
        side.close(f"answer/{name}", tensor)


def columns_again(side: Side) -> dict[str, Tensor]:
    """The columns of the case, which are given once."""
    keys = [key for key in side.tensors if key.startswith("given/columns/")]
    return {key.rpartition("/")[2]: side.tensors[key].clone() for key in keys}


def two_heads(side: Side) -> None:
    """A model of two heads, weighed."""
    made = [mm.Head(body(), task) for task in tasks()]
    model = mm.Model(*made, head_weights=[0.25, 3.0])
    given, wanted = columns(side), targets(side)
    model(given)
    side.weights(model)
    for name, tensor in model(given).items():
        side.close(f"answer/{name}", tensor)
    side.close("loss", model.compute_loss(given, wanted))


def missing_target(side: Side) -> None:
    """A target that is not there."""
    head = mm.Head(body(), tasks())
    given, wanted = columns(side), targets(side)
    side.error("error", lambda: head.compute_loss(given, {"click": wanted["click"]}, call_body=True))


CASES: dict[str, Callable[[Side], None]] = {
    "features": inputs_of,
    "features-by-name": partial(inputs_of, aggregation=None),
    "features-projected": partial(inputs_of, continuous_projection=[5, 4]),
    "features-summed": partial(inputs_of, continuous_projection=4, aggregation="element-wise-sum"),
    "features-of-widths": partial(inputs_of, embedding_dims={"item": 3, "store": 2}),
    "features-inferred": partial(inputs_of, embedding_dim_default=None, infer_embedding_sizes=True),
    "features-soft": partial(inputs_of, continuous_soft_embeddings=True),
    "mlp": mlp,
    "mlp-no-bias": partial(mlp, use_bias=False),
    "mlp-batchnorm": partial(mlp, normalization="batch_norm"),
    "mlp-dropout": partial(mlp, dropout=0.5),
    "mlp-no-activation": partial(mlp, activation=None),
    "blocks": blocks,
    "aggregations": aggregations,
    "transformations": transformations,
    **{
        f"smoothed-{reduction}-{weighted}": partial(smoothed, reduction=reduction, weighted=weighted)
        for reduction in ("mean", "sum", "none")
        for weighted in (False, True)
    },
    "task-binary": partial(of_task, number=0),
    "task-regression": partial(of_task, number=1),
    "head": head_of_tasks,
    "head-weighed": partial(head_of_tasks, task_weights=[0.5, 2.0], loss_reduction="sum"),
    "head-of-schema": head_of_schema,
    "two-heads": two_heads,
    "missing-target": missing_target,
}
