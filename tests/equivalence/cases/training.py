"""The Trainer: schedules, optimiser steps, what is logged, evaluation, prediction, checkpoints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from merlin.dataloader.ops.embeddings import EmbeddingOperator
from safetensors.torch import save_file
from torch import Tensor
from transformers import EarlyStoppingCallback, TrainerCallback
from transformers4rec import torch as tr
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch.ranking_metric import NDCGAt, RecallAt
from transformers4rec.torch.utils.data_utils import MerlinDataLoader

from tests.equivalence.cases.loaders import schema_with_targets, write_with_targets
from tests.equivalence.side import Side

LENGTH = 6
ROWS = 4
ROOT = Path(__file__).parents[3]


def build(side: Side, *, transformer: bool = False, masking: str = "causal", targets: bool = False) -> Any:
    """A small model for the data of the loaders; without a transformer nothing in it is random."""
    names = ("click", "paid") if targets else ()
    schema = schema_with_targets(*names)
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema.excluding_by_name(["country", *names]),
        max_sequence_length=LENGTH,
        continuous_projection=8,
        aggregation="concat",
        masking=None if targets else masking,
        embedding_dim_default=8,
        d_output=8,
    )
    if transformer:
        config = tr.XLNetConfig.build(d_model=8, n_head=2, n_layer=1, total_seq_length=LENGTH, dropout=0.0)
        body = tr.SequentialBlock(inputs, tr.TransformerBlock(config, masking=inputs.masking))
    else:
        body = tr.SequentialBlock(inputs, tr.MLPBlock([8]))
    if targets:
        tasks = [
            tr.BinaryClassificationTask("click", summary_type="mean"),
            tr.RegressionTask("paid", summary_type="mean"),
        ]
        model = tr.Model(tr.Head(body, tasks, inputs=inputs))
    else:
        metrics = [NDCGAt(top_ks=[5, 10], labels_onehot=True), RecallAt(top_ks=[5, 10], labels_onehot=True)]
        model = tr.Model(
            tr.Head(body, tr.NextItemPredictionTask(weight_tying=True, metrics=metrics), inputs=inputs)
        )
    side.weights(model)
    return model


def arguments(side: Side, **changes: Any) -> T4RecTrainingArguments:
    """Arguments as programs of 23.12.0 write them."""
    given = {
        "output_dir": str(side.scratch / "out"),
        "max_sequence_length": LENGTH,
        "num_train_epochs": 1,
        "per_device_train_batch_size": ROWS,
        "per_device_eval_batch_size": ROWS,
        "learning_rate": 0.05,
        "predict_top_k": 3,
        "save_strategy": "no",
        "report_to": [],
        "no_cuda": True,
        "disable_tqdm": True,
    }
    return T4RecTrainingArguments(**{**given, **changes})


class Watched(tr.Trainer):
    """Keeps the loss of every batch, unrounded."""

    def compute_loss(self, model, inputs, return_outputs=False):
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True)
        self.__dict__.setdefault("losses", []).append(loss.detach().clone())
        return (loss, outputs) if return_outputs else loss


class Events(TrainerCallback):
    """Notes which callbacks are called, in which order, and what the state says then."""

    NAMES = (
        *("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_step_begin", "on_step_end"),
        *("on_substep_end", "on_log", "on_evaluate", "on_save", "on_prediction_step"),
    )

    def __init__(self) -> None:
        self.seen: list[Any] = []
        for name in self.NAMES:
            setattr(self, name, partial(self.note, name))

    def note(self, name, args, state, control, model, tokenizer, optimizer, lr_scheduler, **kwargs):
        epoch = None if state.epoch is None else round(state.epoch, 6)
        rate = None if lr_scheduler is None else lr_scheduler.get_last_lr()[0]
        self.seen.append([name, state.global_step, epoch, rate, tokenizer])


class Given(torch.utils.data.DataLoader):
    """Given batches in a given order."""

    def __init__(self, batches: list[tuple[dict[str, Tensor], Any]]) -> None:
        super().__init__(batches, batch_size=1, collate_fn=lambda samples: copied(samples[0]))
        self._batch_size = ROWS


def copied(pair: tuple[dict[str, Tensor], Any]) -> tuple[dict[str, Tensor], Any]:
    """The batch in its own memory: a model may write into the dictionary that it is given."""
    return {name: values.clone() for name, values in pair[0].items()}, pair[1]


def batches(side: Side, count: int) -> Given:
    """Batches of padded sessions, the same on both sides."""
    side.seed(7)
    shown = torch.arange(LENGTH) < torch.randint(2, LENGTH + 1, (count, ROWS, 1))
    drawn = {
        "item_id": torch.randint(1, 41, (count, ROWS, LENGTH)) * shown,
        "price": torch.rand(count, ROWS, LENGTH) * shown,
    }
    drawn = side.given("batches", drawn)
    return Given([({name: x[number] for name, x in drawn.items()}, None) for number in range(count)])


def numbers(history: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The entries of a log, without what depends on the clock."""
    clock = ("_runtime", "_per_second", "total_flos")
    for entry in history:
        yield {name: x for name, x in entry.items() if not name.endswith(clock)}


