"""Records what the original does in every case. Runs under the reference interpreter only.

``python -m tests.equivalence.record_cases FOLDER [AREA ...]`` leaves, for every case,
``FOLDER/cases/<area>/<case>.safetensors`` and ``.json``. The data in ``FOLDER/data`` must be there.
"""

from __future__ import annotations

import argparse
import json
import time
import traceback
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.equivalence.cases import areas, cases_of
from tests.equivalence.side import Side


def record(folder: Path, wanted: list[str]) -> list[str]:
    """Records the areas; the traces of cases that the original itself cannot run."""
    failed = []
    for area in wanted or areas():
        home = folder / "cases" / area
        home.mkdir(parents=True, exist_ok=True)
        for name, case in cases_of(area).items():
            scratch = folder / "scratch" / area / name
            scratch.mkdir(parents=True, exist_ok=True)
            side = Side(folder / "data", scratch)
            try:
                case(side)
            except Exception:  # every broken case is told of, not the first only
                failed.append(f"{area}/{name}\n{traceback.format_exc()}")
                continue
            save_file(side.tensors, home / f"{name}.safetensors")
            text = json.dumps({"recorded_at": time.time(), "values": side.values}, indent=1)
            (home / f"{name}.json").write_text(text)
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("areas", nargs="*")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if failures := record(given.folder, given.areas):
        raise SystemExit("the original fails in\n" + "\n".join(failures))
