"""Runs a function in several processes that form a gloo group."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

_SECONDS = 240


def run(function: Callable[..., Any], world: int, folder: Path, *arguments: Any) -> list[Any]:
    """What ``function(*arguments)`` of a module returns on each rank; its processes are like torchrun's.

    A server that has imported everything makes the processes, so that each of them starts at once.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(["lightning", "merlin_models_torch", "tests.unit.sessions"])
    folder = folder / f"{function.__name__}-{world}"
    folder.mkdir()
    processes = [
        context.Process(target=_child, args=(function, rank, world, folder, arguments))
        for rank in range(world)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(_SECONDS)
    for process in processes:
        if process.is_alive():
            process.kill()
            process.join()
    errors = [path.read_text() for path in sorted(folder.glob("error-*"))]
    if errors or any(process.exitcode for process in processes):
        raise RuntimeError(f"exit codes {[process.exitcode for process in processes]}\n" + "\n".join(errors))
    return [torch.load(folder / f"result-{rank}", weights_only=False) for rank in range(world)]


def _child(
    function: Callable[..., Any], rank: int, world: int, folder: Path, arguments: tuple[Any, ...]
) -> None:
    warnings.simplefilter("ignore")
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world),
        LOCAL_WORLD_SIZE=str(world),
        GROUP_RANK="0",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT="29500",
        TORCHELASTIC_RUN_ID="tests",
    )
    try:
        torch.distributed.init_process_group(
            "gloo",
            init_method=f"file://{folder}/meeting",
            rank=rank,
            world_size=world,
            timeout=timedelta(seconds=_SECONDS),
        )
        torch.save(function(*arguments), folder / f"result-{rank}")
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    except BaseException:
        (folder / f"error-{rank}").write_text(traceback.format_exc())
        os._exit(1)  # Others may wait for this one; their own end is the timeout or a broken connection.
