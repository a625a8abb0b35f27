"""Input blocks: every kind of column, every way to combine, project and transform them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from merlin.schema import ColumnSchema, Schema, Tags
from merlin_standard_lib import ColumnSchema as LegacyColumn
from merlin_standard_lib import Schema as LegacySchema
from torch import Tensor
from transformers4rec import torch as tr
from transformers4rec.torch.experimental import PostContextFusion
from transformers4rec.torch.features.embedding import EmbeddingBagWrapper

from tests.equivalence.cases._common import LENGTH, ragged, read_schema, refuses, sessions, small_inputs
from tests.equivalence.side import Side


def observed(side: Side, block: torch.nn.Module, inputs: Any, **call: Any) -> None:
    """Weights, output or outputs by name, their sizes as the block tells them, gradients."""
    side.weights(block)
    output = block(inputs, **call)
    outputs = output if isinstance(output, dict) else {"all": output}
    for name, tensor in outputs.items():
        side.close(f"output/{name}", tensor)
    told = block.output_size() if hasattr(block, "output_size") else None
    sizes = told if isinstance(told, dict) else {"all": told}
    side.value("told", {name: list(size or ()) for name, size in sizes.items()})
    sum(tensor.float().square().sum() for tensor in outputs.values()).backward()
    side.gradients(block)


def item_schema() -> Any:
    """The item's column alone, as aggregations of 23.12.0 need it: they know merlin_standard_lib only."""
    return LegacySchema([LegacyColumn.create_categorical("item_id", 200, tags=[Tags.ITEM_ID])])


def sequence(side: Side, **options: Any) -> None:
    """``TabularSequenceFeatures.from_schema`` over all columns."""
    chosen = {"max_sequence_length": LENGTH, "embedding_dim_default": 8, **options}
    built = {name: make() if isinstance(make, partial) else make for name, make in chosen.items()}
    block = tr.TabularSequenceFeatures.from_schema(read_schema(side), **built)
    observed(side, block, sessions(side))


def initialised(side: Side) -> None:
    """Initialisers by column, widths by column, one table that is given and frozen."""
    given = torch.linspace(-1, 1, 11 * 6).reshape(11, 6)
    block = tr.TabularSequenceFeatures.from_schema(
        read_schema(side),
        max_sequence_length=LENGTH,
        embedding_dims={"category": 6},
        embedding_dim_default=4,
        embeddings_initializers={
            "item_id": partial(torch.nn.init.constant_, val=0.25),
            "category": tr.PretrainedEmbeddingsInitializer(given, trainable=False),
        },
    )
    tables = block.categorical_module.embedding_tables
    side.same("drawn/item_id", tables["item_id"].weight)
    side.same("drawn/category", tables["category"].weight)
    side.value("trainable", {name: p.requires_grad for name, p in block.named_parameters()})
    observed(side, block, sessions(side))


def drawn(side: Side) -> None:
    """Tables are drawn from the normal distribution of 23.12.0."""
    weights = []
    for number in range(30):
        side.seed(number)
        block = tr.SequenceEmbeddingFeatures.from_schema(read_schema(side), embedding_dim_default=4)
        weights.append(block.item_embedding_table.weight.detach()[:20].clone())
    side.draws("weights", torch.stack(weights))


def masked(side: Side, name: str, mode: str) -> None:
    """A masking by name: what comes out and what is to be found."""
    inputs = small_inputs(side, masking=name, width=8)
    side.weights(inputs)
    batch = sessions(side)
    side.seed(3)
    output = inputs(batch, training=mode == "training", testing=mode == "testing")
    side.close("output", output)
    if mode != "inference":
        side.same("targets", inputs.masking.masked_targets)
        side.same("schema", inputs.masking.mask_schema)
    output.square().sum().backward()
    side.gradients(inputs)


def rows(side: Side, **options: Any) -> None:
    """``TabularFeatures.from_schema``: one vector a row, lists combined to their mean."""
    schema = read_schema(side).select_by_name(["item_id", "category"])
    block = tr.TabularFeatures.from_schema(
        schema, max_sequence_length=LENGTH, embedding_dim_default=8, **options
    )
    observed(side, block, sessions(side))


def combined(side: Side, combiner: str) -> None:
    """``EmbeddingFeatures`` with a combiner, over lists and single ids."""
    schema = read_schema(side)
    block = tr.EmbeddingFeatures.from_schema(
        schema.select_by_tag(Tags.CATEGORICAL), embedding_dim_default=6, combiner=combiner
    )
    batch = sessions(side)
    observed(side, block, {"item_id": batch["item_id"], "category": batch["category"][:, 0]})


