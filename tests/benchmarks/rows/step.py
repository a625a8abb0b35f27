"""A step of training: XLNet on padded sessions, masking "mlm", dropout, scores tied to the item table.

Forward and backward pass, clipped gradients, and the optimiser that the Trainer makes by default. Dropout
cannot be drawn alike, so what is compared is a pass without it, from the same weights, with the same masks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.equivalence.make_data import Sessions

WIDTH = 64
STEPS = 20


def prepare(folder: Path, *, items: int, batch_size: int) -> None:
    import torch

    sessions = Sessions(items=items, categories=20)
    (folder / "schema.pbtxt").write_text(sessions.schema())
    lists = sessions.draw(batch_size, seed=0)["item_id"].to_pylist()
    padded = np.zeros((batch_size, STEPS), dtype=np.int64)
    for row, session in zip(padded, lists, strict=True):
        row[: len(session)] = session[:STEPS]
    np.save(folder / "items.npy", padded)
    torch.manual_seed(0)
    state = {name: tensor.numpy() for name, tensor in _model(folder).state_dict().items()}
    np.savez(folder / "state.npz", **state)


def _model(folder: Path) -> Any:
    """The same lines on both sides."""
    from merlin_standard_lib import Schema
    from transformers4rec import torch as tr

    schema = Schema().from_proto_text(str(folder / "schema.pbtxt")).select_by_name(["item_id"])
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema, max_sequence_length=STEPS, aggregation="concat", d_output=WIDTH, masking="mlm"
    )
    config = tr.XLNetConfig.build(WIDTH, n_head=4, n_layer=2, total_seq_length=STEPS, dropout=0.3)
    body = tr.SequentialBlock(inputs, tr.TransformerBlock(config, masking=inputs.masking))
    task = tr.NextItemPredictionTask(weight_tying=True)
    return tr.Model(tr.Head(body, task, inputs=inputs))


def legacy(folder: Path, *, items: int, batch_size: int) -> Callable[[], Any]:
    import torch
    from transformers4rec.config.trainer import T4RecTrainingArguments
    from transformers4rec.torch import Trainer

    model = _model(folder)
    state = {name: torch.from_numpy(array) for name, array in np.load(folder / "state.npz").items()}
    model.load_state_dict(state)
    batch = torch.from_numpy(np.load(folder / "items.npy"))
    arguments = T4RecTrainingArguments(str(folder / "out"), no_cuda=True)
    cls, options = Trainer.get_optimizer_cls_and_kwargs(arguments)
    optimizer = cls(model.parameters(), **options)
    model.train()

    def gradients() -> Any:
        # Each pass may write into the dictionary that it gets.
        loss = model({"item_id": batch.clone()}, training=True)["loss"]
        loss.backward()
        return loss.detach()

    def step() -> Any:
        gradients()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        model.zero_grad()
        return compared

    def compared() -> dict[str, Any]:
        model.load_state_dict(state)
        model.eval()
        torch.manual_seed(1)
        loss = gradients()
        grads = {name: parameter.grad for name, parameter in model.named_parameters()}
        of = {
            name: next(grad for full, grad in grads.items() if full.endswith(name))
            for name in ("item_id.weight", "layer.0.rel_attn.q", "layer.1.ff.layer_2.weight")
        }
        return {"loss": loss, **of}

    return step


ours = legacy


def arrays(result: Callable[[], dict[str, Any]]) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in result().items()}
