"""From raw features to ids in one module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.data.coding import Coding
from merlin_models_torch.data.source import as_table
from merlin_models_torch.retrieval.answers import IndexFactory, original_ids, searching
from merlin_models_torch.retrieval.inference import evaluating
from merlin_models_torch.schema import Schema

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model


class TopKEncoder(nn.Module):
    """A model of items with its answers prepared: a batch in, the k best items out.

    The items' vectors are made and indexed once, when it is built; train the model further and build it anew.

    Args:
        model: one of two towers, or one whose output scores a catalogue.
        k: answers.
        candidates: as for :meth:`Model.predict`.
        exclude: as for :meth:`Model.predict`.
        exclude_seen: as for :meth:`Model.predict`; for sessions only.
        index: makes what is searched of the items' vectors; the exact :class:`ItemIndex` if not given.

    Raises:
        TypeError: if the model answers with no items.
        ValueError: if there are fewer than k items.

    Example:
        >>> best = TopKEncoder(model, k=3)
        >>> session = {"item_id": [[3, 5]], "category": [[1, 2]], "price": [[0.5, 0.7]]}
        >>> len(best.answer(session)["item_id"][0])
        3
    """

    def __init__(
        self,
        model: Model,
        *,
        k: int,
        candidates: Any = None,
        exclude: Any = None,
        exclude_seen: bool | None = None,
        index: IndexFactory | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.k = k
        self.exclude_seen = bool(
            getattr(model.output, "exclude_seen", False) if exclude_seen is None else exclude_seen
        )
        self.schema: Schema
        self.schema, self._best = searching(
            model, k=k, candidates=candidates, exclude=exclude, exclude_seen=exclude_seen, index=index
        )

    def forward(
        self, batch: Batch, exclude: Tensor | None = None, candidates: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The best items of each row.

        Args:
            batch: as a loader gives it, with the columns of ``schema``.
            exclude: (B, E) int64 item rows that are no answers to each row, -1 in places that hold none.
            candidates: (B, C) int64 the only item rows that may be answers to each row, -1 in places that
                hold none; a row with none is answered from all.

        Returns:
            Scores (B, k) in falling order and item rows (B, k) int64; -inf and -1 where there are too few.
        """
        device = self.model.device
        with evaluating(self.model):
            return self.search(
                batch.to(device),
                None if exclude is None else exclude.to(device),
                None if candidates is None else candidates.to(device),
            )

    def search(
        self, batch: Batch, exclude: Tensor | None = None, candidates: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The same in the model's present mode, on its device: what an export traces."""
        return self._best(batch, exclude, candidates)

    def answer(self, data: Any) -> pa.Table:
        """The best items of rows with original ids, all at once.

        Args:
            data: a dict of columns, a data frame or an Arrow table with the columns of ``schema``. Ids are
                those that the model's vocabularies hold, or codes where there is none.

        Returns:
            A row for each row: the list of original ids under the item id's name, and of ``score``.

        Raises:
            DataError: if columns are missing or do not fit.
        """
        coding = Coding.of(self.schema, self.model.vocabularies)
        table = coding.table(as_table(data), where="the table")
        batch = next(iter(ParquetLoader(table, self.schema, batch_size=table.num_rows, rank=0, world=1)))
        scores, items = self(batch)
        ids = original_ids(self.model.item_vocabulary, items.flatten().cpu().numpy())
        numbers = pa.array(scores.flatten().to(torch.float32).cpu().numpy())
        return pa.table(
            {
                str(self.model.output.item_id): pa.FixedSizeListArray.from_arrays(ids, self.k),
                "score": pa.FixedSizeListArray.from_arrays(numbers, self.k),
            }
        )
