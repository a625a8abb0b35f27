"""Freezes the surface of Transformers4Rec 23.12.0: run it in the reference environment.

``.venv/reference/bin/python -W ignore -m tests.compat.surface.freeze`` writes the lists beside this file: of
names, and of the modules that each package has once it alone is imported.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

from tests.compat.surface.describe import PACKAGES, modules, surface

HERE = Path(__file__).parent
# Of the latter also these, of which the drop-in has every module.
MERLIN = ("merlin.models.torch", "merlin.schema")
_INSIDE = """
import importlib, inspect, json, sys
package = importlib.import_module(sys.argv[1])
inside = (name for name, value in vars(package).items()
          if inspect.ismodule(value) and value.__name__ == f"{sys.argv[1]}.{name}" and name[0] != "_")
print(json.dumps(sorted(inside)))
"""


def freeze(package: str) -> str:
    """The text of one list: a line for each name, so that differences can be read."""
    lines = []
    for name in sorted(modules(package)):
        try:
            module = importlib.import_module(name)
        except Exception as error:  # a module that cannot be imported there need not be here
            lines.append(f" {json.dumps(name)}: {json.dumps({'error': type(error).__name__})}")
            continue
        rows = (f"  {json.dumps(key)}: {json.dumps(seen)}" for key, seen in surface(module).items())
        lines.append(f" {json.dumps(name)}: {{\n" + ",\n".join(rows) + "\n }")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def inside(package: str) -> list[str]:
    """Modules of a package that are there in a process which has imported nothing else."""
    command = [sys.executable, "-W", "ignore", "-c", _INSIDE, package]
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def _packages(root: str) -> list[str]:
    """The packages below one that can be imported, itself included."""
    found = []
    for name in sorted({root, *modules(root)}):
        try:
            module = importlib.import_module(name)
        except Exception:
            continue
        if hasattr(module, "__path__"):
            found.append(name)
    return found


if __name__ == "__main__":
    for package in PACKAGES:
        (HERE / f"{package}.json").write_text(freeze(package))
    packages = {name: inside(name) for root in (*PACKAGES, *MERLIN) for name in _packages(root)}
    (HERE / "packages.json").write_text(json.dumps(packages, indent=1) + "\n")
