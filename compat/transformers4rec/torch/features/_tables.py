"""What is said of embedding tables before they are made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from transformers4rec._legacy import legacy

Initializer = Callable[[torch.Tensor], Any]

_HOME = "transformers4rec.torch.features.embedding"


@legacy(home=_HOME)
class TableConfig:
    """One embedding table.

    Args:
        vocabulary_size: its rows.
        dim: its width.
        initializer: draws its weights; normal with standard deviation 0.05 if not given.
        combiner: how a list of ids becomes one vector, "mean", "sum" or "sqrtn".
        name: of the table.

    Raises:
        ValueError: for a size below 1, another combiner, or an initializer that cannot be called.
    """

    def __init__(
        self,
        vocabulary_size: int,
        dim: int,
        initializer: Initializer | None = None,
        combiner: str = "mean",
        name: str | None = None,
    ) -> None:
        for argument, value in {"vocabulary_size": vocabulary_size, "dim": dim}.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"{argument} of table {name!r} has to be an int of at least 1, got {value!r}"
                )
        if combiner not in ("mean", "sum", "sqrtn"):
            raise ValueError(
                f"combiner of table {name!r} has to be 'mean', 'sum' or 'sqrtn', got {combiner!r}"
            )
        if initializer is not None and not callable(initializer):
            raise ValueError(f"initializer of table {name!r} has to be a function of the weights")
        self.vocabulary_size = vocabulary_size
        self.dim = dim
        self.initializer: Initializer = initializer or partial(torch.nn.init.normal_, mean=0.0, std=0.05)
        self.combiner = combiner
        self.name = name

    def __repr__(self) -> str:
        return (
            f"TableConfig(vocabulary_size={self.vocabulary_size!r}, dim={self.dim!r}, "
            f"combiner={self.combiner!r}, name={self.name!r})"
        )


@legacy(home=_HOME)
class FeatureConfig:
    """The embedding table of one column.

    Args:
        table: the table.
        max_sequence_length: longest list of the column.
        name: of the column.
    """

    def __init__(self, table: TableConfig, max_sequence_length: int = 0, name: str | None = None) -> None:
        self.table = table
        self.max_sequence_length = max_sequence_length
        self.name = name

    def __repr__(self) -> str:
        return (
            f"FeatureConfig(table={self.table!r}, max_sequence_length={self.max_sequence_length!r}, "
            f"name={self.name!r})"
        )
