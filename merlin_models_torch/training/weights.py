"""The weights of a saved model: their shapes, and as much of them as this process holds."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor


def shapes_in(file: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a file, without reading them.

    Args:
        file: of safetensors.

    Raises:
        SafetensorError: if it is no whole safetensors file.
        OSError: if it cannot be read.
    """
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118


@torch.no_grad()
def read_weights(model: nn.Module, file: Path) -> None:
    """Fills a model, one tensor after the other; of shared-out tables only the rows of this process are read.

    Args:
        model: whose state has the names and shapes of the file's tensors.
        file: of safetensors.
    """
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        for name, held in model.state_dict().items():
            if isinstance(held, DTensor):
                _read_rows(held, opened.get_slice(name))
            else:
                held.copy_(opened.get_tensor(name))


def _read_rows(held: DTensor, saved: object) -> None:
    # Only where something is shared out, that package is there already.
    from merlin_models_torch.distributed.exchange import Span, local

    span, own = Span.of(held), local(held)
    if span.start < span.stop:
        rows: Tensor = saved[span.start : span.stop]  # type: ignore[index]
        own.copy_(rows)
