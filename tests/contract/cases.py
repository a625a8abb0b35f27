"""How each public module is built and called: one entry a name, so that one contract holds for all."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

import merlin_models_torch as mm
from tests.unit.schemas import categorical, continuous, session_schema
from tests.unit.sessions import session_batch, session_model


@dataclass(frozen=True)
class Case:
    """One public module.

    Args:
        build: makes it.
        inputs: positional arguments of its forward.
        prepare: what has to be done before it is called, after it is built.
        loss: a number that depends on all parameters; the sum of what comes out if not given.
        learns: whether it has parameters that get gradients.
        config: whether a config can build it again; says why not otherwise.
        unused: beginnings of names of parameters that these inputs give no gradient.
    """

    build: Callable[[], nn.Module]
    inputs: Callable[[], tuple[Any, ...]]
    prepare: Callable[[Any], Any] = lambda module: None
    loss: Callable[..., Tensor] | None = None
    learns: bool = True
    config: str = ""
    unused: tuple[str, ...] = ()

    def made(self, *, module: nn.Module | None = None) -> nn.Module:
        """The module with all of its sizes."""
        torch.manual_seed(0)
        module = self.build() if module is None else module
        self.prepare(module)
        module.eval()
        with torch.no_grad():
            module(*self.inputs())
        return module


def tensors(output: Any) -> Iterator[Tensor]:
    """All tensors in what a module gives."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, mm.Ragged):
        yield output.values
    elif isinstance(output, mm.Batch):
        yield from tensors(dict(output.features))
    elif is_dataclass(output):
        yield from tensors([getattr(output, field.name) for field in fields(output)])
    elif isinstance(output, Mapping):
        for name in sorted(output):
            yield from tensors(output[name])
    elif isinstance(output, (tuple, list)):
        for one in output:
            yield from tensors(one)


def table_schema() -> mm.Schema:
    """A user, an item and an age for each row."""
    return mm.Schema(
        [
            categorical("user_id", 9, mm.Tags.USER_ID, lists=False),
            categorical("item_id", 20, mm.Tags.ITEM_ID, lists=False),
            continuous("age", mm.Tags.USER, lists=False),
        ]
    )


def table_batch() -> mm.Batch:
    """Three rows of :func:`table_schema` with a label."""
    return mm.Batch(
        {
            "user_id": torch.tensor([1, 5, 9]),
            "item_id": torch.tensor([2, 20, 7]),
            "age": torch.tensor([0.1, 0.2, 0.3]),
        },
        {"click": torch.tensor([0.0, 1.0, 1.0]), "stars": torch.tensor([2, 0, 1])},
    )


def ranking_model() -> mm.Model:
    """Clicks of a table's rows."""
    inputs = mm.TabularInputBlock(table_schema(), embedding_dim=4)
    return mm.Model(inputs, mm.MLPBlock([8]), mm.BinaryOutput("click"))


def training_loss(model: Any, batch: mm.Batch) -> Tensor:
    """The loss of a training step, without a Trainer to log to."""
    with mock.patch.object(model, "log"), mock.patch.object(model, "log_dict"):
        loss: Tensor = model.training_step(batch, 0)
    return loss


def _sequence() -> tuple[Any, ...]:
    return (torch.linspace(-1, 1, 80).view(2, 5, 8) ** 3,)


def _rows() -> tuple[Any, ...]:
    return (torch.linspace(-1, 1, 24).view(3, 8) ** 3,)


def _named(*names: str, width: int = 8) -> Callable[[], tuple[Any, ...]]:
    def inputs() -> tuple[Any, ...]:
        columns = {name: torch.linspace(-1, 1 + i, 3 * width).view(3, width) for i, name in enumerate(names)}
        return (columns,)

    return inputs


def _ids() -> Tensor:
    return torch.tensor([[1, 2, 3], [4, 5, 0]])


def _columns() -> tuple[Any, ...]:
    return ({"item_id": _ids(), "category": _ids() % 4},)


