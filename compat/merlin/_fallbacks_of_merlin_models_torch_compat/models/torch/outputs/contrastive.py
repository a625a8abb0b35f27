"""``merlin.models.torch.outputs.contrastive``: a positive item against sampled negatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torchmetrics as tm
from merlin.models._legacy import legacy
from merlin.models.torch.batch import Batch
from merlin.models.torch.block import Block
from merlin.models.torch.container import step
from merlin.models.torch.outputs.base import ModelOutput
from merlin.models.torch.outputs.classification import (
    CategoricalOutput,
    CategoricalTarget,
    EmbeddingTablePrediction,
    create_retrieval_metrics,
)
from merlin.models.torch.registry import registry
from merlin.models.utils.constants import MIN_FLOAT
from merlin.schema import ColumnSchema, Schema
from torch import Tensor, nn


@registry.register("dot-product")
@legacy
class DotProduct(nn.Module):
    """The product of a query and a candidate.

    Args:
        candidate_name: among the inputs.
        query_name: among the inputs; the other one of two if not given.
    """

    is_output_module = True

    def __init__(self, candidate_name: str = "candidate", query_name: str | None = None) -> None:
        super().__init__()
        self.query_name, self.candidate_name, self.target_name = query_name, candidate_name, candidate_name

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """(B, 1) of vectors (B, D) by name.

        Raises:
            RuntimeError: if there are fewer than two, or more and the query is not named.
        """
        if len(inputs) < 2 or (len(inputs) > 2 and self.query_name is None):
            raise RuntimeError(
                f"a query and a candidate are multiplied, got {sorted(inputs)}: name the query"
            )
        candidate = inputs[self.candidate_name]
        return torch.sum(inputs[self.get_query_name(inputs)] * candidate, dim=-1, keepdim=True)

    def get_query_name(self, inputs: Mapping[str, Tensor]) -> str:
        """The name of the query."""
        if self.query_name is not None:
            return self.query_name
        found = next((name for name in inputs if name != self.candidate_name), None)
        if found is None:
            raise RuntimeError(f"there is no query among {sorted(inputs)}: give query_name")
        return found

    def should_apply_contrastive(self, batch: Batch | None) -> bool:
        """Whether sampled negatives are compared: in training."""
        return self.training


@legacy
class ContrastiveOutput(ModelOutput):
    """In training the positive item against negatives, otherwise the scores of all, or of a pair.

    Args:
        schema: a column, whose classes are scored; or two, query and candidate.
        negative_sampling: "in-batch", "popularity", a sampler, or several of these.
        loss: of the scores.
        metrics: hit rate, NDCG, precision and recall at 5 if not given.
        downscore_false_negatives: whether negatives that are the positive get a low score.
        false_negative_score: this score.
        logits_temperature: divides the scores outside of training.
    """

    to_call: Any

    @property
    def output_schema(self) -> Any:
        """The scores; 23.12 had no such attribute here, so that its models could not train.

        Raises:
            AttributeError: if there is no target yet.
        """
        if not len(self):
            raise AttributeError("the output has no target yet: give a schema")
        first = self[0]
        known = getattr(first, "output_schema", None)
        return Schema([ColumnSchema(str(first.target_name))]) if known is None else known

    def __init__(
        self,
        schema: Any = None,
        negative_sampling: Any = "in-batch",
        loss: nn.Module | None = None,
        metrics: Sequence[tm.Metric] | None = None,
        downscore_false_negatives: bool = True,
        false_negative_score: float = MIN_FLOAT,
        logits_temperature: float = 1.0,
    ) -> None:
        if not metrics:
            defaults = CategoricalOutput.DEFAULT_METRICS_CLS
            metrics = create_retrieval_metrics(defaults, CategoricalOutput.DEFAULT_K)
        super().__init__(
            loss=loss or nn.CrossEntropyLoss(), metrics=metrics, logits_temperature=logits_temperature
        )
        if schema:
            self.initialize_from_schema(schema)
        self.init_hook_handle = self.register_forward_pre_hook(self.initialize)
        samplers = [negative_sampling] if isinstance(negative_sampling, str) else negative_sampling
        self.negative_sampling = nn.ModuleList([Block.parse(sampler) for sampler in samplers])
        if schema:
            self.set_to_call(self.to_call)
        self.downscore_false_negatives = downscore_false_negatives
        self.false_negative_score = false_negative_score

    @classmethod
    def with_weight_tying(
        cls,
        block: nn.Module,
        selection: Any = None,
        negative_sampling: Any = "popularity",
        loss: nn.Module | None = None,
        metrics: Sequence[tm.Metric] | None = None,
        logits_temperature: float = 1.0,
        downscore_false_negatives: bool = True,
        false_negative_score: float = MIN_FLOAT,
    ) -> ContrastiveOutput:
        """The classes' weights are the vectors of a table in a block."""
        made = cls(
            loss=loss,
            metrics=metrics,
            logits_temperature=logits_temperature,
            negative_sampling=negative_sampling,
            downscore_false_negatives=downscore_false_negatives,
            false_negative_score=false_negative_score,
        )
        return made.tie_weights(block, selection)

    def tie_weights(self, block: nn.Module, selection: Any = None) -> ContrastiveOutput:
        """Takes the vectors of a table as weights."""
        prediction = EmbeddingTablePrediction.with_weight_tying(block, selection)
        self.num_classes = prediction.num_classes
        if len(self):
            self[0] = prediction
        else:
            self.prepend(prediction)
        self.set_to_call(prediction)
        return self

    def initialize_from_schema(self, target: Any) -> None:
        """Sets the target.

        Raises:
            ValueError: if it is neither a column nor a schema of one or two.
        """
        if not isinstance(target, (ColumnSchema, Schema)):
            raise ValueError(f"the target is a {type(target).__name__}, expected a column or a schema")
        columns = [target] if isinstance(target, ColumnSchema) else list(target)
        if len(columns) > 2:
            raise ValueError(f"one or two columns are a target, got {[column.name for column in columns]}")
        pair = len(columns) == 2
        self.set_to_call(DotProduct(*(c.name for c in columns)) if pair else CategoricalTarget(columns[0]))
        self.prepend(self.to_call)

    def initialize(self, module: Any, inputs: Any) -> None:
        """Before the first call: vectors by name are multiplied; otherwise the classes get their width."""
        if isinstance(inputs[0], dict):
            for i, one in enumerate(list(self)):
                if isinstance(one, CategoricalTarget):
                    self[i] = DotProduct(one.target_name)
                    self.set_to_call(self[i])
        elif isinstance(self.to_call, CategoricalTarget):
            outputs = inputs[0]
            for one in self.values:
                outputs = one(outputs)
        self.init_hook_handle.remove()

    def forward(self, inputs: Any, batch: Batch | None = None) -> Tensor:
        """(B, 1 + N) scores in training, the positive's first; what the modules give otherwise.

        Raises:
            ValueError: if there is no batch in training.
        """
        outputs = inputs
        for module in self.values:
            asks: Any = getattr(module, "should_apply_contrastive", None)
            if asks is None or not asks(batch):
                outputs = step(module, outputs, batch)
            elif batch is None:
                raise ValueError("positives are compared with negatives of a batch: pass batch=")
            elif isinstance(outputs, dict):
                name: Any = module.get_query_name(outputs)  # type: ignore[operator]
                outputs = self.contrastive_dot_product(outputs, batch, str(module.target_name), name)
            else:
                outputs = self.contrastive_lookup(outputs, batch, str(module.target_name))
        return outputs  # type: ignore[no-any-return]

    def contrastive_dot_product(
        self, inputs: Mapping[str, Tensor], batch: Batch, target_name: str, query_name: str
    ) -> Tensor:
        """Scores of queries and candidates by name."""
        positive_id: Any = batch.features.get(target_name)
        negative, negative_id = self.sample_negatives(inputs[target_name], positive_id)
        return self.contrastive_outputs(
            inputs[query_name], inputs[target_name], negative, positive_id, negative_id
        )

    def contrastive_lookup(self, inputs: Tensor, batch: Batch, target_name: str) -> Tensor:
        """Scores of queries with the vectors of the targets."""
        targets: Any = batch.targets
        positive_id = targets["default"] if list(targets) == ["default"] else targets[target_name]
        positive = self.embedding_lookup(positive_id)
        negative, negative_id = self.sample_negatives(positive, positive_id)
        return self.contrastive_outputs(inputs, positive, negative, positive_id, negative_id)

    def sample_negatives(self, positive: Tensor, positive_id: Tensor | None) -> tuple[Tensor, Tensor]:
        """Vectors and ids of what the samplers give.

        Raises:
            RuntimeError: if only some give ids.
        """
        vectors, ids = [], []
        for sampler in self.negative_sampling:
            known = torch.tensor(1) if positive_id is None else positive_id
            negative, negative_id = sampler(positive, positive_id=known)
            if negative_id.dim() and negative.shape[0] == negative_id.shape[0]:
                ids.append(negative_id)
            vectors.append(negative)
        if ids and len(ids) != len(vectors):
            raise RuntimeError("only some of the samplers give ids: use such as give them, or none")
        joined = torch.cat(vectors, dim=1) if len(vectors) > 1 else vectors[0]
        return joined, torch.cat(ids, dim=0) if ids else torch.tensor(1)

    def contrastive_outputs(
        self,
        query: Tensor,
        positive: Tensor,
        negative: Tensor,
        positive_id: Tensor | None = None,
        negative_id: Tensor | None = None,
    ) -> Tensor:
        """(B, 1 + N) scores; the labels for them are kept as ``target``.

        Raises:
            RuntimeError: if negatives that are the positive cannot be found for lack of ids.
        """
        own = torch.sum(query * positive, dim=-1, keepdim=True)
        others = torch.matmul(query, negative.t())
        if self.downscore_false_negatives:
            if (
                positive_id is None
                or negative_id is None
                or not (positive_id.dim() and negative_id.dim())
                or positive.shape[0] != positive_id.shape[-1]
                or negative.shape[0] != negative_id.shape[-1]
            ):
                raise RuntimeError(
                    "negatives that are the positive are found by ids, and there are none for all: "
                    "give ids, or downscore_false_negatives=False"
                )
            others, _ = rescore_false_negatives(positive_id, negative_id, others, self.false_negative_score)
        if others.dim() + 1 == own.dim():
            others = others.unsqueeze(0)
        scores = torch.cat([own, others], dim=-1).to(torch.float32)
        self.target = torch.zeros_like(scores)
        self.target[:, 0] = 1
        return scores

    def embedding_lookup(self, ids: Tensor) -> Tensor:
        """Vectors of classes."""
        return self.to_call.embedding_lookup(torch.squeeze(ids))  # type: ignore[no-any-return]

    def set_to_call(self, to_call: nn.Module) -> None:
        """Sets what gives the vectors, also for the samplers."""
        self.to_call = to_call
        for sampler in self.__dict__["_modules"].get("negative_sampling") or ():
            if hasattr(sampler, "set_to_call"):
                sampler.set_to_call(to_call)


@legacy
def rescore_false_negatives(
    positive_item_ids: Tensor,
    neg_samples_item_ids: Tensor,
    negative_scores: Tensor,
    false_negatives_score: float,
) -> tuple[Tensor, Tensor]:
    """Scores (B, N) with a fixed one where the negative is the row's positive, and where it is not."""
    negative = torch.squeeze(neg_samples_item_ids)
    positive = torch.squeeze(positive_item_ids).to(negative.dtype)
    same = positive.unsqueeze(-1) == negative.unsqueeze(0)
    fixed = torch.full_like(negative_scores, false_negatives_score)
    return torch.squeeze(torch.where(same, fixed, negative_scores)), ~same
