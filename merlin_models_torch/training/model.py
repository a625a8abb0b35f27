"""A model: input block, body and output, as a LightningModule that is saved to a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import lightning
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from merlin_models_torch.batch import Batch, Column
from merlin_models_torch.blocks.base import Block
from merlin_models_torch.data import Vocabulary
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.masking import Mode
from merlin_models_torch.outputs import ItemOutput, Output, ScoreOutput, TwoTowerOutput
from merlin_models_torch.outputs.base import Metrics
from merlin_models_torch.outputs.seen import seen_items
from merlin_models_torch.schema import Schema, Selection
from merlin_models_torch.serialize import serializable
from merlin_models_torch.training.optim import OptimizerConfig
from merlin_models_torch.training.planning import input_blocks, planned, width_of
from merlin_models_torch.training.sample import sample_batch

if TYPE_CHECKING:
    import pyarrow as pa

    from merlin_models_torch.data import ParquetLoader
    from merlin_models_torch.retrieval.candidates import Candidates


@serializable
class Model(lightning.LightningModule):
    """Blocks and an output, trained by a stock ``lightning.Trainer``.

    Everything has its size when the constructor returns: a batch of two made-up rows goes through the blocks
    once. Random choices of training (masks) depend on the seed, the step and the rank only, and a checkpoint
    holds the state of torch's generator, so that a run resumed on CPU ends as one that was never stopped.

    Logged: ``train_loss``; ``val_loss``, the output's metrics as ``val_<metric>_at_<k>`` or
    ``val_<target>_<metric>``, and the same with ``test``.

    Args:
        *blocks: among the first is the :class:`TabularInputBlock` (or several), the last is the output.
        optimizer: optimiser and schedule.
        vocabularies: original ids by domain name, so that answers carry them.
        seed: of the random choices of training.

    Raises:
        ValueError: if there is no input block or no output.

    Example:
        >>> inputs = TabularInputBlock(schema, masking=CausalMasking())  # doctest: +SKIP
        >>> body = TransformerBlock(64, heads=2, layers=2)  # doctest: +SKIP
        >>> model = Model(inputs, body, CategoricalOutput(weight_tying=True))  # doctest: +SKIP
        >>> lightning.Trainer(max_epochs=3).fit(model, loader)  # doctest: +SKIP
        >>> model.predict("sessions.parquet", k=10)  # doctest: +SKIP
    """

    def __init__(
        self,
        *blocks: nn.Module,
        optimizer: OptimizerConfig | None = None,
        vocabularies: Mapping[str, Vocabulary] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if len(blocks) < 2 or not isinstance(blocks[-1], Output):
            raise ValueError(
                "a model takes an input block, further blocks, and an output as the last of them"
            )
        self.body = blocks[0] if len(blocks) == 2 and isinstance(blocks[0], Block) else Block(*blocks[:-1])
        self.output: Any = blocks[-1]
        # References for access by name; the modules themselves are registered once, under the body.
        self._inputs = input_blocks(self.body)
        if self.output.needs_plan and self.inputs.masking is None:
            raise ValueError("next-item prediction needs a masking: give it to the TabularInputBlock")
        self.optimizer = optimizer or OptimizerConfig()
        self._carried: tuple[torch.optim.Optimizer, ...] = ()
        self.vocabularies = dict(vocabularies or {})
        self.seed = seed
        self._resumed_rng_state: Tensor | None = None
        self._materialize()
        output: Any = self.output
        if isinstance(output, ItemOutput):
            self.check_answers("top_ks", max(output.top_ks))
        self.metrics = nn.ModuleDict({"val": self.output.make_metrics(), "test": self.output.make_metrics()})
        # Not Lightning's own mean, which divides by a rounded count where ranks have different ones.
        self.losses = nn.ModuleDict({"val": MeanMetric(), "test": MeanMetric()})

    def _materialize(self) -> None:
        """Passes made-up rows as long as they may get through the blocks: what does not fit says so now."""
        rows = sample_batch(self.schema, length=(self.inputs.max_sequence_length or 2) + 1)
        self.body.eval()
        with torch.no_grad():
            for mode in ("evaluate", "predict", "train"):
                generator = torch.Generator().manual_seed(0)
                width = width_of(self.body(self._planned(rows, mode, generator)))
        self.body.train()
        self.output.build(self.inputs, width)

    def _planned(self, batch: Batch, mode: Mode, generator: torch.Generator | None = None) -> Batch:
        if not self.output.needs_plan:
            mode = "predict"
        return planned(self._inputs, batch, mode, generator=generator)

    @property
    def inputs(self) -> TabularInputBlock:
        """The input block; of several the one with a masking, or the first."""
        return self._inputs[0]

    @property
    def input_blocks(self) -> tuple[TabularInputBlock, ...]:
        """All input blocks."""
        return self._inputs

    @property
    def schema(self) -> Schema:
        """The columns that the model reads."""
        schema = self.inputs.schema
        for other in self._inputs[1:]:
            schema = schema + other.schema
        return schema

    @property
    def item_vocabulary(self) -> Vocabulary | None:
        """Original ids of the items, if the model knows them."""
        domain = getattr(self.output, "domain", None)
        if domain is None and self.inputs.item_id is not None:
            domain = self.inputs.domains[self.inputs.item_id]
        return self.vocabularies.get(domain or "")

    @property
    def never_answered(self) -> tuple[int, ...]:
        """Item rows that stand for no item: padding and unknown of the vocabulary."""
        vocabulary = self.item_vocabulary
        return () if vocabulary is None else tuple(range(vocabulary.first))

    def check_answers(self, name: str, k: int) -> None:
        """Refuses a number of answers that there are no items for.

        Args:
            name: of the argument, for the error.
            k: answers for each session.

        Raises:
            ValueError: if the catalogue holds fewer items, those that are never answered left out.
        """
        never = {*self.output.exclude, *self.never_answered}
        possible = self.output.cardinality - len(never)
        if not 1 <= k <= possible:
            raise ValueError(
                f"{name} has {k}, but the catalogue holds {possible} items that can be answers: choose "
                "within it"
            )

    def forward(self, batch: Batch) -> Any:
        """What the output's ``forward`` gives for prediction.

        Returns:
            Logits of what comes next, one row a session, (B, V), from a :class:`CategoricalOutput`; (B,) from
            a :class:`BinaryOutput` or :class:`RegressionOutput`.
        """
        batch = self._planned(batch, "predict")
        return self.output(self.body(batch), batch)

    def configure_optimizers(self) -> Any:
        """The optimiser and its schedule, stepped after each optimiser step."""
        config = self.optimizer
        if config.carry_over and self._carried:
            optimizer = config.restart(self._carried[0])
        else:
            optimizer = config.build(self)
        self._carried = (optimizer,) if config.carry_over else ()
        if config.schedule == "constant" and not config.warmup_steps:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": config.scheduler(optimizer, steps), "interval": "step"},
        }

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch under the training plan: a scalar."""
        generator = self._generator(batch_idx)
        planned = self._planned(batch, "train", generator)
        loss: Tensor = self.output.loss(self.body(planned), planned, generator=generator)
        self.log("train_loss", loss.detach(), prog_bar=True, batch_size=len(batch))
        return loss * self._share(self.output.count(planned))

    def _share(self, count: int) -> float:
        """Turns the mean of the ranks' gradients into the gradient of one mean over all their targets."""
        if not torch.distributed.is_initialized():
            return 1.0
        total = torch.tensor([count], dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(total)
        world = torch.distributed.get_world_size()
        return count * world / max(1.0, total.item())

    def _generator(self, batch_idx: int) -> torch.Generator:
        # Distinct for each (seed, epoch, batch, rank) and computed from them alone, so that resuming needs no
        # state.
        numbers = (self.seed, self.current_epoch, batch_idx, self.global_rank)
        mixed = 0
        for number in numbers:
            mixed = (mixed * 1_000_003 + number + 1) % (2**63)
        return torch.Generator(device=self.device).manual_seed(mixed)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the state of torch's generator, which dropout draws from."""
        checkpoint["torch_rng_state"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remembers that state until training goes on."""
        self._resumed_rng_state = checkpoint.get("torch_rng_state")

    def on_train_start(self) -> None:
        """A resumed run draws what the run would have drawn that was never stopped."""
        if self._resumed_rng_state is not None:
            torch.set_rng_state(self._resumed_rng_state.cpu())
            self._resumed_rng_state = None

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and metrics of one batch under the evaluation plan."""
        self._evaluation_step(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and metrics of one batch under the evaluation plan."""
        self._evaluation_step(batch, "test")

    def _evaluation_step(self, batch: Batch, stage: Literal["val", "test"]) -> None:
        planned = self._planned(batch, "evaluate")
        count = self.output.count(planned)
        if not count:
            return
        hidden = self.body(planned)
        loss = self.output.loss(hidden, planned)
        seen = self._seen(batch, planned, getattr(self.output, "exclude_seen", False))
        self.output.update_metrics(self.metrics[stage], hidden, planned, seen=seen, never=self.never_answered)
        cast(MeanMetric, self.losses[stage]).update(loss, count)

    def on_validation_epoch_start(self) -> None:
        """Forgets what the metrics saw before."""
        self._reset("val")

    def on_test_epoch_start(self) -> None:
        """Forgets what the metrics saw before."""
        self._reset("test")

    def _reset(self, stage: str) -> None:
        cast(Metrics, self.metrics[stage]).reset()
        cast(MeanMetric, self.losses[stage]).reset()

    def on_validation_epoch_end(self) -> None:
        """Logs the metrics over all batches and ranks."""
        self._log_metrics("val")

    def on_test_epoch_end(self) -> None:
        """Logs the metrics over all batches and ranks."""
        self._log_metrics("test")

    def _log_metrics(self, stage: str) -> None:
        self.log(f"{stage}_loss", cast(MeanMetric, self.losses[stage]).compute(), prog_bar=True)
        values = cast(Metrics, self.metrics[stage]).compute()
        self.log_dict({f"{stage}_{name}": value for name, value in values.items()}, prog_bar=False)

    def predict_step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, Tensor] | dict[str, Column]:
        """Answers for a batch.

        Returns:
            Scores (B, K) and item rows (B, K) of what comes next, K the output's largest cut-off; or the
            scores of an output that does not name items, by name.
        """
        if isinstance(self.output, ItemOutput):
            return self.topk(batch, k=max(self.output.top_ks))
        return self.scores(batch)

    def scores(self, batch: Batch) -> dict[str, Column]:
        """The scores of each row under an output that does not name items.

        Args:
            batch: as a loader gives it; labels are not needed.

        Returns:
            (B,) by name, such as ``click_score``; a list for each row where each position has one.

        Raises:
            TypeError: if the output answers with items.
        """
        if not isinstance(self.output, ScoreOutput):
            raise TypeError(f"{type(self.output).__name__} answers with items: use topk()")
        planned = self._planned(batch, "predict")
        return self.output.predictions(self.body(planned), planned)

    def topk(self, batch: Batch, *, k: int, exclude_seen: bool | None = None) -> tuple[Tensor, Tensor]:
        """The k best next items of each session.

        Args:
            batch: as a loader gives it.
            k: answers.
            exclude_seen: leave out items of the session; the output's choice if not given.

        Returns:
            Scores (B, k) in falling order and item rows (B, k) int64.

        Raises:
            ValueError: if k is larger than the catalogue.
            TypeError: if the output does not answer with items.
        """
        if not isinstance(self.output, ItemOutput):
            raise TypeError(f"{type(self.output).__name__} does not answer with items: use scores()")
        planned = self._planned(batch, "predict")
        seen = self._seen(batch, planned, self.output.exclude_seen if exclude_seen is None else exclude_seen)
        return self.output.topk(self.body(planned), planned, k=k, seen=seen, never=self.never_answered)

    def _seen(self, batch: Batch, planned: Batch, wanted: bool) -> Tensor | None:
        item_id = self.inputs.item_id
        if not wanted or item_id is None or planned.plan is None:
            return None
        return seen_items(batch, planned, item_id)

    def predict(
        self,
        data: ParquetLoader | pa.Table | str | Path,
        *,
        k: int | None = None,
        candidates: Candidates | ParquetLoader | pa.Table | str | Path | None = None,
        exclude_seen: bool | None = None,
        seen: pa.Table | str | Path | None = None,
        keys: Sequence[str] | None = None,
        batch_size: int = 512,
    ) -> pa.Table:
        """Answers for every row of some data: items with their original ids, or scores.

        A model of two towers answers with the best of all candidates where ``k`` is given, and else with the
        score of each row's pair. For the former the rows are queries and need no columns of items.

        Args:
            data: loader, Arrow table, or parquet path. Item ids are rows of the catalogue, as in training.
            k: answers for each session or query, where the output answers with items.
            candidates: for two towers, the items that may be answers: a table of items, or of events, with
                the columns of the candidate tower; or what :meth:`encode_candidates` made of one. The whole
                catalogue if not given, where that tower reads the item id alone.
            exclude_seen: leave out items of the session; the output's choice if not given. For two towers
                those in ``seen``, which are left out where it is given.
            seen: for two towers, what each query has met: a table with a key of ``data`` and the item id (one
                event, or a list of items, in each row), such as the training data.
            keys: columns of the data that tell its rows apart; those tagged as user or session id if not
                given.
            batch_size: sessions at a time; not used for a loader.

        Returns:
            One row a session, in the order of the data: the keys (or ``row``, the row's number, where there
            are none; those that the model reads by a vocabulary in their original form), a list column with
            the item id's name and the k ids in falling order of score, and a list column ``score``; null and
            -inf where fewer than k items are left unseen. For other outputs, the keys and a column
            ``<target>_score`` for each; the labels need not be in the data.

        Raises:
            ValueError: if k is not given for items, or larger than the number of items that can be answers,
                before anything is computed; if it is given where there are no items.
        """
        from merlin_models_torch.retrieval.predict import predict_candidates, predict_table
        from merlin_models_torch.training.predict import predict_scores

        if k is not None and isinstance(self.output, TwoTowerOutput):
            return predict_candidates(
                self,
                data,
                k=k,
                candidates=candidates,
                seen=seen,
                exclude_seen=exclude_seen,
                keys=keys,
                batch_size=batch_size,
            )
        if candidates is not None or seen is not None:
            raise ValueError(
                "candidates and seen are for the k best items of two towers, and this is "
                f"{type(self.output).__name__} with k={k}: leave them out"
            )
        if isinstance(self.output, ItemOutput):
            if k is None:
                raise ValueError("k is not given: say how many items to answer with, such as k=10")
            return predict_table(self, data, k=k, exclude_seen=exclude_seen, keys=keys, batch_size=batch_size)
        if k is not None:
            raise ValueError(
                f"k is {k}, but {type(self.output).__name__} gives scores and no items: leave it out"
            )
        return predict_scores(self, data, keys=keys, batch_size=batch_size)

    def encode_candidates(
        self, items: ParquetLoader | pa.Table | str | Path | None = None, *, batch_size: int = 4096
    ) -> Candidates:
        """Items for :meth:`predict`, encoded once: see :func:`retrieval.candidates.encode_candidates`."""
        from merlin_models_torch.retrieval.candidates import encode_candidates

        return encode_candidates(self, items, batch_size=batch_size)

    def select(self, selection: Selection, *, copy: bool = False) -> nn.Module:
        """The part that depends on some columns alone: see :func:`merlin_models_torch.selection.select`."""
        from merlin_models_torch.selection import select

        return select(self, selection, copy=copy)

    def extract(self, selection: Selection, *, copy: bool = False) -> nn.Module:
        """A table or tower by itself: see :func:`merlin_models_torch.selection.extract`."""
        from merlin_models_torch.selection import extract

        return extract(self, selection, copy=copy)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Writes the model to a folder: see :func:`merlin_models_torch.training.saving.save`."""
        from merlin_models_torch.training.saving import save

        return save(self, folder, overwrite=overwrite)

    def init_arguments(self) -> dict[str, Any]:
        """What builds this model again; the vocabularies are saved beside it."""
        # A chain is written block by block, any other block (or class of chain) as itself.
        body = [*self.body] if type(self.body) is Block else [self.body]
        return {"blocks": [*body, self.output], "optimizer": self.optimizer, "seed": self.seed}
