"""Maskings: which positions are hidden and which items are predicted, by Transformers4Rec's names."""

from __future__ import annotations

from transformers4rec._legacy import also, elsewhere
from transformers4rec.torch._maskings.base import MaskingInfo, MaskSequence, masking_registry
from transformers4rec.torch._maskings.causal import CausalLanguageModeling
from transformers4rec.torch._maskings.masked import MaskedLanguageModeling
from transformers4rec.torch._maskings.permutation import PermutationLanguageModeling
from transformers4rec.torch._maskings.replacement import ReplacementLanguageModeling

__all__ = [
    "CausalLanguageModeling",
    "MaskSequence",
    "MaskedLanguageModeling",
    "MaskingInfo",
    "PermutationLanguageModeling",
    "ReplacementLanguageModeling",
    "masking_registry",
]

_HOMES = {"transformers4rec.torch.utils.torch_utils": "OutputSizeMixin"}
__all__ += also(__name__, _HOMES)
__getattr__ = elsewhere(__name__, _HOMES)
