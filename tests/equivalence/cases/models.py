"""Whole models: fit, evaluate, tracing, schemas, weights and checkpoints that 23.12.0 left."""

from __future__ import annotations

import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torchmetrics
from safetensors.torch import load_model
from torch import Tensor
from transformers4rec import torch as tr
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch.ranking_metric import NDCGAt, RecallAt

from tests.equivalence.cases._common import LENGTH, ragged, read_schema, sessions, small_inputs
from tests.equivalence.cases._schemas import schema_columns, schema_files
from tests.equivalence.cases.tasks import body_of, close_all, copied, labels_of
from tests.equivalence.side import Side

ROOT = Path(__file__).parents[3]


def next_item_model(side: Side, masking: str = "mlm", **options: Any) -> Any:
    """Items by tied weights, with two metrics of its own."""
    inputs = small_inputs(side, width=16, masking=masking)
    metrics = [NDCGAt(top_ks=[5, 10], labels_onehot=True), RecallAt(top_ks=[5, 10], labels_onehot=True)]
    task = tr.NextItemPredictionTask(weight_tying=True, metrics=metrics)
    return tr.Model(tr.Head(body_of(inputs), task, inputs=inputs), **options)


class Batches:
    """Batches in one order, in memory of their own at every pass."""

    def __init__(self, batches: list[dict[str, Tensor]], targets: Any = None) -> None:
        self.batches, self.targets = batches, targets

    def __iter__(self) -> Any:
        return iter([(copied(batch), self.targets) for batch in self.batches])


def batches_of(side: Side, number: int = 5, targets: Any = None) -> Batches:
    """Several batches."""
    batches = []
    for place in range(number):
        batch = sessions(side, name=f"batch-{place}")
        batches.append({name: values.roll(place, 0) for name, values in batch.items()})
    return Batches(batches, targets)


def fit_items(side: Side, optimizer: Any, masking: str) -> None:
    """Twenty steps in four epochs: mean losses, weights, metrics that add up; then evaluation."""
    model = next_item_model(side, masking)
    side.weights(model)
    data = batches_of(side)
    side.seed(5)
    side.curve("losses", model.fit(data, optimizer=optimizer, num_epochs=4, verbose=False))
    side.final(model)
    side.value("training", model.training)
    close_all(side, "added-up", model.compute_metrics(mode="train"))
    side.weights(model, "trained")
    side.seed(6)
    close_all(side, "evaluated", model.evaluate(data, verbose=False))
    close_all(side, "evaluated-as", model.evaluate(data, verbose=False, mode="test"))
    side.seed(6)
    close_all(side, "on-training", model.evaluate(data, verbose=False, training=True, testing=False))


def _pad_with(model: Any, padding: int) -> None:
    """Numbers of the padding in every table, which only what attends to padding lets through."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embedding_tables" in name:
                parameter[0] = float(padding)


def padding_attended_to(side: Side) -> None:
    """What a session answers depends on the columns of padding behind it, and on the padding's vector."""
    inputs = small_inputs(side, width=16)
    body = body_of(inputs)
    task = tr.BinaryClassificationTask("click", summary_type="first")
    model = tr.Model(tr.Head(body, task, inputs=inputs))
    side.weights(model)
    model.eval()
    batch = sessions(side)
    short = {name: values[:1, :3] for name, values in batch.items()}
    long = {name: values[:1] for name, values in batch.items()}
    answers = {}
    for padding in (0, 3):
        _pad_with(model, padding)
        for name, given in {"short": short, "long": long}.items():
            answers[name, padding] = model(copied(given))
            side.close(f"{name}/{padding}", answers[name, padding])
    side.value("by length", bool((answers["short", 0] - answers["long", 0]).abs().max() > 1e-4))
    side.value("by padding", bool((answers["long", 0] - answers["long", 3]).abs().max() > 1e-4))


def evaluate_leaves_dropout_on(side: Side) -> None:
    """``Model.evaluate`` after ``fit`` drops as in training: other metrics than after ``model.eval()``."""
    inputs = small_inputs(side, width=16, masking="mlm")
    metrics = [NDCGAt(top_ks=[50], labels_onehot=True)]
    body = tr.SequentialBlock(inputs, tr.MLPBlock([16], dropout=0.9))
    model = tr.Model(tr.Head(body, tr.NextItemPredictionTask(metrics=metrics), inputs=inputs))
    side.weights(model)
    data = batches_of(side, 8)
    ran = []
    dropouts = [part for part in model.modules() if isinstance(part, torch.nn.Dropout)]
    dropouts[0].register_forward_hook(lambda part, given, output: ran.append(part.training))
    model.train()
    noisy = {str(model.evaluate(data, verbose=False)) for _ in range(4)}
    side.value("training", model.training)
    side.value("dropped", all(ran))
    side.value("differs from run to run", len(noisy) > 1)
    ran.clear()
    model.eval()
    close_all(side, "in evaluation mode", model.evaluate(data, verbose=False))
    side.value("not dropped", not any(ran))


