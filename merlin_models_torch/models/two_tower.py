"""Retrieval with two towers, and matrix factorisation as its smallest case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from merlin_models_torch.blocks.base import Block, ParallelBlock
from merlin_models_torch.data import SessionFiles, Vocabulary
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.inputs.tables import EmbeddingDim
from merlin_models_torch.models.parts import Combiners, combiners_of, encoder, schema_of, vocabularies_of
from merlin_models_torch.outputs import TwoTowerOutput
from merlin_models_torch.schema import ColumnSchema, Schema, Selection, Tags
from merlin_models_torch.training.model import Model
from merlin_models_torch.training.optim import OptimizerChoice, OptimizerConfig


def TwoTowerModel(
    data: Schema | SessionFiles,
    *,
    query: Selection = Tags.USER,
    candidate: Selection = Tags.ITEM,
    embedding_dim: EmbeddingDim = 64,
    units: Sequence[int] = (128, 64),
    candidate_units: Sequence[int] | None = None,
    dropout: float = 0.0,
    combiner: Combiners = "mean",
    output: TwoTowerOutput | None = None,
    optimizer: OptimizerConfig | OptimizerChoice | None = None,
    vocabularies: Mapping[str, Vocabulary] | None = None,
    seed: int = 0,
) -> Model:
    """Two towers whose dot product says how well an item fits a query (Yi et al. 2019, section 3).

    Each row of the training data is a query and the item that was chosen; the other items of the batch are
    its negatives. ``predict(queries, k=10, candidates=items, seen=events)`` answers with the best items.

    Args:
        data: schema with the columns of queries and items, or what ``sessions_from_events`` returned.
        query: columns of the query tower.
        candidate: columns of the candidate tower.
        embedding_dim: of both towers' :class:`TabularInputBlock`.
        units: of the query tower; the last layer has no activation.
        candidate_units: of the candidate tower; the same if not given. Both end with the same width.
        dropout: after each hidden layer's activation.
        combiner: how lists become one vector: all of them, or by name, the others by their mean.
        output: :class:`TwoTowerOutput` of the column tagged as item id if not given.
        optimizer: of :class:`Model`.
        vocabularies: of :class:`Model`.
        seed: of :class:`Model`.

    Returns:
        A model whose body gives "query" and "candidate", (B, D) each; it answers with the score of each row's
        pair, or with the k best candidates.

    Raises:
        ValueError: if a selection means no column, there is no single item id, or the towers' widths differ.

    Example:
        >>> output = mm.TwoTowerOutput("item_id", size=11, normalized=True, temperature=0.1)
        >>> model = TwoTowerModel(click_schema, units=[16, 8], output=output)
        >>> items = {"item_id": [3, 4, 5], "price": [0.1, 0.2, 0.3]}
        >>> model.predict(clicks.slice(0, 4), k=2, candidates=items).num_rows
        4
    """
    schema = schema_of(data)
    towers: dict[str, nn.Module] = {}
    for name, selection, own in (
        ("query", query, units),
        ("candidate", candidate, units if candidate_units is None else candidate_units),
    ):
        columns = _columns(schema, selection, name)
        inputs = TabularInputBlock(
            columns, embedding_dim=embedding_dim, combiner=combiners_of(columns, combiner, known=schema)
        )
        towers[name] = Block(inputs, *encoder(own, dropout=dropout))
    return _model(
        data, towers, output or TwoTowerOutput(_id(schema, Tags.ITEM_ID)), optimizer, vocabularies, seed
    )


def MatrixFactorizationModel(
    data: Schema | SessionFiles,
    *,
    dim: int = 64,
    output: TwoTowerOutput | None = None,
    optimizer: OptimizerConfig | OptimizerChoice | None = None,
    vocabularies: Mapping[str, Vocabulary] | None = None,
    seed: int = 0,
) -> Model:
    """The score of user and item is the dot product of their vectors (Koren et al. 2009, equation 1).

    Learned with the items of the batch as negatives. ``predict(users, k=10, seen=events)`` answers with the
    best of the whole catalogue.

    Args:
        data: schema with a user id and an item id, or what ``sessions_from_events`` returned.
        dim: width of the vectors.
        output: :class:`TwoTowerOutput` of the item id if not given.
        optimizer: of :class:`Model`.
        vocabularies: of :class:`Model`.
        seed: of :class:`Model`.

    Returns:
        A model whose body gives "query" and "candidate", (B, dim) each, and which answers likewise.

    Raises:
        ValueError: if the schema does not have one column of user ids and one of item ids.

    Example:
        >>> model = MatrixFactorizationModel(click_schema, dim=8)
        >>> users = {"user_id": [1, 2]}
        >>> model.predict(users, k=2, candidates={"item_id": [3, 4, 5]}).num_rows
        2
    """
    schema = schema_of(data)
    ids = {"query": _id(schema, Tags.USER_ID), "candidate": _id(schema, Tags.ITEM_ID)}
    towers: dict[str, nn.Module] = {
        name: TabularInputBlock(Schema([column]), embedding_dim=dim) for name, column in ids.items()
    }
    return _model(data, towers, output or TwoTowerOutput(ids["candidate"]), optimizer, vocabularies, seed)


def _model(
    data: Schema | SessionFiles,
    towers: Mapping[str, nn.Module],
    output: TwoTowerOutput,
    optimizer: OptimizerConfig | OptimizerChoice | None,
    vocabularies: Mapping[str, Vocabulary] | None,
    seed: int,
) -> Model:
    # Built under the names that the output reads.
    names = {"query": output.query, "candidate": output.candidate}
    body = ParallelBlock({names[name]: tower for name, tower in towers.items()})
    return Model(
        body, output, optimizer=optimizer, vocabularies=vocabularies_of(data, vocabularies), seed=seed
    )


def _columns(schema: Schema, selection: Selection, tower: str) -> Schema:
    usable = schema.excluding_by_tag(Tags.TARGET)
    columns = usable.select(selection).select([Tags.CATEGORICAL, Tags.CONTINUOUS])
    if not len(columns):
        raise ValueError(
            f"the {tower} selection {selection!r} means no categorical or continuous column of "
            f"{usable.column_names}: tag its columns, or name them"
        )
    return columns


def _id(schema: Schema, tag: Tags) -> ColumnSchema:
    columns = [column for column in schema.select_by_tag(tag) if not column.is_list]
    if len(columns) != 1:
        raise ValueError(
            f"{[c.name for c in columns]} of {schema.column_names} are tagged Tags.{tag.name} and no lists, "
            "expected one column: tag it"
        )
    return columns[0]
