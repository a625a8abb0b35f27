"""Vectors by id in a file that is not read as a whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from merlin_models_torch.storage import whole_file

if TYPE_CHECKING:
    from merlin_models_torch.data import Vocabulary

_SAFETENSORS = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "BF16": np.uint16}


@dataclass
class VectorFile:
    """A matrix (V, D) in a ``.npy`` or ``.safetensors`` file, mapped into memory.

    A copy or a pickle of it holds the path only, never the vectors.

    Args:
        path: of the file.
        tensor: name in a safetensors file; needed where it holds several.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it does not hold a matrix of floating-point numbers.
    """

    path: str
    tensor: str | None = None

    def __post_init__(self) -> None:
        self._open()

    def _open(self) -> None:
        file = Path(self.path)
        if not file.is_file():
            raise FileNotFoundError(
                f"the vectors are read from {file}, which is no file: put it there, or give its new place"
            )
        self._bf16 = False
        if file.suffix == ".npy":
            self._matrix: NDArray[Any] = _npy(file)
        elif file.suffix == ".safetensors":
            self._matrix, self._bf16 = _safetensors(file, self.tensor)
        else:
            raise ValueError(f"{file} ends in {file.suffix!r}, expected .npy or .safetensors")
        if self._matrix.ndim != 2 or not (self._bf16 or self._matrix.dtype.kind == "f"):
            raise ValueError(
                f"{file} holds {self._matrix.dtype} numbers of shape {self._matrix.shape}, expected a float "
                "matrix with a row for each id"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and width."""
        return self._matrix.shape[0], self._matrix.shape[1]

    def rows(self, index: Tensor) -> Tensor:
        """(N, D) float32 rows of (N,) int64 numbers; only these are read."""
        chosen = np.ascontiguousarray(self._matrix[index.cpu().numpy()])
        if self._bf16:
            return torch.from_numpy(chosen.view(np.int16)).view(torch.bfloat16).float()
        return torch.from_numpy(chosen.astype(np.float32))

    def all(self) -> Tensor:
        """(V, D) float32, all of it."""
        return self.rows(torch.arange(self.shape[0]))

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "tensor": self.tensor}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self.tensor = state["path"], state["tensor"]
        self._open()


def _npy(file: Path) -> NDArray[Any]:
    try:
        matrix: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        # The header is a piece of Python, which numpy takes apart with all that may come of it.
        raise ValueError(f"{file} cannot be read as .npy ({error}): write it by numpy.save") from error
    return matrix


def _safetensors(file: Path, name: str | None) -> tuple[NDArray[Any], bool]:
    from safetensors import SafetensorError, safe_open

    try:
        # It checks that the header says what the file holds.
        with safe_open(file, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} cannot be read as safetensors ({error}): write it again") from error
    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        header: dict[str, Any] = json.loads(stream.read(size))
    header.pop("__metadata__", None)
    if name is None and len(header) == 1:
        name = next(iter(header))
    if name is None or name not in header:
        raise ValueError(
            f"{file} holds the tensors {sorted(header)}, got {name!r}: name one of them by tensor="
        )
    entry = header[name]
    dtype = _SAFETENSORS.get(entry["dtype"])
    if dtype is None:
        raise ValueError(f"tensor {name!r} of {file} is {entry['dtype']}, expected {list(_SAFETENSORS)}")
    begin = 8 + size + entry["data_offsets"][0]
    mapped = np.memmap(file, dtype=dtype, mode="r", offset=begin, shape=tuple(entry["shape"]))
    return mapped, entry["dtype"] == "BF16"


def save_vectors(
    path: str | Path,
    vectors: ArrayLike | Tensor,
    *,
    ids: Sequence[Any],
    vocabulary: Vocabulary,
    missing: Literal["zero", "mean"] = "zero",
) -> Path:
    """Writes vectors of original ids as a ``.npy`` file with a row for each code of a vocabulary.

    Args:
        path: of the file, ending in ``.npy``.
        vectors: (N, D).
        ids: (N,) original id of each vector, of any order; those that the vocabulary lacks are left out.
        vocabulary: of the column.
        missing: vector of codes without one: zeros, or the mean of those that there are. Padding is zero.

    Returns:
        The path.

    Raises:
        ValueError: if there is not one id for each vector, none of them is in the vocabulary, or a number is
            not finite.

    Example:
        >>> colours = Vocabulary(pa.array(["red", "blue", "green"]))  # codes 2, 3 and 4
        >>> vectors = [[0.1, 0.2], [0.3, 0.4]]
        >>> path = save_vectors("colours.npy", vectors, ids=["blue", "red"], vocabulary=colours)
        >>> np.load(path)[2:]  # no vector of green is known
        array([[0.3, 0.4],
               [0.1, 0.2],
               [0. , 0. ]], dtype=float32)
    """
    import pyarrow as pa

    path = Path(path)
    if path.suffix != ".npy":
        raise ValueError(f"vectors are written to a .npy file, got {path.name}: give it that ending")
    matrix = torch.as_tensor(vectors).detach().float().cpu().numpy()
    if matrix.ndim != 2 or len(matrix) != len(ids):
        raise ValueError(
            f"vectors have the shape {matrix.shape} and there are {len(ids)} ids: give a row for each id"
        )
    codes = vocabulary.encode(pa.array(ids))
    known = codes >= vocabulary.first
    if not known.any():
        raise ValueError(
            f"none of the {len(ids)} ids of the vectors is in the vocabulary: give the original ids, of its "
            "type"
        )
    wrong = ~np.isfinite(matrix).all(1)
    if wrong.any():
        raise ValueError(
            f"the vector of {ids[int(wrong.argmax())]!r} holds numbers that are not finite: fill them, or "
            "leave this id out"
        )
    rows = np.zeros((vocabulary.cardinality, matrix.shape[1]), np.float32)
    if missing == "mean":
        rows[1:] = matrix[known].mean(0)
    rows[codes[known]] = matrix[known]
    with whole_file(path) as work:
        np.save(work, rows)
    return path
