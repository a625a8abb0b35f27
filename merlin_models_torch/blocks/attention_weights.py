"""Attention weights of the bodies of a model, on request."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from merlin_models_torch._modes import eval_mode


def attention_weights(model: nn.Module, *inputs: Any) -> dict[str, tuple[Tensor, ...]]:
    """How much each position takes from each, in every body of a model that has attention.

    The model runs once, as for prediction: without dropout and gradients. Bodies are those with a method
    ``attention_weights``: :class:`TransformerBlock`, :class:`XLNetBlock`, :class:`TransformerXLBlock`,
    :class:`HuggingFaceBlock`, or one of your own.

    Args:
        model: a :class:`Model`, or any module.
        *inputs: what the model is called with: a batch as a loader gives it.

    Returns:
        For each body, by its path in the model, and for each of its layers (B, H, T, T): how much each
        position (third) takes from each (last). Rows of padding have no meaning.

    Raises:
        ValueError: if no body has attention weights.

    Example:
        >>> weights = attention_weights(model, batch)["body.layers.1"]
        >>> len(weights), weights[0].shape  # layers; 8 sessions, 2 heads, up to 13 items
        (1, torch.Size([8, 2, 13, 13]))
        >>> weights[0][0, 0, 0, :3].tolist()  # the first item sees itself only
        [1.0, 0.0, 0.0]
    """
    bodies: dict[str, Any] = {
        name: module
        for name, module in model.named_modules()
        if callable(getattr(type(module), "attention_weights", None))
    }
    if not bodies:
        raise ValueError(
            f"no part of the {type(model).__name__} has attention weights: use a body with attention, such "
            "as TransformerBlock"
        )
    found: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def remember(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            found[name] = (args, kwargs)

        return hook

    hooks = [
        body.register_forward_pre_hook(remember(name), with_kwargs=True) for name, body in bodies.items()
    ]
    try:
        with eval_mode(model), torch.no_grad():
            model(*inputs)
            return {
                name: bodies[name].attention_weights(*args, **kwargs)
                for name, (args, kwargs) in found.items()
            }
    finally:
        for hook in hooks:
            hook.remove()
