"""``merlin.models.torch.utils.module_utils`` of V2."""

from __future__ import annotations

from typing import Any

from merlin.models._legacy import legacy, served
from merlin.models.torch.batch import Batch, sample_batch
from torch import nn


@legacy
def initialize(module: nn.Module, data: Any, dtype: Any = None) -> Any:
    """Gives the lazy parameters of a module their size.

    Args:
        module: takes columns by name.
        data: a data set, a loader or a batch.
        dtype: of the module's fractions.

    Returns:
        What the module makes of the batch.
    """
    own: Any = getattr(module, "initialize", None)
    if callable(own):
        return own(data)
    batch = data if isinstance(data, Batch) else sample_batch(data, batch_size=1, shuffle=False)
    if dtype is not None:
        module, batch = module.to(dtype=dtype), batch.to(dtype=dtype)
    return module(batch.features, batch=batch)


__getattr__ = served(__name__)
