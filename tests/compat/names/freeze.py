"""Freezes the names of Merlin Models and what it stood on.

``python -m tests.compat.names.freeze SITE_PACKAGES ARCHIVE`` writes the lists beside this file: of what
is in the reference environment, and of the unpacked archive of merlin-models 23.2.0, the last one with
V1 of its torch backend. Both are read as text.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.compat.names.reading import Names, public_names

HERE = Path(__file__).parent
_FALLBACKS = {
    "merlin.schema": ("merlin.schema", "merlin.schema.schema", "merlin.schema.tags"),
    "merlin.io": ("merlin.io", "merlin.io.dataset"),
    "merlin.dataloader": (
        "merlin.dataloader.torch",
        "merlin.dataloader.ops.embeddings",
        "merlin.dataloader.ops.padding",
    ),
    "merlin.core": ("merlin.core.dispatch", "merlin.core.protocols"),
    "merlin.dag": ("merlin.dag", "merlin.dag.operator", "merlin.dag.selector"),
    "merlin.dtypes": ("merlin.dtypes", "merlin.dtypes.aliases"),
    "merlin.table": ("merlin.table", "merlin.table.tensor_table", "merlin.table.tensor_column"),
}


def _folder(root: Path, package: str) -> Path:
    return root.joinpath(*package.split("."))


def _write(name: str, names: Names) -> None:
    (HERE / f"{name}.json").write_text(json.dumps(names, indent=1) + "\n")


def main(site: Path, archive: Path) -> None:
    """Writes all lists."""
    torch = "merlin.models.torch"
    _write("merlin_models_torch_v2", public_names(_folder(site, torch), torch))
    _write("merlin_models_torch_v1", public_names(_folder(archive, torch), torch))
    tensorflow = public_names(_folder(site, "merlin.models.tf"), "merlin.models.tf")
    _write("merlin_models_tf", {"merlin.models.tf": tensorflow["merlin.models.tf"]})
    served: Names = {}
    for package, modules in _FALLBACKS.items():
        found = public_names(_folder(site, package), package)
        served.update({module: [name for name in found[module] if name != "*"] for module in modules})
    _write("merlin_core", served)
    _write("merlin_datasets", public_names(_folder(site, "merlin.datasets"), "merlin.datasets"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
