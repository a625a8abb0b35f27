"""How a Hugging Face model is told what attention may see, found out by trying."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from merlin_models_torch._modes import eval_mode
from merlin_models_torch.masking.sight import Sight

Way = Literal["pairs", "pairs and positions", "permutation", "padding"]

_REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, AttributeError, AssertionError, KeyError)


@dataclass(frozen=True)
class MaskWay:
    """How to pass a mask to a model, and what the model can see at all.

    Args:
        way: "pairs" is a mask of who sees whom as ``attention_mask`` (with ``position_ids`` where the model
            would else derive them from the mask), "permutation" the same as XLNet's ``perm_mask``, "padding"
            a mask of the positions in use.
        sees_later: whether a position can see later ones. If not, the model is causal by itself.
    """

    way: Way
    sees_later: bool

    def arguments(self, visible: Tensor, inputs: Tensor) -> dict[str, Tensor]:
        """The keyword arguments of the model's ``forward``.

        Args:
            visible: (B, 1, T) or (B, T, T) bool.
            inputs: (B, T, D).
        """
        steps = inputs.shape[1]
        if self.way == "padding":
            return {"attention_mask": visible.any(1).long()}
        pairs = visible.expand(-1, steps, -1)
        if self.way == "permutation":
            return {"perm_mask": (~pairs).to(inputs.dtype)}
        lowest = torch.finfo(inputs.dtype).min
        mask = torch.zeros_like(pairs, dtype=inputs.dtype).masked_fill(~pairs, lowest)[:, None]
        if self.way == "pairs":
            return {"attention_mask": mask}
        positions = torch.arange(steps, device=inputs.device).expand(inputs.shape[0], -1)
        return {"attention_mask": mask, "position_ids": positions}

    def sight(self, name: str) -> Sight:
        """What the model can be told to see; ``name`` is the model's in errors."""
        later = "an architecture that sees both sides"
        if not self.sees_later:
            return Sight(name, frozenset({"causal"}), remedies={"full": later})
        if self.way == "padding":
            return Sight(name, frozenset({"full"}), remedies={"causal": "one that takes a mask of pairs"})
        return Sight(name, frozenset({"causal", "full"}))


def find_way(model: nn.Module, width: int) -> MaskWay | None:
    """Tries the ways on four random positions, the last of them hidden from the others.

    Args:
        model: takes ``inputs_embeds`` of (B, T, ``width``).
        width: of the inputs.

    Returns:
        The first way by which the last position does not change the others; None if there is none.
    """
    parameters = inspect.signature(model.forward).parameters
    ways: list[Way] = ["pairs", "pairs and positions", "padding"]
    if "perm_mask" in parameters:
        ways = ["permutation"]
    with eval_mode(model):
        for way in ways:
            seen = _tried(model, MaskWay(way, True), width)
            if seen is not None:
                return MaskWay(way, seen)
    return None


def _tried(model: nn.Module, way: MaskWay, width: int) -> bool | None:
    """Whether a position sees later ones; None if the way fails or does not hide the last position."""
    like = next(p for p in model.parameters() if p.is_floating_point())
    draws = torch.randn(3, 1, 4, width, generator=torch.Generator().manual_seed(0))
    inputs, last, third = draws.to(device=like.device, dtype=like.dtype)
    last = torch.cat([inputs[:, :3], last[:, 3:]], 1)
    third = torch.cat([inputs[:, :2], third[:, 2:3], inputs[:, 3:]], 1)
    visible = torch.ones(1, 1, 4, dtype=torch.bool, device=like.device)
    visible[..., 3] = False
    try:
        with torch.no_grad():
            arguments = way.arguments(visible, inputs)
            want, hidden, open_ = (run(model, x, arguments) for x in (inputs, last, third))
    except _REFUSALS:
        return None
    tolerance = 1e-6 * float(want.abs().max())
    if want.shape[:2] != inputs.shape[:2] or (hidden - want)[:, :3].abs().max() > tolerance:
        return None
    return bool((open_ - want)[:, :2].abs().max() > tolerance)


def run(model: nn.Module, inputs: Tensor, arguments: dict[str, Any]) -> Tensor:
    """The model's last hidden states: (B, T, S) to (B, T, D)."""
    return model(inputs_embeds=inputs, return_dict=True, **arguments).last_hidden_state  # type: ignore[no-any-return]
