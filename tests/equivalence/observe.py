"""Everything that is compared, observed in the same way on both sides.

Uses only names of Transformers4Rec, merlin and transformers, so that the same lines run on the original
23.12.0 (the recorder) and on the drop-in (the test).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from merlin.io import Dataset
from merlin.schema import Schema
from torch import Tensor
from transformers import TrainerCallback
from transformers4rec import torch as tr
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch.ranking_metric import NDCGAt, RecallAt

MASKINGS = ("mlm", "causal")
MODES = {
    "training": {"training": True, "testing": False},
    "evaluation": {"training": False, "testing": True},
    "inference": {"training": False, "testing": False},
}
LENGTH = 20
BATCH = 32
OBSERVED = 3
PASSES = 300
DROPOUT = 0.3
WINDOWS = (
    (8, True),
    (8, True),
    (4, False),
)  # steps of each train() call, and if the schedule is reset before
SEED = 20_240


def read_schema(data: Path) -> Schema:
    """The schema of the recorded data, as the program reads it."""
    schema = Dataset(str(data / "1" / "train.parquet")).schema
    return schema.select_by_name(["item_id", "category", "age_days", "price"])


def build_model(schema: Schema, masking: str, *, dropout: float = 0.0) -> tuple[Any, Any]:
    """The model of the getting-started program, and its input block."""
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema,
        max_sequence_length=LENGTH,
        continuous_projection=64,
        aggregation="concat",
        masking=masking,
        d_output=64,
    )
    config = tr.XLNetConfig.build(d_model=64, n_head=4, n_layer=2, total_seq_length=LENGTH, dropout=dropout)
    body = tr.SequentialBlock(inputs, tr.MLPBlock([64]), tr.TransformerBlock(config, masking=inputs.masking))
    metrics = [
        NDCGAt(top_ks=[10, 20], labels_onehot=True),
        RecallAt(top_ks=[10, 20], labels_onehot=True),
    ]
    task = tr.NextItemPredictionTask(weight_tying=True, metrics=metrics)
    head = tr.Head(body, task, inputs=inputs)
    return tr.Model(head), inputs


class LearningRates(TrainerCallback):
    """Notes the learning rate after every step."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_step_end(self, args, state, control, **kwargs):
        self.seen.append(kwargs["lr_scheduler"].get_last_lr()[0])


class SeededTrainer(tr.Trainer):
    """A trainer as a user would subclass it: the same masks at the same step, every loss kept unrounded."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.losses: list[Tensor] = []

    def compute_loss(self, model, inputs, return_outputs=False):
        torch.manual_seed(SEED + len(self.losses))
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True)
        self.losses.append(loss.detach().clone())
        return (loss, outputs) if return_outputs else loss


class Batches(torch.utils.data.DataLoader):
    """Given batches in a given order, in the form that the trainer asks of a data loader."""

    def __init__(self, batches: list[dict[str, Tensor]]):
        super().__init__([(copied(batch), None) for batch in batches], batch_size=1, collate_fn=first)
        self._batch_size = BATCH


def first(samples: list[Any]) -> Any:
    """The one sample, unpacked."""
    return samples[0]


def copied(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The batch in its own memory: a model may write into the dictionary that it is given."""
    return {name: values.clone() for name, values in batch.items()}


def make_trainer(model: Any, schema: Schema, folder: Path) -> SeededTrainer:
    """The trainer of the getting-started program, with a weight decay that would be noticed."""
    arguments = T4RecTrainingArguments(
        output_dir=str(folder / "trainer"),
        max_sequence_length=LENGTH,
        data_loader_engine="merlin",
        num_train_epochs=1,
        per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=BATCH,
        learning_rate=0.005,
        lr_scheduler_type="cosine",
        learning_rate_num_cosine_cycles_by_epoch=0.4,
        weight_decay=0.1,
        predict_top_k=20,
        logging_steps=4,
        save_strategy="no",
        report_to=[],
        no_cuda=True,
        disable_tqdm=True,
        seed=SEED,
    )
    return SeededTrainer(model=model, args=arguments, schema=schema, compute_metrics=True)


def observe_batch(
    model: Any, inputs: Any, batch: dict[str, Tensor], mode: str, seed: int
) -> dict[str, Tensor]:
    """Masks, hidden states, scores, loss and gradients of one batch.

    Args:
        model: the whole model.
        inputs: its input block.
        batch: list columns padded to (B, T).
        mode: one of ``MODES``.
        seed: set before every pass, so that random masks repeat.
    """
    seen: dict[str, Tensor] = {}
    flags = MODES[mode]
    model.train(mode == "training")
    torch.manual_seed(seed)
    # The blocks, unlike the model, take no double precision.
    single = {
        name: values.float() if values.is_floating_point() else values for name, values in batch.items()
    }
    seen["inputs"] = inputs(copied(single), **flags)
    seen["mask_schema"] = inputs.masking.mask_schema
    seen["masked_targets"] = inputs.masking.masked_targets
    torch.manual_seed(seed)
    seen["body"] = model.heads[0].body(copied(single), **flags)
    torch.manual_seed(seed)
    output = model(copied(batch), **flags)
    if mode == "inference":
        seen["predictions"] = output
        model.top_k = 10
        seen["top_k_scores"], seen["top_k_ids"] = model(copied(batch), **flags)
        model.top_k = None
        return seen
    seen.update({name: output[name] for name in ("loss", "labels", "predictions")})
    if mode == "training":
        model.zero_grad(set_to_none=True)
        output["loss"].backward()
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                seen[f"gradient/{name}"] = parameter.grad.clone()
        model.zero_grad(set_to_none=True)
    return seen


