"""Names that were gone by 23.12 and that programs still write."""

from __future__ import annotations

from typing import Any

import torch

from transformers4rec._legacy import legacy
from transformers4rec.torch.utils.data_utils import MerlinDataLoader


@legacy(home="transformers4rec.torch.utils.data_utils")
class NVTabularDataLoader(MerlinDataLoader):
    """The data loader under its name of before 22.12.

    Args:
        paths_or_dataset: files, a glob, a table, a data frame or a ``merlin.io.Dataset``.
        batch_size: rows of a batch.
        max_sequence_length: length of list columns; the largest of ``sparse_max`` if not given.
        conts: continuous columns.
        cats: categorical columns.
        labels: target columns.
        sparse_names: list columns.
        sparse_max: length by list column.
        sparse_as_dense: not used, lists come padded.
        **kwargs: of :class:`MerlinDataLoader`.
    """

    def __init__(
        self,
        paths_or_dataset: Any,
        batch_size: int,
        max_sequence_length: int | None = None,
        conts: Any = None,
        cats: Any = None,
        labels: Any = None,
        *,
        sparse_names: list[str] | None = None,
        sparse_max: dict[str, int] | None = None,
        sparse_as_dense: bool = True,
        **kwargs: Any,
    ) -> None:
        lists = sparse_names or kwargs.pop("lists", None)
        kwargs.pop("lists", None)
        length = max_sequence_length or max((sparse_max or {}).values(), default=None)
        super().__init__(paths_or_dataset, batch_size, length, conts, cats, labels, lists, **kwargs)


@legacy(home="transformers4rec.torch.trainer")
class HFWrapper(torch.nn.Module):
    """A model that takes its columns as keyword arguments, as the Trainer of Hugging Face gave them.

    Args:
        module: the model; its weights are under ``module.`` in the state dict.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's output for these columns."""
        return self.module(kwargs, *args)
