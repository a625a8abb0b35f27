"""``merlin.models.torch.outputs.classification``: yes or no, and one of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torchmetrics as tm
from merlin.models._legacy import legacy, served
from merlin.models.torch.inputs.embedding import EmbeddingTable
from merlin.models.torch.outputs.base import ModelOutput, one_column, unit_domain
from torch import Tensor, nn

from merlin_models_torch.schema import Schema, Tags


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

    def initialize_from_schema(self, target: Any) -> None:
        """Sets the target."""
        column = one_column(target)
        known = column.with_dtype("float32") if "domain" in column.properties else unit_domain(column)
        self.output_schema = Schema([known])

    @classmethod
    def schema_selection(cls, schema: Any) -> Any:
        """The columns of a schema that are targets of this kind."""
        names = {
            column.name
            for column in schema
            if Tags.BINARY in column.tags
            or Tags.BINARY_CLASSIFICATION in column.tags
            or (Tags.CATEGORICAL in column.tags and column.int_domain and column.int_domain.max == 1)
        }
        return schema.select_by_name([name for name in schema.column_names if name in names])


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
        return self.linear.weight[ids]


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
        columns: Any = table.input_schema
        column = one_column(columns if selection is None else columns.select(selection))
        self.col_schema, self.col_name, self.target_name = column, column.name, column.name
        self.num_classes = int(column.int_domain.max) + 1
        self.bias = nn.Parameter(torch.zeros(self.num_classes, device=table.table.weight.device))
        self.output_schema = categorical_output_schema(column, self.num_classes)

    @classmethod
    def with_weight_tying(cls, block: nn.Module, selection: Any = None) -> EmbeddingTablePrediction:
        """Of the table of a column inside a block.

        Raises:
            ValueError: if a block is given without a selection, or has no such table.
        """
        if isinstance(block, EmbeddingTable):
            return cls(block, selection)
        if selection is None:
            raise ValueError("weights are tied to the table of one column of the block: give its selection")
        for table in (module for module in block.modules() if isinstance(module, EmbeddingTable)):
            columns = table.input_schema
            if columns is not None and len(columns.select(selection)):
                return cls(table, selection)
        raise ValueError(f"the block has no embedding table of {selection!r}: put one in it")

    def embeddings(self) -> Tensor:
        """(classes, D) vectors of the table."""
        return self.table.feature_weights(self.col_name)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, D) to (B, classes)."""
        return nn.functional.linear(inputs, self.embeddings(), self.bias)

    def embedding_lookup(self, inputs: Tensor) -> Tensor:
        """Vectors of some ids."""
        found: Tensor = self.table({self.col_name: inputs})[self.col_name]
        return found


class CrossEntropy(nn.CrossEntropyLoss):
    """Cross entropy of labels, or of a probability for each class as 23.12's training passed."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Mean loss of (B, classes) logits and (B,) or (B, classes) targets."""
        if target.dim() == input.dim():
            return super().forward(input, target.to(input.dtype))
        return super().forward(input, target.long())


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
            loss=loss or CrossEntropy(),
            metrics=metrics or create_retrieval_metrics(self.DEFAULT_METRICS_CLS, self.DEFAULT_K),
            logits_temperature=logits_temperature,
        )
        self.num_classes = 0
        if schema is not None:
            self.initialize_from_schema(schema)

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
        self._begin_with(EmbeddingTablePrediction.with_weight_tying(block, selection))
        return self

    def initialize_from_schema(self, target: Any) -> None:
        """Sets the target."""
        self._begin_with(CategoricalTarget(one_column(target)))

    def _begin_with(self, prediction: Any) -> None:
        if self.initialized:
            del self.layers[0]
            del self._takes_batch[0]
        self.prepend(prediction)
        self.num_classes, self.output_schema = prediction.num_classes, prediction.output_schema

    @classmethod
    def schema_selection(cls, schema: Any) -> Any:
        """The columns of a schema that are targets of this kind."""
        several = (
            column.name
            for column in schema
            if Tags.CATEGORICAL in column.tags and column.int_domain and column.int_domain.max > 1
        )
        return schema.select_by_name(list(several))


@legacy
def categorical_output_schema(target: Any, num_classes: int) -> Schema:
    """The scores of the classes of a target."""
    column = unit_domain(target)
    if "value_count" not in target.properties:
        column = column.with_properties({"value_count": {"min": num_classes, "max": num_classes}})
    return Schema([column])


@legacy
def create_retrieval_metrics(metrics: Sequence[Any], ks: Sequence[int]) -> list[tm.Metric]:
    """Each class of metrics at each length of the answer."""
    return [made(top_k=k) for k in ks for made in metrics]


__getattr__ = served(__name__)
