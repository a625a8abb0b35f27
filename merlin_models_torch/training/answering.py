"""How a model answers for a batch: the k best items, or scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from merlin_models_torch._counts import check_count
from merlin_models_torch.batch import Batch, Column
from merlin_models_torch.blocks.base import Block
from merlin_models_torch.data import Vocabulary
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.masking import Mode
from merlin_models_torch.outputs import CategoricalOutput, ItemOutput, ScoreOutput, TabularOutputBlock
from merlin_models_torch.outputs.answered import check_answered
from merlin_models_torch.outputs.base import Never
from merlin_models_torch.outputs.seen import seen_items
from merlin_models_torch.training.pairs import as_batch
from merlin_models_torch.training.tables import TableAnswers


class Answering(TableAnswers, lightning.LightningModule):
    """The part of :class:`Model` that answers; its blocks and how a batch is planned are the model's."""

    body: Any
    output: Any
    vocabularies: dict[str, Vocabulary]

    @property
    def inputs(self) -> TabularInputBlock:
        """The input block that answers are about."""
        raise NotImplementedError

    def _planned(self, batch: Batch, mode: Mode, generator: torch.Generator | None = None) -> Batch:
        """The batch as the body takes it."""
        raise NotImplementedError

    @property
    def item_vocabulary(self) -> Vocabulary | None:
        """Original ids of the items, if the model knows them."""
        return self.vocabulary_of(self.output)

    def vocabulary_of(self, output: Any) -> Vocabulary | None:
        """The same for an output of several."""
        domain = getattr(output, "domain", None)
        if domain is None and self.inputs.item_id is not None:
            domain = self.inputs.domains[self.inputs.item_id]
        return self.vocabularies.get(domain or "")

    @property
    def never_answered(self) -> tuple[int, ...]:
        """Item rows that stand for no item: padding and unknown of the vocabulary."""
        return self.never_of(self.output)

    def never_of(self, output: Any) -> tuple[int, ...]:
        """The same for an output of several."""
        vocabulary = self.vocabulary_of(output)
        return () if vocabulary is None else tuple(range(vocabulary.first))

    def _never(self, besides: Sequence[int] = ()) -> Never:
        """Item rows that are no answers: of each of several outputs, whose items may be of other domains."""
        if isinstance(self.output, TabularOutputBlock):
            return {
                name: sorted({*besides, *self.never_of(output)}) for name, output in self.output.items.items()
            }
        return sorted({*besides, *self.never_answered})

    def _of_items(self, found: Any) -> list[Tensor]:
        """What :meth:`forward` gives of outputs that name items."""
        if isinstance(self.output, TabularOutputBlock):
            return [found[name] for name in self.output.items]
        return [found] if isinstance(self.output, ItemOutput) else []

    def _check_top_ks(self) -> None:
        block = self.output
        outputs = block.items.values() if isinstance(block, TabularOutputBlock) else [block]
        for output in outputs:
            if isinstance(output, CategoricalOutput):
                output.limit_top_ks(self._possible(output))
            if isinstance(output, ItemOutput):
                self.check_answers("top_ks", max(output.top_ks), output=output)

    def _possible(self, output: ItemOutput) -> int:
        return output.cardinality - len({*output.exclude, *self.never_of(output)})

    def check_answers(self, name: str, k: int, *, output: ItemOutput | None = None) -> None:
        """Refuses a number of answers that there are no items for.

        Args:
            name: of the argument, for the error.
            k: answers for each session.
            output: which answers; the model's if not given.

        Raises:
            ValueError: if the catalogue holds fewer items, those that are never answered left out.
            TypeError: if it is no whole number.
        """
        check_count(name, k)
        possible = self._possible(self.output if output is None else output)
        if not 1 <= k <= possible:
            raise ValueError(
                f"{name} has {k}, but the catalogue holds {possible} items that can be answers: choose "
                "within it"
            )

    def predict_step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, Tensor] | dict[str, Column]:
        """Answers for a batch.

        Returns:
            Scores (B, K) and item rows (B, K) of what comes next, K the output's largest cut-off; or the
            scores of an output that does not name items, by name.
        """
        batch = as_batch(batch, self.output)
        if isinstance(self.output, ItemOutput):
            return self.topk(batch, k=max(self.output.top_ks))
        return self.scores(batch)

    def hidden_states(self, planned: Batch) -> Any:
        """What the body gives of a planned batch; 0 may stand where the output does not read."""
        if getattr(self.output, "reads_targets", False):
            planned = replace(planned, read_at_targets=_last_block(self.body))
        return self.body(planned)

    def for_prediction(self, batch: Batch) -> Batch:
        """A batch as a loader gives it as the body takes it for prediction."""
        return self._planned(batch, "predict")

    def for_evaluation(self, batch: Batch) -> Batch:
        """A batch as a loader gives it as the body takes it to be measured by what is hidden."""
        return self._planned(batch, "evaluate")

    def scores(self, batch: Batch, *, k: int | None = None, exclude_seen: bool = False) -> dict[str, Column]:
        """The scores of each row under an output that does not name items alone.

        Args:
            batch: as a loader gives it; labels are not needed.
            k: items to answer with, where items are among several targets; as many as the largest cut-off of
                their output if not given.
            exclude_seen: leave out items of the session, where items are among several targets.

        Returns:
            (B,) by name, such as ``click_score``; a list for each row where each position has one.

        Raises:
            TypeError: if the output answers with items.
        """
        if not isinstance(self.output, ScoreOutput):
            raise TypeError(f"{type(self.output).__name__} answers with items: use topk()")
        planned = self.for_prediction(batch)
        hidden = self.body(planned)
        if isinstance(self.output, TabularOutputBlock):
            seen = self._seen(batch, planned, exclude_seen)
            return self.output.predictions(hidden, planned, k=k, seen=seen, never=self._never())
        return self.output.predictions(hidden, planned)

    def topk(self, batch: Batch, *, k: int, exclude_seen: bool | None = None) -> tuple[Tensor, Tensor]:
        """The k best next items of each session.

        Args:
            batch: as a loader gives it.
            k: answers.
            exclude_seen: leave out items of the session; the output's choice if not given.

        Returns:
            Scores (B, k) in falling order and item rows (B, k) int64.

        Raises:
            ValueError: if k is larger than the catalogue, or a session has no items and the masking no place
                to answer it from.
            TypeError: if the output does not answer with items, or k is no whole number.
        """
        if not isinstance(self.output, ItemOutput):
            raise TypeError(f"{type(self.output).__name__} does not answer with items: use scores()")
        planned = self._planned(batch, "predict")
        seen = self._seen(batch, planned, self.output.exclude_seen if exclude_seen is None else exclude_seen)
        hidden = self.hidden_states(planned)
        best = self.output.topk(hidden, planned, k=k, seen=seen, never=self.never_answered)
        # Not before: other processes may wait for what this one has to say of sharded items.
        check_answered(best[1], planned)
        return best

    def _seen(self, batch: Batch, planned: Batch, wanted: bool) -> Tensor | None:
        item_id = self.inputs.item_id
        if not wanted or item_id is None or planned.plan is None:
            return None
        return seen_items(batch, planned, item_id)


def _last_block(body: nn.Module) -> nn.Module:
    """What gives the body's output. A block of another class may read more of its last one than it gives."""
    while type(body) is Block and len(body):
        body = body[-1]
    return body