def configured(side: Side, kind: str) -> None:
    """Blocks made of tables by hand."""
    block_class = getattr(tr, kind)
    table = tr.TableConfig(vocabulary_size=201, dim=6, combiner="sum", name="item_id")
    config = {"item_id": tr.FeatureConfig(table, max_sequence_length=LENGTH, name="item_id")}
    side.value("config", repr(config["item_id"]))
    block = block_class(config, item_id="item_id")
    side.weights(block)
    output = block(sessions(side))
    side.close("output", output["item_id"])
    side.same("item_seq", block.item_seq)
    output["item_id"].square().sum().backward()
    side.gradients(block)


def bag(side: Side) -> None:
    """The embedding bag takes single ids too."""
    block = EmbeddingBagWrapper(9, 4, mode="mean")
    side.weights(block)
    ids = side.given("ids", {"one": torch.tensor([1, 5]), "several": torch.tensor([[1, 5], [2, 2]])})
    for name, x in ids.items():
        side.close(name, block(x))
    refuses(side, "pair", TypeError, lambda: block(ids["one"], torch.tensor([0, 1])))


def soft(side: Side, **options: Any) -> None:
    """Soft embeddings of the continuous columns, normalised or not."""
    schema = read_schema(side).select_by_tag(Tags.CONTINUOUS)
    block = tr.SoftEmbeddingFeatures.from_schema(schema, max_sequence_length=LENGTH, **options)
    observed(side, block, sessions(side))


def continuous(side: Side, **options: Any) -> None:
    """Continuous columns alone."""
    block = tr.ContinuousFeatures.from_features(["age_days", "price"], **options)
    batch = sessions(side)
    output = block(batch)
    for name, tensor in (output if isinstance(output, dict) else {"all": output}).items():
        side.close(name, tensor)
    sizes = {name: x.shape for name, x in batch.items()}
    side.value("sizes", {name: list(size) for name, size in block.forward_output_size(sizes).items()})


def _with_vectors(side: Side, *, width: int = 5, positions: bool = True) -> tuple[Schema, dict[str, Tensor]]:
    dims = (None, (0, LENGTH), width) if positions else (None, width)
    counts = {"value_count": {"min": 0, "max": LENGTH}} if positions else {}
    column = ColumnSchema("vector", tags=[Tags.EMBEDDING], dtype="float32", dims=dims, properties=counts)
    batch = sessions(side)
    side.seed(2)
    size = (6, LENGTH, width) if positions else (6, width)
    return Schema([*read_schema(side), column]), {
        **batch,
        **side.given("vectors", {"vector": torch.randn(size)}),
    }


def with_vectors(side: Side, positions: bool = True, **options: Any) -> None:
    """Vectors that come with the data, beside all other columns."""
    schema, batch = _with_vectors(side, positions=positions)
    block = tr.TabularSequenceFeatures.from_schema(
        schema, max_sequence_length=LENGTH, embedding_dim_default=8, aggregation="concat", **options
    )
    observed(side, block, batch)


def vectors_alone(side: Side, **options: Any) -> None:
    """``PretrainedEmbeddingFeatures`` with projection, combiner and normaliser."""
    schema, batch = _with_vectors(side)
    block = tr.PretrainedEmbeddingFeatures.from_schema(schema, tags=Tags.EMBEDDING, **options)
    block.build({name: x.shape for name, x in batch.items()})
    side.weights(block)
    output = block(batch)
    side.close("output", output["vector"])
    output["vector"].square().sum().backward()
    side.gradients(block)


def context(side: Side, aggregation: str) -> None:
    """Columns without positions are repeated at each position."""
    table = tr.TableConfig(vocabulary_size=7, dim=8, name="country")
    items = tr.TableConfig(vocabulary_size=201, dim=8, name="item_id")
    block = tr.SequenceEmbeddingFeatures(
        {"country": tr.FeatureConfig(table), "item_id": tr.FeatureConfig(items)},
        item_id="item_id",
        aggregation=aggregation,
        schema=item_schema(),
    )
    batch = sessions(side)
    country = side.given("country", {"country": torch.arange(6)})
    side.weights(block)
    output = block({"item_id": batch["item_id"], **country})
    side.close("output", output)
    output.square().sum().backward()
    side.gradients(block)