def note_history(side: Side, trainer: Any) -> None:
    """All keys that were logged, and all values that do not depend on the clock."""
    side.value("log keys", [sorted(entry) for entry in trainer.state.log_history])
    for number, entry in enumerate(numbers(trainer.state.log_history)):
        for name, value in entry.items():
            side.curve(f"log {number}/{name}", torch.tensor(float(value), dtype=torch.float64))


def schedule(side: Side, name: str, **changes: Any) -> None:
    """The rate of every step; ``warmup_ratio`` is not used."""
    args = arguments(side, lr_scheduler_type=name, warmup_ratio=0.5, num_train_epochs=2, **changes)
    trainer = tr.Trainer(model=torch.nn.Linear(2, 2), args=args)
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    trainer.create_scheduler(20, optimizer)
    rates = []
    for _ in range(22):
        rates.append(trainer.lr_scheduler.get_last_lr()[0])
        optimizer.step()
        trainer.lr_scheduler.step()
    side.close("rates", torch.tensor(rates, dtype=torch.float64))


def train(
    side: Side, *, count: int = 10, transformer: bool = False, masking: str = "causal", **changes: Any
) -> None:
    """Losses, weights, the log and every event of a training on given batches."""
    model = build(side, transformer=transformer, masking=masking)
    events = Events()
    trainer = Watched(model=model, args=arguments(side, **changes), callbacks=[events], compute_metrics=True)
    trainer.train_dataloader = batches(side, count)
    trainer.eval_dataloader = trainer.train_dataloader
    output = trainer.train()
    side.value("steps", [output.global_step, trainer.state.max_steps, trainer.state.num_train_epochs])
    side.value("metrics", sorted(output.metrics))
    side.curve("training loss", torch.tensor(output.training_loss))
    side.value("events", [event[:3] for event in events.seen])
    side.close("rates", torch.tensor([event[3] or 0.0 for event in events.seen], dtype=torch.float64))
    side.curve("losses", torch.stack(trainer.losses))
    side.final(model)
    note_history(side, trainer)


def best_at_end(side: Side) -> None:
    """Early stopping, and the best model loaded at the end."""
    model = build(side)
    args = arguments(
        side,
        evaluation_strategy="epoch",
        save_strategy="epoch",
        num_train_epochs=6,
        learning_rate=0.4,
        load_best_model_at_end=True,
        metric_for_best_model="eval_/loss",
        greater_is_better=False,
        save_total_limit=2,
    )
    stopping = EarlyStoppingCallback(early_stopping_patience=1)
    trainer = Watched(model=model, args=args, callbacks=[stopping], compute_metrics=True)
    trainer.train_dataloader = trainer.eval_dataloader = batches(side, 4)
    trainer.train()
    side.value("step", trainer.state.global_step)
    side.value("best", Path(trainer.state.best_model_checkpoint).name)
    side.curve("best metric", torch.tensor(trainer.state.best_metric))
    side.value("checkpoints", sorted(path.name for path in (side.scratch / "out").glob("checkpoint-*")))
    side.final(model)


