"""Vectors that were learned elsewhere, looked up by id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Column, Ragged
from merlin_models_torch.inputs.combiner import Combiner, ListCombiner
from merlin_models_torch.inputs.vector_file import VectorFile
from merlin_models_torch.serialize import serializable


@serializable
class PretrainedEmbeddings(nn.Module):
    """Frozen vectors of ids, read from a file as they are needed, and projected.

    Row ``i`` of the file is the vector of id ``i``; :func:`save_vectors` writes one from original ids. Id 0,
    padding, gives zeros, whatever its row is. To train the vectors, initialise an :class:`EmbeddingTable`.

    Args:
        path: of a ``.npy`` or ``.safetensors`` matrix (V, E). Only rows in use are read, and a saved model
            holds a copy of the file.
        dim: width D of a learned linear projection; the vectors come as they are without it.
        tensor: name of the matrix in a safetensors file that holds several.
        combiner: how lists become one vector, as for :class:`EmbeddingTable`.
        in_memory: read all vectors now and keep them among the weights, as export and compilation need it.
        shape: (V, E) instead of a path, for vectors that come with a saved model's weights.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no matrix.
        TypeError: if the path is none.

    Example:
        >>> np.save("vectors.npy", np.array([[0, 0], [1, 2], [3, 4]], np.float32))
        >>> PretrainedEmbeddings("vectors.npy", combiner="mean")(torch.tensor([[1, 2, 0], [2, 0, 0]]))
        tensor([[2., 3.],
                [3., 4.]])
        >>> PretrainedEmbeddings("vectors.npy", dim=64)(torch.tensor([2, 1])).shape
        torch.Size([2, 64])
    """

    vectors: Tensor | None

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        dim: int | None = None,
        tensor: str | None = None,
        combiner: Combiner | None = None,
        in_memory: bool = False,
        shape: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        if (path is None) == (shape is None):
            raise ValueError("pretrained embeddings take either the path of a file or a shape: give one")
        if path is not None and not isinstance(path, (str, Path)):
            raise TypeError(
                f"path is a {type(path).__name__}, expected that of a file: write vectors by save_vectors(), "
                "or give those that are in memory as EmbeddingTable(column, weights=..., trainable=False)"
            )
        file = None if path is None else VectorFile(str(Path(path).absolute()), tensor)
        self.num_embeddings, width = shape if file is None and shape is not None else _shape(file)
        # Kept out of the module's children: the file is no weight.
        self.file = None if in_memory else file
        if file is None:
            self.register_buffer("vectors", torch.zeros(self.num_embeddings, width))
        else:
            self.register_buffer("vectors", file.all() if in_memory else None)
        self.projection = None if dim is None else nn.Linear(width, dim)
        self.dim = dim or width
        self._projected_to = dim
        self.combiner = None if combiner is None else ListCombiner.of(combiner, dim=self.dim)

    @property
    def pools(self) -> bool:
        """Whether lists become one vector."""
        return self.combiner is not None

    def forward(self, ids: Column) -> Column:
        """Looks up ids.

        Args:
            ids: (B,), (B, T) or (B, T, S) int64, or ragged.

        Returns:
            As :meth:`EmbeddingTable.forward`, float.

        Raises:
            IndexError: if an id has no row.
        """
        if isinstance(ids, Ragged):
            if self.combiner is not None and ids.values.dim() == 1:
                return self._dense(ids.padded())
            return Ragged(self._dense(ids.values), ids.offsets)
        return self._dense(ids)

    def _dense(self, ids: Tensor) -> Tensor:
        vectors = self._rows(ids)
        if self.projection is not None:
            vectors = self.projection(vectors)
        vectors = torch.where((ids == 0)[..., None], 0.0, vectors)
        return vectors if self.combiner is None or ids.dim() < 2 else self.combiner(vectors, ids != 0)

    def _rows(self, ids: Tensor) -> Tensor:
        if self.vectors is not None:
            return nn.functional.embedding(ids, self.vectors)
        if self.file is None:
            raise RuntimeError("there are no vectors: this module was not built by its constructor")
        wanted, places = torch.unique(ids, return_inverse=True)
        if wanted.numel() and (int(wanted[-1]) >= self.num_embeddings or int(wanted[0]) < 0):
            odd = int(wanted[-1]) if int(wanted[-1]) >= self.num_embeddings else int(wanted[0])
            raise IndexError(
                f"id {odd} has no vector, {self.file.path} has {self.num_embeddings} rows: write one for "
                "each id of the domain"
            )
        dtype = torch.get_default_dtype() if self.projection is None else self.projection.weight.dtype
        return self.file.rows(wanted).to(ids.device, dtype)[places]

    def init_arguments(self) -> dict[str, Any]:
        """What builds this module again: the path of the file, or the shape if the weights hold it."""
        arguments: dict[str, Any] = {"dim": self._projected_to, "combiner": self.combiner}
        if self.file is not None:
            return {**arguments, "path": Path(self.file.path), "tensor": self.file.tensor}
        if self.vectors is None:
            raise RuntimeError("there are no vectors: this module was not built by its constructor")
        return {**arguments, "shape": tuple(self.vectors.shape)}


def _shape(file: VectorFile | None) -> tuple[int, int]:
    if file is None:
        raise ValueError("pretrained embeddings take either the path of a file or a shape: give one")
    return file.shape