def fit_options(side: Side) -> None:
    """An optimiser that is made already; training off; no metrics; printed and evaluated."""
    targets = labels_of(side)
    inputs = small_inputs(side, width=16)
    tasks = [
        tr.BinaryClassificationTask("click", metrics=[torchmetrics.Accuracy(task="binary")]),
        tr.RegressionTask("seconds", metrics=[torchmetrics.regression.MeanSquaredError()]),
    ]
    model = tr.Model(tr.Head(body_of(inputs), tasks, inputs=inputs))
    side.weights(model)
    data = batches_of(side, targets=targets)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    side.curve(
        "made", model.fit(data, optimizer=optimizer, num_epochs=2, verbose=False, compute_metric=False)
    )
    side.curve("off", model.fit(data, optimizer=optimizer, train=False, verbose=False))
    side.value("training", model.training)
    close_all(side, "kept", model.compute_metrics())
    side.curve("printed", model.fit(data, optimizer=optimizer, eval_dataloader=data, num_epochs=2))
    close_all(side, "evaluated", model.compute_metrics())
    side.final(model)


def traced(side: Side, masking: str) -> None:
    """A trace of the model in evaluation mode gives what the model gives."""
    model = next_item_model(side, masking)
    side.weights(model)
    model.eval()
    batch, other = sessions(side), {name: x.flip(0) for name, x in sessions(side, name="other").items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        trace = torch.jit.trace(model, copied(batch), strict=False)
    side.close("batch", trace(copied(batch)))
    side.close("other", trace(copied(other)))
    side.close("untraced", model(copied(other)))
    path = side.scratch / "model.pt"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        torch.jit.save(trace, str(path))
        loaded = torch.jit.load(str(path))
    side.close("loaded", loaded(copied(other)))


def padded(side: Side) -> None:
    """Ragged columns are padded to the longest, or cut to the model's maximum."""
    for longest in (None, 6):
        model = next_item_model(side, max_sequence_length=longest)
        side.weights(model, f"model-{longest}")
        model.eval()
        batch = ragged(sessions(side, name=f"batch-{longest}"))
        side.close(f"{longest}/inference", model(copied(batch)))
        side.close(f"{longest}/evaluated", model(copied(batch), testing=True)["predictions"])


def double_precision(side: Side) -> None:
    """Columns of float64 and half precision become float32; empty targets count as none."""
    model = next_item_model(side)
    side.weights(model)
    model.eval()
    batch = sessions(side)
    batch["price"], batch["age_days"] = batch["price"].double(), batch["age_days"].half()
    side.close("scores", model(copied(batch)))
    side.close("evaluated", model(copied(batch), targets={}, testing=True)["predictions"])


def described(side: Side) -> None:
    """Schemas of inputs and outputs, names, and what heads and tasks are called."""
    items = next_item_model(side, name="named")
    side.value("inputs", items.input_schema.column_names)
    inputs = small_inputs(side, width=16, masking="mlm")
    tasks = [
        tr.NextItemPredictionTask(),
        tr.BinaryClassificationTask("click"),
        tr.RegressionTask("seconds", summary_type=None),
    ]
    several = tr.Model(tr.Head(body_of(inputs), tasks, inputs=inputs))
    best = next_item_model(side, top_k=7)
    for name, model in {"items": items, "several": several, "best": best}.items():
        columns = [model.output_schema[column] for column in model.output_schema.column_names]
        side.value(f"{name}/names", [column.name for column in columns])
        side.value(f"{name}/types", [column.dtype.name for column in columns])
        side.value(f"{name}/lists", [bool(column.is_list) for column in columns])
        side.value(
            f"{name}/dims",
            [
                [list(d.as_tuple) if hasattr(d, "as_tuple") else [d.min, d.max] for d in column.shape.dims]
                for column in columns
            ],
        )
        side.value(f"{name}/domains", [column.properties.get("int_domain") for column in columns])
    side.value("printed-as", items._get_name())
    side.value("tasks", [task.task_name for task in several.prediction_tasks])
    side.value("metrics", [task.metric_name(m) for task in several.prediction_tasks for m in task.metrics])
    side.value("keys", sorted(several.state_dict()))
    optimizer = items.to_lightning().configure_optimizers()
    side.value("optimizer", [type(optimizer).__name__, optimizer.defaults["lr"]])


def as_bytes(path: Path) -> Tensor:
    """A file as a tensor, to give it to the other side."""
    return torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)


