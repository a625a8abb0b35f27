"""The loader of merlin-dataloader as one of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.data.errors import DataError
from merlin_models_torch.schema import Schema, as_schema

_VALUES, _OFFSETS = "__values", "__offsets"


class MerlinLoader:
    """Batches of a ``merlin.dataloader.torch.Loader``; made by :func:`from_merlin`.

    Args:
        loader: iterable of pairs: columns by name (lists as ``name__values`` and ``name__offsets``), and
            targets as a tensor, by name, or None.
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.schema: Schema = as_schema(loader.output_schema)
        self._labels: list[str] = list(getattr(loader, "label_names", None) or [])

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        for pair in self.loader:
            if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[0], Mapping):
                raise DataError(
                    f"the loader gave a {type(pair).__name__}, expected a pair of columns by name and "
                    "targets: let the functions given to its map() return such pairs"
                )
            inputs, targets = pair
            yield Batch(_columns(inputs), self._targets(targets))

    def _targets(self, targets: Any) -> dict[str, Column]:
        if targets is None:
            return {}
        if isinstance(targets, Mapping):
            return _columns(targets)
        if len(self._labels) != 1:
            raise DataError(
                f"the loader gave one tensor for the targets {self._labels}: let its map() "
                "return them by name"
            )
        return _columns({self._labels[0]: targets})


def from_merlin(loader: Any) -> MerlinLoader:
    """A loader of merlin-dataloader for a Lightning Trainer or a loop over batches.

    Order, shuffling, sharing out to processes and the functions of its ``map`` stay those of the loader.
    Integers become int64 and other numbers float32, as :class:`ParquetLoader` gives them. Batches carry no
    row numbers, so ``Model.predict``, which names the rows that it answers, takes the data set itself.

    Args:
        loader: a ``merlin.dataloader.torch.Loader``.

    Returns:
        An iterable of :class:`Batch` with the loader's length and, as ``schema``, its schema.

    Raises:
        TypeError: if it is no such loader.

    Example:
        >>> from merlin.dataloader.torch import Loader
        >>> from merlin.io import Dataset
        >>> dataset = Dataset(str(files.train[0]))
        >>> len(next(iter(from_merlin(Loader(dataset, batch_size=8)))))
        8
    """
    if not hasattr(loader, "output_schema") or not hasattr(loader, "__iter__"):
        raise TypeError(
            f"from_merlin takes a merlin.dataloader.torch.Loader, not {type(loader).__name__}: give files, "
            "tables and data sets to ParquetLoader"
        )
    return MerlinLoader(loader)


def _columns(tensors: Mapping[str, Tensor]) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for name, tensor in tensors.items():
        if name.endswith(_OFFSETS):
            continue
        if name.endswith(_VALUES):
            name = name.removesuffix(_VALUES)
            offsets = tensors[name + _OFFSETS].to(torch.int64)
            columns[name] = Ragged(_model_dtype(tensor), offsets)
        else:
            # Some versions give scalar columns as (B, 1).
            scalar = tensor.dim() == 2 and tensor.shape[1] == 1
            columns[name] = _model_dtype(tensor[:, 0] if scalar else tensor)
    return columns


def _model_dtype(values: Tensor) -> Tensor:
    return values.to(torch.float32 if values.is_floating_point() else torch.int64)
