"""What tests of ranking models share: one batch of clicks, and weights by name."""

import torch
from torch import Tensor

import merlin_models_torch as mm
from tests.unit.clicks import click_schema, click_table

CLICK = click_schema().select_by_name(["user_id", "item_id", "age", "click"])


def click_batch(rows: int = 40, *, seed: int = 0) -> mm.Batch:
    """Rows of :func:`click_table` as one batch with both targets."""
    loader = mm.ParquetLoader(
        click_table(rows, seed=seed), click_schema(), batch_size=rows, targets=("click", "rating")
    )
    return next(iter(loader))


def weights(model: mm.Model) -> dict[str, Tensor]:
    """Parameters by name, with random ones where they start as zeros, so that none is left out unseen."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(generator=generator)
    return dict(model.named_parameters())


def affine(inputs: Tensor, known: dict[str, Tensor], name: str) -> Tensor:
    """``x W^T + b`` with the weights of a linear layer."""
    return inputs @ known[f"{name}.weight"].T + known[f"{name}.bias"]