def aggregated(side: Side, make: Callable[[], Any]) -> None:
    """An aggregation by itself: its tensor and the size it tells."""
    side.seed(4)
    columns = {"item_id": torch.randn(3, 4, 6), "b": torch.randn(3, 4, 6), "a": torch.randn(3, 4, 6)}
    given = side.given("columns", columns)
    aggregation = make()
    side.close("output", aggregation(dict(given)))
    sizes = {name: x.shape for name, x in given.items()}
    side.value("size", list(aggregation.forward_output_size(sizes)))


def transformed(side: Side, name: str, training: bool) -> None:
    """A transformation by its name, before or after the block."""
    block = tr.SequenceEmbeddingFeatures.from_schema(read_schema(side), embedding_dim_default=4, post=name)
    block.train(training)
    side.weights(block)
    side.seed(5)
    for column, tensor in block(sessions(side)).items():
        side.close(column, tensor)


def swapped(side: Side, with_schema: bool) -> None:
    """Swap noise draws the same values under the same seed, and never touches padding."""
    noise = tr.StochasticSwapNoise(
        schema=item_schema() if with_schema else None, pad_token=0, replacement_prob=0.5
    )
    batch = dict(sorted(sessions(side).items()))  # values are drawn column after column
    if not with_schema:
        batch = {name: x.flatten() for name, x in batch.items()}
    side.seed(6)
    for name, column in noise(batch).items():
        side.same(name, column)
    noise.eval()
    for name, column in noise(batch).items():
        side.same(f"evaluation/{name}", column)


def composed(side: Side) -> None:
    """Merges, filters, ``>>``, ``AsTabular`` and calls with arguments of their own."""
    schema = read_schema(side)
    categorical = tr.SequenceEmbeddingFeatures.from_schema(
        schema, tags=Tags.CATEGORICAL, embedding_dim_default=4, max_sequence_length=LENGTH
    )
    numbers = tr.ContinuousFeatures.from_features(["age_days", "price"])
    merged = categorical + numbers
    named = tr.MergeTabular({"ids": categorical}, {"numbers": numbers}, aggregation="concat")
    batch = sessions(side)
    side.weights(named)
    for name, tensor in merged(batch).items():
        side.close(f"merged/{name}", tensor)
    side.close("named", named(batch))
    side.close("asked", merged(batch, aggregation="concat"))
    side.close("merge-with", numbers(batch, merge_with=categorical(batch), aggregation="concat"))
    kept = tr.FilterFeatures(["price", "item_id"])
    side.value("kept", sorted(kept(batch)))
    mine = dict(batch)
    tr.FilterFeatures(["price"], pop=True)(mine)
    side.value("left", sorted(mine))
    side.close("as-tabular", tr.AsTabular("x")(batch["price"])["x"])


def chained(side: Side) -> None:
    """``inputs >> block`` builds as ``SequentialBlock`` does."""
    inputs = small_inputs(side, d_output=None)
    chain = inputs >> tr.MLPBlock([8]) >> tr.MLPBlock([4])
    side.weights(chain)
    output = chain(sessions(side))
    side.close("output", output)
    output.square().sum().backward()
    side.gradients(chain)


def made_by_hand(side: Side) -> None:
    """Modules, projection and masking given to the constructor."""
    schema = read_schema(side)
    categorical = tr.SequenceEmbeddingFeatures.from_schema(
        schema, tags=Tags.CATEGORICAL, embedding_dim_default=4, max_sequence_length=LENGTH
    )
    numbers = tr.ContinuousFeatures.from_schema(schema, tags=Tags.CONTINUOUS)
    block = tr.TabularSequenceFeatures(
        continuous_module=numbers, categorical_module=categorical, aggregation="concat", schema=schema
    )
    batch = sessions(side)
    block.build({name: x.shape for name, x in batch.items()})
    observed(side, block, batch)
    side.value("item_id", block.item_id)


def fused(side: Side, aggregation: str) -> None:
    """Context beside the body."""
    schema = read_schema(side)
    inputs = small_inputs(side, width=8)
    body = tr.SequentialBlock(inputs, tr.MLPBlock([8]))
    context_inputs = tr.TabularSequenceFeatures.from_schema(
        schema.select_by_name(["category"]),
        max_sequence_length=LENGTH,
        embedding_dim_default=4,
        aggregation="concat",
    )
    block = PostContextFusion(body, context_inputs, fusion_aggregation=aggregation)
    observed(side, block, sessions(side))


