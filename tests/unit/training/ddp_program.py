"""Trains a small model on one process or two: ``python -m tests.unit.training.ddp_program OUT PROCESSES``."""

import sys
import warnings
from pathlib import Path

import lightning
import torch
from safetensors.torch import save_file

import merlin_models_torch as mm
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_model, session_table

ROWS = 24


def main(out: Path, processes: int) -> None:
    """Two epochs of one step over all rows, then evaluation in uneven batches."""
    torch.manual_seed(0)
    model = session_model()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.optimizer = mm.OptimizerConfig(name="sgd", lr=0.5)
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        devices=processes,
        strategy="ddp" if processes > 1 else "auto",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    training = mm.ParquetLoader(session_table(ROWS), session_schema(), batch_size=ROWS // processes)
    trainer.fit(model, training)
    test = mm.ParquetLoader(session_table(ROWS - 1), session_schema(), batch_size=5)
    figures = trainer.test(model, test, verbose=False)[0]
    if trainer.is_global_zero:
        numbers = {name: torch.tensor(value) for name, value in figures.items()}
        save_file({**{n: p.detach() for n, p in model.named_parameters()}, **numbers}, out)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]), int(sys.argv[2]))
