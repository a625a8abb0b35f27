"""A model from JSON values and tensors."""

from __future__ import annotations

import functools
import inspect
import re
from collections import defaultdict
from collections.abc import Mapping
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from transformers import PretrainedConfig, PreTrainedModel

from merlin_models_torch.schema import Schema
from merlin_models_torch.schema.codec import features_to_schema
from transformers4rec.torch.model._saved.names import (
    ARCHITECTURES,
    LAYERS,
    METRICS,
    OURS,
    SavedModelError,
    class_at,
    function_at,
)

# An implementation of attention can name a repository, whose code transformers would fetch and run.
_ATTENTION = ("eager", "sdpa")
_UNSAFE = re.compile(r"_.*|.*implementation.*|auto_map|quantization_config")


class Reader:
    """Builds what a ``Writer`` wrote, from classes of trusted packages only.

    Args:
        tensors: by place.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
        self._parameters: dict[str, nn.Parameter] = {}
        self._built: dict[int, Any] = {}

    def read(self, value: Any) -> Any:
        """The object that JSON values stand for.

        Raises:
            SavedModelError: for a name that is not trusted, or anything that no ``Writer`` writes.
        """
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list):
            return [self.read(item) for item in value]
        match value:
            case {"same": int(number)} if number in self._built:
                return self._built[number]
            case {"id": int(number), **content}:
                return self._object(number, content)
            case {"parameter": str(name), "trained": bool(trained)}:
                if name not in self._parameters:
                    self._parameters[name] = nn.Parameter(self._tensor(name), requires_grad=trained)
                return self._parameters[name]
            case {"tensor": str(name)}:
                return self._tensor(name)
            case {"tuple": list(items)}:
                return tuple(self.read(items))
            case {"size": list(items)}:
                return torch.Size(items)
            case {"set": list(items)}:
                return set(self.read(items))
            case {"dict": list(items), **rest}:
                pairs = {self.read(key): self.read(item) for key, item in items}
                return defaultdict(self.read(rest["default"]), pairs) if "default" in rest else pairs
            case {"torch": str(name)}:
                return _torch_value(name)
            case {"type": str(path)}:
                return class_at(path)
            case {"function": str(path)}:
                return function_at(path)
            case {"method": str(name), "of": owner}:
                return _method(self.read(owner), name)
            case {"schema": dict(content), "class": path}:
                return _schema(content, path)
            case {"enum": str(path), "value": member}:
                cls = class_at(path, OURS)
                if issubclass(cls, Enum):
                    return cls(member)
        raise _malformed(value)

    def _tensor(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise SavedModelError(f"the weights lack {name!r}: the files do not belong together, save again")
        return self._tensors[name]

    def _object(self, number: int, content: dict[str, Any]) -> Any:
        match content:
            case {"partial": function, "args": list(args), "keywords": keywords}:
                built = functools.partial(self.read(function), *self.read(args), **self.read(keywords))
            case {"config": str(path), "values": dict(values), "attention": attention}:
                built = _config(path, values, attention)
            case {"model": str(path), "of": config, **weights}:
                cls = class_at(path, (*OURS, ARCHITECTURES))
                if not issubclass(cls, PreTrainedModel):
                    raise _malformed(path)
                built = self._weighted(cls(self.read(config)), **weights)
            case {"metric": str(path), "args": dict(args)}:
                cls = class_at(path, (*OURS, METRICS))
                if not issubclass(cls, Metric):
                    raise _malformed(path)
                built = cls(**{name: self.read(item) for name, item in args.items()})
            case {"layer": str(path), "args": dict(args), **weights}:
                cls = class_at(path, (LAYERS,))
                arguments = {name: self.read(item) for name, item in args.items()}
                built = self._weighted(cls(**arguments), **weights)
            case {"object": str(path), "state": dict(state), **module}:
                return self._state(number, class_at(path, (*OURS, LAYERS)), state, module)
            case _:
                raise _malformed(content)
        self._built[number] = built
        return built

    def _weighted(
        self, module: nn.Module, *, training: bool, weights: dict[str, Any], passing: list[str]
    ) -> nn.Module:
        """A module with its parameters and buffers in place of those that its constructor made."""
        for name, value in weights.items():
            owner, _, last = name.rpartition(".")
            setattr(module.get_submodule(owner), last, self.read(value))
        for name, part in module.named_modules():
            own = {buffer for buffer in part._buffers if f"{name}.{buffer}".lstrip(".") in passing}
            part._non_persistent_buffers_set = own
        return module.train(training)

    def _state(self, number: int, cls: type[Any], state: dict[str, Any], module: dict[str, Any]) -> Any:
        """An object of this library with everything that it held."""
        built = cls.__new__(cls)
        self._built[number] = built  # before what it holds, which may hold it
        if isinstance(built, nn.Module):
            nn.Module.__init__(built)
            for name, value in module["parameters"].items():
                built.register_parameter(name, self.read(value))
            for name, value in module["buffers"].items():
                built.register_buffer(name, self.read(value), persistent=name not in module["passing"])
            for name, value in module["children"].items():
                built._modules[name] = self.read(value)
            built.training = bool(module["training"])
        for name, value in state.items():
            # An attribute in the place of a method would be called like one.
            if name.startswith("__") or inspect.isroutine(getattr(cls, name, None)):
                raise _malformed({name: value})
            object.__setattr__(built, name, self.read(value))
        return built


def _malformed(value: Any) -> SavedModelError:
    return SavedModelError(
        f"the saved model holds {str(value)[:80]!r}, which no version of this library writes"
    )


def _method(owner: Any, name: str) -> Any:
    # Others are the way to what a module has imported.
    found = None if name.startswith("__") else getattr(owner, name, None)
    if not inspect.ismethod(found) or found.__self__ is not owner:
        raise _malformed({"method": name})
    return found


def _torch_value(name: str) -> Any:
    if name.startswith("torch."):
        found = getattr(torch, name.removeprefix("torch."), None)
        if not isinstance(found, torch.dtype):
            raise _malformed(name)
        return found
    return torch.device(name)


def _schema(content: dict[str, Any], path: str | None) -> Schema:
    schema = features_to_schema(content) if content.get("feature") else Schema()
    cls = Schema if path is None else class_at(path, OURS)
    if not issubclass(cls, Schema):
        raise _malformed(path)
    return schema if cls is type(schema) else cls(list(schema))


def _config(path: str, values: dict[str, Any], attention: Any) -> PretrainedConfig:
    cls = class_at(path, (*OURS, ARCHITECTURES))
    if not issubclass(cls, PretrainedConfig):
        raise _malformed(path)
    config = cls(**{name: value for name, value in values.items() if not _UNSAFE.fullmatch(name)})
    if attention in _ATTENTION:
        config._attn_implementation = attention
    return config