def unpadded(side: Side) -> None:
    """A model takes ``__values`` and ``__offsets`` as it takes padded columns."""
    inputs = small_inputs(side, masking="clm", width=8)
    config = tr.XLNetConfig.build(d_model=8, n_head=2, n_layer=1, total_seq_length=LENGTH, dropout=0.0)
    model = config.to_torch_model(inputs, tr.NextItemPredictionTask(weight_tying=True))
    side.weights(model)
    batch = sessions(side)
    model.eval()
    side.close("padded", model(dict(batch)))
    side.close("ragged", model(ragged(batch)))
    evaluated = model(ragged(batch), testing=True)
    side.close("loss", evaluated["loss"])
    side.same("labels", evaluated["labels"])


def errors(side: Side) -> None:
    """What cannot be is refused by the classes of 23.12.0."""
    schema = read_schema(side)
    make = partial(tr.TabularSequenceFeatures.from_schema, schema, max_sequence_length=LENGTH)
    refuses(side, "masking", KeyError, lambda: make(masking="unknown"))
    refuses(side, "aggregation", KeyError, lambda: make(aggregation="unknown"))
    refuses(side, "post", KeyError, lambda: tr.ContinuousFeatures(["price"], post="unknown"))
    refuses(side, "both", ValueError, lambda: make(d_output=4, projection=tr.MLPBlock([4])))
    refuses(side, "unbuilt", ValueError, lambda: make(continuous_projection=4, automatic_build=False))
    no_item = schema.select_by_name(["category", "price"])
    from_schema = tr.TabularSequenceFeatures.from_schema
    refuses(side, "item", ValueError, lambda: from_schema(no_item, masking="clm", max_sequence_length=LENGTH))
    refuses(side, "empty", AssertionError, lambda: tr.TabularFeatures())
    refuses(side, "no-item-table", AssertionError, lambda: _no_item(no_item).item_embedding_table)
    refuses(side, "rows", ValueError, lambda: tr.TableConfig(0, 4))
    refuses(side, "width", ValueError, lambda: tr.TableConfig(4, -1))
    refuses(side, "combiner", ValueError, lambda: tr.TableConfig(4, 4, combiner="max"))
    refuses(side, "initializer", ValueError, lambda: tr.TableConfig(4, 4, initializer="normal"))
    refuses(side, "soft", AssertionError, lambda: tr.SoftEmbedding(0, 4))
    refuses(side, "mixed", ValueError, lambda: tr.MergeTabular({"a": tr.AsTabular("a")}, tr.AsTabular("b")))
    different = {"a": torch.ones(2, 3, 4), "b": torch.ones(2, 3, 5)}
    refuses(side, "sum", ValueError, lambda: tr.ElementwiseSum()(dict(different)))
    refuses(side, "told", ValueError, lambda: tr.ElementwiseSum().forward_output_size(_sizes(different)))
    apart = {"a": torch.ones(2, 3, 4), "b": torch.ones(2, 5, 4)}
    refuses(side, "positions", ValueError, lambda: tr.ConcatFeatures()(dict(apart)))
    refuses(
        side, "concat", Exception, lambda: tr.ConcatFeatures()({"a": torch.ones(2), "b": torch.ones(3, 1)})
    )
    refuses(side, "schema", ValueError, lambda: tr.ElementwiseSumItemMulti()(dict(different)))
    refuses(side, "no-dict", AssertionError, lambda: tr.FilterFeatures(["a"])(torch.ones(2)))
    refuses(side, "several-items", ValueError, lambda: tr.EmbeddingFeatures.from_schema(_two_items(schema)))


def _sizes(columns: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: x.shape for name, x in columns.items()}


def _no_item(schema: Schema) -> Any:
    return tr.EmbeddingFeatures.from_schema(schema, max_sequence_length=LENGTH)


def _two_items(schema: Schema) -> Schema:
    return Schema([column.with_tags([Tags.ITEM_ID]) for column in schema.select_by_tag(Tags.CATEGORICAL)])


