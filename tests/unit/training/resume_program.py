"""A training run that can be killed: ``python -m tests.unit.training.resume_program KIND FOLDER HOW``.

HOW "whole" runs to the end and writes the weights; with "resume" in it, it goes on from the last checkpoint;
with "kill at N" it says when N steps are done, and waits to be killed.
"""

import sys
import warnings
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from safetensors.torch import save_file

import merlin_models_torch as mm
from tests.unit.schemas import session_schema

EPOCHS = 3
EVERY = 4


class Wait(Callback):
    """Tells the parent that a step is done, checkpoint included, and waits to be killed."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: object) -> None:
        """Of the next step, since a checkpoint is written at the very end of one."""
        if trainer.global_step == self.step:
            print("ready", flush=True)  # noqa: T201
            sys.stdin.read()


def model_of(kind: str) -> mm.Model:
    """A model with dropout and random masks, and with everything that has a state of its own."""
    inputs = mm.TabularInputBlock(
        session_schema(),
        embedding_dim=8,
        projection=mm.MLPBlock([16]),
        masking=mm.RandomMasking(probability=0.3),
        sparse="sparse" in kind,
    )
    body = mm.TransformerBlock(16, heads=2, layers=1, max_length=20, dropout=0.2)
    output: torch.nn.Module = mm.CategoricalOutput(weight_tying=True, top_ks=(5,))
    if "contrastive" in kind:
        negatives = mm.MixedNegatives(mm.UniformNegatives(4), mm.CachedNegatives(16))
        output = mm.ContrastiveOutput(negatives=negatives, top_ks=(5,))
    optimizer = mm.OptimizerConfig("adam", lr=0.02, schedule="cosine", warmup_steps=3)
    return mm.Model(inputs, body, output, optimizer=optimizer)


def main(kind: str, folder: Path, how: str) -> None:
    """Trains three epochs of six steps with a checkpoint every four."""
    # The start is the same in all, and the generator's state on resuming is not.
    torch.manual_seed(0)
    model = model_of(kind)
    if "resume" in how:
        torch.manual_seed(99)
    checkpoint = ModelCheckpoint(folder, every_n_train_steps=EVERY, save_top_k=1, filename="last")
    callbacks: list[Callback] = [checkpoint]
    if "kill" in how:
        callbacks.append(Wait(int(how.split()[-1])))
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        callbacks=callbacks,
        gradient_clip_val=0.5,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data = mm.ParquetLoader(
        folder.parent / "data.parquet",
        session_schema(),
        batch_size=4,
        shuffle=True,
        memory_limit=0 if "streamed" in kind else 2**30,
    )
    path = folder / "last.ckpt" if "resume" in how else None
    trainer.fit(model, data, data, ckpt_path=path, weights_only=True)
    save_file({name: p.detach().clone() for name, p in model.named_parameters()}, folder / "weights")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
