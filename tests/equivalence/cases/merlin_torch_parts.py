"""``merlin.models.torch`` 23.12: names of weights, parts by columns, traced schemas, negatives."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import merlin.models.torch as mm
import torch
from merlin.models.torch.batch import Batch
from merlin.models.torch.inputs.embedding import EmbeddingTable
from merlin.models.torch.outputs.contrastive import ContrastiveOutput
from merlin.models.torch.outputs.sampling.popularity import LogUniformSampler
from merlin.models.torch.transforms.sequences import TabularPredictNext
from merlin.schema import ColumnSchema, Schema, Tags
from torch import Tensor, nn

from tests.equivalence.cases.merlin_torch import ROWS, column, matrix, observed, rows, schema, share
from tests.equivalence.side import Side

PUBLIC = """
Block ParallelBlock RouterBlock ResidualBlock ShortcutBlock BatchBlock CrossAttentionBlock DLRMBlock MMOEBlock
PLEBlock CGCBlock EmbeddingTable EmbeddingTables SelectKeys SelectFeatures TabularInputBlock
TabularOutputBlock ModelOutput BinaryOutput RegressionOutput CategoricalTarget EmbeddingTablePrediction
Concat Stack BroadcastToSequence TabularPadding EncoderBlock DaskEncoder DaskPredictor
"""


def described(found: Any) -> list[Any]:
    """Columns by name: tags, dtype."""
    return [
        [c.name, sorted(str(getattr(tag, "value", tag)) for tag in c.tags), str(c.dtype.name)] for c in found
    ]


def weights(module: nn.Module) -> list[str]:
    """Names of a state dict and of parameters."""
    return [*module.state_dict(), *(name for name, _ in module.named_parameters())]


def names_of_classes(side: Side) -> None:
    """Public attributes of the classes."""
    for name in PUBLIC.split():
        own = {one for one in dir(getattr(mm, name)) if not one.startswith("_")} - set(dir(nn.Module))
        side.value(name, sorted(own))


def names_of_weights(side: Side) -> None:
    """State dicts have the same names, so that files of 23.12 load."""
    batch = rows(side)
    models = {
        "dlrm": mm.DLRMModel(schema(), 4, mm.MLPBlock([4]), mm.MLPBlock([3])),
        "dcn": mm.DCNModel(schema(targets=2), depth=2, deep_block=mm.MLPBlock([4]), stacked=False),
        "blocks": mm.Model(
            mm.TabularInputBlock(schema(), init="defaults"),
            mm.MLPBlock([4], normalization="batchnorm"),
            mm.BinaryOutput(schema()["click"]),
        ),
    }
    for name, model in models.items():
        model.initialize(batch)
        side.value(name, weights(model))
        side.value(f"{name}: printed", repr(model))
        again = copy.deepcopy(model)
        side.value(f"{name}: loaded", str(again.load_state_dict(model.state_dict())))


def containers(side: Side) -> None:
    """Blocks as lists."""
    one, two = mm.Block(nn.ReLU(), nn.Linear(5, 5)), mm.Block(nn.Tanh(), name="two")
    made = {
        "added": one + two,
        "added to": nn.Sigmoid() + one,
        "filtered": one.filter(lambda module: isinstance(module, nn.Linear)),
        "mapped": mm.Block(one).map(
            lambda module: nn.Tanh() if isinstance(module, nn.ReLU) else module, True
        ),
        "by position": one.mapi(lambda module, i: module if i else nn.Tanh()),
        "chosen": one.choose(lambda module: module if isinstance(module, nn.ReLU) else None),
        "slice": one[:1],
        "parallel": mm.ParallelBlock({"a": nn.ReLU(), "b": two}).prepend(nn.Tanh()).append(mm.Concat()),
        "repeated": two.repeat_parallel_like({"x": 1, "y": 2}, agg="stack"),
    }
    for name, block in made.items():
        side.value(name, repr(block))
    side.value("truth", [bool(mm.Block()), bool(one), bool(mm.ParallelBlock()), one == one, one == two])
    side.error("no branch", lambda: made["parallel"]["z"])
    side.error("an unknown name", lambda: mm.Block.parse("nothing"))


class OwnModule(nn.Module):
    """Could take a batch."""

    def forward(self, inputs: Tensor, batch: Batch | None = None) -> Tensor:
        """Counts the batch."""
        return inputs if batch is None else inputs + 1


def own_modules(side: Side) -> None:
    """A module that can do without the batch does not get it."""
    side.close("output", mm.Block(OwnModule())(matrix(side), batch=rows(side)))


def domains(side: Side) -> None:
    """A table of two domains, and one that grows."""
    block = EmbeddingTable(3, schema=Schema([column("item", 15), column("user", 7)]))
    side.seed(4)
    ids = side.given("ids", {"item": torch.randint(0, 16, (ROWS,)), "user": torch.randint(0, 7, (ROWS,))})
    observed(side, block, ids)
    side.value("rows", [[d.name, d.min, d.max] for d in block.domains.values()])
    side.close("one domain", block.feature_weights("user"))
    before = block.table.weight.detach().clone()
    block.update_feature(column("item", 20))
    side.value("grown", [list(block.table.weight.shape), block.num_embeddings])
    side.close("kept", block.table.weight[:15] - before[:15])
    side.error("shrunk", lambda: block.update_feature(column("item", 5)))


def parts(side: Side) -> None:
    """Selected and extracted parts of an input block."""
    block = mm.TabularInputBlock(schema(), init="defaults")
    block(rows(side).features)
    # The original cannot call a part of some of the branches.
    side.value("selected", weights(block.select(Tags.USER_ID)))
    left, _ = block.extract(Tags.USER_ID)
    side.value("left", weights(left))
    side.value("inputs", described(mm.input_schema(block)))
    side.value("no tag", bool(block.select(Tags.TEXT)))


def traced(side: Side) -> None:
    """Schemas of what modules took and gave."""
    batch = rows(side)
    kinds: dict[str, tuple[nn.Module, Any]] = {
        "relu": (nn.ReLU(), matrix(side)),
        "flat": (nn.ReLU(), torch.ones(3)),
        "keys": (mm.SelectKeys(schema().select_by_tag(Tags.CATEGORICAL)), batch.features),
        "features": (mm.SelectFeatures(schema().select_by_tag(Tags.USER_ID)), {"z": torch.ones(2)}),
    }
    for name, (module, inputs) in kinds.items():
        if name == "features":
            mm.schema.trace(module, inputs, batch=batch)
            side.value("read", described(mm.feature_schema(module)))
        else:
            mm.schema.trace(module, inputs)
        side.value(name, [described(mm.input_schema(module)), described(mm.output_schema(module))])
    side.value("branches", described(mm.output_schema(mm.ParallelBlock({"a": nn.Linear(4, 2)}))))
    side.error("not traced", lambda: mm.input_schema(nn.Tanh()))


def negatives(side: Side) -> None:
    """The positive against the other rows' items, in training and not."""
    items = column("item", 15, Tags.ITEM_ID)
    output = ContrastiveOutput(items)
    ids = torch.tensor([1, 3, 1, 5, 2, 0, 7, 15])
    batch = Batch({"x": matrix(side)}, ids)
    output(matrix(side), batch=batch)
    share(side, output)
    side.value("weights", weights(output))
    side.close("scores", output(matrix(side), batch=batch))
    side.close("labels", output.target)
    side.close("all", output.eval()(matrix(side)))
    sampler = LogUniformSampler(4, 30)
    side.close("distribution", sampler.dist)
    side.close("at least once", sampler.unique_sampling_dist)


