"""Loss and metrics over a whole data set."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection

from merlin_models_torch.batch import Batch
from merlin_models_torch.outputs.base import Metrics, Never
from merlin_models_torch.schema import ColumnSchema, Schema

STAGES = ("val", "test")


class Evaluation(nn.Module):
    """Loss and metrics of one kind of evaluation, over all batches and processes.

    Args:
        metrics: of the output.
    """

    def __init__(self, metrics: nn.Module) -> None:
        super().__init__()
        self.metrics = metrics
        # Not Lightning's own mean, which divides by a rounded count where ranks have different ones.
        self.loss = MeanMetric()

    @property
    def names(self) -> tuple[str, ...] | None:
        """What :meth:`compute` gives; None if the metrics do not tell."""
        names = names_of(self.metrics)
        return None if names is None else ("loss", *names)

    def reset(self) -> None:
        """Forgets everything."""
        cast(Metrics, self.metrics).reset()
        self.loss.reset()

    def update(self, output: Any, hidden: Any, planned: Batch, *, seen: Tensor | None, never: Never) -> None:
        """Adds a batch that has targets.

        Args:
            output: the model's output.
            hidden: what the body gives.
            planned: the batch under the evaluation plan.
            seen: as for :meth:`ItemOutput.topk`.
            never: likewise.
        """
        self.loss.update(output.loss(hidden, planned), output.count(planned))
        output.update_metrics(self.metrics, hidden, planned, seen=seen, never=never)

    def compute(self) -> dict[str, Any]:
        """Values by name, over all processes."""
        return {"loss": self.loss.compute(), **cast(Metrics, self.metrics).compute()}


def evaluation_schema(model: Any) -> Schema:
    """The columns that a model is evaluated on: those it reads, its labels, and sample weights.

    Args:
        model: a :class:`Model`.
    """
    from merlin_models_torch.selection import target_schema

    labels = target_schema(model).excluding_by_name(model.schema.column_names)
    names = {getattr(module, "weight", None) for module in model.output.modules()}
    weights = sorted(n for n in names if isinstance(n, str) and n not in model.schema.column_names)
    schema: Schema = model.schema
    return schema + labels + Schema([ColumnSchema(name) for name in weights])


def without_targets(stage: str) -> str:
    """What is wrong with data of which no row has something to predict."""
    return (
        f"no row of the {stage} data gave a target: a session needs two items, one to see and one to predict,"
        " and a label must not be missing; check the columns, the selection of rows and max_sequence_length"
    )


def names_of(metrics: nn.Module) -> list[str] | None:
    """Names of what ``metrics.compute()`` gives, without computing; None if they are not known."""
    if isinstance(metrics, MetricCollection):
        return [str(name) for name in metrics.keys(keep_base=False)]
    parts = getattr(metrics, "parts", None)
    if isinstance(parts, nn.ModuleDict):
        each = [names_of(part) for part in parts.values()]
        return None if None in each else [name for names in each for name in names or ()]
    names = getattr(metrics, "names", None)
    return None if names is None else list(names)
