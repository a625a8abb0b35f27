"""Maskings: which positions are hidden and which items are predicted, by Transformers4Rec's names.

The positions come from the maskings of ``merlin_models_torch``; here is what 23.12.0 does around them, the
state that programs read (``mask_schema``, ``masked_targets``) and the methods that they override.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from merlin_migrate.warnings import unsupported

from merlin_models_torch.masking import CausalMasking, MaskPlan, RandomMasking
from merlin_models_torch.masking.plan import Masking
from transformers4rec._legacy import legacy
from transformers4rec._registry import Registry
from transformers4rec.torch.utils.torch_utils import OutputSizeMixin

masking_registry = Registry("torch.masking")


@legacy
@dataclass
class MaskingInfo:
    """Positions and targets of one batch.

    Args:
        schema: (B, T) bool, what it means depends on the masking.
        targets: (B, T) int64, the item to predict at each position, the padding id where there is none.
    """

    schema: torch.Tensor
    targets: torch.Tensor


class MaskSequence(OutputSizeMixin, torch.nn.Module):
    """Hides positions of a sequence and sets the targets.

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
        self.mask_schema: torch.Tensor | None = None
        self.masked_targets: torch.Tensor | None = None
        self.masked_item_embedding = torch.nn.Parameter(torch.empty(hidden_size))
        torch.nn.init.normal_(self.masked_item_embedding, mean=0, std=0.001)

    def _plan(self, masking: Masking, item_ids: torch.Tensor, training: bool, testing: bool) -> MaskPlan:
        """What a masking of the core decides about this batch."""
        lengths = (item_ids != self.padding_idx).sum(dim=1)
        if training:
            return masking.train(item_ids, lengths)
        return masking.evaluate(item_ids, lengths) if testing else masking.predict(item_ids, lengths)

    def _targets(self, plan: MaskPlan) -> torch.Tensor:
        return plan.targets if self.padding_idx == 0 else plan.targets.where(plan.targeted, self.padding_idx)

    def _compute_masked_targets(
        self, item_ids: torch.Tensor, training: bool = False, testing: bool = False
    ) -> MaskingInfo:
        """Positions and targets of a batch of item ids; what a masking of one's own defines."""
        raise NotImplementedError(f"{type(self).__name__} has to define _compute_masked_targets")

    def compute_masked_targets(
        self, item_ids: torch.Tensor, training: bool = False, testing: bool = False
    ) -> MaskingInfo:
        """Positions and targets of a batch, kept as ``mask_schema`` and ``masked_targets``.

        Args:
            item_ids: (B, T) int64, padded on the right.
            training: whether this is training.
            testing: whether it is evaluation; neither means inference.

        Raises:
            ValueError: if the ids are no matrix.
        """
        if item_ids.dim() != 2:
            raise ValueError(f"item_ids has {item_ids.dim()} dimensions, 2 are expected: batch and position")
        info = self._compute_masked_targets(item_ids, training=training, testing=testing)
        self.mask_schema, self.masked_targets = info.schema, info.targets
        return info

    def _hide(self, inputs: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        return torch.where(hidden.unsqueeze(-1).bool(), self.masked_item_embedding.to(inputs.dtype), inputs)

    def apply_mask_to_inputs(
        self, inputs: torch.Tensor, schema: torch.Tensor, training: bool = False, testing: bool = False
    ) -> torch.Tensor:
        """(B, T, D) inputs with the mask vector where ``schema`` is set, except at inference."""
        return self._hide(inputs, schema) if training or testing else inputs

    def predict_all(self, item_ids: torch.Tensor) -> MaskingInfo:
        """Every position predicts the item after it."""
        targets = torch.nn.functional.pad(item_ids[:, 1:], (0, 1))
        return MaskingInfo(targets != self.padding_idx, targets)

    def forward(
        self, inputs: torch.Tensor, item_ids: torch.Tensor, training: bool = False, testing: bool = False
    ) -> torch.Tensor:
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


@masking_registry.register_with_multiple_names("clm", "causal")
@legacy
class CausalLanguageModeling(MaskSequence):
    """Every position predicts the item after it.

    Nothing here keeps a transformer from looking at later positions: over one that looks both ways (all but
    GPT-2 and Transformer-XL) each position sees its own target, in training and in evaluation, as in 23.12.0.

    Args:
        hidden_size: width of the vector that hides a position.
        padding_idx: id of padding.
        eval_on_last_item_seq_only: whether evaluation has the last item as its only target.
        train_on_last_item_seq_only: the same for training.
        **kwargs: not used.
    """

    def __init__(
        self,
        hidden_size: int,
        padding_idx: int = 0,
        eval_on_last_item_seq_only: bool = True,
        train_on_last_item_seq_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(hidden_size, padding_idx, eval_on_last_item_seq_only)
        self.train_on_last_item_seq_only = train_on_last_item_seq_only

    def _core(self) -> CausalMasking:
        return CausalMasking(
            targets="last" if self.train_on_last_item_seq_only else "all",
            evaluate_on="last" if self.eval_on_last_item_seq_only else "all",
            attention="full",
            replace_padding=True,
            blank_last=True,
            attend_to_padding=True,
        )

    def _compute_masked_targets(
        self, item_ids: torch.Tensor, training: bool = False, testing: bool = False
    ) -> MaskingInfo:
        plan = self._plan(self._core(), item_ids, training, testing)
        if not training and not testing:
            return MaskingInfo(~plan.replaced, item_ids)
        return MaskingInfo(~plan.replaced, self._targets(plan))

    def apply_mask_to_inputs(
        self, inputs: torch.Tensor, mask_schema: torch.Tensor, training: bool = False, testing: bool = False
    ) -> torch.Tensor:
        """(B, T, D) inputs with the mask vector where ``mask_schema`` is not set.

        In training and evaluation the last column counts as nothing, unless it is masked.
        """
        if training or testing:
            inputs = torch.nn.functional.pad(inputs[:, :-1], (0, 0, 0, 1))
        return self._hide(inputs, ~mask_schema.bool())


@masking_registry.register_with_multiple_names("mlm", "masked")
@legacy
class MaskedLanguageModeling(MaskSequence):
    """Random items are hidden and predicted from both sides; at inference a hidden one follows the last.

    Args:
        hidden_size: width of the vector that hides a position.
        padding_idx: id of padding.
        eval_on_last_item_seq_only: whether evaluation has the last item as its only target.
        mlm_probability: chance of each item to be hidden; at least one is, and never all.
        **kwargs: not used.
    """

    def __init__(
        self,
        hidden_size: int,
        padding_idx: int = 0,
        eval_on_last_item_seq_only: bool = True,
        mlm_probability: float = 0.15,
        **kwargs: Any,
    ) -> None:
        super().__init__(hidden_size, padding_idx, eval_on_last_item_seq_only)
        self.mlm_probability = mlm_probability

    def _core(self) -> RandomMasking:
        return RandomMasking(probability=self.mlm_probability, attend_to_padding=True, evaluate_single=True)

    def _compute_masked_targets(
        self, item_ids: torch.Tensor, training: bool = False, testing: bool = False
    ) -> MaskingInfo:
        if testing and not training and not self.eval_on_last_item_seq_only:
            return self.predict_all(item_ids)
        plan = self._plan(self._core(), item_ids, training, testing)
        if training or testing:
            return MaskingInfo(plan.targeted, self._targets(plan))
        # 23.12.0 has the last item again at the position to predict; what matters is where it is.
        last = item_ids.gather(1, (plan.targeted.int().argmax(dim=1, keepdim=True) - 1).clamp(min=0))
        return MaskingInfo(plan.targeted, torch.where(plan.targeted, last, self.padding_idx))

    def apply_mask_to_inputs(
        self, inputs: torch.Tensor, mask_schema: torch.Tensor, training: bool = False, testing: bool = False
    ) -> torch.Tensor:
        """(B, T, D) inputs with the mask vector where ``mask_schema`` is set; (B, T + 1, D) at inference."""
        if not training and not testing:
            inputs = torch.cat([inputs, inputs[:, -1:]], dim=1)
        return self._hide(inputs, mask_schema)


class _NotYet(MaskSequence):
    """A masking of 23.12.0 that is not offered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise unsupported(f"transformers4rec.torch.masking.{type(self).__name__}")


@masking_registry.register_with_multiple_names("plm", "permutation")
class PermutationLanguageModeling(_NotYet):
    """Permuted orders of prediction; not offered."""


@masking_registry.register_with_multiple_names("rtd", "replacement")
class ReplacementLanguageModeling(_NotYet):
    """Detection of replaced items; not offered."""
