"""What the Trainer's evaluation does beside the model: the best items of each step are kept and joined."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

K = 100
ITEMS = 10_000


def prepare(folder: Path, *, steps: int, batch_size: int) -> None:
    random = np.random.default_rng(0)
    # A few batches that come again and again: the loop keeps all of them all the same.
    np.save(folder / "scores.npy", random.standard_normal((8, batch_size, K), dtype=np.float32))
    np.save(folder / "items.npy", random.integers(1, ITEMS, (8, batch_size, K)))
    np.save(folder / "labels.npy", random.integers(1, ITEMS, (8, batch_size)))


def ours(folder: Path, *, steps: int, batch_size: int) -> Callable[[], Any]:
    """The drop-in's Trainer: the same lines."""
    return legacy(folder, steps=steps, batch_size=batch_size)


def legacy(folder: Path, *, steps: int, batch_size: int) -> Callable[[], Any]:
    """Transformers4Rec's Trainer, with a model that answers at once."""
    import torch
    from transformers4rec.config.trainer import T4RecTrainingArguments
    from transformers4rec.torch import NextItemPredictionTask, Trainer

    scores, items, labels = (
        torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("scores", "items", "labels")
    )

    class Ready(torch.nn.Module):
        """Answers that are there already, the best items of each row."""

        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(1))
            self.prediction_tasks = [NextItemPredictionTask()]
            self.top_k = K

        def forward(self, inputs: Any, **_: Any) -> Any:
            number = int(inputs["number"][0])
            answers = (scores[number], items[number])
            return {"loss": self.one * number, "labels": labels[number], "predictions": answers}

    class Loader(list):  # type: ignore[type-arg]
        """Batches with what the Trainer asks of a loader."""

        dataset = range(steps * batch_size)
        _batch_size = batch_size

    loader = Loader(({"number": torch.full((batch_size, 1), n % 8)}, None) for n in range(steps))
    arguments = T4RecTrainingArguments(
        str(folder / "out"),
        per_device_eval_batch_size=batch_size,
        predict_top_k=K,
        report_to=[],
        no_cuda=True,
    )
    trainer = Trainer(model=Ready(), args=arguments, compute_metrics=None)
    trainer.num_examples = lambda loader: len(loader.dataset)
    return lambda: trainer.evaluation_loop(loader, "Evaluation", prediction_loss_only=False)


def arrays(result: SimpleNamespace) -> dict[str, np.ndarray]:
    items, scores = result.predictions
    return {
        "items": items,
        "scores": scores,
        "labels": result.label_ids,
        "loss": np.array(result.metrics["eval_/loss"]),
    }
