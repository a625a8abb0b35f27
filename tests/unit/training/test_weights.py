"""Of a saved model each process reads and holds only the rows of its shares."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import safetensors
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import merlin_models_torch as mm
from merlin_models_torch import distributed
from merlin_models_torch.distributed import building
from merlin_models_torch.schema import Schema, Tags
from tests.unit.distributed.processes import run
from tests.unit.distributed.sharded import mesh_of, whole
from tests.unit.schemas import categorical
from tests.unit.sessions import session_batch

ITEMS, WIDTH = 500, 8
TABLE = "body.layers.0.tables.item_id.weight"


def model(*, tied: bool) -> mm.Model:
    """Its table of items is larger than all else together."""
    torch.manual_seed(0)
    schema = Schema([categorical("item_id", ITEMS, Tags.ITEM_ID), categorical("category", 7)])
    inputs = mm.TabularInputBlock(schema, embedding_dim=WIDTH, masking=mm.CausalMasking())
    output = mm.CategoricalOutput(weight_tying=tied, bias=True, top_ks=(5,))
    return mm.Model(inputs, mm.MLPBlock([WIDTH]), output).eval()


@contextmanager
def watched(found: dict[str, Any]) -> Iterator[None]:
    """Notes the rows that are read of each tensor of a file, and the largest tensor that is made."""
    read: dict[str, int] = {}

    class Slice:
        def __init__(self, name: str, inner: Any) -> None:
            self.name, self.inner = name, inner

        def get_shape(self) -> list[int]:
            return list(self.inner.get_shape())

        def __getitem__(self, rows: slice) -> Tensor:
            part: Tensor = self.inner[rows]
            read[self.name] = read.get(self.name, 0) + len(part)
            return part

    class File:
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self.inner = opened(*arguments, **options)

        def __enter__(self) -> File:
            self.inner = self.inner.__enter__()
            return self

        def __exit__(self, *error: Any) -> None:
            self.inner.__exit__(*error)

        def keys(self) -> list[str]:
            return list(self.inner.keys())

        def get_slice(self, name: str) -> Slice:
            return Slice(name, self.inner.get_slice(name))

        def get_tensor(self, name: str) -> Tensor:
            tensor: Tensor = self.inner.get_tensor(name)
            read[name] = read.get(name, 0) + (len(tensor) if tensor.dim() else 1)
            return tensor

    class Largest(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            made = func(*args, **(kwargs or {}))
            # Views take no memory, such as that of the mapped file, whose pages are read when copied.
            fresh = not any(one.alias_info for one in func._schema.returns)
            if fresh and type(made) is Tensor and not made.is_meta:
                found["largest"] = max(found.get("largest", 0), math.prod(made.shape))
            return made

    opened = safetensors.safe_open
    found["read"] = read
    with mock.patch.object(safetensors, "safe_open", File), Largest():
        yield


def loaded(folder: Path, shares: int | None) -> dict[str, Any]:
    """What is read and made, the weights, and answers."""
    building._PIECE = 64  # random numbers that are drawn at a time
    found: dict[str, Any] = {}
    for kind in ("tied", "own"):
        mesh, one = mesh_of(shares), found.setdefault(kind, {})
        with watched(one), distributed.sharded_tables(mesh):
            again = mm.load(folder / kind)
        distributed.shard_items(again, mesh)
        one["answers"] = again.topk(session_batch(4), k=5)
        one["weights"] = {name: whole(p) for name, p in again.state_dict().items()}
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("world", "shares"), [(2, None), (4, 2)])
def test_processes_read_and_hold_their_rows_of_a_saved_model(
    world: int, shares: int | None, tmp_path: Path
) -> None:
    originals = {kind: model(tied=kind == "tied") for kind in ("tied", "own")}
    for kind, original in originals.items():
        original.save(tmp_path / kind)
    ranks = run(loaded, world, tmp_path, tmp_path, shares)
    rows = [251, 250]
    for number, rank in enumerate(ranks):
        for kind, original in originals.items():
            found, expected = rank[kind], original.state_dict()
            assert found["weights"].keys() == expected.keys()
            for name, value in expected.items():
                assert torch.equal(found["weights"][name], value), name
                shared = name in (TABLE, "output.weight")
                size = len(value) if value.dim() else 1
                assert found["read"][name] == (rows[number % 2] if shared else size), name
            assert found["largest"] <= rows[0] * WIDTH
    for kind, original in originals.items():
        # Each process answered its rows of the batch.
        scores, items = (torch.cat([rank[kind]["answers"][n] for rank in ranks]) for n in range(2))
        expected_scores, expected_items = original.topk(session_batch(4), k=5)
        assert torch.equal(items, expected_items)
        torch.testing.assert_close(scores, expected_scores)


def test_a_model_in_one_piece_is_read_tensor_by_tensor(tmp_path: Path) -> None:
    original, found = model(tied=True), {}
    original.save(tmp_path / "model")
    with watched(found):
        again = mm.load(tmp_path / "model")
    assert found["read"].keys() == original.state_dict().keys()
    assert all(torch.equal(value, again.state_dict()[n]) for n, value in original.state_dict().items())
