"""Models of Hugging Face, with what those of transformers 4.30 had."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

from merlin_models_torch.blocks.dropout import Dropout
from merlin_models_torch.blocks.linear import Linear
from transformers4rec.config._base import T4RecConfig
from transformers4rec.torch.block._transfo_xl import TransfoXLConfig, TransfoXLModel

_POSITIONS = ("position_ids",)
# Buffers that were in state dicts of transformers 4.30 and no longer are, by type of the model.
_BUFFERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("albert", "bert", "convbert", "deberta", "electra", "megatron-bert", "mpnet", "roberta"), _POSITIONS
    ),
    "reformer": (
        "mask_value_float16",
        "mask_value_float32",
        "self_mask_value_float16",
        "self_mask_value_float32",
    ),
}


def huggingface_model(config: Any) -> PreTrainedModel:
    """Hugging Face's model of a configuration of theirs, or of a subclass of one."""
    if isinstance(config, TransfoXLConfig):
        return TransfoXLModel(config)
    if isinstance(config, transformers.XLNetConfig):
        from transformers4rec.torch.block._xlnet import XLNetModel

        return with_quick_parts(XLNetModel(config))
    known = config.transformers_config_cls if isinstance(config, T4RecConfig) else type(config)
    model = transformers.MODEL_MAPPING[known](config)
    if config.output_attentions:
        model.set_attn_implementation("eager")  # the fused ones of transformers 5 give no weights
    return with_buffers(with_quick_parts(model))


def with_quick_parts(model: PreTrainedModel) -> PreTrainedModel:
    """The same model, by dropout and linear layers that are cheap on CPU."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is torch.nn.Dropout:
                setattr(module, name, Dropout(child.p))
            elif type(child) is torch.nn.Linear:
                child.__class__ = Linear  # a new one would draw weights
    return model


def with_buffers(model: PreTrainedModel) -> PreTrainedModel:
    """The same model, its state dict with the names that 4.30 gave it."""
    names = _BUFFERS.get(getattr(model.config, "model_type", ""), ())
    for module in model.modules():
        for name in names:
            module._non_persistent_buffers_set.discard(name)
    return model


def looks_back_only(model: PreTrainedModel) -> bool:
    """Whether no position of the model sees a later one."""
    config = model.config
    return (
        type(model).config_class.__name__ in ("GPT2Config", "TransfoXLConfig")
        or getattr(config, "attn_type", None) == "uni"
        or bool(getattr(config, "is_decoder", False))
    )
