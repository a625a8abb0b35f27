"""Softmax cross entropy over a whole catalogue, without the matrix of all logits."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from merlin_models_torch._processor import multiplies
from merlin_models_torch.outputs.tiled import (
    Plan,
    Reduction,
    TiledSoftmaxCrossEntropy,
    losses,
    reduced,
    without_autocast,
)
from merlin_models_torch.outputs.tiles import Tiles, sizes_for


def softmax_cross_entropy_plain(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    bias: Tensor | None = None,
    temperature: float = 1.0,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Tensor:
    """The plain formula that :func:`softmax_cross_entropy` equals: all (N, V) logits, then cross entropy.

    Args:
        hidden: (N, D) float.
        weight: (V, D) float, one row per item id.
        targets: (N,) int64 item ids.
        bias: (V,) float added to the dot products.
        temperature: divides the logits.
        label_smoothing: share of the target's probability spread evenly over all V items.
        reduction: "mean", "sum" or "none".

    Returns:
        A scalar, or (N,) for reduction "none". The mean over no targets is 0.
    """
    logits = hidden @ weight.t()
    if bias is not None:
        logits = logits + bias
    reduction_of_torch = "sum" if reduction == "mean" else reduction
    loss = torch.nn.functional.cross_entropy(
        logits / temperature, targets, label_smoothing=label_smoothing, reduction=reduction_of_torch
    )
    return loss / max(targets.shape[0], 1) if reduction == "mean" else loss


def softmax_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    bias: Tensor | None = None,
    temperature: float = 1.0,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    chunk: int | None = None,
    over: Literal["targets", "items"] | None = None,
    compute_dtype: torch.dtype | None = None,
) -> Tensor:
    """Cross entropy of ``softmax((hidden @ weight.T + bias) / temperature)``, computed piece by piece.

    The (N, V) scores are made, used for the loss and the gradients, and dropped again: in pieces of some
    targets and all items while that is small, else in pieces of all targets and some items with a running
    log-sum-exp and a second pass for the gradients. Where no gradient is needed only the loss is computed.
    The gradient of smoothing is closed: ``lse - (1 - e) x_y - e mean(x)`` for smoothing ``e``.

    Args:
        hidden: (N, D) float, one vector per target.
        weight: (V, D) float, one row per item id.
        targets: (N,) int64 item ids, each in [0, V).
        bias: (V,) float added to the dot products; finite.
        temperature: divides the logits.
        label_smoothing: share of the target's probability spread evenly over all V items, in [0, 1].
        reduction: "mean" over targets, "sum", or "none" for one loss per target.
        chunk: targets (or items, see ``over``) scored at a time; chosen by size if not given.
        over: what is cut into pieces; chosen by size of the catalogue if not given.
        compute_dtype: dtype of the matrix products; that of the inputs, or of autocast where it is on, if
            not given; float32 on a CPU without instructions for narrow ones, where they would take ten times
            as long. Sums, exponentials and the loss are float32 (float64 for float64 inputs) in any case.

    Returns:
        A scalar, or (N,) for reduction "none", of float32 (float64 for float64 inputs). The mean over no
        targets is 0, with gradients of 0.

    Raises:
        ValueError: if shapes do not fit, an option is out of range or a target is not a row of ``weight``.
        TypeError: if ``targets`` are not integers.

    Example:
        >>> hidden, items = torch.randn(4, 8), torch.randn(1000, 8)
        >>> targets = torch.tensor([3, 1, 4, 1])
        >>> loss = softmax_cross_entropy(hidden, items, targets, chunk=100, over="items")
        >>> torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(hidden @ items.T, targets))
        >>> softmax_cross_entropy(torch.zeros(1, 8), items[:8], targets[:1])
        tensor(2.0794)
    """
    targets = _checked(hidden, weight, targets, bias, temperature, label_smoothing, reduction, chunk)
    tiles = Tiles.choose(targets.shape[0], weight.shape[0], sizes_for(hidden.device), chunk, over)
    plan = plan_of(hidden, weight, tiles, label_smoothing=label_smoothing, compute_dtype=compute_dtype)
    # Scaled here, on (N, D) and (V,), so that nothing of size N x V has to be.
    with without_autocast(hidden.device):
        hidden = hidden.to(plan.wide) / temperature
        if bias is not None:
            bias = bias.to(plan.wide) / temperature
    inputs = [hidden, weight] if bias is None else [hidden, weight, bias]
    if not (torch.is_grad_enabled() and any(t.requires_grad for t in inputs)):
        with torch.no_grad(), without_autocast(hidden.device):
            return reduced(losses(hidden, weight, bias, targets, plan)[0], reduction)
    each: Tensor = TiledSoftmaxCrossEntropy.apply(hidden, weight, bias, targets, plan, reduction)  # type: ignore[no-untyped-call]
    return each


def plan_of(
    hidden: Tensor,
    weight: Tensor,
    tiles: Tiles,
    *,
    label_smoothing: float,
    compute_dtype: torch.dtype | None = None,
) -> Plan:
    """The dtypes of one loss, by those of its inputs and autocast; see :func:`softmax_cross_entropy`."""
    dtype = torch.promote_types(hidden.dtype, weight.dtype)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    device = hidden.device.type
    if compute_dtype is None:
        compute_dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else dtype
        if wide == torch.float64:
            compute_dtype = wide
    if not multiplies(compute_dtype, device):
        compute_dtype = wide
    return Plan(tiles, label_smoothing, compute_dtype, wide)


def _checked(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    bias: Tensor | None,
    temperature: float,
    label_smoothing: float,
    reduction: str,
    chunk: int | None,
) -> Tensor:
    if hidden.dim() != 2 or weight.dim() != 2 or hidden.shape[1] != weight.shape[1]:
        raise ValueError(
            f"hidden and weight have shapes {tuple(hidden.shape)} and {tuple(weight.shape)}, "
            "but must be (N, D) and (V, D): select the targeted positions, project them to the width of items"
        )
    if not weight.shape[0]:
        raise ValueError("weight has no rows: the catalogue needs at least one item")
    if targets.shape != hidden.shape[:1]:
        raise ValueError(
            f"targets have shape {tuple(targets.shape)}, but hidden has {hidden.shape[0]} rows: "
            "give one id per row"
        )
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise TypeError(
            f"targets are {targets.dtype}, but must be integer item ids: convert them with .long()"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(
            f"bias has shape {tuple(bias.shape)}, but the catalogue has {weight.shape[0]} items: "
            "give one number per item"
        )
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}, but must be above 0")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing is {label_smoothing}, but must be in [0, 1]")
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction is {reduction!r}, but must be 'mean', 'sum' or 'none'")
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk is {chunk}, but must be at least 1")
    if targets.shape[0]:
        smallest, largest = (int(x) for x in torch.stack(torch.aminmax(targets)).tolist())
        if smallest < 0 or largest >= weight.shape[0]:
            wrong = smallest if smallest < 0 else largest
            raise ValueError(
                f"target id {wrong} is outside the catalogue of {weight.shape[0]} items "
                f"(0 to {weight.shape[0] - 1}): "
                "encode the ids with the vocabulary, or raise the column's int domain in the schema"
            )
    return targets.long()