def windows(side: Side) -> None:
    """Windows one after the other: the optimiser stays, the schedule is reset or goes on; steps count on."""
    model = build(side)
    args = arguments(side, lr_scheduler_type="linear", logging_steps=1)
    trainer = Watched(model=model, args=args, compute_metrics=True, incremental_logging=True)
    for window, count in enumerate((3, 3, 4)):
        trainer.train_dataloader = Given(list(batches(side, 10).dataset)[window * 3 : window * 3 + count])
        if window != 1:
            trainer.reset_lr_scheduler()
        trainer.train()
        trainer.eval_dataloader = trainer.train_dataloader
        metrics = trainer.evaluate(metric_key_prefix="eval")
        side.value(f"metrics {window}", sorted(metrics))
        side.value(f"past {window}", trainer.past_global_steps)
        trainer.state.global_step += 1
        for number, entry in enumerate(numbers(trainer.state.log_history)):
            for name, value in entry.items():
                side.curve(f"{window}/{number}/{name}", torch.tensor(float(value), dtype=torch.float64))
    side.curve("losses", torch.stack(trainer.losses))
    side.final(model)


def note_output(side: Side, name: str, output: Any) -> None:
    """Predictions, labels, sizes and metrics of an evaluation."""

    def note(where: str, found: Any) -> None:
        if found is None:
            side.value(where, None)
        elif isinstance(found, dict):
            side.value(f"{where} keys", sorted(found))
            for key, value in found.items():
                note(f"{where}/{key}", value)
        elif isinstance(found, list | tuple):
            side.value(f"{where} length", [type(found).__name__, len(found)])
            for number, value in enumerate(found):
                note(f"{where}/{number}", value)
        else:
            side.value(f"{where} type", [type(found).__name__, str(np.asarray(found).dtype)])
            integers = np.issubdtype(np.asarray(found).dtype, np.integer)
            (side.same if integers else side.close)(where, torch.as_tensor(found))

    note(f"{name} predictions", output.predictions)
    note(f"{name} labels", output.label_ids)
    metrics = next(iter(numbers([output.metrics])))
    side.value(f"{name} keys", sorted(output.metrics))
    for key, value in metrics.items():
        side.close(f"{name} metric {key}", torch.tensor(value, dtype=torch.float64))


def evaluate(
    side: Side,
    *,
    compute_metrics: bool | None = True,
    prefix: str = "eval",
    masking: str = "causal",
    change: Callable[[Any], None] | None = None,
    targets: bool = False,
    **changes: Any,
) -> None:
    """``evaluation_loop``, ``evaluate`` and ``predict`` on a parquet file of eleven sessions."""
    model = build(side, masking=masking, targets=targets)
    if change is not None:
        change(model)
    path = str(write_with_targets(side))
    schema = schema_with_targets(*(("click", "paid") if targets else ()))
    trainer = tr.Trainer(
        model=model, args=arguments(side, **changes), schema=schema, compute_metrics=compute_metrics
    )
    trainer.eval_dataset_or_path = path
    seen: list[dict[str, Any]] = []
    trainer.log_predictions_callback = lambda **given: seen.append(given)
    loader = trainer.get_eval_dataloader()
    output = trainer.evaluation_loop(loader, description="Evaluation", metric_key_prefix=prefix)
    side.value("num samples", output.num_samples)
    note_output(side, "loop", output)
    metrics = trainer.evaluate(metric_key_prefix=prefix)
    side.value("evaluate keys", sorted(metrics))
    note_history(side, trainer)
    for number, given in enumerate(seen):
        side.value(f"logged {number}", [given["dataset_type"], sorted(given)])
        side.same(f"logged {number}/labels", torch.as_tensor(given["labels"]))
        side.same(f"logged {number}/items", torch.as_tensor(given["pred_item_ids"]))
        side.close(f"logged {number}/scores", torch.as_tensor(given["pred_item_scores"]))
        for name, value in (given["metrics"] or {}).items():
            side.close(f"logged {number}/{name}", value)
    if not trainer.args.log_predictions:  # 23.12.0 asks for labels, which a prediction has not
        note_output(side, "predict", trainer.predict(path))