def _id_schema() -> mm.Schema:
    return mm.Schema([categorical("item_id", 9, mm.Tags.ITEM_ID), categorical("category", 4, mm.Tags.ITEM)])


def _prepared(block: nn.Module | None = None) -> mm.Batch:
    inputs = block or mm.TabularInputBlock(session_schema(), masking=mm.RandomMasking(probability=0.5))
    batch: mm.Batch = inputs.for_evaluation(session_batch(4))  # type: ignore[operator]
    return batch


def _plan() -> mm.MaskPlan:
    ids = _ids()
    return mm.RandomMasking().evaluate(ids, (ids > 0).sum(1))


def _router() -> nn.Module:
    schema = table_schema()
    return mm.RouterBlock(schema).add_route(mm.Tags.CONTINUOUS, mm.ContinuousProjection(4))


def _hugging_face() -> nn.Module:
    pytest.importorskip("transformers")
    sizes = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 16, "vocab_size": 2}
    return mm.HuggingFaceBlock({"model_type": "gpt2", "bos_token_id": 0, "eos_token_id": 0, **sizes})


def _pretrained() -> nn.Module:
    block = mm.PretrainedEmbeddings(shape=(10, 3), dim=4)
    with torch.no_grad():
        for tensor in (*block.parameters(), *block.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.linspace(-1, 1, tensor.numel()).view(tensor.shape))
    return block


def _towers() -> nn.Module:
    return mm.ParallelBlock({"a": nn.Linear(8, 4), "b": nn.Linear(8, 4)})


def _replaced_item_model() -> nn.Module:
    masking = mm.ReplacedMasking(probability=0.5)
    inputs = mm.TabularInputBlock(session_schema(), embedding_dim=8, projection=8, masking=masking)
    body = mm.TransformerBlock(8, heads=2, layers=1, max_length=20, positions="learned")
    return mm.ReplacedItemModel(inputs, body, mm.CategoricalOutput(top_ks=(5,)))


def _built(width: int = 8) -> Callable[[Any], Any]:
    return lambda output: output.build(None, width)


def _scores() -> tuple[Any, ...]:
    return (*_rows(), table_batch())


def _items(output: Any) -> None:
    output.build(mm.TabularInputBlock(session_schema(), masking=mm.CausalMasking()), 8)


def _hidden() -> tuple[Any, ...]:
    batch = _prepared(mm.TabularInputBlock(session_schema(), masking=mm.CausalMasking()))
    assert batch.plan is not None
    rows, steps = batch.plan.replaced.shape
    return torch.linspace(-1, 1, rows * steps * 8).view(rows, steps, 8) ** 3, batch


def _sampler(build: Callable[[], nn.Module]) -> Case:
    return Case(
        build, lambda: (torch.tensor([2, 5, 2]),), prepare=lambda one: one.build(21, width=8), learns=False
    )


TASKS = ["click", "buy"]
_METRICS = "an output makes its metrics"

