"""Modules over dictionaries of columns: filters, merges, transformations and aggregations around them."""

from __future__ import annotations

from abc import ABC
from copy import deepcopy
from functools import reduce
from importlib import import_module
from typing import Any

import torch

from transformers4rec._legacy import Refused, elsewhere, legacy
from transformers4rec._registry import Registry
from transformers4rec.torch.block.base import BlockBase, SequentialBlock, right_shift_block
from transformers4rec.torch.typing import TabularData, TensorOrTabularData
from transformers4rec.torch.utils.torch_utils import OutputSizeMixin, calculate_batch_size_from_input_size

__getattr__ = elsewhere(
    __name__,
    {
        "merlin_standard_lib": "Schema",
    },
)

tabular_transformation_registry: Registry = Registry.class_registry("torch.tabular_transformations")
tabular_aggregation_registry: Registry = Registry.class_registry("torch.tabular_aggregations")


class TabularTransformation(OutputSizeMixin, torch.nn.Module, ABC):
    """Columns to columns."""

    def forward(self, inputs: TabularData, **kwargs: Any) -> TabularData:
        """The changed columns."""
        raise NotImplementedError(f"{type(self).__name__} has to define forward")

    @classmethod
    def parse(cls, class_or_str: Any) -> Any:
        """A new transformation of this name; anything but a string as it is."""
        import_module("transformers4rec.torch.tabular.transformations")  # registers the names
        return tabular_transformation_registry.parse(class_or_str)


class TabularAggregation(OutputSizeMixin, torch.nn.Module, ABC):
    """Columns to one tensor."""

    def forward(self, inputs: TabularData) -> torch.Tensor:
        """The one tensor."""
        raise NotImplementedError(f"{type(self).__name__} has to define forward")

    def _expand_non_sequential_features(self, inputs: TabularData) -> TabularData:
        """Columns without positions (B, D), repeated at each position where there are columns (B, T, D)."""
        sequences, length = self._get_seq_features_shapes({name: x.shape for name, x in inputs.items()})
        if not sequences:
            return inputs
        return {
            name: x if name in sequences else x.unsqueeze(1).expand(-1, length, -1)
            for name, x in inputs.items()
        }

    def _get_seq_features_shapes(
        self, inputs_sizes: dict[str, Any]
    ) -> tuple[dict[str, tuple[int, ...]], int]:
        sequences = {name: tuple(size[:2]) for name, size in inputs_sizes.items() if len(size) >= 3}
        self._check_first_two_dims(sequences)
        return sequences, next(iter(sequences.values()))[1] if sequences else 0

    def _check_first_two_dims(self, seq_features_shapes: dict[str, tuple[int, ...]]) -> None:
        if len(set(seq_features_shapes.values())) > 1 and not torch.jit.is_tracing():
            raise ValueError(
                f"sequential columns differ in rows or positions: {seq_features_shapes}; give all the same"
            )

    def _check_concat_shapes(self, inputs: TabularData) -> None:
        if len({x.shape[:-1] for x in inputs.values()}) > 1 and not torch.jit.is_tracing():
            sizes = {name: tuple(x.shape) for name, x in inputs.items()}
            raise ValueError(f"columns differ in more than their last dimension: {sizes}")

    def _get_agg_output_size(self, input_size: dict[str, Any], agg_dim: int) -> tuple[int, ...]:
        rows = calculate_batch_size_from_input_size(input_size)
        sequences, length = self._get_seq_features_shapes(input_size)
        return (rows, length, agg_dim) if sequences else (rows, agg_dim)

    @classmethod
    def parse(cls, class_or_str: Any) -> Any:
        """A new aggregation of this name; anything but a string as it is."""
        import_module("transformers4rec.torch.tabular.aggregation")  # registers the names
        return tabular_aggregation_registry.parse(class_or_str)


TabularTransformationType = str | TabularTransformation
TabularTransformationsType = TabularTransformationType | list[TabularTransformationType]
TabularAggregationType = str | TabularAggregation


@legacy
class SequentialTabularTransformations(SequentialBlock):
    """Transformations one after the other.

    Args:
        *transformation: transformations or their names.
    """

    def __init__(self, *transformation: Any) -> None:
        if len(transformation) == 1 and isinstance(transformation[0], list | tuple):
            transformation = tuple(transformation[0])
        super().__init__(*(TabularTransformation.parse(t) for t in transformation))

    def append(self, transformation: Any) -> SequentialTabularTransformations:
        """Adds one at the end."""
        return super().append(TabularTransformation.parse(transformation))


