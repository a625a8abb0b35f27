"""Evaluates under torch.distributed.run: ``python -m tests.equivalence.two_processes FOLDER``.

Each reads ``weights.safetensors`` and ``sessions.parquet`` of the folder and leaves ``metrics-RANK.json``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers4rec import torch as tr

from tests.equivalence.cases import loaders, training
from tests.equivalence.side import Side


def main(folder: Path) -> None:
    """Metrics of the evaluation that each process takes part in."""
    side = Side(folder, folder)
    model = training.build(side)
    model.load_state_dict(load_file(folder / "weights.safetensors"))
    trainer = tr.Trainer(
        model=model,
        args=training.arguments(side),
        schema=loaders.schema_with_targets(),
        compute_metrics=True,
        eval_dataset_or_path=str(folder / "sessions.parquet"),
    )
    metrics = trainer.evaluate()
    kept = {name: value for name, value in metrics.items() if "/next-item/" in name}
    kept["processes"] = trainer.args.world_size
    (folder / f"metrics-{trainer.args.process_index}.json").write_text(json.dumps(kept))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    # 23.12.0 leaves threads of gloo running, and one can abort a process that shuts down: this one does not.
    torch.distributed.barrier()
    os._exit(0)