def observe_metrics(model: Any, batches: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The streaming metrics: of each batch, after all of them, and after a reset and one more."""
    seen: dict[str, Tensor] = {}
    model.eval()
    with torch.no_grad():
        outputs = [model(copied(batch), **MODES["evaluation"]) for batch in batches]
    model.reset_metrics()
    for number, output in enumerate(outputs):
        values = model.calculate_metrics(output["predictions"], output["labels"])
        seen.update({f"{number}/{name}": value for name, value in values.items()})
    seen.update({f"all/{name}": value for name, value in model.compute_metrics().items()})
    model.reset_metrics()
    model.calculate_metrics(outputs[-1]["predictions"], outputs[-1]["labels"])
    seen.update({f"reset/{name}": value for name, value in model.compute_metrics(mode="eval").items()})
    return seen


def observe_dropout(model: Any, batch: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Mean and standard deviation of the body's output over many passes in training.

    Where dropout is and how much shows in both, though neither side can draw what the other draws. Masks are
    the same in every pass.
    """
    model.train()
    few = {n: values[:8].float() if values.is_floating_point() else values[:8] for n, values in batch.items()}
    passes = []
    with torch.no_grad():
        for number in range(PASSES):
            torch.manual_seed(SEED)
            hidden = model.heads[0].body[0](copied(few), **MODES["training"])
            torch.manual_seed(seed * PASSES + number)
            for block in list(model.heads[0].body)[1:]:
                hidden = block(hidden)
            passes.append(hidden)
    stacked = torch.stack(passes).double()
    return {"mean": stacked.mean(0), "std": stacked.std(0)}


def observe_training(trainer: SeededTrainer, batches: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Loss and learning rate at every step of some windows, trained one after the other."""
    rates = LearningRates()
    trainer.add_callback(rates)
    done = 0
    for steps, reset in WINDOWS:
        trainer.train_dataloader = Batches(batches[done : done + steps])
        if reset:
            trainer.reset_lr_scheduler()
        trainer.train()
        trainer.state.global_step += 1
        done += steps
    return {"losses": torch.stack(trainer.losses), "rates": torch.tensor(rates.seen, dtype=torch.float64)}


def observe_trainer(trainer: SeededTrainer, path: Path) -> tuple[dict[str, Tensor], dict[str, float]]:
    """What evaluate() and predict() of the trainer give on a file: tensors, and metrics by key."""
    trainer.eval_dataset_or_path = str(path)
    metrics = trainer.evaluate(metric_key_prefix="eval")
    predicted = trainer.predict(str(path))
    ids, scores = predicted.predictions
    return {"ids": torch.as_tensor(ids), "scores": torch.as_tensor(scores)}, metrics


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor.detach().clone() for name, tensor in tensors.items()}


def _state(model: Any) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _aliases(model: Any) -> list[list[str]]:
    """Names in the state dict that are one parameter."""
    names: dict[int, list[str]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        names.setdefault(id(tensor), []).append(name)
    return sorted(sorted(group) for group in names.values() if len(group) > 1)


def _stir(model: Any) -> None:
    """Moves every weight: what starts as zero, one or tiny would hide what the model does with it."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)


def _load(model: Any, prefix: str, recorded: dict[str, Tensor]) -> None:
    state = {name[len(prefix) + 1 :]: t for name, t in recorded.items() if name.startswith(f"{prefix}/")}
    model.load_state_dict(state, strict=True)


def observe(
    data: Path, scratch: Path, masking: str, recorded: dict[str, Tensor] | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All observations of one masking.

    Args:
        data: folder with ``schema.pbtxt`` and the windows.
        scratch: folder for what a trainer writes.
        masking: "mlm" or "causal".
        recorded: the tensors of the other side; its weights and batches are then used, not own ones, so that
            no difference can come from an earlier one.

    Returns:
        Tensors by name, and what is no tensor: metrics by key, keys of the log, names of one parameter.
    """
    schema = read_schema(data)
    torch.manual_seed(SEED)
    model, inputs = build_model(schema, masking)
    tensors = _prefixed("drawn", _state(model))
    if recorded is None:
        _stir(model)
    else:
        _load(model, "initial", recorded)
    tensors |= _prefixed("initial", _state(model))
    trainer = make_trainer(model, schema, scratch)

    trainer.eval_dataset_or_path = str(data / "1" / "train.parquet")
    batches = [batch for batch, _ in trainer.get_eval_dataloader()]
    for number, batch in enumerate(batches):
        tensors |= _prefixed(f"loader/{number}", batch)
        if recorded is not None:
            prefix = f"loader/{number}/"
            batches[number] = {n[len(prefix) :]: t for n, t in recorded.items() if n.startswith(prefix)}

    for mode in MODES:
        for number, batch in enumerate(batches[:OBSERVED]):
            seen = observe_batch(model, inputs, batch, mode, SEED + number)
            tensors |= _prefixed(f"{mode}/{number}", seen)
    tensors |= _prefixed("metrics", observe_metrics(model, batches[:OBSERVED]))

    dropping, _ = build_model(schema, masking, dropout=DROPOUT)
    dropping.load_state_dict(model.state_dict())
    # Each side has its own draws: with the same, two copies of one implementation would show no spread.
    seed = SEED if recorded is None else SEED + 1
    tensors |= _prefixed("dropout", observe_dropout(dropping, batches[0], seed))

    tensors |= _prefixed("curve", observe_training(trainer, batches))
    tensors |= _prefixed("final", _state(model))
    if recorded is not None:
        _load(model, "final", recorded)
    seen, metrics = observe_trainer(trainer, data / "1" / "valid.parquet")
    tensors |= _prefixed("predict", seen)
    log_keys = sorted({key for entry in trainer.state.log_history for key in entry})
    return tensors, {"metrics": metrics, "log_keys": log_keys, "aliases": _aliases(model)}
