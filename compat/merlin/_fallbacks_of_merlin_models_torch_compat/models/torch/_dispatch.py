"""What stands behind the functions of ``merlin.models.torch.schema``: one implementation for each class."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from merlin.models._legacy import called_by_user
from merlin.schema import ColumnSchema, Schema, Tags
from merlin_migrate.warnings import warn_legacy
from torch import Tensor, nn

NAMESPACE_TAGS = [Tags.CONTEXT, Tags.USER, Tags.ITEM, Tags.SESSION]
_TAKEN, _GIVEN = "__input_schemas", "__output_schemas"


def of_tensor(tensor: Any, name: str) -> Any:
    """The column of a tensor: its dtype and dimensions; tagged EMBEDDING where it has a width."""
    if tensor is None:
        return ColumnSchema(name)
    tags = [Tags.EMBEDDING] if tensor.dim() > 1 and tensor.dtype != torch.int32 else []
    return ColumnSchema(name, tags=tags, dtype=tensor.dtype, dims=tuple(tensor.shape[1:]))


def of_tensors(value: Any, name: str) -> Any:
    """The columns of a tensor, of tensors by name, of a tuple of them, or of a batch.

    Raises:
        NotImplementedError: of anything else.
    """
    if isinstance(value, Schema):
        return value
    if isinstance(value, Tensor):
        return Schema([of_tensor(value, name)])
    if hasattr(value, "features") and hasattr(value, "targets"):
        return of_tensors(dict(value.features), name) + of_tensors(dict(value.targets), name)
    if isinstance(value, (tuple, list)):
        return Schema([of_tensor(one, str(i)) for i, one in enumerate(value)])
    if not isinstance(value, dict):
        raise NotImplementedError(f"a {type(value).__name__} has no schema: pass tensors")
    columns = []
    for key in sorted(value):
        if key.endswith("__offsets"):
            whole = key.removesuffix("__offsets")
            columns.append(ColumnSchema(whole, dtype=value[f"{whole}__values"].dtype))
        elif not key.endswith("__values"):
            columns.append(of_tensor(value[key], key))
    return Schema(columns)


def default_tag_propagation(inputs: Any, outputs: Any) -> Any:
    """Outputs with the tags USER, ITEM, CONTEXT and SESSION that all inputs have."""
    shared = [tag for tag in NAMESPACE_TAGS if inputs and len(inputs.select_by_tag(tag)) == len(inputs)]
    return Schema([column.with_tags(shared) for column in outputs]) if shared else outputs


def keep(module: nn.Module, taken: Any, given: Callable[[], Any]) -> None:
    """Remembers what a module took and gave in one call."""
    before = module.__dict__.setdefault(_TAKEN, ())
    module.__dict__.setdefault("__feature_schema", None)
    if taken not in before:
        module.__dict__[_GIVEN] = (*module.__dict__.get(_GIVEN, ()), given())
        module.__dict__[_TAKEN] = (*before, taken)


def kept(module: nn.Module, which: str, inputs: Any) -> Any:
    """What a module took or gave when it was traced; None if it was not.

    Raises:
        ValueError: if it was traced with several inputs and these are not told.
    """
    found = module.__dict__.get(which, ())
    if len(found) < 2:
        return found[0] if found else None
    if inputs is None:
        raise ValueError(f"{type(module).__name__} was traced with several inputs: say with which")
    return found[module.__dict__[_TAKEN].index(inputs)]


class Dispatch:
    """A function with an implementation for each class of modules.

    Args:
        name: of the function.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

        def unknown(first: Any, *rest: Any, **options: Any) -> Any:
            raise NotImplementedError(f"{name} is not known for a {type(first).__name__}: register it")

        self.dispatcher = functools.singledispatch(unknown)

    def register(self, cls: type, func: Any = None) -> Any:
        """As decorator or with a function: the implementation for a class."""
        return self.dispatcher.register(cls, func)

    def dispatch(self, thing: Any) -> Any:
        """The implementation for an object or class."""
        return self.dispatcher.dispatch(thing if isinstance(thing, type) else type(thing))

    def known(self, *args: Any, **kwargs: Any) -> Any:
        """What is registered for the first argument."""
        return self.dispatcher(*args, **kwargs)

    def _told(self) -> None:
        if called_by_user(3):
            warn_legacy(f"merlin.models.torch.schema.{self.__name__}")