@legacy
class TabularModule(torch.nn.Module):
    """A module over columns, with transformations before and after it and an aggregation at its end.

    Args:
        pre: transformations of the inputs.
        post: transformations of what ``forward`` gives.
        aggregation: makes one tensor of the result.
        **kwargs: not used.
    """

    def __init__(self, pre: Any = None, post: Any = None, aggregation: Any = None, **kwargs: Any) -> None:
        super().__init__()
        self.input_size = None
        self.pre = pre
        self.post = post
        self.aggregation = aggregation

    @classmethod
    @legacy
    def from_schema(cls, schema: Any, tags: Any = None, **kwargs: Any) -> Any:
        """A module over the columns of these tags; None if no column has them."""
        schema = deepcopy(schema)
        if tags:
            schema = schema.select_by_tag(tags)
        if not schema.column_names:
            return None
        return cls.from_features(schema.column_names, schema=schema, **kwargs)

    @classmethod
    @legacy
    def from_features(
        cls, features: list[str], pre: Any = None, post: Any = None, aggregation: Any = None, **kwargs: Any
    ) -> Any:
        """A module over these columns only."""
        keep = FilterFeatures(features)
        return cls(pre=[keep, pre] if pre else keep, post=post, aggregation=aggregation, **kwargs)

    @property
    def pre(self) -> SequentialTabularTransformations | None:
        """Transformations of the inputs."""
        return self._pre

    @pre.setter
    def pre(self, value: Any) -> None:
        self._pre = SequentialTabularTransformations(value) if value else None

    @property
    def post(self) -> SequentialTabularTransformations | None:
        """Transformations of what ``forward`` gives."""
        return self._post

    @post.setter
    def post(self, value: Any) -> None:
        self._post = SequentialTabularTransformations(value) if value else None

    @property
    def aggregation(self) -> TabularAggregation | None:
        """What makes one tensor of the result."""
        return self._aggregation

    @aggregation.setter
    def aggregation(self, value: Any) -> None:
        self._aggregation = TabularAggregation.parse(value) if value else None

    def pre_forward(self, inputs: TabularData, transformations: Any = None) -> TabularData:
        """What comes before ``forward``."""
        return self._maybe_apply_transformations(inputs, transformations or self.pre)

    def forward(self, x: TabularData, *args: Any, **kwargs: Any) -> TabularData:
        """The columns, unchanged."""
        return x

    def post_forward(
        self,
        inputs: TabularData,
        transformations: Any = None,
        merge_with: Any = None,
        aggregation: Any = None,
    ) -> TensorOrTabularData:
        """What comes after ``forward``: merges, transformations, aggregation."""
        merge_with = merge_with or []
        for other in merge_with if isinstance(merge_with, list) else [merge_with]:
            inputs = {**inputs, **(other(inputs) if callable(other) else other)}
        inputs = self._maybe_apply_transformations(inputs, transformations or self.post)
        chosen = TabularAggregation.parse(aggregation) if aggregation else self.aggregation
        if not chosen:
            return inputs
        chosen.set_schema(getattr(self, "schema", None))
        return chosen(inputs)

    def __call__(
        self,
        inputs: TabularData,
        *args: Any,
        pre: Any = None,
        post: Any = None,
        merge_with: Any = None,
        aggregation: Any = None,
        **kwargs: Any,
    ) -> TensorOrTabularData:
        """``forward`` with what comes before and after it.

        Programs define ``forward`` in subclasses and give these arguments in calls: both meet here.
        """
        outputs = super().__call__(self.pre_forward(inputs, pre), *args, **kwargs)
        if not isinstance(outputs, dict):
            return outputs
        return self.post_forward(
            outputs, transformations=post, merge_with=merge_with, aggregation=aggregation
        )

    def _maybe_apply_transformations(self, inputs: TabularData, transformations: Any = None) -> TabularData:
        return TabularTransformation.parse(transformations)(inputs) if transformations else inputs

    def __add__(self, other: Any) -> MergeTabular:
        return merge_tabular(self, other)

    def merge(self, other: Any) -> MergeTabular:
        """Both modules over the same inputs, their outputs in one dictionary."""
        return merge_tabular(self, other)

    def __rrshift__(self, other: Any) -> SequentialBlock:
        return right_shift_block(self, other)


@legacy
class FilterFeatures(TabularTransformation):
    """Only these columns.

    Args:
        to_include: their names.
        pop: whether they are taken out of the caller's dictionary.
    """

    def __init__(self, to_include: list[str], pop: bool = False) -> None:
        super().__init__()
        self.to_include = to_include
        self.pop = pop

    def forward(self, inputs: TabularData, **kwargs: Any) -> TabularData:
        """The columns of these names, in the order of the inputs.

        Raises:
            Refused: if the inputs are no dictionary.
        """
        if not isinstance(inputs, dict):
            raise Refused(f"columns are given as a dictionary by name, got {type(inputs).__name__}")
        kept = {name: x for name, x in inputs.items() if name in self.to_include}
        if self.pop:
            for name in kept:
                inputs.pop(name)
        return kept

    def forward_output_size(self, input_shape: dict[str, Any]) -> dict[str, Any]:
        """Sizes of these columns."""
        return {name: size for name, size in input_shape.items() if name in self.to_include}


