"""Configurations of transformers: Hugging Face's, built from the few sizes that programs give.

Every ``build`` takes the same sizes and hands them on under the names that 23.12.0 gives them, some of which
the architecture does not read; its docstring says which.
"""

from __future__ import annotations

from transformers4rec._legacy import also, elsewhere
from transformers4rec.config._base import T4RecConfig, transformer_registry
from transformers4rec.config._encoders import (
    AlbertConfig,
    BertConfig,
    ElectraConfig,
    LongformerConfig,
    RobertaConfig,
)
from transformers4rec.config._generative import GPT2Config, ReformerConfig, TransfoXLConfig, XLNetConfig

__all__ = [
    "AlbertConfig",
    "BertConfig",
    "ElectraConfig",
    "GPT2Config",
    "LongformerConfig",
    "ReformerConfig",
    "RobertaConfig",
    "T4RecConfig",
    "TransfoXLConfig",
    "XLNetConfig",
    "transformer_registry",
]
__all__ += also(__name__, {})
__getattr__ = elsewhere(__name__, {})
