"""Exact top-k over a catalogue that is asked many times: screened in few bits, decided in full precision."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from merlin_models_torch.retrieval.bytes import ByteGroups
from merlin_models_torch.retrieval.halves import HalfVectors
from merlin_models_torch.retrieval.topk import (
    as_exclusions,
    as_rows,
    best_in_order,
    check_k,
    check_shapes,
    topk_blockwise,
    without_autocast,
)

# Bytes are faster than bfloat16 for so many queries, with groups of so many items, and than the plain formula
# above so many items for each answer, measured on CPU.
_BYTE_QUERIES, _BYTE_WIDTH, _WORTH_BYTES = 4, 32, 2048
# Making the rounded vectors takes as long as the plain formula for some 40 queries; so many go by it first,
# where they come by ones and twos.
_FIRST = 32
# Where more of the catalogue is to be scored again, the plain formula is faster.
_MOST = 1 / 8
# Items for each answer above which screening is faster, measured on CPU.
_WORTHWHILE = 4096
_QUERIES = 128
# Vectors gathered at a time when candidates are decided on: 64 MiB for a width of 64.
_GATHERED = 2**18


class Index(Protocol):
    """Finds the best items of a catalogue."""

    def topk(
        self, queries: Tensor, *, k: int, exclude: Tensor | None = None, never: Sequence[int] = ()
    ) -> tuple[Tensor, Tensor]:
        """The k best items of each query, as :meth:`ItemIndex.topk` gives them.

        One that is asked for the best of some ``candidates`` of each query takes that argument as well.
        """


class ItemIndex:
    """The k best items by dot product, the same as :func:`topk_blockwise` gives, for many questions.

    A copy of the vectors in bfloat16 is scored first, which reads half the memory and multiplies twice as
    fast. How far a rounded score can be from the true one is bounded, by the inequality of Cauchy and
    Schwarz, from the rounding errors, which are known. Of groups of neighbouring items only those whose best
    rounded score comes within twice the bound of the k-th best group can hold an answer, and their items are
    scored again in full precision. No answer can be lost; the rows are those of the plain formula, near ties
    apart, which the last bits of a sum decide. One query, or up to four, are screened in bytes instead, on
    processors that multiply these (:class:`ByteGroups`), which reads a quarter of the memory. A CPU that
    multiplies neither answers by the plain formula, single queries from a copy that is stored by columns.

    Args:
        items: (V, D) float, one row per item id; not copied, but for the rounded vectors or those by
            columns, which are made when a question is large enough for them to pay, or small ones have come
            often enough.
        bias: (V,) float added to the dot products.
        temperature: divides the scores.

    Raises:
        ValueError: if shapes do not fit or the temperature is not positive.

    Example:
        >>> items = torch.tensor([[3.0, 0.0], [5.0, 0.0], [5.0, 0.0]])
        >>> ItemIndex(items).topk(torch.tensor([[1.0, 0.0]]), k=2)[1].tolist()
        [[1, 2]]
    """

    def __init__(self, items: Tensor, *, bias: Tensor | None = None, temperature: float = 1.0) -> None:
        check_shapes(items[:1], items, bias, temperature)
        self.items = items.detach()
        self.bias = None if bias is None else bias.detach()
        self.temperature = temperature
        self._asked = 0

    @cached_property
    def _halves(self) -> HalfVectors:
        """The vectors in bfloat16."""
        return HalfVectors(self.items, bias=self.bias)

    @cached_property
    def _bytes(self) -> ByteGroups | None:
        """The vectors as bytes; None where they do not pay."""
        return ByteGroups(self.items, width=_BYTE_WIDTH) if ByteGroups.fit(self.items) else None

    @cached_property
    def _by_columns(self) -> Tensor:
        """The vectors stored so that one query takes as long as memory is read; by rows, nearly twice."""
        on_cpu = self.items.device.type == "cpu" and self.items.dtype == torch.float32
        return self.items.t().contiguous().t() if on_cpu else self.items

    def topk(
        self,
        queries: Tensor,
        *,
        k: int,
        exclude: Tensor | Sequence[Sequence[int] | Tensor] | None = None,
        never: Sequence[int] = (),
        candidates: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The k best items of each query.

        Args:
            queries: (B, D) float.
            k: answers per query, at most the V rows less those in ``never``.
            exclude: (B, E) int64 rows that are no answers for each query, filled up with -1; or one sequence
                of rows for each query.
            never: rows that are no answers for any query.
            candidates: (B, C) int64 the only rows that may be answers to each query, filled up with -1; a
                query with none has them all.

        Returns:
            Scores (B, k) in falling order and item rows (B, k) int64. Equal scores come in order of row.
            Where a query's exclusions leave fewer than k items, the rest has score -inf and row -1.

        Raises:
            ValueError: if k is larger than the catalogue, or an excluded row is not in it.
        """
        check_shapes(queries, self.items, self.bias, self.temperature)
        catalogue, device = self.items.shape[0], queries.device
        banned = as_rows(sorted(set(never)), catalogue, "never", device)
        check_k(k, catalogue, banned.shape[0])
        excluded = None if exclude is None else as_exclusions(exclude, queries.shape[0], catalogue, device)
        if candidates is not None:
            return self._within(queries, candidates, k, excluded, banned)
        answers = []
        with torch.no_grad(), without_autocast(device):
            for start in range(0, queries.shape[0], _QUERIES):
                rows = slice(start, start + _QUERIES)
                own = None if excluded is None else excluded[rows]
                answers.append(self._of_some(queries[rows].detach(), k, own, banned))
        if not answers:
            return queries.new_empty(0, k), torch.empty(0, k, dtype=torch.int64, device=device)
        return torch.cat([scores for scores, _ in answers]), torch.cat([rows for _, rows in answers])

    def _within(
        self, queries: Tensor, candidates: Tensor, k: int, excluded: Tensor | None, banned: Tensor
    ) -> tuple[Tensor, Tensor]:
        left_out = torch.isin(candidates, banned)
        if excluded is not None:
            left_out |= (candidates[:, :, None] == excluded[:, None, :]).any(2)
        scores, rows = self.best_of(queries, candidates.masked_fill(left_out, -1), k=k)
        free = (candidates < 0).all(1)
        if bool(free.any()):
            own = None if excluded is None else excluded[free]
            scores[free], rows[free] = self.topk(queries[free], k=k, exclude=own, never=banned.tolist())
        return scores, rows

    def best_of(self, queries: Tensor, rows: Tensor, *, k: int) -> tuple[Tensor, Tensor]:
        """The k best of some items for each query, each counted once.

        Args:
            queries: (B, D) float.
            rows: (B, C) int64 item rows that may be answers to each query, filled up with -1.
            k: answers per query.

        Returns:
            Scores (B, k) in falling order and item rows (B, k) int64. Equal scores come in order of row.
            Where there are fewer, the rest has score -inf and row -1.

        Raises:
            ValueError: if shapes do not fit, or a row is not in the catalogue.
        """
        check_shapes(queries, self.items, self.bias, self.temperature)
        if k < 1:
            raise ValueError(f"k is {k}, but must be at least 1")
        given = as_exclusions(rows, len(queries), len(self.items), queries.device)
        if given is None or not given.shape[1]:
            given = torch.full((len(queries), 1), -1, dtype=torch.int64, device=queries.device)
        given = given.sort(1).values
        twice = torch.zeros_like(given, dtype=torch.bool)
        twice[:, 1:] = given[:, 1:] == given[:, :-1]
        with torch.no_grad(), without_autocast(queries.device):
            scores = self._scores(queries, given.clamp(min=0))
            scores = scores.masked_fill(twice | (given < 0), -torch.inf)
            scores, found = best_in_order(scores, given, k)
        short = k - scores.shape[1]
        if short > 0:
            scores = torch.nn.functional.pad(scores, (0, short), value=-torch.inf)
            found = torch.nn.functional.pad(found, (0, short), value=-1)
        return scores, torch.where(scores == -torch.inf, -1, found)

    def _scores(self, queries: Tensor, rows: Tensor) -> Tensor:
        """(B, C) scores of (B, C) rows of each query, some queries at a time."""
        step = max(_GATHERED // rows.shape[1], 1)
        scores = []
        for start in range(0, len(queries), step):
            some = slice(start, start + step)
            found = (self.items[rows[some]].float() @ queries[some].float()[:, :, None]).squeeze(2)
            if self.bias is not None:
                found += self.bias[rows[some]]
            scores.append(found / self.temperature)
        return torch.cat(scores) if scores else queries.new_empty(0, rows.shape[1])

    def _of_some(
        self, queries: Tensor, k: int, excluded: Tensor | None, banned: Tensor
    ) -> tuple[Tensor, Tensor]:
        # As many groups more as rows may be left out: k of their best are answers that are possible.
        wanted = k + banned.shape[0] + (0 if excluded is None else excluded.shape[1])
        few = len(queries) <= _BYTE_QUERIES and len(self.items) >= _WORTH_BYTES * wanted
        numbers: Tensor | None = None
        width = HalfVectors.group_width(len(queries))
        if few and self._asked < _FIRST:
            self._asked += len(queries)
        elif few and self.bias is None and self._bytes is not None:
            numbers, width = self._near(self._bytes, queries, wanted), self._bytes.width
        elif HalfVectors.fit(self.items) and len(self.items) >= _WORTHWHILE * wanted:
            numbers = self._halves.near(queries, wanted=wanted)
        elif few and len(queries) == 1:
            return self._plain(queries, k, excluded, banned, items=self._by_columns)
        if numbers is None:
            return self._plain(queries, k, excluded, banned)
        return self._decide(queries, self._rows_of(numbers, width), k, excluded, banned)

    def _near(self, groups: ByteGroups, queries: Tensor, wanted: int) -> Tensor | None:
        """(B, G) as :meth:`HalfVectors.near`, of bytes; None where they would be too many."""
        upper, lower = groups.bounds(queries.float())
        # So many groups have a score of at least this, so that no answer lies in a group below it.
        threshold = lower.topk(wanted, dim=1).values[:, -1:]
        count = int((upper >= threshold).sum(1).max())
        if not 0 < count * groups.width <= _MOST * len(self.items):
            return None
        return upper.topk(count, dim=1).indices

    def _rows_of(self, numbers: Tensor, width: int) -> Tensor:
        """(B, C) the rows of some groups of each query, and those beyond the last whole group."""
        # Rows in rising order, so that equal scores are in order; too many groups do no harm.
        chosen = numbers.sort(1).values[:, :, None] * width
        full = len(self.items) // width * width
        rest = torch.arange(full, len(self.items), device=numbers.device).expand(len(numbers), -1)
        within = torch.arange(width, device=numbers.device)
        return torch.cat([(chosen + within).flatten(1), rest], 1)

    def _plain(
        self,
        queries: Tensor,
        k: int,
        excluded: Tensor | None,
        banned: Tensor,
        *,
        items: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        items = self.items if items is None else items
        options = {"bias": self.bias, "temperature": self.temperature, "exclude": excluded}
        return topk_blockwise(queries, items, k=k, never=banned.tolist(), **options)  # type: ignore[arg-type]

    def _decide(
        self, queries: Tensor, candidates: Tensor, k: int, excluded: Tensor | None, banned: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The best of some rows (B, C), which rise, for each query."""
        step = max(_GATHERED // candidates.shape[1], 1)
        scores, rows = [], []
        for start in range(0, len(queries), step):
            some = slice(start, start + step)
            given = candidates[some]
            found = (self.items[given] @ queries[some].float()[:, :, None]).squeeze(2)
            if self.bias is not None:
                found += self.bias[given]
            if self.temperature != 1:
                found /= self.temperature
            if len(banned):
                found[torch.isin(given, banned)] = -torch.inf
            if excluded is not None:
                _leave_out(found, given, excluded[some])
            score, row = best_in_order(found, given, k)
            scores.append(score)
            rows.append(torch.where(score == -torch.inf, -1, row))
        return torch.cat(scores), torch.cat(rows)


def _leave_out(scores: Tensor, rows: Tensor, excluded: Tensor) -> None:
    """Sets to -inf the scores (B, C) whose rows, which rise, are among (B, E) excluded ones."""
    places = torch.searchsorted(rows, excluded).clamp_(max=rows.shape[1] - 1)
    query, column = (rows.gather(1, places) == excluded).nonzero(as_tuple=True)
    scores[query, places[query, column]] = -torch.inf
