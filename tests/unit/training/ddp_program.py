"""Trains a small model: ``python -m tests.unit.training.ddp_program OUT PROCESSES KIND``.

With KIND "empty" the second half of the rows, which is all that a second process gets, has no target; with
"sparse" tables have sparse gradients; with "sharded" the processes share the item table. What threads of
torch's process group outlive the program, which keeps its Trainer, stands in ``OUT-threads-RANK``.
"""

import atexit
import os
import sys
import warnings
from pathlib import Path

import lightning
import pyarrow as pa
import torch
from lightning.pytorch.strategies import DDPStrategy
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor

import merlin_models_torch as mm
from merlin_models_torch.distributed import ShardedStrategy
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_model, session_table

ROWS = 24


def rows(kind: str, count: int) -> pa.Table:
    """Sessions; those of one item have nothing to predict."""
    if kind != "empty":
        return session_table(count)
    half = count // 2
    return pa.concat_tables([session_table(half), session_table(count - half, longest=1, shortest=1)])


def strategy(kind: str) -> str | DDPStrategy:
    """What the Trainer is given for several processes."""
    return ShardedStrategy() if kind == "sharded" else "ddp"


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor in one piece; all processes ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def main(out: Path, processes: int, kind: str) -> lightning.Trainer:
    """Two epochs of one step over all rows, then evaluation in uneven batches."""
    torch.manual_seed(0)
    model = session_model()
    for module in model.modules():
        if isinstance(module, mm.EmbeddingTable) and module is not model.inputs.item_table:
            module.sparse = kind == "sparse"
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.optimizer = mm.OptimizerConfig("sgd", lr=0.5)
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        devices=processes,
        strategy=strategy(kind) if processes > 1 else "auto",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    training = mm.ParquetLoader(rows(kind, ROWS), session_schema(), batch_size=ROWS // processes)
    trainer.fit(model, training)
    test = mm.ParquetLoader(rows(kind, ROWS - 1), session_schema(), batch_size=5)
    figures = trainer.test(model, test, verbose=False)[0]
    weights = {name: whole(parameter.detach()) for name, parameter in model.named_parameters()}
    if trainer.is_global_zero:
        save_file({**weights, **{name: torch.tensor(value) for name, value in figures.items()}}, out)
    return trainer


def write_threads(out: str) -> None:
    """The last thing that the program does; Linux lists the threads of a process."""
    tasks = Path("/proc/self/task")
    names = [(task / "comm").read_text().strip() for task in tasks.iterdir()] if tasks.exists() else []
    left = " ".join(name for name in names if "gloo" in name)
    Path(f"{out}-threads-{os.environ.get('LOCAL_RANK', 0)}").write_text(left)


if __name__ == "__main__":
    atexit.register(write_threads, sys.argv[1])  # runs last
    warnings.simplefilter("ignore")
    kept = main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
