"""What an exported program takes and gives, in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from torch import Tensor

from merlin_models_torch.data import Vocabulary
from merlin_models_torch.exporting.graph import ITEMS, Graph, ItemGraph
from merlin_models_torch.exporting.inputs import LENGTH, Input, length_name
from merlin_models_torch.exporting.programs import Program
from merlin_models_torch.schema import Schema
from merlin_models_torch.schema.codec import schema_to_features

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

FORMAT = 1


def signature(model: Model, graph: Graph, program: Program, *, k: int | None) -> dict[str, Any]:
    """The description of a program.

    Returns:
        ``inputs``, each with name, kind ("feature", "length" of a sequence, "filter"), dtype, dims by name
        and what fills up; of ids their ``vocabulary`` or, without one, how many rows there are, and
        ``left_out`` where they are items of which none is an answer; ``outputs`` likewise, of scores of items
        which these are ("of"), of lists the output that holds their "lengths"; ``dimensions``: the least and
        the largest size of each; ``schema`` of the columns; and the ``vocabularies`` by domain: value ``i``
        has code ``first + i``, 0 is padding, others are ``unknown``.
    """
    items = graph.item_id if isinstance(graph, ItemGraph) else None
    schema = model.schema.select_by_name([one.name for one in graph.inputs if one.kind == "feature"])
    domains = {name: domain for block in model.input_blocks for name, domain in block.domains.items()}
    answered = getattr(model.output, "domain", None) or domains.get(items or "")
    columns: dict[str, str | None] = getattr(model.output, "item_columns", {})
    several = {f"{name}_{ITEMS}": (name, domain) for name, domain in columns.items()}
    used = {domain for _, domain in several.values()}
    used |= {domains[name] for name in schema.column_names if name in domains} | {answered}
    return {
        "format": FORMAT,
        "k": k,
        "inputs": [_input(one, graph, model, schema, domains, answered) for one in graph.inputs],
        "outputs": [
            _output(name, tensor, graph, model, {ITEMS: (items, answered)} if items else several)
            for name, tensor in program.outputs.items()
        ],
        "dimensions": {dim: {"min": low, "max": high} for dim, (low, high) in program.dims.items()},
        "schema": schema_to_features(schema),
        "vocabularies": {
            domain: _values(vocabulary) for domain, vocabulary in model.vocabularies.items() if domain in used
        },
    }


def _input(
    one: Input, graph: Graph, model: Model, schema: Schema, domains: dict[str, str], answered: str | None
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": one.name,
        "kind": one.kind,
        "dtype": str(one.dtype).removeprefix("torch."),
        "dims": list(one.dims),
        "fill": -1 if one.kind == "filter" else 0,
    }
    if one.kind == "length":
        described["counts"] = f"{one.name.removesuffix(LENGTH)}_length"
        # A list that is combined may be empty, a sequence not.
        described["least"] = 0 if one.name.removesuffix(LENGTH) in graph.columns.combined else 1
    elif one.kind == "filter":
        described |= _ids(model, answered, _catalogue(model))
    elif one.name in domains:
        described |= _ids(model, domains[one.name], schema.cardinality(one.name))
        if isinstance(graph, ItemGraph) and graph.left_out == one.name:
            described["left_out"] = True
    return described


def _output(
    name: str, tensor: Tensor, graph: Graph, model: Model, items: dict[str, tuple[str, str | None]]
) -> dict[str, Any]:
    dims: list[Any] = ["batch", *tensor.shape[1:]]
    described = {"name": name, "dtype": str(tensor.dtype).removeprefix("torch."), "dims": dims}
    if name in items:
        column, domain = items[name]
        return {**described, "column": column, **_ids(model, domain, _catalogue(model, column))}
    if name.endswith(LENGTH):
        return {**described, "kind": "length"}
    scored = ITEMS if name == "score" else f"{name.removesuffix('_score')}_{ITEMS}"
    if scored in items:
        return {**described, "of": scored}
    if tensor.dim() == 2:
        described["lengths"] = length_name(name)
        if not graph.columns.padded:
            dims[1] = f"{next(iter(graph.columns.leaders.values()))}_length"
    return described


def _ids(model: Model, domain: str | None, rows: int) -> dict[str, Any]:
    return {"vocabulary": domain if domain in model.vocabularies else None, "rows": rows}


def _catalogue(model: Model, column: str | None = None) -> int:
    output: Any = model.output
    for one in getattr(output, "items", {}).values():
        if one.item_id == column:
            output = one
    return int(output.size if hasattr(output, "size") else output.cardinality)


def _values(vocabulary: Vocabulary) -> dict[str, Any]:
    values = vocabulary.values
    plain = any(
        of(values.type)
        for of in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_string)
    )
    # Times and the like have no form of their own in JSON.
    listed = (values if plain else values.cast(pa.string())).to_pylist()
    return {"first": vocabulary.first, "unknown": vocabulary.unknown, "values": listed}
