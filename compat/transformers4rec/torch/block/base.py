"""Blocks: modules that know the size of their output, and sequences of them."""

from __future__ import annotations

import abc
import inspect
import logging
from collections import OrderedDict
from functools import cache
from typing import Any

import torch
from torch.nn import Module

from transformers4rec._legacy import elsewhere, legacy
from transformers4rec.torch.utils.torch_utils import (
    OutputSizeMixin,
    calculate_batch_size_from_input_size,
    check_gpu,
)

__getattr__ = elsewhere(__name__, {})
LOG = logging.getLogger("transformers4rec")


class BlockBase(OutputSizeMixin, Module):
    """A module that knows its output's size and can become a model."""

    def to_model(self, prediction_task_or_head: Any, inputs: Any = None, **kwargs: Any) -> Any:
        """This block as the body of a model.

        Args:
            prediction_task_or_head: what to put on it.
            inputs: the input block, for tasks that predict items.
            **kwargs: of ``Model``.

        Raises:
            ValueError: if it is neither a task nor a head.
        """
        from transformers4rec.torch.model.base import Head, PredictionTask

        if isinstance(prediction_task_or_head, PredictionTask):
            prediction_task_or_head = prediction_task_or_head.to_head(self, inputs=inputs, **kwargs)
        elif not isinstance(prediction_task_or_head, Head):
            raise ValueError(
                f"`prediction_task_or_head` is a {type(prediction_task_or_head).__name__}: give a `Head` or "
                "a `PredictionTask`"
            )
        return prediction_task_or_head.to_model(**kwargs)

    def as_tabular(self, name: str | None = None) -> SequentialBlock:
        """The output as a dictionary with one entry of this name."""
        from transformers4rec.torch.tabular.base import AsTabular

        return SequentialBlock(self, AsTabular(name or getattr(self, "name", None) or type(self).__name__))


@legacy
class Block(BlockBase):
    """Any module, with the size of its output.

    Args:
        module: the module.
        output_size: size of its output; None or -1 in the first place stands for the number of rows.
    """

    def __init__(self, module: Module, output_size: list[int] | torch.Size) -> None:
        super().__init__()
        self.module = module
        self._output_size = output_size

    def forward(self, inputs: Any, **kwargs: Any) -> Any:
        """The module's output."""
        return self.module(inputs, **kwargs)

    def forward_output_size(self, input_size: Any) -> Any:
        """The given size, the number of rows filled in."""
        if self._output_size[0] is None:
            return [calculate_batch_size_from_input_size(input_size), *self._output_size[1:]]
        return self._output_size


@cache
def _parameters(module_class: type[Module]) -> frozenset[str]:
    """Names of the parameters of forward."""
    return frozenset(inspect.signature(module_class.forward).parameters)


