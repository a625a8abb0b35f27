"""New ids in a model that has learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from merlin_models_torch.outputs.growth import Start
from merlin_models_torch.schema import ColumnSchema, Schema

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model


def grow(
    model: Model,
    columns: ColumnSchema | Schema,
    *,
    start: Start = "random",
    generator: torch.Generator | None = None,
) -> None:
    """Makes room for new ids of some columns: in embedding tables, and in an output that names items.

    Vectors, weights and biases of old ids stay as they are, and so do the scores of old items. Vocabularies
    are yours to extend: ``model.vocabularies[domain] = vocabulary.extended(new_ids)``. Optimisers have to be
    made again, as a new ``Trainer.fit`` does.

    Args:
        model: is changed.
        columns: of its schema, with their larger domains.
        start: what new rows are: "random" as at the beginning of training, the "mean" of the old ones, or
            that of "unknown" ids, which has learned from items too rare for the vocabulary.
        generator: makes the random rows.

    Raises:
        ValueError: if the model has no such column, a domain would shrink, or a column's module cannot grow;
            if its tables are shared out to several processes.

    Example:
        >>> column = schema["item_id"]
        >>> rows = schema.cardinality("item_id")
        >>> grow(model, column.with_properties({"domain": {"min": 0, "max": rows + 9}}))
        >>> mm.feature_schema(model).cardinality("item_id") - rows
        10
    """
    if model.is_sharded:
        raise ValueError(
            "the model's tables are shared out to several processes and do not grow: call "
            "unshard_items(model) first"
        )
    new = Schema([columns]) if isinstance(columns, ColumnSchema) else columns
    known = {name for block in model.input_blocks for name in block.categorical}
    targeted = getattr(model.output, "target", None)
    odd = [name for name in new.column_names if name not in known and name != targeted]
    if odd:
        raise ValueError(f"the model has no categorical columns {odd}, only {sorted(known)}: leave them out")
    for block in model.input_blocks:
        own = new.select_by_name([name for name in new.column_names if name in block.categorical])
        if len(own):
            block.grow(own, start=start, generator=generator)
    output: Any = model.output
    if callable(getattr(output, "grow", None)):
        output.grow(model.inputs, new, start=start, generator=generator)
    for evaluation in model.evaluations.values():
        evaluation.metrics = output.make_metrics()
    model._carried = ()
