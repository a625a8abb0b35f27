"""Freezes the surface of Transformers4Rec 23.12.0: run it in the reference environment.

``.venv/reference/bin/python -W ignore -m tests.compat.surface.freeze`` writes the lists beside this file.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from tests.compat.surface.describe import PACKAGES, modules, surface

HERE = Path(__file__).parent


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


if __name__ == "__main__":
    for package in PACKAGES:
        (HERE / f"{package}.json").write_text(freeze(package))
