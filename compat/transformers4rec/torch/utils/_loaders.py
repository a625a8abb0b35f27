"""What every data loader of Transformers4Rec is: found by a name, made from a schema, of whole batches."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader

from transformers4rec._registry import Registry

dataloader_registry: Registry = Registry("torch.dataloader_loader")


class T4RecDataLoader:
    """Makes the batches of the Trainer; subclasses are found by their registered names."""

    @classmethod
    def from_schema(
        cls,
        schema: Any,
        paths_or_dataset: Any,
        batch_size: int,
        max_sequence_length: int | None,
        **kwargs: Any,
    ) -> Any:
        """A loader of the columns of a schema."""
        raise NotImplementedError(f"{cls.__name__} has to define from_schema")

    def set_dataset(self, paths_or_dataset: Any) -> None:
        """Takes other data."""
        raise NotImplementedError(f"{type(self).__name__} has to define set_dataset")

    @classmethod
    def parse(cls, class_or_str: Any) -> Any:
        """The loader class of a registered name; anything but a string as it is."""
        return dataloader_registry.parse(class_or_str)


def only(batches: list[Any]) -> Any:
    """The one batch that torch's loader is told to collect."""
    return batches[0]


class DLDataLoader(DataLoader):
    """A torch data loader over a dataset that gives whole batches.

    Args:
        *args: of torch's loader, the dataset first.
        **kwargs: of torch's loader; ``batch_size``, the rows of the dataset's batches, is kept as
            ``_batch_size``, which the Trainer reads.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._batch_size = kwargs.pop("batch_size", 1)
        super().__init__(*args, **{"collate_fn": only, **kwargs})

    @property
    def device(self) -> torch.device:
        """CUDA where there is a device of it."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def __len__(self) -> int:
        return len(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        """Sets the number of the next epoch, where the dataset's order depends on it."""
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)
