"""Which item comes next: a softmax over the catalogue, its loss and its answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from merlin_models_torch._counts import as_cut_offs, as_names
from merlin_models_torch.batch import Batch, Ragged
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.inputs.made import ROW_MAKER
from merlin_models_torch.metrics import AnswerMetrics, RankingMetrics, answer_metrics
from merlin_models_torch.outputs.base import Widths
from merlin_models_torch.outputs.catalogue import Catalogue, WholeCatalogue
from merlin_models_torch.outputs.growth import Start, grown
from merlin_models_torch.outputs.labels import column_of, single_column
from merlin_models_torch.schema import ColumnSchema, Schema
from merlin_models_torch.serialize import serializable

_USUAL_TOP_KS = (10, 20)


@serializable
class CategoricalOutput(nn.Module):
    """Scores every item of the catalogue by dot product, or cosine, with a vector of its own.

    The full ``targets x catalogue`` matrix exists only where logits are asked for: the loss is computed in
    chunks and answers block by block.

    Args:
        target: the next item of the input sequence if not given. Else the column of labels that holds an item
            for each row, by its name or schema; the answer is then that of a sequence's last position, or
            of the row. With a schema the catalogue is its int domain, and the column need not be an input. A
            column of lists holds a set of items for each row, such as the next basket: each of them is a
            target, and the metrics are those of sets.
        weight_tying: the item vectors are the input block's item embeddings; if the body's width differs, a
            linear layer without activation stands between. Otherwise they are weights of their own.
        bias: adds a learned number to each item's score.
        normalized: the body's and the items' vectors get length 1 before the dot product, so that an item's
            score does not grow with its popularity (Gupta et al. 2019). Logits then lie within
            1 / temperature of 0: choose a temperature of 0.05 to 0.1.
        temperature: logits are divided by it.
        label_smoothing: share of the target's probability spread over the catalogue.
        exclude: item rows that are never an answer: padding by default. They stay in the softmax.
        exclude_seen: items that the session has shown are not answers, in evaluation and prediction.
        metrics: names of ranking metrics, see :class:`RankingMetrics`, and "coverage", the share of the items
            that is ever answered.
        top_ks: cut-offs of the metrics; 10 and 20 if not given, lower where the catalogue is smaller.

    Raises:
        ValueError: if the temperature is not positive, label smoothing is no share, or seen items of the
            input are to be left out of the answers of another domain.

    Example:
        >>> inputs = mm.TabularInputBlock(schema, embedding_dim=8, masking=mm.CausalMasking())
        >>> output = mm.CategoricalOutput(weight_tying=True, metrics=("ndcg",), top_ks=(10,))
        >>> model = mm.Model(inputs, mm.MLPBlock([8]), mm.GRUBlock(8), output)
        >>> answers = model.predict(files.test[0], k=3, exclude_seen=True)
        >>> len(answers["item_id"][0])
        3
    """

    _init_arguments: dict[str, Any]

    reads_targets = True
    """Whether nothing is read between the targeted positions; False in subclasses that do not say so too."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.reads_targets = vars(cls).get("reads_targets", False)

    def __init__(
        self,
        *,
        target: str | ColumnSchema | Schema | None = None,
        weight_tying: bool = False,
        bias: bool = False,
        normalized: bool = False,
        temperature: float = 1.0,
        label_smoothing: float = 0.0,
        exclude: Sequence[int] = (0,),
        exclude_seen: bool = False,
        metrics: Sequence[str] = ("recall", "ndcg"),
        top_ks: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing is {label_smoothing}, expected a share from 0 to below 1")
        self._column = None if target is None else single_column(target)
        self.target = None if self._column is None else self._column.name
        self.needs_plan = target is None
        self.weight_tying = weight_tying
        self.normalized = normalized
        self.temperature = temperature
        self.label_smoothing = label_smoothing
        self.exclude = tuple(exclude)
        self.exclude_seen = exclude_seen
        self.metrics = as_names("metrics", metrics)
        self.top_ks = _USUAL_TOP_KS if top_ks is None else as_cut_offs("top_ks", top_ks)
        self._chooses_top_ks = top_ks is None
        self.has_bias = bias
        self.projection: nn.Linear | None = None
        self.weight: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        self.item_id: str | None = None
        self.domain: str | None = None
        # Whether its items are those of the input sequence.
        self.answers_inputs = True
        # A reference, not a child: the table belongs to the input block, and appears once in the state dict.
        self._tied: tuple[nn.Embedding, ...] = ()
        # Where the item vectors are, if they are on several devices: see merlin_models_torch.distributed.
        self.elsewhere: Catalogue | None = None

    def init_arguments(self) -> dict[str, Any]:
        """What builds this output again: the constructor's arguments, a column as a schema of it alone."""
        arguments: dict[str, Any] = dict(self._init_arguments)
        if isinstance(arguments.get("target"), ColumnSchema):
            arguments["target"] = Schema([arguments["target"]])
        return arguments

    def build(self, inputs: TabularInputBlock, width: Widths) -> None:
        """Makes the weights, once the input block and the body are known.

        Args:
            inputs: the model's input block, whose item-id column is predicted.
            width: of the body's output.

        Raises:
            ValueError: if the input block has no item id, or the body gives several outputs.
        """
        if not isinstance(width, int):
            raise ValueError(
                f"the body gives several outputs ({', '.join(width)}) and CategoricalOutput needs one: join "
                "them, by Concat or an MLPBlock"
            )
        table = inputs.item_table if self.weight_tying else None
        self.item_id = self.target or inputs.item_id
        domain = self._column and (self._column.properties.get("domain") or {}).get("name")
        seen = inputs.domains.get(inputs.item_id or "")
        self.domain = domain or seen or self.target
        self.answers_inputs = self.domain == seen
        if self.exclude_seen and not self.answers_inputs:
            raise ValueError(
                f"exclude_seen leaves out items of {seen!r}, but the target {self.target!r} names items of "
                f"{self.domain!r}: leave it out"
            )
        if table is not None:
            size = table.num_embeddings
            self._tied = (table,)
            # A softmax over the catalogue gives every row a gradient.
            table.sparse = False
            if width != table.embedding_dim:
                self.projection = nn.Linear(width, table.embedding_dim)
        else:
            size = self._own_catalogue or inputs.item_cardinality
            self.weight = _new_weight(size, width)
        if self.has_bias:
            self.bias = nn.Parameter(torch.zeros(size))

    def grow(
        self,
        inputs: TabularInputBlock,
        columns: Schema,
        *,
        start: Start = "random",
        generator: torch.Generator | None = None,
    ) -> None:
        """Weights and biases for new items; those of old ones stay as they are. See :func:`grow`.

        Args:
            inputs: the model's input block, grown already.
            columns: those that have grown.
            start: what new rows are.
            generator: makes the random rows.
        """
        if self._column is not None and self._column.name in columns.column_names:
            self._column = columns[self._column.name]
            self._init_arguments = {**self._init_arguments, "target": self._column}
        if self._tied:
            size = inputs.item_table.num_embeddings
        else:
            size = self._own_catalogue or inputs.item_cardinality
        if self.weight is not None:
            self.weight = grown(
                self.weight, size, start=start, bound=self.weight.shape[1] ** -0.5, generator=generator
            )
        if self.bias is not None:
            self.bias = grown(self.bias, size, start=start, bound=0.0, generator=generator)

    def limit_top_ks(self, possible: int) -> None:
        """Lowers the usual cut-offs to what there is; those that were given stay as they are.

        Args:
            possible: items that can be answers.
        """
        if self._chooses_top_ks:
            self.top_ks = tuple(sorted({min(k, max(possible, 1)) for k in _USUAL_TOP_KS}))

    @property
    def _own_catalogue(self) -> int | None:
        """Rows of the target's own domain, if its schema was given and no embeddings are to be shared."""
        if self._column is None or self.weight_tying:
            return None
        largest = (self._column.properties.get("domain") or {}).get("max")
        return None if largest is None else int(largest) + 1

    @property
    def item_vectors(self) -> Tensor:
        """(V, D) one vector for each row of the catalogue, of length 1 if ``normalized``.

        Raises:
            RuntimeError: if they are on several devices.
        """
        if self.elsewhere is not None:
            raise RuntimeError(
                "the item vectors are on several devices and never in one matrix: use loss() and topk(), or "
                "gather them by unshard_items()"
            )
        return unit(self._weight) if self.normalized else self._weight

    @property
    def catalogue(self) -> Catalogue:
        """The item vectors with their biases, wherever they are."""
        return self.elsewhere or WholeCatalogue(self.item_vectors, self.bias)

    @property
    def _weight(self) -> Tensor:
        """(V, D) the weights that item vectors are made of."""
        if self._tied:
            return self._tied[0].weight
        if self.weight is None:
            raise RuntimeError("this output has no weights yet: put it into a Model, or call build()")
        return self.weight

    @property
    def cardinality(self) -> int:
        """Rows of the catalogue, padding included."""
        return self._weight.shape[0]

    def make_metrics(self) -> RankingMetrics | AnswerMetrics:
        """Fresh metrics for one kind of evaluation."""
        return answer_metrics(self.metrics, self.top_ks, size=self.cardinality, exclude=self.exclude)

    def queries(self, hidden: Tensor, batch: Batch) -> Tensor:
        """The body's vectors at the positions that predict, in the items' space.

        Args:
            hidden: (B, T, D) from the body; (B, D) without sequences, where a column is the target.
            batch: with a masking plan.

        Returns:
            (N, D), row by row, of length 1 if ``normalized``.

        Raises:
            ValueError: if the batch has no plan.
        """
        if self.target is not None and hidden.dim() == 2:
            chosen = hidden
        elif batch.plan is None:
            raise ValueError("the batch has no masking plan: give the input block a masking")
        else:
            chosen = batch.plan.queries(hidden)
        if self.projection is not None:
            chosen = self.projection(chosen)
        return unit(chosen) if self.normalized else chosen

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Logits of every item: (N, V), one row for each position that predicts."""
        logits = self.queries(hidden, batch) @ self.item_vectors.T
        if self.bias is not None:
            logits = logits + self.bias
        return logits / self.temperature

    def targets(self, batch: Batch) -> Tensor:
        """(N,) int64 the items that should be named, position by position, or set by set."""
        if self.target is not None:
            sets = self._sets(batch)
            return (column_of(batch, self.target) if sets is None else sets.values).long()  # type: ignore[union-attr]
        if batch.plan is None:
            raise ValueError("the batch has no masking plan: give the input block a masking")
        return batch.plan.items()

    def pairs(self, hidden: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """What predicts and what it should name, once for each target.

        Args:
            hidden: as for :meth:`queries`.
            batch: as for :meth:`queries`.

        Returns:
            Queries (N, D) and items (N,) int64.
        """
        queries, sets = self.queries(hidden, batch), self._sets(batch)
        if sets is not None:
            queries = queries.repeat_interleave(sets.lengths, 0)
        return queries, self.targets(batch)

    def _sets(self, batch: Batch) -> Ragged | None:
        """The items of each row, where the column of targets holds lists."""
        column = None if self.target is None else column_of(batch, self.target)
        if isinstance(column, Tensor) and column.dim() > 1:
            return Ragged.from_padded(column, (column != 0).sum(1))
        return column if isinstance(column, Ragged) else None

    def count(self, batch: Batch) -> int:
        """Targets in the batch."""
        return len(self.targets(batch))

    def update_metrics(
        self,
        metrics: RankingMetrics | AnswerMetrics,
        hidden: Tensor,
        batch: Batch,
        *,
        seen: Tensor | None = None,
        never: Sequence[int] = (),
    ) -> None:
        """Adds the answers to a batch; ``seen`` and ``never`` as for :meth:`topk`."""
        answers, targets, _ = self.judged(hidden, batch, k=max(self.top_ks), seen=seen, never=never)
        if isinstance(metrics, AnswerMetrics):
            metrics.update(answers, targets, never=never)
        else:
            metrics.update(answers, targets)

    def judged(
        self, hidden: Tensor, batch: Batch, *, k: int, seen: Tensor | None = None, never: Sequence[int] = ()
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Answers beside what they should name.

        Args:
            hidden: as for :meth:`topk`, as are the other arguments.
            batch: with targets.
            k: see there.
            seen: see there.
            never: see there.

        Returns:
            Item rows (N, k) int64, best first; the items that should be among them, (N,) int64, or (N, M) of
            sets, filled up with -1; and the row (N,) int64 of the batch that each belongs to.
        """
        answers = self.topk(hidden, batch, k=k, seen=seen, never=never)[1]
        sets = self._sets(batch)
        if sets is not None:
            some = sets.lengths > 0
            return answers[some], sets.padded(value=-1)[some].long(), some.nonzero()[:, 0]
        if self.target is None and batch.plan is not None:
            return answers, self.targets(batch), batch.plan.places()[0]
        return answers, self.targets(batch), torch.arange(len(answers), device=answers.device)

    def loss(self, hidden: Tensor, batch: Batch, *, generator: torch.Generator | None = None) -> Tensor:
        """Mean cross entropy over the targets, without the full matrix of logits: a scalar.

        Args:
            hidden: (B, T, D) from the body.
            batch: with a masking plan.
            generator: not used, nothing is random here.
        """
        queries, targets = self.pairs(hidden, batch)
        return self.catalogue.loss(
            queries, targets, temperature=self.temperature, label_smoothing=self.label_smoothing
        )

    def topk(
        self, hidden: Tensor, batch: Batch, *, k: int, seen: Tensor | None = None, never: Sequence[int] = ()
    ) -> tuple[Tensor, Tensor]:
        """The k best items for each predicting position.

        Args:
            hidden: (B, T, D) from the body.
            batch: with a masking plan.
            k: answers.
            seen: (N, E) item rows that are not answers to each query, -1 where none.
            never: rows that are not answers to any, besides ``exclude``.

        Returns:
            Scores (N, k) in falling order and item rows (N, k) int64.

        Raises:
            ValueError: if k is larger than the catalogue.
        """
        return self.catalogue.topk(
            self.queries(hidden, batch),
            k=k,
            temperature=self.temperature,
            exclude=seen,
            never=sorted({*self.exclude, *never}),
        )


def _new_weight(rows: int, width: int) -> nn.Parameter:
    """(V, D) what ``nn.Linear`` would begin with; only the rows of this process where they are shared out."""
    maker = ROW_MAKER.get()
    if maker is None:
        weight = nn.Parameter(torch.empty(rows, width))
        nn.init.kaiming_uniform_(weight, a=5**0.5)
        return weight
    bound = 3**0.5 * (nn.init.calculate_gain("leaky_relu", 5**0.5) / width**0.5)
    return maker.made(rows, width, [(0, lambda piece: piece.uniform_(-bound, bound))])


def unit(vectors: Tensor) -> Tensor:
    """Vectors of length 1, computed in float32 at least.

    A vector of zeros, such as padding's, stays zero and gets no gradient; ``torch.nn.functional.normalize``
    gives it one that outweighs all others.

    Args:
        vectors: (..., D) float.
    """
    vectors = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / torch.where(length > 0, length, torch.inf)