def loss_weighted_by_batches(side: Side) -> None:
    """The loss of an evaluation weighs batches by ``batch_size`` rows, the last by what is left over.

    Sessions have other numbers of targets in each batch, so that this is not the mean over targets.
    """
    model = build(side)
    trainer = tr.Trainer(
        model=model, args=arguments(side), schema=schema_with_targets(), compute_metrics=True
    )
    trainer.eval_dataset_or_path = str(write_with_targets(side))
    steps = []
    plain = trainer.prediction_step

    def noted(*args: Any, **kwargs: Any) -> Any:
        answer = plain(*args, **kwargs)
        steps.append((answer[0].item(), len(answer[2])))
        return answer

    trainer.prediction_step = noted
    loss = trainer.evaluate()["eval_/loss"]
    losses, targets = (torch.tensor(x, dtype=torch.float64) for x in zip(*steps, strict=True))
    side.close("losses", losses)
    side.close("loss", torch.tensor(loss, dtype=torch.float64))
    side.value("targets", targets.tolist())
    side.value("mean of batches", abs(losses.mean().item() - loss) < 1e-5)
    side.value("mean over targets", abs((losses * targets).sum().item() / targets.sum().item() - loss) < 1e-5)


def several_processes(side: Side) -> None:
    """Two processes, by gloo, share an evaluation out and report the metrics of all its sessions."""
    model = build(side)
    save_file(
        {name: x.clone() for name, x in model.state_dict().items()}, side.scratch / "weights.safetensors"
    )
    sessions = pq.read_table(write_with_targets(side, rows=24))
    # As many targets in each process: 23.12.0 cannot gather others.
    several = [len(items) > 1 for items in sessions["item_id"].to_pylist()]
    sessions = sessions.filter(several).slice(0, 12)
    pq.write_table(sessions, side.scratch / "sessions.parquet", row_group_size=6)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    program = ["-m", "tests.equivalence.two_processes", str(side.scratch)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    command = [sys.executable, "-W", "ignore", *launch, *program]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found = [json.loads((side.scratch / f"metrics-{rank}.json").read_text()) for rank in range(2)]
    side.value("alike", found[0] == found[1])
    side.value("names", sorted(found[0]))
    for name, value in found[0].items():
        side.close(name, torch.tensor(value, dtype=torch.float64))


def vectors_looked_up(side: Side) -> None:
    """A model of the columns that a loader gives after looking vectors up: six steps, and an evaluation."""
    side.seed(6)
    drawn = {"item_id": torch.randint(1, 41, (24, LENGTH)), "price": torch.rand(24, LENGTH)}
    drawn = side.given("rows", {**drawn, "vectors": torch.randn(41, 3)})
    vectors = drawn.pop("vectors").numpy()
    path = str(side.scratch / "rows.parquet")
    pq.write_table(pa.table({name: x.tolist() for name, x in drawn.items()}), path)
    schema = schema_with_targets().excluding_by_name(["country"])
    given = {"max_sequence_length": LENGTH, "shuffle": False}

    def loader() -> MerlinDataLoader:
        operator = EmbeddingOperator(vectors, lookup_key="item_id", embedding_name="vectors")
        return MerlinDataLoader.from_schema(schema, path, ROWS, transforms=[operator], **given)

    inputs = tr.TabularSequenceFeatures.from_schema(
        loader().output_schema,
        max_sequence_length=LENGTH,
        pretrained_output_dims=5,
        normalizer="layer-norm",
        aggregation="concat",
        masking="mlm",
        d_output=8,
        embedding_dim_default=8,
    )
    body = tr.SequentialBlock(inputs, tr.MLPBlock([8]))
    model = tr.Model(tr.Head(body, tr.NextItemPredictionTask(weight_tying=True), inputs=inputs))
    side.weights(model)
    trainer = Watched(
        model=model,
        args=arguments(side),
        schema=loader().output_schema,
        train_dataloader=loader(),
        eval_dataloader=loader(),
        compute_metrics=True,
    )
    trainer.train()
    side.curve("losses", torch.stack(trainer.losses))
    side.final(model)
    for name, value in next(iter(numbers([trainer.evaluate()]))).items():
        side.curve(f"evaluated/{name}", torch.tensor(float(value), dtype=torch.float64))


def other_path(side: Side) -> None:
    """``evaluate(path)`` reads ``eval_dataset_or_path`` all the same."""
    model = build(side)
    path = str(write_with_targets(side))
    trainer = tr.Trainer(
        model=model, args=arguments(side), schema=schema_with_targets(), compute_metrics=True
    )
    trainer.eval_dataset_or_path = path
    kept = trainer.evaluate()["eval_/loss"]
    side.close("kept", kept)
    side.value("not read", trainer.evaluate(str(side.scratch / "nowhere.parquet"))["eval_/loss"] == kept)


def warmup_ratio_ignored(side: Side) -> None:
    """The rates of a whole training are the same with a ratio and without."""
    rates = {}
    for ratio in (0.0, 0.5):
        events = Events()
        trainer = Watched(
            model=build(side),
            args=arguments(side, warmup_ratio=ratio, lr_scheduler_type="linear"),
            callbacks=[events],
        )
        trainer.train_dataloader = batches(side, 6)
        trainer.train()
        rates[ratio] = [event[3] for event in events.seen if event[0] == "on_step_begin"]
        side.close(f"rates/{ratio}", torch.tensor(rates[ratio], dtype=torch.float64))
    side.value("same", rates[0.0] == rates[0.5])


def refused_arguments(side: Side) -> None:
    """What the arguments raise, the Trainer's callbacks by name, and figures made readable."""
    wrong: dict[str, dict[str, Any]] = {
        "half precision on a CPU": {"fp16": True},
        "half evaluation on a CPU": {"fp16_full_eval": True},
        "the best without evaluation": {"load_best_model_at_end": True},
        "a schedule": {"lr_scheduler_type": "none"},
        "an optimiser": {"optim": "none"},
        "a strategy": {"evaluation_strategy": "never"},
        "a ratio": {"warmup_ratio": 2.0},
        "steps of saving": {
            "evaluation_strategy": "steps",
            "save_strategy": "steps",
            "eval_steps": 2,
            "save_steps": 3,
            "load_best_model_at_end": True,
        },
    }
    for name, changes in wrong.items():
        side.error(name, partial(arguments, side, **changes))
    side.error("brain floats on a CPU", lambda: arguments(side, bf16=True))
    trainer = tr.Trainer(model=build(side), args=arguments(side), callbacks=[Events()])
    side.value("callbacks", [type(callback).__name__ for callback in trainer.callback_handler.callbacks])
    figures = {"eval_runtime": 61.5, "total_flos": 3e9, "eval_/loss": 1.23456789, "epoch": 2}
    side.value("figures", trainer.metrics_format(figures))
    for name in ("log_metrics", "save_metrics"):
        getattr(trainer, name)("eval", figures)
    written = json.loads((side.scratch / "out" / "eval_results.json").read_text())
    side.value("written", written)


def top_k(model: Any) -> None:
    """The model answers items itself."""
    model.top_k = 7


def every_item(model: Any) -> None:
    """Evaluation predicts at every position; the predictions are cut to the number of sessions."""
    model.heads[0].body[0].masking.eval_on_last_item_seq_only = False


def read_folder(folder: Path) -> dict[str, Tensor]:
    """The files of a checkpoint, as bytes."""
    return {
        path.name: torch.from_numpy(np.frombuffer(path.read_bytes(), np.uint8).copy())
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


def resume(side: Side, **changes: Any) -> None:
    """A checkpoint of 23.12.0 is gone on with: weights, optimiser, schedule, random state, best metric."""
    options = {
        "lr_scheduler_type": "linear",
        "weight_decay": 0.1,
        "logging_steps": 1,
        "evaluation_strategy": "steps",
        "eval_steps": 3,
        "save_strategy": "steps",
        "save_steps": 3,
        "num_train_epochs": 2,
        "metric_for_best_model": "eval_/loss",
        "greater_is_better": False,
        **changes,
    }
    model = build(side, transformer=True)
    folder = side.scratch / "checkpoint-3"
    if side.is_original:
        first = tr.Trainer(model=model, args=arguments(side, **options), compute_metrics=True)
        first.train_dataloader = first.eval_dataloader = batches(side, 4)
        first.train()
        files = side.given("checkpoint", read_folder(side.scratch / "out" / "checkpoint-3"))
    else:
        batches(side, 4)
        files = side.given("checkpoint", {})
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.numpy().tobytes())
    side.value("state", json.loads((folder / "trainer_state.json").read_text())["global_step"])
    second = Watched(model=build_again(side, model), args=arguments(side, **options), compute_metrics=True)
    second.train_dataloader = second.eval_dataloader = batches(side, 4)
    # The torch of the comparison is newer than 23.12.0, which expects to unpickle what it saved itself.
    with patch.dict(os.environ, {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"} if side.is_original else {}):
        output = second.train(resume_from_checkpoint=str(folder))
    side.value("steps", output.global_step)
    side.curve("losses", torch.stack(second.losses))
    side.final(second.model)
    for entry in second.state.log_history:
        entry.pop("train_loss", None)  # 23.12.0 divides what was trained now by all steps
    note_history(side, second)


def build_again(side: Side, model: Any) -> Any:
    """A copy whose weights say nothing of the first one's."""
    from copy import deepcopy

    again = deepcopy(model)
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.zero_()
    return again


_SCHEDULES = ("linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup")
_EVALUATIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "all-scores": {"predict_top_k": 0},
    "loss-only": {"prediction_loss_only": True, "compute_metrics": None},
    "accumulated": {"eval_accumulation_steps": 2},
    "some-steps": {"compute_metrics_each_n_steps": 2},
    "drop-last": {"dataloader_drop_last": True},
    "no-metrics": {"compute_metrics": False},
    "metrics-none": {"compute_metrics": None},
    "train-prefix": {"prefix": "train", "eval_steps_on_train_set": 2},
    "train-prefix-all": {"prefix": "train", "eval_steps_on_train_set": 0},
    "logged": {"log_predictions": True},
    "every-item": {"masking": "mlm", "change": every_item},
    "pyarrow": {"data_loader_engine": "pyarrow"},
    "two-tasks": {"targets": True},
}

CASES = {
    **{
        f"schedule-{name}-{warmup}": partial(schedule, name=name, warmup_steps=warmup)
        for name in _SCHEDULES
        for warmup in (0, 4)
    },
    "schedule-cycles": partial(
        schedule, name="cosine", warmup_steps=2, learning_rate_num_cosine_cycles_by_epoch=0.3
    ),
    "steps": partial(train, count=20, transformer=True, weight_decay=0.1, logging_steps=3),
    "steps-clipped": partial(train, count=20, max_grad_norm=0.05, lr_scheduler_type="cosine"),
    "steps-never-clipped-nor-smoothed": partial(
        train, count=4, max_grad_norm=None, label_smoothing_factor=0.3, logging_steps=1
    ),
    "steps-not-clipped": partial(train, count=4, max_grad_norm=0.0, logging_steps=1),
    "steps-accumulated": partial(train, gradient_accumulation_steps=5, num_train_epochs=2, logging_steps=1),
    "steps-carried-over": partial(
        train,
        gradient_accumulation_steps=4,
        num_train_epochs=3,
        logging_steps=1,
        lr_scheduler_type="linear",
        evaluation_strategy="epoch",
    ),
    "steps-at-most": partial(train, count=6, max_steps=8, logging_steps=2, warmup_steps=3),
    "steps-half-epoch": partial(
        train, count=6, num_train_epochs=1.5, logging_steps=2, logging_first_step=True
    ),
    "steps-evaluated": partial(
        train, count=4, evaluation_strategy="steps", eval_steps=2, save_strategy="epoch", num_train_epochs=2
    ),
    **{
        f"optim-{name}": partial(
            train, count=8, optim=name, learning_rate=0.02, weight_decay=0.05, adam_epsilon=1e-3
        )
        for name in ("adamw_hf", "adamw_torch", "adafactor", "sgd", "adagrad")
    },
    "best-at-end": best_at_end,
    "windows": windows,
    **{f"evaluate-{name}": partial(evaluate, **options) for name, options in _EVALUATIONS.items()},
    "evaluate-top-k": partial(evaluate, compute_metrics=None, change=top_k),
    "evaluation-loss-weighted-by-the-last-batch": loss_weighted_by_batches,
    "evaluate-by-two-processes": several_processes,
    "evaluate-other-path": other_path,
    "vectors-looked-up": vectors_looked_up,
    "warmup-ratio-ignored": warmup_ratio_ignored,
    "resume": resume,
    "arguments-refused": refused_arguments,
}
