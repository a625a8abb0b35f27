"""Approximate top-k over very large catalogues by faiss, with filters that hold exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from merlin_models_torch.retrieval.index import Index, ItemIndex
from merlin_models_torch.retrieval.topk import as_exclusions, as_rows, check_k, check_shapes


class FaissIndex:
    """The best items by dot product as faiss finds them: fast, and not always all of them.

    The items are grouped by k-means, and only the groups nearest to a query are searched (an inverted file;
    Jégou, Douze and Schmid 2011). What is found is scored by the exact formula; rows that are left out are
    never answered, and where too few others were found the exact :class:`ItemIndex` answers instead. How much
    is missed depends on the vectors: measure it by :func:`recall_of`. It needs the extra ``faiss``.

    Args:
        items: (V, D) float, one row per item id.
        bias: (V,) float added to the dot products.
        temperature: divides the scores.
        groups: of items; 4 times the square root of V if not given.
        searched: groups that a query looks into; more find more and take longer.
        seed: of k-means.

    Raises:
        ImportError: without faiss.
        ValueError: if shapes do not fit, or there are more groups than items.

    Example:
        >>> vectors = torch.randn(1000, 8)
        >>> index = FaissIndex(vectors, groups=4, searched=4)
        >>> recall_of(index, ItemIndex(vectors), torch.randn(10, 8), k=5)
        1.0
    """

    def __init__(
        self,
        items: Tensor,
        *,
        bias: Tensor | None = None,
        temperature: float = 1.0,
        groups: int | None = None,
        searched: int = 16,
        seed: int = 0,
    ) -> None:
        check_shapes(items[:1], items, bias, temperature)
        groups = min(int(4 * len(items) ** 0.5) + 1, len(items)) if groups is None else groups
        if searched < 1 or not 1 <= groups <= len(items):
            raise ValueError(
                f"groups is {groups} and searched {searched}, but there are {len(items)} items: give 1 to so "
                "many groups, and search 1 or more"
            )
        self._exact = ItemIndex(items, bias=bias, temperature=temperature)
        self._faiss = _trained(self._augmented(), groups, searched, seed)

    def topk(
        self,
        queries: Tensor,
        *,
        k: int,
        exclude: Tensor | Sequence[Sequence[int] | Tensor] | None = None,
        never: Sequence[int] = (),
        candidates: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The best items that were found; arguments, order and errors as for :meth:`ItemIndex.topk`.

        Returns:
            Scores (B, k) in falling order and item rows (B, k) int64.
        """
        if candidates is not None:
            return self._exact.topk(queries, k=k, exclude=exclude, never=never, candidates=candidates)
        items, device = self._exact.items, queries.device
        check_shapes(queries, items, self._exact.bias, self._exact.temperature)
        banned = as_rows(sorted(set(never)), len(items), "never", device)
        check_k(k, len(items), len(banned))
        excluded = None if exclude is None else as_exclusions(exclude, len(queries), len(items), device)
        wanted = min(k + len(banned) + (0 if excluded is None else excluded.shape[1]), len(items))
        vectors = queries.detach().float().cpu()
        if self._exact.bias is not None:
            vectors = torch.cat([vectors, torch.ones(len(vectors), 1)], 1)
        found = torch.from_numpy(self._faiss.search(vectors.numpy(), wanted)[1]).to(device)
        found[torch.isin(found, banned)] = -1
        if excluded is not None:
            found[(found[:, :, None] == excluded[:, None, :]).any(2)] = -1
        scores, rows = self._exact.best_of(queries, found, k=k)
        few = (rows[:, -1] < 0).nonzero()[:, 0]
        if len(few):
            own = None if excluded is None else excluded[few]
            scores[few], rows[few] = self._exact.topk(queries[few], k=k, exclude=own, never=never)
        return scores, rows

    def _augmented(self) -> np.ndarray[Any, Any]:
        """(V, D) vectors, or (V, D + 1) with the bias as a coordinate, for which every query has a 1."""
        vectors, bias = self._exact.items.float().cpu(), self._exact.bias
        if bias is not None:
            vectors = torch.cat([vectors, bias.float().cpu()[:, None]], 1)
        return np.ascontiguousarray(vectors.numpy())


def recall_of(index: Index, exact: Index, queries: Tensor, *, k: int) -> float:
    """The share of the exact answers that another index finds.

    Args:
        index: to be measured.
        exact: of the same items.
        queries: (B, D) float.
        k: answers per query.

    Returns:
        The mean over the queries of the share of the k best items that are among the k answers.

    Example:
        >>> vectors = torch.randn(1000, 8)
        >>> exact = ItemIndex(vectors)
        >>> recall_of(exact, exact, vectors[:10], k=5)
        1.0
    """
    wanted, found = exact.topk(queries, k=k)[1], index.topk(queries, k=k)[1]
    return float((wanted[:, :, None] == found[:, None, :]).any(2).double().mean())


def _trained(vectors: np.ndarray[Any, Any], groups: int, searched: int, seed: int) -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ImportError("FaissIndex needs faiss: pip install 'merlin-models-torch[faiss]'") from error
    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], groups, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.seed = seed
    index.cp.min_points_per_centroid = 1
    index.train(vectors)
    index.add(vectors)
    index.nprobe = min(searched, groups)
    return index
