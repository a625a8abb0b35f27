"""``merlin.models.torch.outputs.classification``: yes or no, and one of several classes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
import torchmetrics as tm
from merlin.models._legacy import legacy, served
from merlin.models.torch import schema as of
from merlin.models.torch.batch import Batch
from merlin.models.torch.inputs.embedding import EmbeddingTable
from merlin.models.torch.outputs.base import ModelOutput, one_column, unit_domain
from merlin.schema import ColumnSchema, Schema, Tags
from torch import Tensor, nn


@legacy
class BinaryOutput(ModelOutput):
    """A linear unit and a sigmoid, trained by binary cross entropy.

    Args:
        schema: the target; given later by the block that it is put in if None.
        loss: another loss of probabilities.
        metrics: accuracy, area under the curve, precision and recall if not given.
    """

    DEFAULT_LOSS_CLS = nn.BCELoss
    DEFAULT_METRICS_CLS = (tm.Accuracy, tm.AUROC, tm.Precision, tm.Recall)

    def __init__(
        self, schema: Any = None, loss: nn.Module | None = None, metrics: Sequence[tm.Metric] = ()
    ) -> None:
        super().__init__(
            nn.LazyLinear(1),
            nn.Sigmoid(),
            loss=loss or self.DEFAULT_LOSS_CLS(),
            metrics=metrics or [made(task="binary") for made in self.DEFAULT_METRICS_CLS],  # type: ignore[abstract]
        )
        if schema is not None:
            self.initialize_from_schema(schema)
            self._initialized_from_schema = True

    def initialize_from_schema(self, target: Any) -> None:
        """Sets the target."""
        column = one_column(target)
        known = column.with_dtype("float32") if "domain" in column.properties else unit_domain(column)
        self.output_schema = Schema([known])

    @classmethod
    def schema_selection(cls, schema: Any) -> Any:
        """The columns of a schema that are targets of this kind."""
        found = schema.select_by_tag([Tags.BINARY_CLASSIFICATION, Tags.BINARY])
        for column in schema.select_by_tag([Tags.CATEGORICAL]):
            if column.int_domain and column.int_domain.max == 1:
                found += Schema([column])
        return found


@legacy
class CategoricalTarget(nn.Module):
    """A linear layer with one unit for each class.

    Args:
        feature: column of the class.
        activation: of the units.
        bias: whether they have one.
    """

    def __init__(self, feature: Any = None, activation: Any = None, bias: bool = True) -> None:
        super().__init__()
        column = one_column(feature)
        self.target_name = column.name
        self.num_classes = int(column.int_domain.max) + 1
        self.output_schema = categorical_output_schema(column, self.num_classes)
        self.linear = nn.LazyLinear(self.num_classes, bias=bias)
        self.activation = activation

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, D) to (B, classes)."""
        logits: Tensor = self.linear(inputs)
        return logits if self.activation is None else self.activation(logits)

    def embeddings(self) -> Tensor:
        """(D, classes) weights."""
        return self.linear.weight.t()

    def embedding_lookup(self, ids: Tensor) -> Tensor:
        """(N, D) weights of some classes."""
        return self.linear.weight.index_select(0, ids)

    def should_apply_contrastive(self, batch: Batch | None) -> bool:
        """Whether sampled negatives are compared: in training, where there are targets."""
        return bool(batch is not None and batch.targets and self.training)


