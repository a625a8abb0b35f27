"""A model as JSON values and tensors."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections import defaultdict
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric
from transformers import PretrainedConfig, PreTrainedModel

from merlin_models_torch.schema import as_schema
from merlin_models_torch.schema.codec import schema_to_features
from merlin_models_torch.serialize import ConfigError, arguments_of
from transformers4rec.torch.model._saved.names import LAYERS, SavedModelError, path_of

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
_OF_LAST_BATCH = frozenset({"mask_schema", "masked_targets", "item_seq", "perm_mask", "target_mapping"})
# A table is drawn by its initializer once, before it is saved; a decorated class keeps its arguments.
_PAST = frozenset({"initializer", "_init_arguments"})


class Writer:
    """Writes objects as JSON values; an object met twice is written once, so that what is shared stays so.

    Attributes:
        tensors: those met, by the place where they were met first: for weights, their name in a state dict.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._places: dict[int, str] = {}
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []

    def write(self, value: Any, place: str) -> Any:
        """``value``, which is at ``place`` of the model.

        Raises:
            SavedModelError: for what could not be built without the user's program.
        """
        if value is None or isinstance(value, bool | str) or type(value) in (int, float):
            return value
        if isinstance(value, list | tuple | set | frozenset | dict):
            return self._collection(value, place)
        if isinstance(value, Tensor):
            return self._tensor(value, place)
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, torch.dtype | torch.device):
            return {"torch": str(value)}
        if inspect.isclass(value):
            return {"type": path_of(value)}
        if inspect.ismethod(value):
            return {"method": value.__name__, "of": self.write(value.__self__, place)}
        if inspect.isroutine(value):
            return {"function": path_of(value)}
        if hasattr(value, "column_schemas"):
            return {"schema": schema_to_features(as_schema(value)), "class": _schema_class(value)}
        if isinstance(value, Enum):
            return {"enum": path_of(type(value)), "value": value.value}
        return self._object(value, place)

    def _collection(self, value: Any, place: str) -> Any:
        if isinstance(value, dict):
            items = [[self.write(k, place), self.write(v, f"{place}.{k}")] for k, v in value.items()]
            if isinstance(value, defaultdict):
                return {"dict": items, "default": self.write(value.default_factory, place)}
            return {"dict": items}
        items = [self.write(item, f"{place}.{number}") for number, item in enumerate(value)]
        if isinstance(value, list):
            return items
        kind = "size" if isinstance(value, torch.Size) else "tuple" if isinstance(value, tuple) else "set"
        return {kind: items}

    def _tensor(self, value: Tensor, place: str) -> dict[str, Any]:
        if id(value) not in self._places:
            self._places[id(value)] = place
            self._kept.append(value)
            self.tensors[place] = value.detach()
        name = self._places[id(value)]
        if isinstance(value, nn.Parameter):
            return {"parameter": name, "trained": value.requires_grad}
        return {"tensor": name}

    def _object(self, value: Any, place: str) -> dict[str, Any]:
        if id(value) in self._numbers:
            return {"same": self._numbers[id(value)]}
        number = self._numbers[id(value)] = len(self._numbers)
        self._kept.append(value)
        return {"id": number, **self._new_object(value, place)}

    def _new_object(self, value: Any, place: str) -> dict[str, Any]:
        if isinstance(value, functools.partial):
            parts = {"args": list(value.args), "keywords": value.keywords}
            return {"partial": self.write(value.func, place), **self._mapping(parts, place)}
        cls = type(value)
        if isinstance(value, PretrainedConfig):
            return {
                "config": path_of(cls),
                "values": value.to_dict(),
                "attention": value._attn_implementation,
            }
        if isinstance(value, PreTrainedModel):
            built = {"model": path_of(cls), "of": self.write(value.config, place)}
            return {**built, **self._weights(value, place)}
        if isinstance(value, Metric):
            return {"metric": path_of(cls), "args": self._mapping(_metric_arguments(value), place)}
        if isinstance(value, nn.Module) and cls.__module__.startswith(LAYERS) and cls not in CONTAINERS:
            arguments = self._mapping(_layer_arguments(value, place), place)
            return {"layer": path_of(cls), "args": arguments, **self._weights(value, place)}
        return {"object": path_of(cls), **self._state(value, place)}

    def _mapping(self, values: dict[str, Any], place: str) -> dict[str, Any]:
        return {name: self.write(value, f"{place}.{name}".lstrip(".")) for name, value in values.items()}

    def _weights(self, module: nn.Module, place: str) -> dict[str, Any]:
        """Parameters and buffers of a module that its constructor makes, by their names in it."""
        parameters = dict(module.named_parameters(remove_duplicate=False))
        buffers = dict(module.named_buffers(remove_duplicate=False))
        passing = {
            f"{name}.{buffer}".lstrip(".")
            for name, part in module.named_modules()
            for buffer in part._non_persistent_buffers_set
        }
        return {
            "training": module.training,
            "weights": self._mapping({**parameters, **buffers}, place),
            "passing": sorted(passing),
        }

    def _state(self, value: Any, place: str) -> dict[str, Any]:
        """Everything that an object of this library holds."""
        held = vars(value) if hasattr(value, "__dict__") else {}
        if not held and dataclasses.is_dataclass(value):
            held = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        written: dict[str, Any] = {}
        if isinstance(value, nn.Module):
            if any(held[hooks] for hooks in _HOOKS):
                raise SavedModelError(
                    f"{place or 'the model'} has hooks, which are not saved: remove them before"
                )
            written["training"] = value.training
            written["parameters"] = self._mapping(held["_parameters"], place)
            written["buffers"] = self._mapping(held["_buffers"], place)
            written["passing"] = sorted(held["_non_persistent_buffers_set"])
            written["children"] = self._mapping(held["_modules"], place)
            held = {name: item for name, item in held.items() if name not in _OF_EVERY_MODULE}
        state = {
            name: None if name in _OF_LAST_BATCH and isinstance(item, Tensor) else item
            for name, item in held.items()
            if name not in _PAST
        }
        return {**written, "state": self._mapping(state, place)}


def _schema_class(schema: Any) -> str | None:
    """Class of a schema of this project; one of merlin-core becomes ours."""
    try:
        return path_of(type(schema))
    except SavedModelError:
        return None


def _layer_arguments(layer: nn.Module, place: str) -> dict[str, Any]:
    try:
        return arguments_of(layer)
    except ConfigError as error:
        raise SavedModelError(f"{place}: {error}") from error


def _metric_arguments(metric: Metric) -> dict[str, Any]:
    """Constructor arguments of a metric of torchmetrics, which it keeps as attributes of the same names."""
    arguments = {}
    for name, parameter in inspect.signature(type(metric)).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if not hasattr(metric, name):
            raise SavedModelError(
                f"{type(metric).__name__} does not keep its argument {name!r} and cannot be saved: set the "
                "task's metrics to others by set_metrics before saving"
            )
        arguments[name] = getattr(metric, name)
    return arguments