def nothing(side: Side) -> None:
    """No columns, no block."""
    schema = read_schema(side)
    side.value("categorical", tr.SequenceEmbeddingFeatures.from_schema(schema, tags=Tags.USER) is None)
    side.value("continuous", tr.ContinuousFeatures.from_schema(schema, tags=Tags.USER) is None)
    soft_block = tr.SoftEmbeddingFeatures.from_schema(schema.select_by_tag(Tags.CATEGORICAL))
    side.value("soft", soft_block is None)
    numbers = tr.TabularSequenceFeatures.from_schema(schema.select_by_tag(Tags.CONTINUOUS))
    side.value("item", [numbers.item_id, numbers.item_embedding_table is None])


CASES = {
    "columns": sequence,
    **{
        f"aggregation-{name}": partial(sequence, continuous_tags=None, aggregation=name)
        for name in ("concat", "stack", "element-wise-sum")
    },
    "concat": partial(sequence, aggregation="concat", continuous_projection=16),
    "projected": partial(sequence, aggregation="concat", continuous_projection=16, d_output=12),
    "projected-deep": partial(
        sequence, continuous_projection=[8, 4], projection=partial(tr.MLPBlock, [16, 8])
    ),
    "soft": partial(sequence, continuous_soft_embeddings=True, aggregation="concat"),
    "soft-sizes": partial(
        sequence,
        continuous_soft_embeddings=True,
        aggregation="concat",
        soft_embedding_cardinalities={"price": 5},
        soft_embedding_cardinality_default=3,
        soft_embedding_dims={"price": 4},
        soft_embedding_dim_default=6,
    ),
    "inferred-widths": partial(
        sequence,
        infer_embedding_sizes=True,
        infer_embedding_sizes_multiplier=3.0,
        embedding_dims={"category": 5},
    ),
    "categorical-only": partial(sequence, continuous_tags=None, aggregation="concat", d_output=8),
    "continuous-only": partial(sequence, categorical_tags=None, aggregation="concat", d_output=8),
    "post-layer-norm": partial(sequence, post="layer-norm", aggregation="concat"),
    "initialisers": initialised,
    "drawn": drawn,
    **{
        f"masking-{name}-{mode}": partial(masked, name=name, mode=mode)
        for name in ("clm", "mlm")
        for mode in ("training", "testing", "inference")
    },
    "rows": rows,
    "rows-concat": partial(rows, aggregation="concat"),
    **{f"combiner-{name}": partial(combined, combiner=name) for name in ("mean", "sum")},
    **{
        f"by-hand-{kind}": partial(configured, kind=kind)
        for kind in ("EmbeddingFeatures", "SequenceEmbeddingFeatures")
    },
    "embedding-bag": bag,
    "soft-alone": soft,
    "soft-plain": partial(soft, layer_norm=False),
    "continuous-alone": continuous,
    "continuous-concat": partial(continuous, aggregation="concat"),
    "vectors": with_vectors,
    "vectors-projected": partial(with_vectors, pretrained_output_dims=3, normalizer="layer-norm"),
    "vectors-by-column": partial(with_vectors, pretrained_output_dims={"vector": 4}),
    "vectors-of-rows": partial(with_vectors, positions=False, pretrained_output_dims=4),
    **{
        f"vectors-{name}": partial(vectors_alone, sequence_combiner=name, pretrained_output_dims=4)
        for name in ("mean", "sum")
    },
    **{
        f"context-{name}": partial(context, aggregation=name)
        for name in ("concat", "element-wise-sum", "element-wise-sum-item-multi")
    },
    "concat-alone": partial(aggregated, make=lambda: tr.ConcatFeatures()),
    "stack-alone": partial(aggregated, make=lambda: tr.StackFeatures()),
    "stack-axis": partial(aggregated, make=lambda: tr.StackFeatures(axis=1)),
    "sum-alone": partial(aggregated, make=lambda: tr.ElementwiseSum()),
    "item-multi-alone": partial(aggregated, make=lambda: tr.ElementwiseSumItemMulti(item_schema())),
    **{
        f"{name}-{'training' if training else 'evaluation'}": partial(
            transformed, name=name, training=training
        )
        for name in ("layer-norm", "dropout")
        for training in (True, False)
    },
    "swap-noise": partial(swapped, with_schema=True),
    "swap-noise-flat": partial(swapped, with_schema=False),
    "composed": composed,
    "chained": chained,
    "constructor": made_by_hand,
    **{
        f"fusion-{name}": partial(fused, aggregation=name)
        for name in ("concat", "elementwise-mul", "elementwise-sum")
    },
    "ragged": unpadded,
    "errors": errors,
    "nothing": nothing,
}
