"""What ``torch.compile`` leaves as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

from merlin_models_torch.batch import Batch, Ragged

F = TypeVar("F", bound=Callable[..., object])
_disable: Callable[..., Any] = torch.compiler.disable  # untyped in torch


def outside_graphs(function: F) -> F:
    """Runs a function as it stands also where its caller is compiled.

    For what depends on the data and not on its shape, such as how long the longest session is or which
    positions are hidden: one graph ends before it and another begins after it, instead of a break at each
    of its lines.
    """
    return cast(F, _disable(function, reason="sizes depend on the data"))


def has_ragged(batch: Batch) -> bool:
    """Whether a column has to be padded first, to a width that only its data tells."""
    # A class made from it may be a matrix already.
    return any(type(column) is Ragged for column in batch.features.values())
