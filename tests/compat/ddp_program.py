"""Trains the small model, evaluates and predicts: ``python -m tests.compat.ddp_program OUT BATCH_SIZE``.

Under ``torch.distributed.run`` every process takes its share of the rows. The trainer lives as long as the
program, as in a script; what threads of torch's process group outlive it stands in ``OUT/threads-RANK``.
"""

import atexit
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.compat.small import trainer, write_sessions

ROWS = 16


def main(out: Path, rows: int) -> object:
    """Two epochs over sessions of one length, so that all processes have as many targets."""
    made = trainer(
        out,
        masking="causal",
        optim="sgd",
        num_train_epochs=2,
        per_device_train_batch_size=rows,
        per_device_eval_batch_size=rows,
        logging_steps=1,
    )
    rank = made.args.process_index
    path = write_sessions(out / f"{rank}.parquet", ROWS, shortest=5, longest=5)
    made.train_dataset_or_path = made.eval_dataset_or_path = path
    made.train()
    metrics = made.evaluate()
    items, scores = made.predict(path).predictions
    if rank == 0:
        seen = {name: tensor.detach().clone() for name, tensor in made.model.state_dict().items()}
        measured = {name: value for name, value in metrics.items() if name.startswith("eval_/")}
        seen |= {name: torch.tensor(value) for name, value in measured.items()}
        seen |= {
            f"log {n}": torch.tensor(e["loss"]) for n, e in enumerate(made.state.log_history) if "loss" in e
        }
        seen |= {"items": torch.from_numpy(items), "scores": torch.from_numpy(scores)}
        save_file(seen, out / "seen.safetensors")
    return made


def write_threads(out: Path) -> None:
    """The last thing that the program does; Linux lists the threads of a process."""
    tasks = Path("/proc/self/task")
    names = [(task / "comm").read_text().strip() for task in tasks.iterdir()] if tasks.exists() else []
    rank = int(torch.distributed.get_node_local_rank(fallback_rank=0))
    (out / f"threads-{rank}").write_text(" ".join(name for name in names if "gloo" in name))


if __name__ == "__main__":
    atexit.register(write_threads, Path(sys.argv[1]))  # runs last
    kept = main(Path(sys.argv[1]), int(sys.argv[2]))