@legacy
class EmbeddingTablePrediction(nn.Module):
    """Products with the vectors of an embedding table, and a bias.

    Args:
        table: the table.
        selection: column of the table, where it has several.
    """

    def __init__(self, table: EmbeddingTable, selection: Any = None) -> None:
        super().__init__()
        self.table = table
        if table.contains_multiple_domains():
            if not selection:
                raise ValueError(
                    f"the table has the domains {list(table.domains)}: give the column's selection"
                )
            self.add_selection(selection)
        else:
            self.num_classes = table.num_embeddings
            self._of(table.input_schema.first)
        self.bias = nn.Parameter(torch.zeros(self.num_classes, device=table.table.weight.device))

    def _of(self, column: Any) -> None:
        self.col_schema, self.col_name, self.target_name = column, column.name, column.name
        self.output_schema = categorical_output_schema(column, self.num_classes)

    def add_selection(self, selection: Any) -> EmbeddingTablePrediction:
        """Says which column of the table is predicted.

        Raises:
            ValueError: if it is not one.
        """
        column = one_column(of.select(self.table.input_schema, selection))
        self.num_classes = int(column.int_domain.max) + 1
        self._of(column)
        return self

    @classmethod
    def with_weight_tying(cls, block: nn.Module, selection: Any = None) -> EmbeddingTablePrediction:
        """Of the table of a column inside a block.

        Raises:
            ValueError: if a block is given without a selection, or has no such table.
        """
        if isinstance(block, EmbeddingTable):
            return cls(block, selection)
        if not selection:
            raise ValueError("weights are tied to the table of one column of the block: give its selection")
        try:
            table = of.select(block, selection).leaf()
        except Exception as error:
            raise ValueError(f"the block has no embedding table of {selection!r}: put one in it") from error
        return cls(table, selection)

    def embeddings(self) -> Tensor:
        """(classes, D) vectors of the table."""
        if self.table.contains_multiple_domains():
            return self.table.feature_weights(self.col_name)
        return self.table.table.weight

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, D) to (B, classes)."""
        return nn.functional.linear(inputs, self.embeddings(), self.bias)

    def embedding_lookup(self, inputs: Tensor) -> Tensor:
        """Vectors of some ids."""
        found: Tensor = self.table({self.col_name: inputs})[self.col_name]
        return found

    def should_apply_contrastive(self, batch: Batch | None) -> bool:
        """Whether sampled negatives are compared: in training, where there are targets."""
        return bool(batch is not None and batch.targets and self.training)


@legacy
class CategoricalOutput(ModelOutput):
    """A unit for each class, trained by cross entropy.

    Args:
        schema: the target; given later by the block that it is put in if None.
        loss: another loss of logits.
        metrics: hit rate, NDCG, precision and recall at 5 if not given.
        logits_temperature: divides the logits.
    """

    DEFAULT_LOSS_CLS = nn.CrossEntropyLoss
    DEFAULT_METRICS_CLS = (
        tm.RetrievalHitRate,
        tm.RetrievalNormalizedDCG,
        tm.RetrievalPrecision,
        tm.RetrievalRecall,
    )
    DEFAULT_K = (5,)

    def __init__(
        self,
        schema: Any = None,
        loss: nn.Module | None = None,
        metrics: Sequence[tm.Metric] | None = None,
        logits_temperature: float = 1.0,
    ) -> None:
        super().__init__(
            loss=loss or self.DEFAULT_LOSS_CLS(),
            metrics=metrics or create_retrieval_metrics(self.DEFAULT_METRICS_CLS, self.DEFAULT_K),
            logits_temperature=logits_temperature,
        )
        if schema is not None:
            self.initialize_from_schema(schema)
            self._initialized_from_schema = True

    @property
    def output_schema(self) -> Any:
        """The scores of the classes; 23.12 had no such attribute here, so that its models could not train."""
        if not len(self):
            raise AttributeError("the output has no target yet: give a schema")
        return self[0].output_schema

    @classmethod
    def with_weight_tying(
        cls,
        block: nn.Module,
        selection: Any = None,
        loss: nn.Module | None = None,
        metrics: Sequence[tm.Metric] | None = None,
        logits_temperature: float = 1.0,
    ) -> CategoricalOutput:
        """The units' weights are the vectors of a table in a block."""
        return cls(loss=loss, metrics=metrics, logits_temperature=logits_temperature).tie_weights(
            block, selection
        )

    def tie_weights(self, block: nn.Module, selection: Any = None) -> CategoricalOutput:
        """Takes the vectors of a table as weights."""
        prediction = EmbeddingTablePrediction.with_weight_tying(block, selection)
        self.num_classes = prediction.num_classes
        if len(self):
            self[0] = prediction
        else:
            self.prepend(prediction)
        return self

    def initialize_from_schema(self, target: Any) -> None:
        """Sets the target.

        Raises:
            ValueError: if it is neither a column nor a schema of one.
        """
        if not isinstance(target, (ColumnSchema, Schema)):
            raise ValueError(f"the target is a {type(target).__name__}, expected a column or a schema of one")
        prediction = CategoricalTarget(one_column(target))
        self.num_classes = prediction.num_classes
        self.prepend(prediction)

    @classmethod
    def schema_selection(cls, schema: Any) -> Any:
        """The columns of a schema that are targets of this kind."""
        found = Schema()
        for column in schema.select_by_tag([Tags.CATEGORICAL]):
            if column.int_domain and column.int_domain.max > 1:
                found += Schema([column])
        return found


@legacy
def categorical_output_schema(target: Any, num_classes: int) -> Schema:
    """The scores of the classes of a target."""
    column = unit_domain(target)
    if "value_count" not in target.properties:
        column = column.with_properties({"value_count": {"min": num_classes, "max": num_classes}})
    return Schema([column])


@legacy
def create_retrieval_metrics(metrics: Sequence[Any], ks: Sequence[int]) -> list[tm.Metric]:
    """Each class of metrics at each length of the answer.

    Raises:
        ValueError: if one has no length.
    """
    made = []
    for k in ks:
        for metric in metrics:
            taken = inspect.signature(metric).parameters
            name = next((name for name in ("top_k", "k") if name in taken), None)
            if name is None:
                raise ValueError(f"{metric!r} has neither k nor top_k: give a metric of ranked answers")
            made.append(metric(**{name: k}))
    return made


__getattr__ = served(__name__)