CASES: dict[str, Case] = {
    "AttentionPooling": Case(
        lambda: mm.AttentionPooling(8), lambda: (*_sequence(), torch.arange(5) < torch.tensor([[5], [3]]))
    ),
    "BatchBlock": Case(lambda: mm.BatchBlock(mm.FeatureLayerNorm({"a": 8})), _named("a")),
    "BinaryOutput": Case(lambda: mm.BinaryOutput("click"), _scores, prepare=_built()),
    "Block": Case(lambda: mm.Block(nn.Linear(8, 3), nn.Tanh()), _sequence),
    "BroadcastToSequence": Case(
        lambda: mm.BroadcastToSequence(),
        lambda: ({"user": torch.ones(2, 8), "items": _sequence()[0]},),
        learns=False,
    ),
    "CGCBlock": Case(
        lambda: mm.CGCBlock(nn.LazyLinear(4), num_shared_experts=1, num_task_experts=2, outputs=TASKS), _rows
    ),
    "CategoricalOutput": Case(lambda: mm.CategoricalOutput(bias=True, top_ks=(5,)), _hidden, prepare=_items),
    "ClassificationOutput": Case(
        lambda: mm.ClassificationOutput("stars", classes=3), _scores, prepare=_built()
    ),
    "CachedNegatives": _sampler(lambda: mm.CachedNegatives(4)),
    "ContrastiveOutput": Case(lambda: mm.ContrastiveOutput(bias=True, top_ks=(5,)), _hidden, prepare=_items),
    "Coverage": Case(
        lambda: mm.Coverage(10), lambda: (torch.tensor([[1, 2], [2, 3]]),), learns=False, config=_METRICS
    ),
    "Concat": Case(lambda: mm.Concat(), _named("a", "b"), learns=False),
    "ContinuousProjection": Case(
        lambda: mm.ContinuousProjection([4], columns=2),
        lambda: ({"a": torch.tensor([0.5, 1.0]), "b": torch.tensor([2.0, -1.0])},),
    ),
    "ConsistentBlock": Case(lambda: mm.ConsistentBlock(mm.LSTMBlock(8), dim=8), _sequence),
    "CrossAttentionBlock": Case(
        lambda: mm.CrossAttentionBlock(nn.Linear(8, 8), dim=8, heads=2, key="context", seq_key="items"),
        lambda: ({"context": _sequence()[0] ** 2, "items": _sequence()[0]},),
    ),
    "CrossBlock": Case(lambda: mm.CrossBlock(2, low_rank=3), _rows),
    "DLRMBlock": Case(
        lambda: mm.DLRMBlock(bottom=nn.Linear(8, 8), top=mm.MLPBlock([4])),
        _named("continuous", "user", "item"),
    ),
    "DistinctNegatives": _sampler(lambda: mm.DistinctNegatives(3)),
    "DotInteraction": Case(lambda: mm.DotInteraction(), _sequence, learns=False),
    "DotProduct": Case(lambda: mm.DotProduct(query="a", candidate="b"), _named("a", "b"), learns=False),
    "ElementwiseSum": Case(lambda: mm.ElementwiseSum(), _named("a", "b"), learns=False),
    "ElementwiseSumItemMulti": Case(lambda: mm.ElementwiseSumItemMulti("a"), _named("a", "b"), learns=False),
    "EmbeddingTable": Case(lambda: mm.EmbeddingTable(_id_schema(), 4, combiner="mean"), _columns),
    "EmbeddingTables": Case(lambda: mm.EmbeddingTables(_id_schema(), embedding_dim=4), _columns),
    "ExpertGate": Case(
        lambda: mm.ExpertGate(2), lambda: (*_rows(), torch.linspace(-1, 1, 24).view(3, 2, 4)), unused=()
    ),
    "FMBlock": Case(lambda: mm.FMBlock(factors=nn.LazyLinear(3), wide=nn.Flatten()), _sequence),
    "FMInteraction": Case(lambda: mm.FMInteraction(), _sequence, learns=False),
    "FeatureDropout": Case(lambda: mm.FeatureDropout(0.5), _named("a", "b"), learns=False),
    "FeatureLayerNorm": Case(lambda: mm.FeatureLayerNorm({"a": 8, "b": 8}), _named("a", "b")),
    "GRUBlock": Case(lambda: mm.GRUBlock(4), _sequence),
    "HashedCross": Case(lambda: mm.HashedCross(["item_id", "category"], bins=50), _columns, learns=False),
    "HuggingFaceBlock": Case(_hugging_face, _sequence),
    "InBatchNegatives": _sampler(lambda: mm.InBatchNegatives()),
    "MixedNegatives": _sampler(lambda: mm.MixedNegatives(mm.InBatchNegatives(), mm.UniformNegatives(3))),
    "PopularityNegatives": _sampler(lambda: mm.PopularityNegatives(3)),
    "RetrievalMetrics": Case(
        lambda: mm.RetrievalMetrics(top_ks=(1,)),
        lambda: (torch.eye(3), torch.eye(3), torch.tensor([1, 2, 3])),
        learns=False,
        config=_METRICS,
    ),
    "TwoTowerOutput": Case(
        lambda: mm.TwoTowerOutput("item_id", size=21, top_ks=(2,)),
        lambda: ({"query": _rows()[0], "candidate": _rows()[0] + 1}, table_batch()),
        prepare=lambda output: output.build(None, {"query": 8, "candidate": 8}),
        learns=False,
    ),
    "UniformNegatives": _sampler(lambda: mm.UniformNegatives(3)),
    "L2Norm": Case(lambda: mm.L2Norm(), _sequence, learns=False),
    "LSTMBlock": Case(lambda: mm.LSTMBlock(4), _sequence),
    "LateFusion": Case(
        lambda: mm.LateFusion(
            mm.TabularInputBlock(table_schema(), embedding_dim=4), projection=nn.LazyLinear(3)
        ),
        lambda: (torch.linspace(-1, 1, 120).view(3, 5, 8), table_batch()),
    ),
    "ListCombiner": Case(
        lambda: mm.ListCombiner("attention", dim=8),
        lambda: (*_sequence(), torch.arange(5) < torch.tensor([[5], [3]])),
    ),
    "MLPBlock": Case(lambda: mm.MLPBlock([6, 3], normalization="layer", last_activation="none"), _sequence),
    "MMOEBlock": Case(
        lambda: mm.MMOEBlock(mm.MLPBlock([4], activation="tanh"), num_experts=2, outputs=TASKS), _rows
    ),
    "MaskVector": Case(lambda: mm.MaskVector(), lambda: (torch.linspace(-1, 1, 48).view(2, 3, 8), _plan())),
    "MeanPooling": Case(lambda: mm.MeanPooling(), _sequence, learns=False),
    # Causal masking hides no position in training.
    "Model": Case(
        session_model,
        lambda: (session_batch(6),),
        loss=training_loss,
        unused=("body.layers.0.mask_vector",),
    ),
    "ModelPart": Case(
        lambda: mm.ModelPart(
            mm.Block(mm.TabularInputBlock(session_schema(), embedding_dim=4), nn.LazyLinear(3))
        ),
        lambda: (session_batch(6),),
    ),
    "MultiHot": Case(lambda: mm.MultiHot(9), lambda: (_ids(),), learns=False),
    "OneHot": Case(lambda: mm.OneHot(9), lambda: (_ids(),), learns=False),
    "PLEBlock": Case(
        lambda: mm.PLEBlock(
            nn.LazyLinear(4), num_shared_experts=1, num_task_experts=1, depth=2, outputs=TASKS
        ),
        _rows,
    ),
    "PadSequences": Case(lambda: mm.PadSequences(length=4), lambda: (session_batch(4),), learns=False),
    "ParallelBlock": Case(_towers, _sequence),
    "PretrainedEmbeddings": Case(_pretrained, lambda: (_ids(),)),
    "RankingMetrics": Case(
        lambda: mm.RankingMetrics(top_ks=(2,)),
        lambda: (torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([2, 9])),
        learns=False,
        config=_METRICS,
    ),
    "RegressionOutput": Case(lambda: mm.RegressionOutput("stars"), _scores, prepare=_built()),
    "ReplacedItemModel": Case(_replaced_item_model, lambda: (session_batch(6),), loss=training_loss),
    "ResidualBlock": Case(lambda: mm.ResidualBlock(nn.Linear(8, 8), nn.Tanh()), _sequence),
    "RouterBlock": Case(_router, lambda: (table_batch(),)),
    "SelectFeatures": Case(
        lambda: mm.SelectFeatures(table_schema().select("age")), lambda: (table_batch(),), learns=False
    ),
    "SelectKeys": Case(
        lambda: mm.SelectKeys(table_schema().select("age")), lambda: (table_batch(),), learns=False
    ),
    "ShortcutBlock": Case(lambda: mm.ShortcutBlock(nn.Linear(8, 3)), _sequence),
    "SoftEmbedding": Case(lambda: mm.SoftEmbedding(4, vectors=3), lambda: (torch.tensor([0.5, 2.0]),)),
    "Stack": Case(lambda: mm.Stack(), _named("a", "b"), learns=False),
    "StochasticSwapNoise": Case(lambda: mm.StochasticSwapNoise(0.5), lambda: (_ids(),), learns=False),
    "TabularInputBlock": Case(
        lambda: mm.TabularInputBlock(
            session_schema(),
            embedding_dim=4,
            continuous_projection=3,
            projection=5,
            masking=mm.RandomMasking(probability=0.5),
        ),
        lambda: (_prepared(),),
    ),
    "WeightedMean": Case(
        lambda: mm.WeightedMean("weights"),
        lambda: (
            *_sequence(),
            torch.arange(5) < torch.tensor([[5], [3]]),
            torch.arange(10.0).view(2, 5),
        ),
        learns=False,
    ),
    "TabularOutputBlock": Case(
        lambda: mm.TabularOutputBlock([mm.BinaryOutput("click"), mm.RegressionOutput("stars")]),
        _scores,
        prepare=_built(),
    ),
    "TransformerBlock": Case(
        lambda: mm.TransformerBlock(8, heads=2, layers=1, max_length=5, positions="learned"), _sequence
    ),
    "TransformerXLBlock": Case(lambda: mm.TransformerXLBlock(8, heads=2, layers=1), _sequence),
    "XLNetBlock": Case(lambda: mm.XLNetBlock(8, heads=2, layers=1), _sequence),
}
"""Every public class of modules by name."""


