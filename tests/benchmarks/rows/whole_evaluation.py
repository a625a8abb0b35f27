"""The Trainer's evaluation as a whole: forward pass, loss, ranking metrics, and the best items kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

K = 100
ITEMS = 10_000
LENGTH = 20
BATCHES = 8


def prepare(folder: Path, *, steps: int, batch_size: int) -> None:
    import torch

    random = np.random.default_rng(0)
    # A few batches that come again and again.
    np.save(folder / "items.npy", random.integers(1, ITEMS, (BATCHES, batch_size, LENGTH)))
    torch.manual_seed(0)
    torch.save(_model(batch_size)[0].state_dict(), folder / "weights.pt")


def ours(folder: Path, *, steps: int, batch_size: int) -> Callable[[], Any]:
    """The drop-in: the same lines."""
    return legacy(folder, steps=steps, batch_size=batch_size)


def legacy(folder: Path, *, steps: int, batch_size: int) -> Callable[[], Any]:
    """Transformers4Rec's Trainer, XLNet of two layers and width 64, the same weights on both sides."""
    import torch
    from transformers4rec.config.trainer import T4RecTrainingArguments
    from transformers4rec.torch import Trainer

    items = torch.from_numpy(np.load(folder / "items.npy"))
    model, schema = _model(batch_size)
    model.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))

    class Loader(list):  # type: ignore[type-arg]
        """Batches with what the Trainer asks of a loader."""

        dataset = range(steps * batch_size)
        _batch_size = batch_size

    loader = Loader(({"item_id": items[number % BATCHES]}, None) for number in range(steps))
    arguments = T4RecTrainingArguments(
        str(folder / "out"),
        per_device_eval_batch_size=batch_size,
        predict_top_k=K,
        report_to=[],
        no_cuda=True,
    )
    trainer = Trainer(model=model, args=arguments, schema=schema, compute_metrics=True)
    trainer.num_examples = lambda loader: len(loader.dataset)
    return lambda: trainer.evaluation_loop(loader, "Evaluation", prediction_loss_only=False)


def _model(batch_size: int) -> tuple[Any, Any]:
    from merlin.schema import ColumnSchema, Schema, Tags
    from transformers4rec import torch as tr
    from transformers4rec.torch.ranking_metric import NDCGAt, RecallAt

    column = ColumnSchema(
        "item_id",
        tags=[Tags.ITEM_ID, Tags.CATEGORICAL, Tags.LIST],
        dtype=np.int64,
        is_list=True,
        is_ragged=True,
        properties={"domain": {"min": 0, "max": ITEMS - 1}, "value_count": {"min": 1, "max": LENGTH}},
    )
    schema = Schema([column])
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema, max_sequence_length=LENGTH, aggregation="concat", masking="mlm", d_output=64
    )
    config = tr.XLNetConfig.build(d_model=64, n_head=4, n_layer=2, total_seq_length=LENGTH)
    body = tr.SequentialBlock(inputs, tr.MLPBlock([64]), tr.TransformerBlock(config, masking=inputs.masking))
    metrics = [kind(top_ks=[10, 20], labels_onehot=True) for kind in (NDCGAt, RecallAt)]
    head = tr.Head(body, tr.NextItemPredictionTask(weight_tying=True, metrics=metrics), inputs=inputs)
    return tr.Model(head), schema


def arrays(result: SimpleNamespace) -> dict[str, np.ndarray]:
    items, scores = result.predictions
    del items  # Near ties may change places: their scores are compared.
    names = sorted(name for name in result.metrics if "_at_" in name or name.endswith("/loss"))
    return {"scores": scores, "metrics": np.array([float(result.metrics[name]) for name in names])}
