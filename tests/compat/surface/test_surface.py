"""Every public name of Transformers4Rec 23.12.0, under every module path, against the frozen lists."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from merlin_migrate.warnings import UnsupportedName

from tests.compat.surface.describe import PACKAGES, describe
from tests.compat.surface.exceptions import DIFFERENT, UNSUPPORTED

FROZEN: dict[str, dict[str, Any]] = {
    module: names
    for package in PACKAGES
    for module, names in json.loads((Path(__file__).parent / f"{package}.json").read_text()).items()
}
IMPORTABLE = {module: names for module, names in FROZEN.items() if "error" not in names}
PACKAGES_WITH: dict[str, list[str]] = {
    package: names
    for package, names in json.loads((Path(__file__).parent / "packages.json").read_text()).items()
    if names
}
NAMES = [(module, name) for module, names in IMPORTABLE.items() for name in names]


def _named(found: Any) -> list[list[str]]:
    return [parameter for parameter in found if not parameter[1].startswith("var_")]


def _call_works(old: Any, new: Any) -> bool:
    """Whether every call of old is one of new: more arguments and more defaults than there are no harm."""
    if old is None or new is None:
        return old is None
    kinds = {kind for _, kind, *_ in new}
    if any(kind.startswith("var_") and kind not in kinds for _, kind, *_ in old):
        return False
    before, after = _named(old), _named(new)
    same = all(
        name == other[0] and kind == other[1] and (not default or default == other[2:])
        for (name, kind, *default), other in zip(before, after, strict=False)
    )
    return same and len(after) >= len(before) and all(len(more) == 3 for more in after[len(before) :])


def _parameters(where: str, old: Any, new: Any) -> Iterator[str]:
    if where not in DIFFERENT and not _call_works(old, new):
        yield f"{where}: takes {new}, there {old}"


def _member(where: str, old: Any, new: Any) -> Iterator[str]:
    if where in DIFFERENT:
        return
    if isinstance(old, dict) and isinstance(new, dict) and set(old) == set(new):
        yield from _parameters(where, *(*old.values(), *new.values()))
    elif old != new and {str(old), str(new)} != {"property", "value"}:
        yield f"{where}: is {new}, there {old}"


def _fields(where: str, old: Any, new: Any) -> Iterator[str]:
    """A dataclass: every parameter of old, with its default, in whatever order."""
    here = {name: default for name, _, *default in new or ()}
    for name, _, *default in old:
        if f"{where}.{name}" in DIFFERENT:
            continue
        if name not in here:
            yield f"{where}: lacks the field {name}"
        elif default and here[name] != default and "betterproto" not in str(default):
            yield f"{where}: {name} is {here[name]} by default, there {default}"


def _class(where: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    if new["kind"] not in ("class", "dataclass"):
        yield f"{where}: is a {new['kind']}, there a class"
        return
    check = _fields if old["kind"] == "dataclass" else _parameters
    yield from check(where, old["parameters"], new["parameters"])
    for name, seen in old["members"].items():
        if name in new["members"]:
            yield from _member(f"{where}.{name}", seen, new["members"][name])
        elif f"{where}.{name}" not in DIFFERENT:
            yield f"{where}.{name}: is not there"


def differences(module: str, name: str) -> Iterator[str]:
    """What a program that writes this name meets here and not there, a sentence each."""
    old, where = FROZEN[module][name], f"{module}.{name}"
    try:
        value = getattr(importlib.import_module(module), name)
    except UnsupportedName:
        if (old.get("from", module) + "." + name) not in UNSUPPORTED:
            yield f"{where}: is unsupported"
        return
    except (AttributeError, ImportError) as error:
        yield f"{where}: {type(error).__name__}"
        return
    if "from" in old:
        home = getattr(importlib.import_module(old["from"]), name, None)
        if value is not home:
            yield f"{where}: is not {old['from']}.{name}"
        return
    if old["kind"] == "module":
        if not inspect.ismodule(value):
            yield f"{where}: is no module"
        return
    new = describe(value)
    if old["kind"] in ("class", "dataclass"):
        yield from _class(where, old, new)
    elif old["kind"] == "registry":
        if missing := sorted(set(old["strings"]) - set(value.keys())):
            yield f"{where}: lacks the strings {missing}"
    elif old["kind"] == "enum":
        if missing := sorted(set(old["members"]) - set(getattr(value, "__members__", ()))):
            yield f"{where}: lacks the members {missing}"
    elif old["kind"] == "function":
        if new["kind"] not in ("function", "class"):
            yield f"{where}: is a {new['kind']}, there a function"
        else:
            yield from _parameters(where, old["parameters"], new["parameters"])


@pytest.mark.parametrize(("package", "names"), PACKAGES_WITH.items(), ids=PACKAGES_WITH)
def test_a_package_has_its_modules_without_an_import_of_their_own(
    package: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = importlib.import_module(package)
    for name in names:
        # As in a process where nobody has imported it yet.
        monkeypatch.delattr(imported, name, raising=False)
        assert getattr(imported, name) is importlib.import_module(f"{package}.{name}")


@pytest.mark.parametrize("module", sorted(IMPORTABLE))
def test_every_module_is_there(module: str) -> None:
    importlib.import_module(module)


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[".".join(pair) for pair in NAMES])
def test_every_name_is_there(module: str, name: str) -> None:
    assert list(differences(module, name)) == []


STARRED = {
    "transformers4rec.torch": "Trainer data ranking_metric",
    "transformers4rec.torch.masking": "MaskSequence OutputSizeMixin Optional torch nn",
    "transformers4rec.torch.model.base": "Head Schema TabularFeaturesType pad_inputs List np tm",
    "transformers4rec.torch.model.prediction_task": "NextItemPredictionTask Optional torch sqrt",
    "transformers4rec.torch.features.embedding": "TableConfig FilterFeatures Tags partial torch",
    "transformers4rec.torch.features.sequence": "TabularSequenceFeatures MLPBlock MaskSequence embedding",
    "transformers4rec.torch.block.base": "BlockBase Union torch_utils",
    "transformers4rec.torch.tabular.transformations": "TabularDropout FeatureConfig TableConfig",
    "transformers4rec.torch.ranking_metric": "RankingMetric abstractmethod torch_utils",
    "transformers4rec.torch.utils.torch_utils": "OutputSizeMixin SchemaMixin one_hot_1d np torch",
    "transformers4rec.torch.utils.data_utils": "MerlinDataLoader Schema Tags pq",
    "transformers4rec.torch.utils.padding": "pad_batch F Dict",
    "transformers4rec.config.transformer": "XLNetConfig Registry transformers",
    "merlin_standard_lib.proto.schema_bp": "IntDomain Feature BoolDomain LifecycleStage",
    "merlin_standard_lib.schema.schema": "Schema ColumnSchema FeaturePresence",
}
"""Some of what a star-import of 23.12.0 brings: the module's own, its siblings', what it has imported."""


@pytest.mark.parametrize(("module", "names"), STARRED.items(), ids=STARRED)
def test_a_star_import_brings_what_it_brought(module: str, names: str) -> None:
    found: dict[str, Any] = {}
    exec(f"from {module} import *", found)  # how a program writes it
    assert [name for name in names.split() if name not in found] == []
