"""A model as it answers: in evaluation mode, without gradients, and with errors that say where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from merlin_models_torch._modes import eval_mode
from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.data.errors import RowError


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and each part in its own again afterwards; no gradients are kept."""
    with eval_mode(model), torch.inference_mode():
        yield


@contextmanager
def placed(loader: ParquetLoader, rows: Tensor | None) -> Iterator[None]:
    """Errors about a batch say which rows of which file it is about.

    Args:
        loader: of the batch.
        rows: (B,) int64 as in ``Batch.rows``.
    """
    try:
        yield
    except RowError as error:
        if rows is None:
            raise
        place = loader.source.place(int(rows[error.row]))
        raise ValueError(f"{place} {error.reason}") from error
