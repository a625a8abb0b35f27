"""Several tensors by name as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def concatenated(inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
    """A tensor as it is, or those of a dict side by side in the order of their names.

    Args:
        inputs: (B,), (B, D) or (B, T, D) each. Where some have positions, those without are repeated at each.
            (B,) ones count as (B, 1), and whole numbers and bools as floats.

    Returns:
        (B, S) or (B, T, S), S the sum of the widths.

    Raises:
        ValueError: if the dict is empty, or the numbers of positions differ.
        TypeError: if an entry is no tensor.
    """
    if isinstance(inputs, Tensor):
        return inputs
    vectors = aligned(inputs)
    check_positions(inputs)
    return torch.cat(vectors, -1)


def stacked(inputs: Tensor | Mapping[str, Tensor], dim: int = -2) -> Tensor:
    """A tensor as it is, or those of a dict, all of one width, in a new dimension.

    Args:
        inputs: (B, D) or (B, T, D) each, as for :func:`concatenated`; or (B, F, D) or (B, T, F, D).
        dim: where it is in the result; before the width by default.

    Returns:
        (B, F, D) or (B, T, F, D), F the number of tensors, in the order of their names.

    Raises:
        ValueError: if the widths or the numbers of positions differ.
    """
    if isinstance(inputs, Tensor):
        return inputs
    vectors = aligned(inputs)
    check_positions(inputs)
    check_widths(sorted(inputs), vectors)
    return torch.stack(vectors, dim)


def aligned(inputs: Mapping[str, Tensor]) -> list[Tensor]:
    """The tensors in the order of their names, with a width each, and all or none with positions."""
    if not inputs:
        raise ValueError("there are no tensors to join: select at least one column")
    for name, value in inputs.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{name!r} is a {type(value).__name__}, expected a tensor: pad or embed it before"
            )
    ordered = [inputs[name] for name in sorted(inputs)]
    floats = [v if v.is_floating_point() else v.to(torch.get_default_dtype()) for v in ordered]
    vectors = [v[:, None] if v.dim() == 1 else v for v in floats]
    steps = next((v.shape[1] for v in vectors if v.dim() == 3), None)
    if steps is None:
        return vectors
    return [v if v.dim() == 3 else v[:, None].expand(-1, steps, -1) for v in vectors]


def check_positions(inputs: Mapping[str, Tensor]) -> None:
    """Raises ValueError unless all that have positions have as many."""
    sequences = [(name, inputs[name].shape[1]) for name in sorted(inputs) if inputs[name].dim() == 3]
    for name, steps in sequences[1:]:
        if steps != sequences[0][1]:
            raise ValueError(
                f"{sequences[0][0]!r} has {sequences[0][1]} positions and {name!r} has {steps}, and they are "
                "joined position by position: read the columns of one sequence by one TabularInputBlock, and "
                "join another sequence as one vector, by a combiner or LateFusion"
            )


def check_widths(names: Sequence[str], vectors: Sequence[Tensor]) -> None:
    """Raises ValueError unless all have the same last dimension."""
    widths = {name: v.shape[-1] for name, v in zip(names, vectors, strict=True)}
    if len(set(widths.values())) > 1:
        raise ValueError(f"vectors of one width are needed, got the widths {widths}: project them to one")