@legacy
class SequentialBlock(BlockBase, torch.nn.Sequential):
    """Modules one after the other, each built with the size that the one before it gives.

    Args:
        *args: modules, buildable blocks, or lists of column names to keep.
        output_size: size of the last one's output, where it does not know it.
    """

    def __init__(self, *args: Any, output_size: Any = None) -> None:
        super().__init__()
        self._static_output_size = output_size
        self.input_size = None
        if len(args) == 1 and isinstance(args[0], list):
            args = tuple(args[0])
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            named = list(args[0].items())
        else:
            named = [(str(index), module) for index, module in enumerate(args)]
        self._check_masking([module for _, module in named])
        last = None
        for index, (name, module) in enumerate(named):
            last = self.add_module_and_maybe_build(name, module, last, index)

    @staticmethod
    def _check_masking(modules: list[Any]) -> None:
        from transformers4rec.torch.block.transformer import TransformerBlock
        from transformers4rec.torch.features.sequence import TabularSequenceFeatures

        if not modules or not isinstance(modules[0], TabularSequenceFeatures):
            return
        for module in modules:
            if isinstance(module, TransformerBlock) and module.masking != modules[0].masking:
                LOG.warning(
                    "The input block has a masking, the TransformerBlock another or none: "
                    "give TransformerBlock the argument masking=inputs.masking"
                )

    @property
    def inputs(self) -> Any:
        """The first block if it is an input block, else None."""
        from transformers4rec.torch.features.tabular import TabularFeatures

        first = next(iter(self))
        return first if isinstance(first, TabularFeatures) else None

    def add_module(self, name: str, module: Any) -> None:
        """Adds a module, or a filter for a list of column names."""
        from transformers4rec.torch.tabular.base import FilterFeatures

        super().add_module(name, FilterFeatures(module) if isinstance(module, list) else module)

    def add_module_and_maybe_build(self, name: str, module: Any, parent: Any, idx: int) -> Any:
        """Adds a module, built first where the one before it knows its size."""
        if getattr(parent, "output_size", None) and getattr(module, "build", None):
            module = module.build(parent.output_size())
        if idx == 0:
            self.input_size = getattr(module, "input_size", None)
        self.add_module(name, module)
        return module

    def __rrshift__(self, other: Any) -> Any:
        return right_shift_block(self, other)

    def __rshift__(self, other: Any) -> Any:
        return right_shift_block(other, self)

    def forward(self, input: Any, training: bool = False, testing: bool = False, **kwargs: Any) -> Any:
        """The last module's output.

        Args:
            input: what the first module takes.
            training: given to those modules but the last that take it.
            testing: the same.
            **kwargs: given to the last module, whose ``__call__`` may take more than its ``forward``.
        """
        modules = list(self)
        if not modules:
            return input
        for module in modules[:-1]:
            names = _parameters(type(module))
            mode = {}
            if "training" in names:
                mode = (
                    {"training": training, "testing": testing}
                    if "testing" in names
                    else {"training": training}
                )
            input = module(input, **mode)
        return modules[-1](input, **kwargs)

    def build(self, input_size: Any, schema: Any = None, **kwargs: Any) -> SequentialBlock:
        """Builds every module with the size that the one before it gives."""
        output_size = input_size
        for module in self:
            if not hasattr(module, "build"):
                break
            module.build(output_size, schema=schema)
            output_size = module.output_size()
        return super().build(input_size, schema=None, **kwargs)

    def as_tabular(self, name: str | None = None) -> SequentialBlock:
        """The output as a dictionary with one entry of this name."""
        from transformers4rec.torch.tabular.base import AsTabular

        return SequentialBlock(self, AsTabular(name or getattr(self, "name", None) or type(self).__name__))

    def __add__(self, other: Any) -> Any:
        from transformers4rec.torch.tabular.base import merge_tabular

        return merge_tabular(self, other)

    def forward_output_size(self, input_size: Any) -> Any:
        """Size after the last module; None where one does not know its own."""
        if self._static_output_size:
            return self._static_output_size
        for module in self:
            if not getattr(module, "output_size", None):
                return None
            input_size = module.output_size(input_size)
        return input_size

    @staticmethod
    def get_children_by_class_name(parent: Any, *class_name: str) -> list[Module]:
        """Modules of these classes among the children, and among what those merge."""
        candidates = (
            candidate for child in parent for candidate in (*getattr(child, "merge_values", ()), child)
        )
        return [candidate for candidate in candidates if type(candidate).__name__ in class_name]


@legacy
def build_blocks(*modules: Any) -> list[Module]:
    """Modules, each built with the size that the one before it gives."""
    return list(SequentialBlock(*modules))


class BuildableBlock(abc.ABC):
    """Becomes a block when it is told the size of its input."""

    @abc.abstractmethod
    def build(self, input_size: Any) -> BlockBase:
        """The block for inputs of this size."""
        raise NotImplementedError(f"{type(self).__name__} has to define build(input_size)")

    def __rrshift__(self, other: Any) -> Any:
        return right_shift_block(self, other)

    def to_module(self, shape_or_module: Any) -> BlockBase:
        """The block for a size, or for the output of a module."""
        if isinstance(shape_or_module, Module):
            output_size = getattr(shape_or_module, "output_size", None)
            shape_or_module = output_size() if output_size else None
        return self.build(shape_or_module)


def _built(modules: list[Any], before: list[Any]) -> list[Any]:
    """The modules, built with the size of what is before them."""
    size = before[-1].output_size()
    built = []
    for module in modules:
        if getattr(module, "build", None):
            with_parents = "parents" in inspect.signature(module.build).parameters
            module = (module.build(size, before) if with_parents else module.build(size)) or module
            size = module.output_size() if hasattr(module, "output_size") else None
        built.append(module)
    return built


def right_shift_block(self: Any, other: Any) -> SequentialBlock:
    """``other >> self``: the modules of both in one sequence.

    Args:
        self: what comes second, a module, a sequence or a buildable block.
        other: what comes first, the same or a list of column names.
    """
    from transformers4rec.torch.tabular.base import FilterFeatures

    if isinstance(other, list):
        left: list[Any] = [FilterFeatures(other)]
    else:
        left = list(other) if isinstance(other, SequentialBlock) else [other]
    right = list(self) if isinstance(self, SequentialBlock) else [self]
    if hasattr(left[-1], "output_size") and left[-1].output_size():
        right = _built(right, left)
    out = SequentialBlock(*left, *right)
    if input_size := getattr(left[-1], "input_size", None):
        out.input_size = input_size
    if any(isinstance(side, Module) and check_gpu(side) for side in (self, other)):
        out.to("cuda")
    return out


BlockType = BlockBase | BuildableBlock
BlockOrModule = BlockBase | BuildableBlock | Module
