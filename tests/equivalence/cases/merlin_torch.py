"""``merlin.models.torch`` 23.12: blocks and ranking models with copied weights, the same lines on both."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import merlin.models.torch as mm
import numpy as np
import torch
from merlin.models.torch.batch import Batch
from merlin.models.torch.blocks.cross import CrossBlock
from merlin.models.torch.models.base import compute_loss
from merlin.models.torch.transforms.agg import ElementWiseSum
from merlin.schema import ColumnSchema, Schema, Tags
from torch import Tensor, nn

from tests.equivalence.side import Side

ROWS = 8
Order = Callable[[Any], list[tuple[str, nn.Parameter]]]
"""Puts names and weights in the order of the other side."""


def column(name: str, largest: int, *tags: Tags, **options: Any) -> ColumnSchema:
    """A column of ids."""
    domain = {"domain": {"min": 0, "max": largest, "name": name}}
    return ColumnSchema(name, tags=[Tags.CATEGORICAL, *tags], dtype=np.int64, properties=domain, **options)


def schema(*, targets: int = 1, lists: bool = False) -> Schema:
    """Two ids, two numbers, maybe a list, and one target or two."""
    columns = [column("user", 20, Tags.USER_ID), column("item", 15, Tags.ITEM_ID)]
    columns += [ColumnSchema(name, tags=[Tags.CONTINUOUS], dtype=np.float32) for name in ("age", "price")]
    if lists:
        columns.append(column("genres", 6, is_list=True, is_ragged=True))
    columns.append(ColumnSchema("click", tags=[Tags.TARGET, Tags.BINARY_CLASSIFICATION], dtype=np.int64))
    if targets == 2:
        columns.append(ColumnSchema("rating", tags=[Tags.TARGET, Tags.REGRESSION], dtype=np.float32))
    return Schema(columns)


def rows(side: Side, *, lists: bool = False) -> Batch:
    """The same rows on both sides."""
    side.seed()
    features = {
        "user": torch.randint(0, 21, (ROWS,)),
        "item": torch.randint(0, 16, (ROWS,)),
        "age": torch.rand(ROWS),
        "price": torch.rand(ROWS),
    }
    if lists:
        features["genres__values"] = torch.randint(0, 7, (2 * ROWS,))
        features["genres__offsets"] = torch.tensor([0, 1, 4, 5, 7, 8, 11, 13, 2 * ROWS])
    targets = {"click": torch.arange(ROWS) % 2, "rating": torch.rand(ROWS)}
    return Batch(side.given("features", features), side.given("targets", targets))


def share(side: Side, module: nn.Module, order: Order = list) -> list[nn.Parameter]:
    """The original's weights, stirred, by their order: the names of state dicts differ."""
    parameters = [parameter for _, parameter in order(module.named_parameters())]
    if side.is_original:
        side.seed()
        with torch.no_grad():
            for parameter in parameters:
                parameter.copy_(torch.randn_like(parameter) * 0.3)
    given = side.given("weights", {f"{i:02}": p.detach() for i, p in enumerate(parameters)})
    with torch.no_grad():
        for parameter, (_, tensor) in zip(parameters, sorted(given.items()), strict=True):
            assert parameter.shape == tensor.shape
            parameter.copy_(tensor)
    return parameters


def observed(side: Side, module: nn.Module, inputs: Any, batch: Any = None) -> None:
    """Outputs by name, and gradients in the order of the weights."""
    call = partial(module, inputs) if batch is None else partial(module, inputs, batch=batch)
    call()
    parameters = share(side, module)
    result = call()
    outputs = result if isinstance(result, dict) else {"all": result}
    side.value("names", sorted(outputs))
    for name, tensor in outputs.items():
        side.close(f"output/{name}", tensor)
    fractions = [t for t in outputs.values() if t.requires_grad]
    if parameters and fractions:
        sum(t.square().sum() for t in fractions).backward()
        for i, parameter in enumerate(parameters):
            # Some weights of the original go unused.
            side.close(f"gradient/{i:02}", torch.zeros(1) if parameter.grad is None else parameter.grad)


