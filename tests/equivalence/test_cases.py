"""The exact arm, case by case: the drop-in against what 23.12.0 did."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.equivalence.cases import areas, cases_of
from tests.equivalence.side import Side, compare

FOLDER = os.environ.get("EQUIVALENCE_DIR")
DAY = 24 * 3600

pytestmark = [
    pytest.mark.skipif(
        not FOLDER, reason="EQUIVALENCE_DIR is not set: run `make equivalence`, which records anew"
    ),
    # The drop-in warns at the lines of this program, as it should; that is tested in tests/compat.
    pytest.mark.filterwarnings("ignore"),
]

ALL = [(area, name) for area in areas() for name in cases_of(area)]


@pytest.mark.parametrize(("area", "name"), ALL, ids=["/".join(case) for case in ALL])
def test_case(area: str, name: str, tmp_path: Path) -> None:
    home = Path(str(FOLDER)) / "cases" / area
    rest = json.loads((home / f"{name}.json").read_text())
    assert time.time() - rest["recorded_at"] < DAY, f"the recording in {home} is old: record anew"
    side = Side(Path(str(FOLDER)) / "data", tmp_path, load_file(home / f"{name}.safetensors"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        cases_of(area)[name](side)
    finally:
        torch.set_num_threads(threads)
    assert json.loads(json.dumps(side.values)) == rest["values"]
    compare(side.recorded or {}, side.tensors)
