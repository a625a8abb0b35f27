"""``merlin.models.torch.transforms.sequences``: lists of a batch as matrices."""

from __future__ import annotations

from typing import Any

from merlin.models._legacy import legacy, served
from merlin.models.torch._columns import named_columns
from merlin.models.torch.batch import Batch, Sequence
from merlin.models.torch.block import BatchBlock
from merlin.models.torch.router import chosen
from torch import Tensor, nn

from merlin_models_torch import inputs as core
from merlin_models_torch.batch import Ragged
from merlin_models_torch.schema import Tags, as_schema


@legacy
class BroadcastToSequence(core.BroadcastToSequence):
    """Vectors of rows repeated at every position of the sequences beside them.

    Args:
        to_broadcast: what is repeated: names, tags or columns.
        sequence: not used: what has positions is known by its shape.
        schema: of the columns, to find them by tag.
    """

    def __init__(self, to_broadcast: Any, sequence: Any, schema: Any = None) -> None:
        names = (
            None if schema is None else as_schema(schema).select(chosen(schema, to_broadcast)).column_names
        )
        super().__init__(names)


@legacy
class TabularPadding(BatchBlock):
    """Lists padded with 0 on the right.

    Args:
        schema: of the columns.
        selection: the columns to pad, all if None; the others are left out of the batch, as in 23.12.
        max_sequence_length: width of the matrices; the longest list of the batch if not given.
        name: not used.
    """

    def __init__(
        self,
        schema: Any = None,
        selection: Any = Tags.SEQUENCE,
        max_sequence_length: int | None = None,
        name: str | None = None,
    ) -> None:
        columns = as_schema(schema)
        if selection is not None:
            columns = columns.select(chosen(columns, selection))
        super().__init__(TabularPaddingModule(columns, None, max_sequence_length))


@legacy
class TabularPaddingModule(nn.Module):
    """What :class:`TabularPadding` does.

    Args:
        schema: the columns to pad.
        selection: of these, if not all.
        max_sequence_length: width of the matrices.
    """

    def __init__(
        self, schema: Any = None, selection: Any = Tags.SEQUENCE, max_sequence_length: int | None = None
    ) -> None:
        super().__init__()
        columns = as_schema(schema)
        chosen_columns = columns if selection is None else columns.select(chosen(columns, selection))
        self.names = chosen_columns.column_names
        self.max_sequence_length = max_sequence_length

    def forward(self, inputs: Any, batch: Batch) -> Batch:
        """A batch of matrices, and the lengths of the lists.

        Raises:
            ValueError: if the lists of a row differ in length, or one is longer than the matrices.
        """
        columns = named_columns(dict(batch.features))
        lists = {n: columns[n] for n in self.names if n in columns and _is_list(columns[n])}
        lengths = {n: c.lengths if isinstance(c, Ragged) else (c != 0).sum(-1) for n, c in lists.items()}
        first = next(iter(lengths.values()), None)
        if first is None or any(not bool((other == first).all()) for other in lengths.values()):
            raise ValueError(f"lists of one length in each row are padded together, got {sorted(lists)}")
        width = self.max_sequence_length or int(first.max())
        padded = {n: _padded(c, width) for n, c in lists.items()}
        targets = {
            n: c.padded(width) if isinstance(c, Ragged) else c
            for n, c in named_columns(dict(batch.targets)).items()
        }
        return Batch(padded, targets, Sequence(lengths))


def _is_list(column: Any) -> bool:
    return isinstance(column, Ragged) or column.dim() > 1


def _padded(column: Tensor | Ragged, width: int) -> Tensor:
    if isinstance(column, Ragged):
        return column.padded(width)
    return nn.functional.pad(column, (0, width - column.shape[1]))


__getattr__ = served(__name__)
