"""What all maskings share: the state that programs read and the methods that they override."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from transformers4rec._legacy import legacy
from transformers4rec._registry import Registry
from transformers4rec.torch.utils.torch_utils import OutputSizeMixin

HOME = "transformers4rec.torch.masking"

masking_registry = Registry("torch.masking")


@legacy(home=HOME)
@dataclass
class MaskingInfo:
    """Positions and targets of one batch.

    Args:
        schema: (B, T) bool, what it means depends on the masking.
        targets: (B, T) int64, the item to predict at each position, the padding id where there is none.
    """

    schema: Tensor
    targets: Tensor


class MaskSequence(OutputSizeMixin, torch.nn.Module):
    """Hides positions of a sequence and sets the targets.

    An id equal to ``padding_idx`` counts as no item wherever it stands. 23.12.0 takes the last item to be at
    the number of items, so it finds it only if all padding is behind.

    Args:
        hidden_size: width of the vector that hides a position.
        padding_idx: id of padding.
        eval_on_last_item_seq_only: whether evaluation has the last item as its only target.
        **kwargs: not used.
    """

    def __init__(
        self, hidden_size: int, padding_idx: int = 0, eval_on_last_item_seq_only: bool = True, **kwargs: Any
    ) -> None:
        super().__init__()
        self.padding_idx = padding_idx
        self.hidden_size = hidden_size
        self.eval_on_last_item_seq_only = eval_on_last_item_seq_only
        self.mask_schema: Tensor | None = None
        self.masked_targets: Tensor | None = None
        self.masked_item_embedding = torch.nn.Parameter(torch.empty(hidden_size))
        torch.nn.init.normal_(self.masked_item_embedding, mean=0, std=0.001)

    def _compute_masked_targets(
        self, item_ids: Tensor, training: bool = False, testing: bool = False
    ) -> MaskingInfo:
        """Positions and targets of a batch of item ids; what a masking of one's own defines."""
        raise NotImplementedError(f"{type(self).__name__} has to define _compute_masked_targets")

    def compute_masked_targets(
        self, item_ids: Tensor, training: bool = False, testing: bool = False
    ) -> MaskingInfo:
        """Positions and targets of a batch, kept as ``mask_schema`` and ``masked_targets``.

        Args:
            item_ids: (B, T) int64, padded on the right.
            training: whether this is training.
            testing: whether it is evaluation; neither means inference.

        Raises:
            AssertionError: if the ids are no matrix.
        """
        if item_ids.dim() != 2:
            raise AssertionError(
                f"item_ids has {item_ids.dim()} dimensions, 2 are expected: batch and position"
            )
        info = self._compute_masked_targets(item_ids, training=training, testing=testing)
        self.mask_schema, self.masked_targets = info.schema, info.targets
        return info

    def _hide(self, inputs: Tensor, hidden: Tensor) -> Tensor:
        return torch.where(hidden.unsqueeze(-1).bool(), self.masked_item_embedding.to(inputs.dtype), inputs)

    def apply_mask_to_inputs(
        self, inputs: Tensor, schema: Tensor, training: bool = False, testing: bool = False
    ) -> Tensor:
        """(B, T, D) inputs with the mask vector where ``schema`` is set, except at inference."""
        return self._hide(inputs, schema) if training or testing else inputs

    def predict_all(self, item_ids: Tensor) -> MaskingInfo:
        """Every position predicts the item after it."""
        targets = torch.nn.functional.pad(item_ids[:, 1:], (0, 1))
        return MaskingInfo(targets != self.padding_idx, targets)

    def _last_item(self, item_ids: Tensor) -> MaskingInfo:
        """The last item of each session is hidden and is the target."""
        last = last_position(item_ids != self.padding_idx)
        targets = torch.full_like(item_ids, self.padding_idx).scatter(1, last, item_ids.gather(1, last))
        return MaskingInfo(targets != self.padding_idx, targets)

    def forward(
        self, inputs: Tensor, item_ids: Tensor, training: bool = False, testing: bool = False
    ) -> Tensor:
        """(B, T, D) inputs, masked.

        Raises:
            ValueError: if a masking of one's own set no positions.
        """
        self.compute_masked_targets(item_ids=item_ids, training=training, testing=testing)
        if self.mask_schema is None:
            raise ValueError(
                f"{type(self).__name__}._compute_masked_targets gave no schema: return a MaskingInfo"
            )
        return self.apply_mask_to_inputs(inputs, self.mask_schema, training=training, testing=testing)

    def forward_output_size(self, input_size: Any) -> Any:
        """The input's size."""
        return input_size

    def transformer_required_arguments(self) -> dict[str, Any]:
        """Arguments that a transformer has to take for this masking."""
        return {}

    def transformer_optional_arguments(self) -> dict[str, Any]:
        """Arguments that a transformer is given if it takes them."""
        return {}

    @property
    def transformer_arguments(self) -> dict[str, Any]:
        """All of them."""
        return {**self.transformer_required_arguments(), **self.transformer_optional_arguments()}


MaskSequence.__module__ = HOME


def last_position(items: Tensor) -> Tensor:
    """(B, 1) int64 from (B, T) bool: the number of items less one; the last column where there are none."""
    return (items.sum(1, keepdim=True) - 1) % items.shape[1]


def one_shown(hidden: Tensor, items: Tensor) -> Tensor:
    """The (B, T) hidden positions, less a random one in each session of which everything is hidden."""
    everything = hidden.sum(1) == items.sum(1)
    # Drawn for every session, used or not, as 23.12.0 draws it.
    shown = torch.multinomial(hidden.float(), 1)
    kept = hidden.gather(1, shown) & ~everything[:, None]
    return hidden.scatter(1, shown, kept)
