"""Helpers of the example notebooks."""

from __future__ import annotations

import gc
import glob
import os
import sys
from typing import Any

import numpy as np
import torch

from transformers4rec._legacy import legacy


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


@legacy
def list_files(startpath: str) -> None:
    """Writes the tree of a folder to the standard output.

    Args:
        startpath: the folder.
    """
    for folder, _, files in os.walk(startpath):
        depth = folder.removeprefix(startpath).count(os.sep)
        _say(f"{'    ' * depth}{os.path.basename(folder)}/")
        for file in files:
            _say(f"{'    ' * (depth + 1)}{file}")


@legacy
def visualize_response(batch: Any, response: Any, top_k: int, session_col: str = "session_id") -> None:
    """Writes the best items of each session that a Triton server answered.

    Args:
        batch: the frame that was sent.
        response: the answer, with scores under the name ``output``.
        top_k: items of each.
        session_col: column of the session.
    """
    sessions = batch[session_col].drop_duplicates().values
    best = np.argpartition(response.as_numpy("output"), -top_k, axis=1)[:, -top_k:]
    for session, items in zip(sessions, best, strict=False):
        _say(f"- Top-{top_k} predictions for session `{session}`: {' || '.join(map(str, items))}\n")


@legacy
def fit_and_evaluate(
    trainer: Any, start_time_index: int, end_time_index: int, input_dir: str
) -> dict[str, list[Any]]:
    """Trains on each window of time and evaluates on the one after it.

    Args:
        trainer: a trainer.
        start_time_index: first window to train on, as its folder is named.
        end_time_index: last one.
        input_dir: folder of ``<window>/train.parquet`` and ``<window>/valid.parquet``.

    Returns:
        ``indexed_by_time_<metric>`` to its values, one of each window.
    """
    by_time: dict[str, list[Any]] = {}
    for window in range(start_time_index, end_time_index + 1):
        trainer.train_dataset_or_path = glob.glob(os.path.join(input_dir, f"{window}/train.parquet"))
        trainer.reset_lr_scheduler()
        _say(f"\n***** Launch training for day {window}: *****")
        trainer.train()
        trainer.eval_dataset_or_path = glob.glob(os.path.join(input_dir, f"{window + 1}/valid.parquet"))
        metrics = trainer.evaluate(metric_key_prefix="eval")
        _say(f"\n***** Evaluation results for day {window + 1}:*****\n")
        for key in sorted(key for key in metrics if "at_" in key):
            name = key.replace("_at_", "@")
            _say(f" {name} = {metrics[key]}")
            by_time.setdefault(f"indexed_by_time_{name}", []).append(metrics[key])
        wipe_memory()
    return by_time


@legacy
def wipe_memory() -> None:
    """Frees what memory is no longer used, that of the GPU too."""
    gc.collect()
    torch.cuda.empty_cache()
