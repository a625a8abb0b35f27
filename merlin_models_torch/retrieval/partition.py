"""The best of many scores on a CPU, without putting all of them into an order."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from merlin_models_torch._recording import is_recorded

# Scores for each answer above which groups are looked at before their members.
_GROUPED = 16
# Members of a group at least, and how much dearer looking at one is than at a maximum (measured, squared).
_NARROWEST, _DEARER = 8, 9
_DTYPES = (torch.float32, torch.float64)


def best_by_partition(scores: Tensor, k: int) -> tuple[Tensor, Tensor] | None:
    """The k best of each row, by NumPy's partition, which has vector instructions and torch's top-k none.

    Looks first at the maxima of groups: the k groups with the best maxima hold the k best scores. A group's
    members stand as far apart as there are groups, so that the maxima of all are made column by column.

    Args:
        scores: (n, v) float.
        k: how many, at most v.

    Returns:
        Scores (n, k) in falling order and columns (n, k) int64, equal scores in order of column. None where
        this is not the way: on other devices, dtypes and kinds of tensors, while a program is recorded, where
        the last place in a row is between equal scores, and where one of the best is not a number.
    """
    values, size, columns, outside = scores.detach(), scores.shape[1], None, np.float32(np.nan)
    if is_recorded() or not scores.numel() or type(values) is not Tensor:
        return None
    if values.device.type != "cpu" or values.dtype not in _DTYPES:
        return None
    width = max(int((size / k / _DEARER) ** 0.5), _NARROWEST)
    count = size // width
    if size >= _GROUPED * k and count > k:
        maxima = values[:, : count * width].unflatten(1, (width, count)).amax(1)  # type: ignore[no-untyped-call]
        groups, outside = _largest(maxima.numpy(), k)
        columns = (groups[:, :, None] + count * np.arange(width)).reshape(len(groups), -1)
        if size % width:
            rest = np.broadcast_to(np.arange(count * width, size), (len(groups), size % width))
            columns = np.concatenate([columns, rest], 1)
        values = values.gather(1, torch.from_numpy(columns))
    best, following = _largest(values.numpy(), k)
    last = np.take_along_axis(values.numpy(), best, 1).min(1)
    if (last <= following).any() or (last <= outside).any():
        return None
    found = np.sort(best if columns is None else np.take_along_axis(columns, best, 1), 1)
    return _in_order(scores.detach(), torch.from_numpy(found))


def _largest(values: Any, k: int) -> tuple[Any, Any]:
    """(n, k) columns of the largest of (n, v) in no order, and (n,) the next largest, nan if none."""
    size = values.shape[1]
    if k == size:
        return np.broadcast_to(np.arange(size), values.shape), np.float32(np.nan)
    places = np.argpartition(values, size - k - 1, axis=1)[:, size - k - 1 :]
    return places[:, 1:], np.take_along_axis(values, places[:, :1], 1)[:, 0]


def _in_order(scores: Tensor, found: Tensor) -> tuple[Tensor, Tensor] | None:
    """Scores and columns, best first, of columns (n, k) that rise."""
    falling = -scores.gather(1, found).numpy()
    order = np.argsort(falling, 1)
    ordered = np.take_along_axis(falling, order, 1)
    if np.isnan(ordered[:, -1]).any():
        return None
    if (ordered[:, 1:] == ordered[:, :-1]).any():
        order = np.argsort(falling, 1, kind="stable")
    return torch.from_numpy(-ordered), found.gather(1, torch.from_numpy(order))
