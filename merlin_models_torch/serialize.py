"""How an object is written to JSON and built again, from classes of trusted packages only."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from merlin_models_torch.schema import Schema, Tags, as_schema

TRUSTED = ("merlin_models_torch",)
_TORCH_MODULES = "torch.nn.modules."
_ARGUMENTS = "_init_arguments"
_TAGS = frozenset(tag.value for tag in Tags)
# Arguments of torch's layers that are not needed to make them again, the last two deprecated.
_NOT_KEPT = frozenset({"device", "dtype", "mode", "size_average", "reduce"})

C = TypeVar("C", bound=type)


class ConfigError(ValueError):
    """An object cannot be written to, or built from, a config."""


def serializable(cls: C) -> C:
    """Class decorator: remembers the constructor's arguments, so that a config can build the object again.

    The arguments are kept by reference; a schema of merlin-core among them becomes ours, so that every
    decorated class takes both. A class whose construction differs from them later (a list of blocks
    that grows, say) says so with a method ``init_arguments() -> dict``.

    Args:
        cls: of modules, or of data.

    Returns:
        The class itself.

    Example:
        >>> from merlin_models_torch.serialize import to_config
        >>> @serializable
        ... class Scale(nn.Module):
        ...     def __init__(self, by: float) -> None:
        ...         super().__init__()
        ...         self.by = by
        >>> to_config(Scale(2.0))[0]["args"]
        {'by': 2.0}
    """
    original = cls.__init__  # type: ignore[misc]
    signature = inspect.signature(original)

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        args = tuple(_ours(value) for value in args)
        kwargs = {name: _ours(value) for name, value in kwargs.items()}
        original(self, *args, **kwargs)
        if type(self) is cls:
            bound = signature.bind(self, *args, **kwargs)
            arguments = dict(list(bound.arguments.items())[1:])
            object.__setattr__(self, _ARGUMENTS, arguments)

    cls.__init__ = __init__  # type: ignore[misc]
    return cls


def _ours(value: Any) -> Any:
    return as_schema(value) if hasattr(value, "column_schemas") else value


def _torch_arguments(module: nn.Module) -> dict[str, Any]:
    """Constructor arguments of one of torch's own layers, read from its attributes of the same names."""
    arguments: dict[str, Any] = {}
    # Recurrent layers take *args and pass them on with a mode of their own.
    cls = nn.RNNBase if isinstance(module, nn.RNNBase) else type(module)
    for name, parameter in inspect.signature(cls).parameters.items():
        starred = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if starred or name in _NOT_KEPT or name.startswith("_"):
            continue
        if not hasattr(module, name):
            raise ConfigError(
                f"{type(module).__name__} keeps no attribute for its argument {name!r} and cannot be written "
                "to a config: wrap it in a class of your own decorated with merlin_models_torch.serializable"
            )
        value = getattr(module, name)
        if name == "bias" and not isinstance(value, bool):
            value = value is not None
        if value != parameter.default:
            arguments[name] = value
    return arguments


def arguments_of(obj: Any) -> dict[str, Any]:
    """The constructor's arguments that build an object again.

    Raises:
        ConfigError: if they are not known.
    """
    own = getattr(obj, "init_arguments", None)
    if callable(own):
        return dict(own())
    if dataclasses.is_dataclass(obj):
        return {f.name: getattr(obj, f.name) for f in dataclasses.fields(obj) if f.init}
    recorded = getattr(obj, _ARGUMENTS, None)
    if recorded is not None:
        return dict(recorded)
    if isinstance(obj, (nn.Sequential, nn.ModuleList)) and type(obj).__module__.startswith(_TORCH_MODULES):
        return {"args": list(obj)}
    if isinstance(obj, nn.Module) and type(obj).__module__.startswith(_TORCH_MODULES):
        return _torch_arguments(obj)
    raise ConfigError(
        f"{type(obj).__module__}.{type(obj).__qualname__} cannot be written to a config: decorate the class "
        "with merlin_models_torch.serializable"
    )


def to_config(obj: Any, *, files: list[Path] | None = None) -> tuple[Any, list[Schema]]:
    """``obj`` as JSON values: plain data, tags, data classes, and modules by class and arguments.

    An object met twice is written once, so that what is shared stays shared.

    Args:
        obj: to write.
        files: gets the files that arguments name as ``Path``, which are referred to by number and have to be
            kept with the config.

    Returns:
        The JSON values, and the schemas that they refer to by number.

    Raises:
        ConfigError: for an object that cannot be built again from its arguments.
    """
    encoder = _Encoder(files)
    return encoder.encode(obj), encoder.schemas