def matrix(side: Side, width: int = 5) -> Tensor:
    """(B, S)."""
    side.seed(1)
    return side.given("matrix", {"x": torch.randn(ROWS, width)})["x"]


def named(side: Side) -> dict[str, Tensor]:
    """Two matrices and a vector of numbers."""
    side.seed(2)
    return side.given("named", {"b": torch.randn(ROWS, 3), "a": torch.randn(ROWS, 3), "c": torch.randn(ROWS)})


def mlp(side: Side, **options: Any) -> None:
    """Layers over a matrix."""
    observed(side, mm.MLPBlock([6, 4], **options), matrix(side))


def mlp_of_names(side: Side) -> None:
    """Layers over tensors by name."""
    observed(side, mm.MLPBlock([6, 4]), named(side))


def cross(side: Side, depth: int) -> None:
    """Cross layers over tensors by name."""
    observed(side, CrossBlock.with_depth(depth), named(side))


def aggregations(side: Side) -> None:
    """Concat, Stack and the sum."""
    inputs = named(side)
    side.close("concat", mm.Concat()(inputs))
    pair = {"b": inputs["b"], "a": inputs["a"]}
    side.close("stack", mm.Stack()(pair))
    side.close("stack 1", mm.Stack(dim=1)(pair))
    side.close("sum", ElementWiseSum()(pair))
    side.error("stack of different widths", lambda: mm.Stack()(inputs))


def residual(side: Side) -> None:
    """Each output is added to the block's input."""
    observed(side, mm.ResidualBlock(nn.Linear(5, 5), nn.Linear(5, 5)), matrix(side))


def shortcut(side: Side) -> None:
    """The input beside the output."""
    observed(side, mm.ShortcutBlock(nn.Linear(5, 2)), matrix(side))


def parallel(side: Side) -> None:
    """Branches, what comes before them and after them."""
    block = mm.ParallelBlock({"one": nn.Linear(5, 3), "two": mm.MLPBlock([3])})
    block.append(mm.Concat())
    observed(side, block, matrix(side))
    side.value("length", len(block))


def tabular_input(side: Side, **options: Any) -> None:
    """The default routes of all columns."""
    batch = rows(side, lists=True)
    features = schema(lists=True).excluding_by_tag(Tags.TARGET)
    observed(side, mm.TabularInputBlock(features, init="defaults", **options), batch.features)


def router(side: Side) -> None:
    """Routes by tag, and one for each column."""
    routes = mm.RouterBlock(schema())
    routes.add_route(Tags.CATEGORICAL, mm.EmbeddingTables(4))
    routes.add_route_for_each(Tags.CONTINUOUS, mm.MLPBlock([2]), required=False)
    side.value("branches", sorted(routes.branches))
    side.error("nothing fits", lambda: routes.add_route(Tags.TEXT))
    side.error("the same again", lambda: routes.add_route(Tags.CATEGORICAL, mm.EmbeddingTables(4)))


def dlrm_block(side: Side) -> None:
    """Products of all pairs beside the numbers' vector."""
    batch = rows(side)
    features = schema().excluding_by_tag(Tags.TARGET)
    observed(side, mm.DLRMBlock(features, 4, mm.MLPBlock([6, 4]), mm.MLPBlock([5])), batch.features)


def model_of(side: Side, model: Any, *, targets: int = 1) -> None:
    """Predictions, loss and metrics, gradients, and the losses of twenty steps of its optimiser."""
    batch = rows(side)
    wanted = {"click": batch.targets["click"]} if targets == 1 else batch.targets
    whole = Batch(batch.features, wanted)
    model.initialize(whole)
    parameters = share(side, model)
    model.train()
    predictions = model(whole.features, batch=whole)
    found = predictions if isinstance(predictions, dict) else {"all": predictions}
    side.value("names", sorted(found))
    for name, tensor in found.items():
        side.close(f"prediction/{name}", tensor)
    results = compute_loss(predictions, wanted, model.model_outputs())
    side.value("results", sorted(results))
    for name, value in results.items():
        side.close(f"result/{name}", value)
    results["loss"].backward()
    for i, parameter in enumerate(parameters):
        side.close(f"gradient/{i:02}", parameter.grad)
    side.curve("losses", losses(model, whole, wanted))


