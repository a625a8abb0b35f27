"""PretrainedEmbeddings and their files: equal to indexing the matrix, whatever holds it."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

import merlin_models_torch as mm
from merlin_models_torch.serialize import from_config, to_config

MATRIX = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
IDS = torch.tensor([[1, 5, 0], [2, 2, 0]])


def written(folder: Path, kind: str) -> Path:
    path = folder / f"vectors.{kind}"
    if kind == "npy":
        np.save(path, MATRIX.numpy())
    else:
        save_file({"other": torch.ones(1), "vectors": MATRIX}, path)
    return path


@pytest.mark.parametrize("kind", ["npy", "safetensors"])
@pytest.mark.parametrize("in_memory", [False, True])
def test_vectors_are_the_rows_of_the_file_and_padding_is_zero(
    tmp_path: Path, kind: str, in_memory: bool
) -> None:
    name = None if kind == "npy" else "vectors"
    module = mm.PretrainedEmbeddings(written(tmp_path, kind), tensor=name, in_memory=in_memory)
    expected = MATRIX.clone()
    expected[0] = 0
    assert torch.equal(module(IDS), expected[IDS])
    assert not list(module.parameters())
    ragged = module(mm.Ragged(IDS[0], torch.tensor([0, 1, 3])))
    assert torch.equal(ragged.values, expected[IDS[0]])


def test_bfloat16_is_read(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_file({"v": MATRIX.bfloat16()}, path)
    assert torch.equal(mm.PretrainedEmbeddings(path)(IDS[0, :2]), MATRIX.bfloat16().float()[IDS[0, :2]])


def test_the_projection_learns_and_padding_stays_zero(tmp_path: Path) -> None:
    module = mm.PretrainedEmbeddings(written(tmp_path, "npy"), dim=2, combiner="mean")
    projection = module.projection
    assert projection is not None
    rows = projection(MATRIX)
    torch.testing.assert_close(module(IDS), torch.stack([rows[[1, 5]].mean(0), rows[2]]))
    torch.testing.assert_close(
        module(mm.Ragged(IDS[0, :2], torch.tensor([0, 2]))), rows[[1, 5]].mean(0)[None]
    )
    module(IDS).sum().backward()
    assert projection.weight.grad is not None
    assert {name for name, _ in module.named_parameters()} == {"projection.weight", "projection.bias"}


@pytest.mark.parametrize("in_memory", [False, True])
def test_copies_and_configs_give_the_same(tmp_path: Path, in_memory: bool) -> None:
    path = written(tmp_path, "npy")
    module = mm.PretrainedEmbeddings(path, dim=2, in_memory=in_memory)
    files: list[Path] = []
    config, schemas = to_config(module, files=files)
    if in_memory:
        path.unlink()
        assert not files
    again = from_config(config, schemas, files=files)
    again.load_state_dict(module.state_dict())
    for other in (again, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(IDS), module(IDS))


def test_original_ids_find_their_vectors(tmp_path: Path) -> None:
    vocabulary = mm.Vocabulary(pa.array(["a", "b", "c"]))
    path = mm.save_vectors(
        tmp_path / "v.npy", MATRIX[:3], ids=["c", "a", "?"], vocabulary=vocabulary, missing="mean"
    )
    rows = np.load(path)
    code = dict(zip("abc", vocabulary.encode(pa.array(["a", "b", "c"])).tolist(), strict=True))
    assert rows.shape == (vocabulary.cardinality, 3)
    np.testing.assert_array_equal(rows[code["c"]], MATRIX[0])
    np.testing.assert_array_equal(rows[code["a"]], MATRIX[1])
    np.testing.assert_allclose(rows[code["b"]], MATRIX[:2].mean(0), rtol=1e-6)
    assert not rows[0].any()
    with pytest.raises(ValueError, match="none of the 1 ids of the vectors is in the vocabulary"):
        mm.save_vectors(tmp_path / "w.npy", MATRIX[:1], ids=["?"], vocabulary=vocabulary)
    with pytest.raises(ValueError, match=r"shape \(2, 3\) and there are 1 ids"):
        mm.save_vectors(tmp_path / "w.npy", MATRIX[:2], ids=["a"], vocabulary=vocabulary)
    with pytest.raises(ValueError, match="the vector of 'b' holds numbers that are not finite"):
        mm.save_vectors(tmp_path / "w.npy", [[1.0], [float("nan")]], ids=["a", "b"], vocabulary=vocabulary)


def test_bad_files_and_ids_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "npy")
    with pytest.raises(IndexError, match=r"id 6 has no vector, .*vectors\.npy has 6 rows"):
        mm.PretrainedEmbeddings(path)(torch.tensor([6]))
    with pytest.raises(FileNotFoundError, match=r"nothing\.npy, which is no file"):
        mm.PretrainedEmbeddings(tmp_path / "nothing.npy")
    several = written(tmp_path, "safetensors")
    with pytest.raises(ValueError, match=r"holds the tensors \['other', 'vectors'\], got None"):
        mm.PretrainedEmbeddings(several)
    np.save(tmp_path / "flat.npy", np.ones(3))
    with pytest.raises(ValueError, match=r"of shape \(3,\), expected a float matrix"):
        mm.PretrainedEmbeddings(tmp_path / "flat.npy")
    several.write_bytes(several.read_bytes()[:-8])
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        mm.PretrainedEmbeddings(several, tensor="vectors")
    (tmp_path / "v.txt").write_text("1 2")
    with pytest.raises(ValueError, match=r"ends in '\.txt', expected \.npy or \.safetensors"):
        mm.PretrainedEmbeddings(tmp_path / "v.txt")
    with pytest.raises(ValueError, match="either the path of a file or a shape"):
        mm.PretrainedEmbeddings()