class _Encoder:
    def __init__(self, files: list[Path] | None) -> None:
        self.schemas: list[Schema] = []
        self._files = files
        self._numbers: dict[int, int] = {}

    def encode(self, obj: Any) -> Any:
        if isinstance(obj, float) and not math.isfinite(obj):
            return {"number": str(obj)}
        if obj is None or isinstance(obj, (bool, str)) or type(obj) in (int, float):
            return obj
        if isinstance(obj, Tags):
            return {"tag": obj.value}
        if isinstance(obj, Schema):
            if obj not in self.schemas:
                self.schemas.append(obj)
            return {"schema": self.schemas.index(obj)}
        if isinstance(obj, Path):
            if self._files is None:
                raise ConfigError(f"{obj} is a file, which a config by itself does not hold: save a model")
            if obj not in self._files:
                self._files.append(obj)
            return {"file": self._files.index(obj)}
        if isinstance(obj, torch.dtype):
            return {"dtype": str(obj).removeprefix("torch.")}
        if isinstance(obj, tuple):
            return {"tuple": [self.encode(x) for x in obj]}
        if isinstance(obj, list):
            return [self.encode(x) for x in obj]
        if isinstance(obj, dict):
            return {"dict": [[self.encode(k), self.encode(v)] for k, v in obj.items()]}
        if isinstance(obj, Enum) or inspect.isclass(obj) or inspect.isroutine(obj):
            raise ConfigError(
                f"{obj!r} cannot be written to a config, which holds only data: pass a name or value"
            )
        if id(obj) in self._numbers:
            return {"same": self._numbers[id(obj)]}
        arguments = {name: self.encode(value) for name, value in arguments_of(obj).items()}
        number = self._numbers[id(obj)] = len(self._numbers)
        return {"class": f"{type(obj).__module__}:{type(obj).__qualname__}", "id": number, "args": arguments}


def from_config(
    config: Any, schemas: Sequence[Schema], *, files: Sequence[Path] = (), trusted: Iterable[str] = ()
) -> Any:
    """Builds what :func:`to_config` wrote.

    Args:
        config: JSON values.
        schemas: the schemas that they refer to.
        files: the files that they refer to, which came with the config.
        trusted: packages, besides this one and torch's layers, whose classes may be built.

    Raises:
        ConfigError: for a class outside the trusted packages, before anything of it is imported; for anything
            malformed.
    """
    try:
        return _Decoder(tuple(schemas), tuple(files), (*TRUSTED, *trusted)).decode(config)
    except RecursionError as error:
        raise ConfigError("a config is nested too deeply: no version of this library writes that") from error


class _Decoder:
    def __init__(
        self, schemas: tuple[Schema, ...], files: tuple[Path, ...], trusted: tuple[str, ...]
    ) -> None:
        self._schemas = schemas
        self._files = files
        self._trusted = trusted
        self._built: dict[int, Any] = {}

    def decode(self, config: Any) -> Any:
        if config is None or isinstance(config, (bool, int, float, str)):
            return config
        if isinstance(config, list):
            return [self.decode(x) for x in config]
        match config:
            case {"tag": str(value)} if value in _TAGS:
                return Tags(value)
            case {"number": "inf" | "-inf" | "nan" as value}:
                return float(value)
            case {"schema": int(number)} if 0 <= number < len(self._schemas):
                return self._schemas[number]
            case {"file": int(number)} if 0 <= number < len(self._files):
                return self._files[number]
            case {"dtype": str(name)} if isinstance(getattr(torch, name, None), torch.dtype):
                return getattr(torch, name)
            case {"tuple": list(items)}:
                return tuple(self.decode(x) for x in items)
            case {"dict": list(items)} if all(isinstance(one, list) and len(one) == 2 for one in items):
                return self._dict(items)
            case {"same": int(number)} if number in self._built:
                return self._built[number]
            case {"class": str(path), "id": int(number), "args": dict(arguments)}:
                cls = _trusted_class(path, self._trusted)
                if isinstance(arguments.get("path"), str):
                    raise ConfigError(
                        f"{path} names the file {arguments['path']!r}, which is not kept with it"
                    )
                values = {name: self.decode(value) for name, value in arguments.items()}
                self._built[number] = _build(cls, values)
                return self._built[number]
        raise ConfigError(f"a config holds {_shown(config)}, which no version of this library writes")

    def _dict(self, items: list[list[Any]]) -> dict[Any, Any]:
        try:
            return {self.decode(key): self.decode(value) for key, value in items}
        except TypeError as error:
            raise ConfigError(f"a config holds a dict with a key that is none: {error}") from error


def _shown(config: Any) -> str:
    try:
        return repr(str(config)[:80])
    except RecursionError:
        return "lists in lists without end"


def _build(cls: Callable[..., Any], values: dict[str, Any]) -> Any:
    try:
        parameters = inspect.signature(cls).parameters.values()
        starred = [p.name for p in parameters if p.kind is inspect.Parameter.VAR_POSITIONAL]
        args = [value for name in starred for value in values.pop(name, ())]
        return cls(*args, **values)
    except ConfigError:
        raise
    except Exception as error:
        # Whatever a constructor runs into: these arguments are a stranger's.
        name = getattr(cls, "__qualname__", cls)
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ConfigError(f"{name} cannot be built from its saved arguments: {said}") from error


def _trusted_class(path: str, trusted: tuple[str, ...]) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    root = module.partition(".")[0]
    from_torch = module.startswith(_TORCH_MODULES)
    if not from_torch and root not in trusted:
        raise ConfigError(
            f"the config names class {path!r}, which is not of a trusted package ({', '.join(trusted)}): if "
            f"you trust it, load with trusted=({root!r},)"
        )
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"the config names class {path!r}, which this installation does not have"
        ) from error
    buildable = inspect.isclass(cls) and (issubclass(cls, nn.Module) or dataclasses.is_dataclass(cls))
    if not buildable or cls.__module__ != module:
        raise ConfigError(f"the config names {path!r}, which is not a module or data class of this library")
    return cls  # type: ignore[no-any-return]