class TabularBlock(BlockBase, TabularModule, ABC):
    """A module over columns that knows the sizes of its outputs.

    Args:
        pre: transformations of the inputs.
        post: transformations of what ``forward`` gives.
        aggregation: makes one tensor of the result.
        schema: of the columns.
        **kwargs: not used.
    """

    def __init__(
        self, pre: Any = None, post: Any = None, aggregation: Any = None, schema: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(pre=pre, post=post, aggregation=aggregation, **kwargs)
        self.schema = schema

    def to_module(self, shape_or_module: Any, device: Any = None) -> Any:
        """This block, built for a size or for the output of a module."""
        if isinstance(shape_or_module, torch.nn.Module):
            output_size = getattr(shape_or_module, "output_size", None)
            shape_or_module = output_size() if output_size else None
        return self.build(shape_or_module, device=device)

    def output_size(self, input_size: Any = None) -> Any:
        """Size of the result after transformations and aggregation."""
        if self.pre:
            input_size = self.pre.output_size(input_size)
        return self._check_post_output_size(super().output_size(input_size))

    def build(self, input_size: Any, schema: Any = None, **kwargs: Any) -> Any:
        """Builds this block and what comes before and after it."""
        built = super().build(input_size, schema=schema, **kwargs)
        size = input_size
        if self.pre:
            self.pre.build(size, schema=schema, **kwargs)
            size = self.pre.output_size(size)
        size = self.forward_output_size(size)
        if self.post:
            self.post.build(size, schema=schema, **kwargs)
            size = self.post.output_size(size)
        if self.aggregation:
            self.aggregation.build(size, schema=schema, **kwargs)
        return built

    def _check_post_output_size(self, input_size: Any) -> Any:
        if not isinstance(input_size, dict):
            return input_size
        if self.post:
            input_size = self.post.output_size(input_size)
        if self.aggregation:
            self.aggregation.set_schema(self.schema)
            input_size = self.aggregation.forward_output_size(input_size)
        return input_size


@legacy
class MergeTabular(TabularBlock):
    """Several modules over the same columns, their outputs in one dictionary.

    Args:
        *modules_to_merge: modules, or dictionaries of modules by name.
        pre: transformations of the inputs.
        post: transformations of the outputs.
        aggregation: makes one tensor of them.
        schema: of the columns; all modules' together if not given.
        **kwargs: not used.

    Raises:
        ValueError: if modules and dictionaries are mixed.
    """

    def __init__(
        self,
        *modules_to_merge: Any,
        pre: Any = None,
        post: Any = None,
        aggregation: Any = None,
        schema: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pre=pre, post=post, aggregation=aggregation, schema=schema, **kwargs)
        self.to_merge: torch.nn.ModuleDict | torch.nn.ModuleList
        if all(isinstance(part, dict) for part in modules_to_merge):
            self.to_merge = torch.nn.ModuleDict(reduce(lambda a, b: {**a, **b}, modules_to_merge))
        elif all(isinstance(part, torch.nn.Module) for part in modules_to_merge):
            self.to_merge = torch.nn.ModuleList(modules_to_merge)
        else:
            kinds = [type(part).__name__ for part in modules_to_merge]
            raise ValueError(f"give modules only or dictionaries of modules only, got {kinds}")
        if not schema and all(getattr(module, "schema", None) for module in self.merge_values):
            self.schema = reduce(lambda a, b: a + b, (module.schema for module in self.merge_values))

    @property
    def merge_values(self) -> Any:
        """The modules."""
        return (
            list(self.to_merge.values()) if isinstance(self.to_merge, torch.nn.ModuleDict) else self.to_merge
        )

    def forward(self, inputs: TabularData, training: bool = True, **kwargs: Any) -> TabularData:
        """The outputs of all modules."""
        outputs: TabularData = {}
        for module in self.merge_values:
            outputs.update(module(inputs))
        return outputs

    def forward_output_size(self, input_size: Any) -> Any:
        """The sizes of all modules' outputs."""
        sizes: dict[str, Any] = {}
        for module in self.merge_values:
            sizes.update(module.forward_output_size(input_size))
        return sizes

    def build(self, input_size: Any, **kwargs: Any) -> MergeTabular:
        """Builds every module with the size of the inputs."""
        super().build(input_size, **kwargs)
        for module in self.merge_values:
            module.build(input_size, **kwargs)
        return self


@legacy
class AsTabular(TabularBlock):
    """A tensor as a dictionary with one entry.

    Args:
        output_name: its name.
    """

    def __init__(self, output_name: str) -> None:
        super().__init__()
        self.output_name = output_name

    def forward(self, inputs: torch.Tensor, **kwargs: Any) -> TabularData:
        """The dictionary."""
        return {self.output_name: inputs}

    def forward_output_size(self, input_size: Any) -> dict[str, Any]:
        """The size under the name."""
        return {self.output_name: input_size}


def merge_tabular(self: Any, other: Any) -> MergeTabular:
    """Both modules over the same inputs, their outputs in one dictionary."""
    return MergeTabular(self, other)
