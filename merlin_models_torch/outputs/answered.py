"""Whether there is an answer for each row of a batch."""

from __future__ import annotations

from torch import Tensor

from merlin_models_torch._recording import is_recorded
from merlin_models_torch.batch import Batch


def check_answered(found: Tensor, batch: Batch) -> None:
    """Refuses sessions that nothing was predicted from; a graph cannot look.

    Args:
        found: (N, ...) one entry for each row of the batch that there is one for.
        batch: of B rows.

    Raises:
        ValueError: if N is less than B.
    """
    if is_recorded() or len(found) == len(batch):
        return
    raise ValueError(
        f"{len(batch) - len(found)} of {len(batch)} rows have no items, and the model predicts from the last "
        "one: leave them out, as ParquetLoader(..., empty='drop') does, or train with RandomMasking, which "
        "has a place for what comes first"
    )
