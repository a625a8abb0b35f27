"""The table of names: whole, without contradictions, and its replacements exist."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections import Counter

import pytest
from merlin_migrate.table import KINDS, entries, find, nearest
from merlin_migrate.warnings import UnsupportedName

import merlin_models_torch as mm

ALL = entries()


def test_each_name_has_one_entry() -> None:
    counts = Counter(name for entry in ALL for name in (entry.name, *entry.also))
    assert [name for name, count in counts.items() if count > 1] == []


def test_every_entry_is_complete() -> None:
    for entry in ALL:
        assert entry.kind in KINDS, entry.name
        assert re.fullmatch(r"[\w-]+\.md#[\w-]+", entry.guide), entry.name
        assert entry.replacement or entry.kind in ("manual", "unsupported"), entry.name
        assert entry.replacement or entry.note, entry.name
        assert not entry.note.endswith("."), entry.name


@pytest.mark.parametrize("entry", [e for e in ALL if e.replacement], ids=lambda e: e.name)
def test_the_replacement_exists(entry: object) -> None:
    text = entry.replacement  # type: ignore[attr-defined]
    names = re.findall(r"\b(mm|merlin_models_torch|lightning|tensorflow_metadata)((?:\.\w+)+)", text)
    for root, path in names:
        if root == "mm":
            found: object = mm
            for part in path.strip(".").split("."):
                found = getattr(found, part)
        elif root == "merlin_models_torch":
            package, *rest = path.strip(".").split(".")
            found = importlib.import_module(f"{root}.{package}")
            for part in rest:
                found = getattr(found, part)
        elif root == "lightning":
            assert path.startswith(".Trainer")
        else:
            importlib.import_module(f"{root}{path}")


def test_replacements_are_there_for_a_program_that_imports_nothing_else() -> None:
    names = {path for e in ALL for path in re.findall(r"\bmm((?:\.\w+)+)", f"{e.replacement} {e.note}")}
    program = "\n".join(["import merlin_models_torch as mm", *(f"mm{path}" for path in sorted(names))])
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(names) > 100


def test_lookup_by_any_name_and_by_owner() -> None:
    entry = find("transformers4rec.torch.features.sequence.TabularSequenceFeatures")
    assert entry is not None
    assert entry is find("transformers4rec.torch.TabularSequenceFeatures")
    assert find("transformers4rec.torch.TabularSequenceFeatures.set_masking") is None
    assert nearest("transformers4rec.torch.TabularSequenceFeatures.set_masking") is entry
    assert nearest("pandas.DataFrame") is None


def _look(name: str) -> str:
    """What the drop-in does with a dotted name: it is there, raises the table's reason, or is unknown."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
            for part in parts[count:]:
                found = getattr(found, part)
        except UnsupportedName:
            return "raises"
        except ModuleNotFoundError:
            continue
        except AttributeError:
            return "unknown"
        return "there"
    return "unknown"


@pytest.mark.filterwarnings("ignore::deprecation.DeprecatedWarning")
def test_the_kind_says_whether_the_drop_in_has_the_name() -> None:
    wrong = []
    for entry in ALL:
        for name in (entry.name, *entry.also):
            attribute = entry.name.startswith("transformers4rec.torch.Trainer.")  # set by its constructor
            if not attribute and (_look(name) == "there") != (entry.kind != "unsupported"):
                wrong.append((name, entry.kind, _look(name)))
    assert wrong == []
