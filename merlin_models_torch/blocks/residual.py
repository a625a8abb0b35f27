"""Blocks that keep what they got beside what they made of it."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.base import Block
from merlin_models_torch.serialize import serializable


@serializable
class ResidualBlock(Block):
    """Modules one after the other, each of whose outputs is added to a shortcut (He et al. 2016).

    Args:
        *modules: each gives a tensor of the shape that it gets.
        shortcut: "previous" adds each output to what that module got; "first" adds all of them to the input
            of the block, as merlin.models.torch did. They differ from the second module on.

    Raises:
        ValueError: if the shortcut is unknown.

    Example:
        >>> ResidualBlock(nn.Identity(), nn.Identity())(torch.ones(1))
        tensor([4.])
    """

    def __init__(self, *modules: nn.Module, shortcut: Literal["previous", "first"] = "previous") -> None:
        super().__init__(*modules)
        if shortcut not in ("previous", "first"):
            raise ValueError(f"shortcut is {shortcut!r}, expected one of ['previous', 'first']")
        self.shortcut = shortcut

    def forward(self, inputs: Tensor, batch: Batch | None = None) -> Tensor:
        """Runs the modules in order.

        Args:
            inputs: (B, D) or (B, T, D), what the first module takes.
            batch: passed to the modules that ask for it.

        Returns:
            A tensor of the shape of the inputs.

        Raises:
            ValueError: if a module gives another shape than it got.
        """
        hidden = inputs
        for index in range(len(self)):
            output, _ = self.step(index, hidden, batch)
            shortcut = hidden if self.shortcut == "previous" else inputs
            if not isinstance(output, Tensor) or output.shape != shortcut.shape:
                raise ValueError(
                    f"module {index} of a residual block gives {_described(output)}, expected the shape of "
                    f"its input {tuple(shortcut.shape)}: let its last width be {shortcut.shape[-1]}"
                )
            hidden = shortcut + output
        return hidden

    def init_arguments(self) -> dict[str, Any]:
        """What builds this block again."""
        return {**super().init_arguments(), "shortcut": self.shortcut}


@serializable
class ShortcutBlock(Block):
    """Modules one after the other, and their input beside their output.

    Args:
        *modules: any modules.
        propagate_shortcut: each module gets a dict of the shortcut and the output of the one before, instead
            of the output alone.
        shortcut_name: of the input in the dict.
        output_name: of the output in the dict.

    Example:
        >>> ShortcutBlock(nn.Identity())(torch.ones(1, 1))
        {'shortcut': tensor([[1.]]), 'output': tensor([[1.]])}
    """

    def __init__(
        self,
        *modules: nn.Module,
        propagate_shortcut: bool = False,
        shortcut_name: str = "shortcut",
        output_name: str = "output",
    ) -> None:
        super().__init__(*modules)
        self.propagate_shortcut = propagate_shortcut
        self.shortcut_name = shortcut_name
        self.output_name = output_name

    def forward(self, inputs: Tensor | dict[str, Tensor], batch: Batch | None = None) -> dict[str, Tensor]:
        """Runs the modules in order.

        Args:
            inputs: (B, D) or (B, T, D), which is shortcut and first input; or a dict of both under their
                names, as a shortcut block before this one gives it.
            batch: passed to the modules that ask for it.

        Returns:
            The shortcut and the output under their names. If the last module gives a dict, its entries take
            the place of the output.

        Raises:
            ValueError: if a dict lacks the shortcut or the output.
        """
        if isinstance(inputs, dict):
            shortcut = self._entry(inputs, self.shortcut_name, "inputs")
            output: Any = self._entry(inputs, self.output_name, "inputs")
        else:
            shortcut = output = inputs
        for index in range(len(self)):
            if self.propagate_shortcut:
                output = {self.shortcut_name: shortcut, self.output_name: output}
            output, _ = self.step(index, output, batch)
            if self.propagate_shortcut and isinstance(output, dict) and index < len(self) - 1:
                output = self._entry(output, self.output_name, f"output of module {index}")
        named = output if isinstance(output, dict) else {self.output_name: output}
        return {self.shortcut_name: shortcut, **named}

    def _entry(self, values: dict[str, Tensor], name: str, what: str) -> Tensor:
        if name not in values:
            raise ValueError(
                f"the {what} of a shortcut block have the entries {sorted(values)} and not {name!r}: pass a "
                "tensor, or name the entries by shortcut_name and output_name"
            )
        return values[name]

    def init_arguments(self) -> dict[str, Any]:
        """What builds this block again."""
        return {
            **super().init_arguments(),
            "propagate_shortcut": self.propagate_shortcut,
            "shortcut_name": self.shortcut_name,
            "output_name": self.output_name,
        }


def _described(output: object) -> str:
    return f"the shape {tuple(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__