def click_schema() -> mm.Schema:
    """:func:`table_schema` with the label of :func:`table_batch`."""
    label = mm.ColumnSchema("click", tags=[mm.Tags.TARGET, mm.Tags.BINARY_CLASSIFICATION], dtype="int64")
    return table_schema() + mm.Schema([label])


def _of_sessions(build: Callable[[], nn.Module], **options: Any) -> Case:
    # Causal masking hides no position in training.
    unused = ("body.layers.0.mask_vector",)
    return Case(build, lambda: (session_batch(6),), **{"loss": training_loss, "unused": unused, **options})


def _of_rows(build: Callable[[], nn.Module]) -> Case:
    return Case(build, lambda: (table_batch(),), loss=training_loss)


MODELS: dict[str, Case] = {
    "session": _of_sessions(session_model),
    "session, random masking, XLNet": _of_sessions(
        lambda: session_model(mm.RandomMasking(probability=0.4), body="xlnet"), unused=()
    ),
    "session, cosines": _of_sessions(lambda: session_model(normalized=True, temperature=0.07)),
    "ranking": _of_rows(ranking_model),
    "DCNModel": _of_rows(lambda: mm.DCNModel(click_schema(), embedding_dim=4)),
    "DLRMModel": _of_rows(lambda: mm.DLRMModel(click_schema(), embedding_dim=4)),
    "DeepFMModel": _of_rows(lambda: mm.DeepFMModel(click_schema(), embedding_dim=4)),
    "MatrixFactorizationModel": _of_rows(lambda: mm.MatrixFactorizationModel(table_schema(), dim=4)),
    "MultiTaskModel": _of_rows(lambda: mm.MultiTaskModel(click_schema(), embedding_dim=4)),
    "SessionModel": _of_sessions(lambda: mm.SessionModel(session_schema(), dim=8)),
    "TwoTowerModel": _of_rows(lambda: mm.TwoTowerModel(table_schema(), embedding_dim=4, units=[6, 4])),
    "WideAndDeepModel": _of_rows(lambda: mm.WideAndDeepModel(click_schema(), embedding_dim=4)),
    "YoutubeDNNRetrievalModel": _of_sessions(
        lambda: mm.YoutubeDNNRetrievalModel(session_schema(), embedding_dim=8)
    ),
}
"""Whole models: every public builder by its name, and some made of blocks."""