def next_items(side: Side) -> None:
    """The next item at each position."""
    lists = {"is_list": True, "is_ragged": True}
    columns = Schema(
        [column("a", 9, Tags.SEQUENCE, Tags.ID, **lists), column("b", 9, Tags.SEQUENCE, **lists)]
    )
    offsets = torch.tensor([0, 2, 5, 7])
    features = {f"{n}__values": torch.arange(1, 8) for n in "ab"} | {f"{n}__offsets": offsets for n in "ab"}
    made = TabularPredictNext(target=Tags.ID, schema=columns)(Batch(features))
    for part in ("features", "targets"):
        for name, tensor in getattr(made, part).items():
            side.close(f"{part}/{name}", tensor.float())
    for name in ("a", "b"):
        side.close(f"lengths/{name}", made.sequences.length(name).float())
        side.close(f"masks/{name}", made.sequences.mask(name).float())


def flat(side: Side) -> None:
    """A batch as one dict, and back."""
    batch = rows(side)
    side.value("names", sorted(batch.flatten_as_dict(Batch({"z": torch.ones(1)}))))
    back = Batch.from_partial_dict(
        {"features.n": torch.ones(2), "inputs.features.user": torch.ones(1)}, batch
    )
    side.value("back", [sorted(back.features), sorted(back.targets)])
    side.value("single", [ColumnSchema("a").name, list(Batch(torch.ones(2)).features)])


CASES: dict[str, Callable[[Side], None]] = {
    "names of classes": names_of_classes,
    "names of weights": names_of_weights,
    "containers": containers,
    "own modules": own_modules,
    "two domains": domains,
    "parts": parts,
    "traced": traced,
    "negatives": negatives,
    "next items": next_items,
    "flat batch": flat,
}