def passed_on(side: Side, name: str, folder: Path) -> Path:
    """A folder of the original's files on both sides."""
    files = {path.name: as_bytes(path) for path in sorted(folder.iterdir())} if side.is_original else {}
    target = side.scratch / name
    target.mkdir(exist_ok=True)
    for file, content in side.given(name, files).items():
        (target / file).write_bytes(content.numpy().tobytes())
    return target


def state_dicts(side: Side) -> None:
    """Weights that the original saved go into the same program, which goes on from there."""
    model = next_item_model(side)
    folder = side.scratch / "written"
    folder.mkdir()
    if side.is_original:
        side.seed(1)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    given = passed_on(side, "saved", folder)
    again = next_item_model(side)
    again.load_state_dict(torch.load(given / "pytorch_model.bin", map_location="cpu", weights_only=True))
    side.seed(2)
    output = again(sessions(side), training=True)
    side.close("loss", output["loss"])
    side.curve("goes-on", again.fit(batches_of(side), num_epochs=2, verbose=False))


def arguments_of(folder: Path) -> Any:
    """Arguments of a short training that leaves a checkpoint after four steps."""
    return T4RecTrainingArguments(
        output_dir=str(folder),
        max_sequence_length=LENGTH,
        num_train_epochs=1,
        per_device_train_batch_size=6,
        learning_rate=0.01,
        lr_scheduler_type="linear",
        weight_decay=0.1,
        save_strategy="steps",
        save_steps=4,
        report_to=[],
        no_cuda=True,
        disable_tqdm=True,
    )


class Loader(torch.utils.data.DataLoader):
    """Given batches, in the form that the trainer asks of a data loader."""

    def __init__(self, batches: Batches) -> None:
        super().__init__(list(batches), batch_size=1, collate_fn=lambda samples: samples[0])
        self._batch_size = 6


class Noting(tr.Trainer):
    """Draws the same masks at the same step and keeps every loss."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.losses: list[Tensor] = []

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False) -> Any:
        torch.manual_seed(1000 + self.state.global_step)
        loss = super().compute_loss(model, (copied(inputs[0]), inputs[1]))
        self.losses.append(loss.detach().clone())
        return loss


def checkpoint(side: Side) -> None:
    """A checkpoint of the original's Trainer, optimiser and schedule too, is taken up where it ended."""
    model = next_item_model(side)
    side.weights(model)
    data = batches_of(side, 8)
    written = side.scratch / "trained"
    if side.is_original:
        trainer = Noting(model=model, args=arguments_of(written), schema=read_schema(side))
        trainer.train_dataloader = Loader(data)
        trainer.train()
    given = passed_on(side, "checkpoint-4", written / "checkpoint-4")
    (given / "training_args.bin").unlink()
    if side.is_original:
        (given / "rng_state.pth").unlink()  # which transformers 4.30 cannot read with a torch of today
    model = next_item_model(side)
    trainer = Noting(model=model, args=arguments_of(side.scratch / "resumed"), schema=read_schema(side))
    trainer.train_dataloader = Loader(data)
    trainer.train(resume_from_checkpoint=str(given))
    side.value("steps", trainer.state.global_step)
    side.curve("losses", torch.stack(trainer.losses))
    side.final(model)


def pickled(side: Side) -> None:
    """A pickled model becomes weights and JSON by the script, where the original is installed."""
    model = next_item_model(side, top_k=3)
    side.weights(model)
    made = side.scratch / "made"
    if side.is_original:
        model.save(side.scratch / "pickle")
        script = ROOT / "compat" / "merlin_migrate" / "unpickle_model.py"
        pickle = side.scratch / "pickle" / "t4rec_model_class.pkl"
        subprocess.run(
            [sys.executable, "-W", "ignore", script, pickle, made], check=True, capture_output=True
        )
    given = passed_on(side, "converted", made)
    again = next_item_model(side, top_k=3)
    load_model(again, str(given / "model.safetensors"))
    again.eval()
    scores, ids = again(sessions(side))
    side.close("scores", scores)
    side.same("ids", ids)


CASES = {
    "fit-adam": partial(fit_items, optimizer=torch.optim.Adam, masking="mlm"),
    "fit-sgd-causal": partial(fit_items, optimizer=torch.optim.SGD, masking="clm"),
    "fit-options": fit_options,
    "padded-positions-attended-to": padding_attended_to,
    "evaluate-leaves-dropout-on": evaluate_leaves_dropout_on,
    "traced-mlm": partial(traced, masking="mlm"),
    "traced-causal": partial(traced, masking="clm"),
    "padded": padded,
    "double-precision": double_precision,
    "described": described,
    "schema-files": schema_files,
    "schema-columns": schema_columns,
    "state-dict": state_dicts,
    "checkpoint": checkpoint,
    "pickled": pickled,
}
