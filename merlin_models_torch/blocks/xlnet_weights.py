"""Which weights of a Hugging Face XLNet go into a block, and whether both compute the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from merlin_models_torch.blocks.activation import Activation

_ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "linear": "none",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
}


def layer_weights(source: Mapping[str, Tensor], *, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the layers in a state dict, and of the mask embedding if the block has one.

    Args:
        source: state dict of an ``XLNetModel``, or of a model with one as ``transformer``.
        like: state dict of the block.

    Raises:
        ValueError: if one is missing, unknown or of another shape than the block's.
    """
    prefix = "transformer." if any(name.startswith("transformer.layer.") for name in source) else ""
    wanted = (f"{prefix}layer.", f"{prefix}mask_emb") if "mask_emb" in like else (f"{prefix}layer.",)
    found = {name[len(prefix) :]: value for name, value in source.items() if name.startswith(wanted)}
    for name in sorted({*like, *found}):
        if name not in found:
            raise ValueError(f"the source has no weight {prefix + name!r}: is it an XLNet of as many layers?")
        if name not in like:
            raise ValueError(
                f"the source has a weight {prefix + name!r} and the block has not: give it more layers"
            )
        if found[name].shape != like[name].shape:
            raise ValueError(
                f"weight {prefix + name!r} is {tuple(found[name].shape)} in the source and "
                f"{tuple(like[name].shape)} in the block: build the block with the sizes of the source"
            )
    return found


def check_config(config: Any, *, activation: Activation, layer_norm_eps: float) -> None:
    """Compares what a Hugging Face config says, if there is one, with what a block computes.

    Args:
        config: an ``XLNetConfig`` or None.
        activation: of the block.
        layer_norm_eps: of the block.

    Raises:
        ValueError: if they differ, or the config wants what no block does.
    """
    if not hasattr(config, "ff_activation"):
        return
    theirs = _ACTIVATIONS.get(config.ff_activation)
    if theirs is None:
        raise ValueError(f"the source has ff_activation={config.ff_activation!r}, which no block has")
    if theirs != activation:
        raise ValueError(
            f"the source has ff_activation={config.ff_activation!r} and the block activation={activation!r}: "
            f"build the block with activation={theirs!r}"
        )
    if config.layer_norm_eps != layer_norm_eps:
        raise ValueError(
            f"the source has layer_norm_eps={config.layer_norm_eps} and the block {layer_norm_eps}: build "
            "the block with that of the source"
        )
    if config.clamp_len > 0 or config.bi_data:
        raise ValueError(
            f"the source has clamp_len={config.clamp_len} and bi_data={config.bi_data}, and a block computes "
            "neither: use the Hugging Face model itself"
        )
