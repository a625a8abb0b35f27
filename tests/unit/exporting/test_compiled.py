"""What is said where a program cannot be compiled."""

import os
from pathlib import Path

import pytest
import torch

import merlin_models_torch as mm
from tests.unit.exporting.families import FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_compiler_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    no_compiler = torch._inductor.config.patch({"cpp.cxx": ("no-compiler-of-this-name",)})
    with no_compiler, pytest.raises(ValueError) as caught:
        mm.export(FAMILIES["dlrm"].made(), tmp_path / "export", format="aoti")
    said = str(caught.value)
    assert said.startswith("the program cannot be compiled in ")
    assert "No working C++ compiler found" in said
    assert said.endswith(
        "see that a C++ compiler is installed (CXX names another than g++), or choose another format"
    )
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "cache")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