def losses(model: Any, whole: Any, wanted: Any) -> Tensor:
    """Of twenty steps."""
    configured = model.configure_optimizers()
    (optimizer,) = configured if isinstance(configured, (list, tuple)) else (configured,)
    found = []
    for _ in range(20):
        optimizer.zero_grad()
        result = compute_loss(model(whole.features, batch=whole), wanted, model.model_outputs())
        result["loss"].backward()
        optimizer.step()
        found.append(result["loss"].detach())
    return torch.stack(found)


def dlrm(side: Side) -> None:
    """The model, with the output given."""
    output = mm.BinaryOutput(schema()["click"])
    model_of(
        side,
        mm.DLRMModel(
            schema().excluding_by_tag(Tags.TARGET),
            dim=4,
            bottom_block=mm.MLPBlock([6, 4]),
            top_block=mm.MLPBlock([5]),
            output_block=output,
        ),
    )


def dlrm_of_targets(side: Side) -> None:
    """The model, with the outputs of the schema's two targets."""
    model = mm.DLRMModel(schema(targets=2), dim=4, bottom_block=mm.MLPBlock([4]))
    model_of(side, model, targets=2)


def dcn(side: Side, **options: Any) -> None:
    """Cross layers and a deep part, one after the other or side by side."""
    model_of(side, mm.DCNModel(schema(), deep_block=mm.MLPBlock([5]), **options))


def own_model(side: Side) -> None:
    """A model of blocks."""
    inputs = mm.TabularInputBlock(schema().excluding_by_tag(Tags.TARGET), init="defaults")
    model_of(side, mm.Model(inputs, mm.MLPBlock([6, 3]), mm.BinaryOutput(schema()["click"])))


def binary(side: Side) -> None:
    """Loss and metrics of given probabilities."""
    side.seed(3)
    given = side.given("p", {"p": torch.rand(ROWS, 1)})["p"]
    output = mm.BinaryOutput(schema()["click"])
    for name, value in compute_loss(given, (torch.arange(ROWS) % 2)[:, None], [output]).items():
        side.close(name, value)


def regression(side: Side) -> None:
    """Loss and metrics of given numbers."""
    side.seed(4)
    given = side.given("n", {"x": torch.rand(ROWS, 1), "y": torch.rand(ROWS)})
    output = mm.RegressionOutput(schema(targets=2)["rating"])
    for name, value in compute_loss(given["x"], given["y"], [output]).items():
        side.close(name, value)


CASES: dict[str, Callable[[Side], None]] = {
    "mlp": mlp,
    "mlp of names": mlp_of_names,
    "mlp, tanh": partial(mlp, activation=nn.Tanh),
    "mlp, no activation": partial(mlp, activation=None),
    "mlp, batchnorm": partial(mlp, normalization="batchnorm"),
    "cross 1": partial(cross, depth=1),
    "cross 3": partial(cross, depth=3),
    "aggregations": aggregations,
    "residual": residual,
    "shortcut": shortcut,
    "parallel": parallel,
    "tabular input": tabular_input,
    "tabular input, concat": partial(tabular_input, agg="concat"),
    "router": router,
    "dlrm block": dlrm_block,
    "dlrm": dlrm,
    "dlrm of two targets": dlrm_of_targets,
    "dcn": partial(dcn, depth=2),
    "dcn, parallel": partial(dcn, depth=1, stacked=False),
    "model of blocks": own_model,
    "binary output": binary,
    "regression output": regression,
}