class InputSchema(Dispatch):
    """The columns that a module takes."""

    def __call__(self, module: Any, inputs: Any = None) -> Any:
        """The schema.

        Raises:
            ValueError: if neither the module knows it nor was it traced.
        """
        self._told()
        if hasattr(module, "input_schema"):
            return _said(module.input_schema)
        if (found := kept(module, _TAKEN, inputs)) is not None:
            return found
        try:
            return self.known(module, inputs)
        except NotImplementedError:
            raise _untraced(module) from None

    def tensors(self, inputs: Any) -> Any:
        """The schema of tensors."""
        return of_tensors(inputs, "input")

    get_schema = tensors

    def trace(self, module: Any, inputs: Any) -> Any:
        """The schema of what a module is called with."""
        try:
            return self.known(module, self.tensors(inputs))
        except NotImplementedError:
            return self.tensors(inputs)


class OutputSchema(Dispatch):
    """The columns that a module gives.

    Args:
        name: of the function.
        inputs: the function of those that it takes.
    """

    def __init__(self, name: str, inputs: InputSchema) -> None:
        super().__init__(name)
        self._inputs = inputs
        self._special: tuple[type, ...] = ()

    def register(
        self, cls: type, func: Any = None, tag_propagation_func: Any = default_tag_propagation
    ) -> Any:
        """As decorator or with a function: the implementation for a class."""
        if func is None:
            return lambda given: self.register(cls, given, tag_propagation_func)
        self._special = (*self._special, cls)
        if not tag_propagation_func:
            return super().register(cls, func)
        return super().register(
            cls, lambda module, inputs: tag_propagation_func(inputs, func(module, inputs))
        )

    def knows(self, module: Any) -> bool:
        """Whether there is an implementation, so that nothing has to be traced."""
        return isinstance(module, self._special)

    def __call__(self, module: Any, inputs: Any = None) -> Any:
        """The schema.

        Raises:
            ValueError: if neither the module knows it nor was it traced.
        """
        self._told()
        with contextlib.suppress(ValueError):
            inputs = self._inputs(module)
        if hasattr(module, "output_schema"):
            own = module.output_schema
            return default_tag_propagation(inputs, own()) if isinstance(own, MethodType) else own
        if (found := kept(module, _GIVEN, inputs)) is not None:
            return found
        try:
            return self.known(module, inputs)
        except NotImplementedError:
            raise _untraced(module) from None

    def tensors(self, outputs: Any) -> Any:
        """The schema of tensors."""
        return of_tensors(outputs, "output")

    get_schema = tensors

    def trace(self, module: Any, inputs: Any, outputs: Any) -> Any:
        """The schema of what a module gave."""
        taken, given = self._inputs.get_schema(inputs), self.tensors(outputs)
        try:
            found = self.known(module, taken)
        except NotImplementedError:
            return given
        return given if found == taken else found


class Select(Dispatch):
    """The part of something that belongs to some columns."""

    def __call__(self, to_select: Any, selection: Any) -> Any:
        """A schema of some columns, or a module of what belongs to them."""
        self._told()
        if hasattr(to_select, "select") and not isinstance(to_select, Schema):
            return to_select.select(selection)
        return self.known(to_select, selection)

    def dispatched(self, to_select: Any, selection: Any) -> Any:
        """What is registered for the class."""
        return self.known(to_select, selection)


class Extract(Dispatch):
    """A module taken apart by columns.

    Args:
        name: of the function.
        select: finds the part.
    """

    def __init__(self, name: str, select: Select) -> None:
        super().__init__(name)
        self._select = select

    def __call__(self, module: Any, selection: Any) -> tuple[Any, Any]:
        """The module without the part that belongs to some columns, and this part."""
        self._told()
        if hasattr(module, "extract"):
            return module.extract(selection)  # type: ignore[no-any-return]
        part = self._select(module, selection)
        return self.extract(module, selection, part), part

    def extract(self, module: Any, selection: Any, route: Any, name: str | None = None) -> Any:
        """The module without a part of it."""
        return self.dispatch(module)(module, selection, route, name=name)


def _said(schema: Any) -> Any:
    return schema() if isinstance(schema, MethodType) else schema


def _untraced(module: Any) -> ValueError:
    return ValueError(f"the schema of {type(module).__name__} is not known: call mm.schema.trace first")
