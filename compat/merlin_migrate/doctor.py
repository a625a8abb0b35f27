"""Looks at the environment: versions, and what stands in each other's way."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SHOWN = (
    "merlin-models-torch",
    "merlin-models-torch-compat",
    "torch",
    "lightning",
    "pytorch-lightning",
    "transformers",
    "accelerate",
    "merlin-core",
    "merlin-dataloader",
)
OURS = ("transformers4rec", "merlin_standard_lib", "merlin")
MEND = (
    "run `pip uninstall transformers4rec merlin-models` and then "
    "`pip install --force-reinstall --no-deps merlin-models-torch-compat`"
)


def installed(name: str) -> str | None:
    """Version of an installed distribution, if it is."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def facts() -> Iterator[str]:
    """Versions, one a line."""
    yield f"python {sys.version.split()[0]}"
    for name in SHOWN:
        yield f"{name} {installed(name) or 'is not installed'}"


def problems() -> Iterator[str]:
    """What would make programs fail or run something else than they should, each with how to mend it."""
    for name in ("transformers4rec", "merlin-models"):
        if found := installed(name):
            yield (
                f"{name} {found} and merlin-models-torch-compat are both installed and overwrite each "
                f"other's files: {MEND}"
            )
    core, compat = installed("merlin-models-torch"), installed("merlin-models-torch-compat")
    if core is None:
        yield "merlin-models-torch is not installed: run `pip install merlin-models-torch`"
    elif compat not in (None, core):
        yield (
            f"merlin-models-torch is {core} and merlin-models-torch-compat {compat}: install the same "
            f"version of both, `pip install merlin-models-torch=={compat}`"
        )
    if (found := installed("transformers")) and int(found.partition(".")[0]) < 5:
        yield f"transformers is {found}, and 5 or newer is needed: run `pip install --upgrade transformers`"
    home = Path(__file__).resolve().parents[1]
    for name in OURS:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            yield f"{name} cannot be imported: run `pip install --force-reinstall merlin-models-torch-compat`"
        elif home not in Path(spec.origin).resolve().parents:
            yield f"{name} is shadowed by {spec.origin}: rename that, or take its folder off the path"
        elif (here := _here(name, home)) is not None:
            yield f"{name} is shadowed by {here} for programs beside it: rename that, or move the programs"


def _here(name: str, home: Path) -> Path | None:
    """A module of this name in the working folder, which programs there would import instead."""
    folder = Path.cwd().resolve()
    if folder == home:
        return None
    found = (folder / name / "__init__.py", folder / f"{name}.py")
    return next((path for path in found if path.is_file()), None)
