"""Small functions of ``torch_utils`` that programs copied from the metrics and the trainer of 23.12.0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from transformers4rec.torch.block import transformer


def check_inputs(ks: Sequence[int], scores: Tensor, labels: Tensor) -> tuple[Sequence[int], Tensor, Tensor]:
    """The arguments, if they are cut-offs and two matrices of one size.

    Raises:
        ValueError: if not.
    """
    if not isinstance(ks, list | tuple) or not ks:
        raise ValueError(f"ks is a list of at least one cut-off, got {ks!r}")
    for name, matrix in {"scores": scores, "labels": labels}.items():
        if matrix.dim() != 2:
            raise ValueError(f"{name} is a matrix of rows and items, got {matrix.dim()} dimensions")
    if scores.shape != labels.shape:
        raise ValueError(
            f"scores {tuple(scores.shape)} and labels {tuple(labels.shape)} differ in size: make them one"
        )
    return ks, scores, labels


def extract_topk(ks: Sequence[int], scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, items and labels of the best items of each row.

    Args:
        ks: cut-offs, of which the largest counts.
        scores: (B, V).
        labels: (B, V).

    Returns:
        Three tensors (B, K).
    """
    best = torch.topk(scores, int(max(ks)))
    return best.values, best.indices, labels.gather(1, best.indices)


def create_output_placeholder(scores: Tensor, ks: Sequence[int]) -> Tensor:
    """Zeros (B, number of cut-offs), where the scores are."""
    return torch.zeros(len(scores), len(ks), device=scores.device)


def one_hot_1d(
    labels: Tensor, num_classes: int, device: Any = None, dtype: torch.dtype | None = torch.float32
) -> Tensor:
    """(N, num_classes) with a one where the label is.

    Args:
        labels: (N,) int64.
        num_classes: width.
        device: of the result; that of the labels if not given.
        dtype: of the result.

    Raises:
        TypeError: if the labels are no tensor.
        ValueError: if they are no vector of int64, or there are no classes.
    """
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels have to be a tensor, got {type(labels).__name__}")
    if labels.dim() != 1 or labels.dtype != torch.int64:
        raise ValueError(f"labels have to be a vector of int64, got {tuple(labels.shape)} of {labels.dtype}")
    if num_classes < 1:
        raise ValueError(f"num_classes has to be at least 1, got {num_classes}")
    one_hot = torch.zeros(len(labels), num_classes, device=device or labels.device, dtype=dtype)
    return one_hot.scatter_(1, labels.unsqueeze(-1), 1.0)


def tranform_label_to_onehot(labels: Tensor, vocab_size: int) -> Tensor:
    """(N, vocab_size) with a one where the label is, of labels in any shape."""
    return one_hot_1d(labels.reshape(-1).to(torch.int64), vocab_size).detach()


def atleast_1d(tensor_or_array: Any) -> Any:
    """A single number as a vector of one; anything else as it is."""
    kind = torch if isinstance(tensor_or_array, Tensor) else np
    return kind.atleast_1d(tensor_or_array)


def torch_pad_and_concatenate(tensor1: Tensor, tensor2: Tensor, padding_index: int = -100) -> Tensor:
    """Rows of both, the narrower matrix padded on the right."""
    from transformers4rec.torch.utils.torch_utils import concat_batches

    result: Tensor = concat_batches([tensor1, tensor2], padding_index)
    return result


def numpy_pad_and_concatenate(array1: Any, array2: Any, padding_index: int = -100) -> Any:
    """Rows of both, the narrower matrix padded on the right, then in the first one's type."""
    arrays = [np.atleast_1d(array) for array in (array1, array2)]
    if arrays[0].ndim > 1 and arrays[0].shape[1] != arrays[1].shape[1]:
        arrays[1] = arrays[1].astype(arrays[0].dtype)
        width = max(array.shape[1] for array in arrays)
        arrays = [
            np.pad(
                array,
                [(0, 0), (0, width - array.shape[1]), *[(0, 0)] * (array.ndim - 2)],
                constant_values=padding_index,
            )
            for array in arrays
        ]
    return np.concatenate(arrays)


class MappingTransformerMasking:
    """Maskings that a transformer can do, by the name of its configuration's class."""

    DEFAULT_MASKING: ClassVar[list[Any]] = list(transformer._BUILT_IN)


for _name, _maskings in transformer._MASKINGS.items():
    setattr(MappingTransformerMasking, _name, list(_maskings))
for _masking in transformer._BUILT_IN:
    setattr(MappingTransformerMasking, _masking.__name__, _masking)
