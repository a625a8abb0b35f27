"""``merlin.models.torch`` 23.12: experts, attention, repeats, tables, classes, sequences."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import merlin.models.torch as mm
import torch
from merlin.models.torch.batch import Batch
from merlin.models.torch.inputs.embedding import infer_embedding_dim
from merlin.models.torch.models.base import compute_loss, create_optimizer
from merlin.models.torch.outputs.classification import CategoricalTarget, EmbeddingTablePrediction
from merlin.models.torch.transforms.bias import LogitsTemperatureScaler
from merlin.schema import ColumnSchema, Schema, Tags
from torch import Tensor, nn

from tests.equivalence.cases.merlin_torch import ROWS, column, matrix, observed, rows, schema, share
from tests.equivalence.side import Side


def tasks() -> Any:
    """Outputs of two targets."""
    return mm.ParallelBlock({"click": nn.Identity(), "rating": nn.Identity()})


def mmoe(side: Side, *, several: bool) -> None:
    """Experts that all tasks share."""
    block = (
        mm.MMOEBlock(mm.MLPBlock([4]), 3, outputs=tasks()) if several else mm.MMOEBlock(mm.MLPBlock([4]), 3)
    )
    observed(side, block, matrix(side))


def shared_experts(side: Side, *, layers: int, gate: bool = False) -> None:
    """Shared experts and those of each task, in one layer or several."""
    experts = {"num_shared_experts": 2, "num_task_experts": 2, "outputs": tasks()}
    if layers == 1:
        observed(side, mm.CGCBlock(mm.MLPBlock([5]), shared_gate=gate, **experts), matrix(side))
    else:
        observed(side, mm.PLEBlock(mm.MLPBlock([5]), depth=layers, **experts), matrix(side))


def attention(side: Side) -> None:
    """A sequence that attends to a context before each of two modules."""
    side.seed(5)
    inputs = side.given("inputs", {"context": torch.randn(ROWS, 3, 6), "sequence": torch.randn(ROWS, 4, 6)})
    block = mm.CrossAttentionBlock(
        nn.Linear(6, 6), attention=nn.MultiheadAttention(6, 2, dropout=0.0, batch_first=True)
    )
    observed(side, block, inputs)


def repeats(side: Side) -> None:
    """Copies have the weights of the first, and weights of their own."""
    first = nn.Linear(5, 5)
    blocks = {
        "one after another": mm.repeat(first, 3),
        "side by side": mm.repeat_parallel(first, 2),
        "joined": mm.repeat_parallel(first, 2, agg=mm.Concat()),
        "like": mm.repeat_parallel_like(first, {"a": nn.Identity(), "b": nn.Identity()}),
    }
    x = matrix(side)
    given = side.given("first", {name: p.detach() for name, p in first.named_parameters()})
    for name, block in blocks.items():
        for linear in [m for m in block.modules() if isinstance(m, nn.Linear)]:
            linear.load_state_dict(given)
        side.value(f"{name}: weights", len(list(block.parameters())))
        result = block(x)
        outputs = result if isinstance(result, dict) else {"all": result}
        side.value(f"{name}: names", sorted(outputs))
        for key, tensor in outputs.items():
            side.close(f"{name}/{key}", tensor)


def shortcut(side: Side) -> None:
    """The input beside the output, under other names."""
    block = mm.ShortcutBlock(nn.Linear(5, 3), nn.Linear(3, 2), shortcut_name="before", output_name="after")
    observed(side, block, matrix(side))


def table(side: Side, *, combiner: Any) -> None:
    """A table of a column, or of two of one domain, one of them a list."""
    ids = [column("item", 15)] + ([column("seen", 15, is_list=True, is_ragged=True)] if combiner else [])
    for one in ids:
        one.properties["domain"]["name"] = "items"
    block = mm.EmbeddingTable(4, schema=Schema(ids), seq_combiner=combiner)
    side.seed(6)
    inputs = side.given(
        "inputs",
        {
            "item": torch.randint(0, 16, (ROWS,)),
            "seen__values": torch.randint(0, 16, (2 * ROWS,)),
            "seen__offsets": torch.tensor([0, 1, 4, 5, 7, 8, 11, 13, 2 * ROWS]),
        },
    )
    side.value("rows", block.num_embeddings)
    observed(side, block, inputs if combiner else {"item": inputs["item"]})


def tables(side: Side) -> None:
    """Tables of widths by name, and inferred ones."""
    batch = rows(side)
    ids = schema().select_by_tag(Tags.CATEGORICAL)
    observed(side, mm.EmbeddingTables({"user": 4, "item": 8}, schema=ids), batch.features)
    inferred = mm.EmbeddingTables(schema=ids)
    side.value("inferred", sorted(tuple(p.shape) for p in inferred.parameters()))
    side.value("of a schema", [infer_embedding_dim(ids), infer_embedding_dim(ids, 3.0, False)])


def keys(side: Side) -> None:
    """Columns picked by name."""
    batch = rows(side)
    block = mm.SelectKeys(schema().select_by_name(["age", "user"]))
    side.value("picked", sorted(block(batch.features)))


def classes() -> ColumnSchema:
    """Five classes."""
    return column("kind", 4)


def answers(side: Side) -> Tensor:
    """(B,) int64 classes."""
    side.seed(8)
    return side.given("classes", {"y": torch.randint(0, 5, (ROWS,))})["y"]


def categorical(side: Side) -> None:
    """Logits of classes, loss, metrics and gradients; ``compute_loss`` of 23.12 fails on it."""
    output = mm.CategoricalOutput(classes())
    x, y = matrix(side), answers(side)
    output(x)
    parameters = share(side, output)
    logits = output(x)
    side.close("logits", logits)
    loss = output.loss(logits, y)
    side.close("loss", loss)
    side.value("metrics", [type(metric).__name__ for metric in output.metrics])
    loss.backward()
    for i, parameter in enumerate(parameters):
        side.close(f"gradient/{i}", parameter.grad)


def target(side: Side, **options: Any) -> None:
    """One unit for each class."""
    block = CategoricalTarget(classes(), **options)
    observed(side, block, matrix(side))
    side.close("embeddings", block.embeddings())
    side.close("some", block.embedding_lookup(torch.tensor([1, 3])))


def tied(side: Side) -> None:
    """Classes by the vectors of a table."""
    item = column("item", 15, Tags.ITEM_ID)
    prediction = EmbeddingTablePrediction(mm.EmbeddingTable(5, schema=item))
    side.value("classes", prediction.num_classes)
    observed(side, prediction, matrix(side))


def temperature(side: Side) -> None:
    """Logits divided by a temperature."""
    side.close("scaled", LogitsTemperatureScaler(0.5)(matrix(side)))


def several_outputs(side: Side) -> None:
    """A tower before each of two outputs of a schema; weighed alike."""
    outputs = mm.TabularOutputBlock(schema(targets=2), init="defaults")
    side.value("names", sorted(outputs.branches) if hasattr(outputs, "branches") else sorted(outputs))
    batch = rows(side)
    x = matrix(side)
    outputs(x)
    parameters = share(side, outputs)
    predictions = outputs(x)
    for name, tensor in predictions.items():
        side.close(f"prediction/{name}", tensor)
    models = [module for module in outputs.modules() if isinstance(module, mm.ModelOutput)]
    results = compute_loss(predictions, batch.targets, models)
    side.value("results", sorted(results))
    for name, value in results.items():
        side.close(f"result/{name}", value)
    results["loss"].backward()
    for i, parameter in enumerate(parameters):
        side.close(f"gradient/{i}", parameter.grad)


def padding(side: Side, **options: Any) -> None:
    """Ragged lists as matrices, with their lengths."""
    ids = Schema([column(n, 9, Tags.SEQUENCE, is_list=True, is_ragged=True) for n in ("a", "b")])
    offsets = torch.tensor([0, 2, 3, 6])
    lists = {f"{n}__values": torch.arange(1, 7) for n in "ab"} | {f"{n}__offsets": offsets for n in "ab"}
    made = mm.TabularPadding(ids, **options)(Batch(lists))
    for name in sorted(made.features):
        side.close(name, made.features[name].float())
    side.value("lengths", {name: made.sequences.lengths[name].tolist() for name in ("a", "b")})


def broadcast(side: Side) -> None:
    """Vectors of rows at each position."""
    columns = Schema(
        [column("user", 9, Tags.USER), column("item", 9, Tags.ITEM, is_list=True, is_ragged=True)]
    )
    block = mm.BroadcastToSequence(Tags.USER, Tags.ITEM, schema=columns)
    side.seed(9)
    inputs = side.given("inputs", {"user": torch.randn(3, 2), "item": torch.randn(3, 4, 2)})
    result = block(dict(inputs))
    for name in sorted(result):
        side.close(name, result[name])


def optimizers(side: Side) -> None:
    """By name, class and instance."""
    model = nn.Linear(2, 2)
    made = {
        name: create_optimizer(model, given)
        for name, given in {
            "sgd": "sgd",
            "adam": "adam",
            "adagrad": "adagrad",
            "class": torch.optim.Adam,
        }.items()
    }
    side.value("rates", {name: one.param_groups[0]["lr"] for name, one in made.items()})
    side.value("classes", {name: type(one).__name__ for name, one in made.items()})


CASES: dict[str, Callable[[Side], None]] = {
    "mmoe": partial(mmoe, several=False),
    "mmoe of two tasks": partial(mmoe, several=True),
    "cgc": partial(shared_experts, layers=1),
    "cgc, shared gate": partial(shared_experts, layers=1, gate=True),
    "ple": partial(shared_experts, layers=2),
    "cross attention": attention,
    "repeats": repeats,
    "shortcut, other names": shortcut,
    "table": partial(table, combiner=None),
    "table, mean": partial(table, combiner="mean"),
    "table, sum": partial(table, combiner="sum"),
    "tables": tables,
    "keys": keys,
    "categorical output": categorical,
    "categorical target": target,
    "categorical target, relu and no bias": partial(target, activation=torch.relu, bias=False),
    "tied to a table": tied,
    "temperature": temperature,
    "outputs of a schema": several_outputs,
    "padding": padding,
    "padding to seven": partial(padding, max_sequence_length=7),
    "broadcast": broadcast,
    "optimizers": optimizers,
}
