"""What can be seen of a package from outside, in a form that JSON holds; the same code reads both sides."""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

PACKAGES = ("transformers4rec", "merlin_standard_lib")
_READ = (*PACKAGES, "merlin", "merlin_models_torch")
"""Packages whose classes lend members: the two, what 23.12.0 took from Merlin, and the core."""

Parameters = list[list[str]]


def modules(package: str) -> Iterator[str]:
    """Dotted names of a package and of all modules below it that are not about TensorFlow."""
    yield package
    path = importlib.import_module(package).__path__
    for module in pkgutil.walk_packages(path, f"{package}.", onerror=lambda name: None):
        if ".tf" not in module.name and not module.name.rpartition(".")[2].startswith("_"):
            yield module.name


def text(value: Any) -> str:
    """A default as it reads, without addresses; the packages' own functions count as one another."""
    if inspect.isfunction(value) and value.__module__.partition(".")[0] in _READ:
        return "function"
    if inspect.isclass(value) or inspect.isroutine(value):
        return f"{value.__module__}.{value.__qualname__}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def parameters(function: Any) -> Parameters | None:
    """Name, kind and default of every parameter; None if Python cannot tell."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return [
        [p.name, p.kind.name.lower(), *([] if p.default is p.empty else [text(p.default)])] for p in found
    ]


def member(cls: type, name: str) -> Any:
    """``"property"``, ``"value"`` or the kind and parameters of a method, ``self`` left out."""
    raw = inspect.getattr_static(cls, name)
    kind = {staticmethod: "static", classmethod: "class"}.get(type(raw), "method")
    if isinstance(raw, property) or "cached_property" in type(raw).__name__:
        return "property"
    if not inspect.isroutine(raw) or not callable(getattr(cls, name)):
        return "value"
    found = parameters(getattr(cls, name))
    return {kind: found[1:] if found and kind == "method" else found}


def _constructor(cls: type) -> Parameters | None:
    """Parameters of ``__init__`` where it is the packages' own; None where it is a foreign base's."""
    own = next(base for base in cls.__mro__ if "__init__" in vars(base))
    return parameters(cls) if own.__module__.partition(".")[0] in _READ else None


def _members(cls: type) -> dict[str, Any]:
    names = {
        name
        for base in cls.__mro__
        if base.__module__.partition(".")[0] in _READ
        for name in vars(base)
        if not name.startswith("_")
    }
    seen = {name: member(cls, name) for name in names}
    if dataclasses.is_dataclass(cls):
        seen.update({f.name: "value" for f in dataclasses.fields(cls) if not f.name.startswith("_")})
    return dict(sorted(seen.items()))


def describe(value: Any) -> dict[str, Any]:
    """One public name: what it is, how it is called, what it has; messages of protobuf have fields."""
    if type(value).__name__ == "Registry":
        return {"kind": "registry", "strings": sorted(value.keys())}
    if inspect.isclass(value) and issubclass(value, enum.Enum):
        return {"kind": "enum", "members": {name: text(m.value) for name, m in value.__members__.items()}}
    if hasattr(value, "DESCRIPTOR"):
        fields = [field.name for field in value.DESCRIPTOR.fields]
        taken = [[name, "positional_or_keyword", "None"] for name in fields]
        return {"kind": "dataclass", "parameters": taken, "members": dict.fromkeys(fields, "value")}
    if inspect.isclass(value):
        seen: dict[str, Any] = {
            "kind": "class",
            "parameters": _constructor(value),
            "members": _members(value),
        }
        if dataclasses.is_dataclass(value):
            seen["kind"] = "dataclass"
        return seen
    if inspect.isroutine(value):
        return {"kind": "function", "parameters": parameters(value)}
    if inspect.ismodule(value):
        return {"kind": "module"}
    return {"kind": "value", "type": type(value).__name__}


def _assigned(module: ModuleType) -> set[str]:
    """Names that the module's own lines give a value."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except OSError:
        return set()
    targets = [t for node in tree.body if isinstance(node, ast.Assign) for t in node.targets]
    targets += [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def home_of(module: ModuleType, name: str, value: Any) -> str | None:
    """Dotted name of the module a public name comes from; None if it is foreign to the two packages."""
    if inspect.ismodule(value):
        return module.__name__ if value.__name__ == f"{module.__name__}.{name}" else None
    home = getattr(value, "__module__", None)
    if inspect.isclass(value) or inspect.isroutine(value):
        return home if str(home).partition(".")[0] in PACKAGES else None
    return module.__name__ if name in _assigned(module) else None


def surface(module: ModuleType) -> dict[str, Any]:
    """Public names of a module; those of another module of the two packages by where they come from.

    Loggers and pieces of docstrings are no names that a program writes.
    """
    seen: dict[str, Any] = {}
    listed = getattr(module, "__all__", ())
    for name in sorted({*vars(module), *listed}):
        if name.startswith("_") or name.endswith("_DOCSTRING") or name in ("LOG", "logger"):
            continue
        if not hasattr(module, name):  # ``__all__`` of 23.12.0 lists names that are not there
            continue
        value = getattr(module, name)
        home = home_of(module, name, value)
        if home is None and name in listed:
            home = module.__name__
        if home == module.__name__:
            seen[name] = describe(value)
        elif home is not None:
            seen[name] = {"from": home}
    return seen
