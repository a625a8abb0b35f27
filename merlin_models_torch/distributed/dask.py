"""Answers for a large file by the workers of Dask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch


def predict_with_dask(
    model: str | Path,
    data: str | Path | Sequence[str | Path],
    folder: str | Path,
    *,
    parts: int,
    k: int | None = None,
    exclude_seen: bool | None = None,
    keys: Sequence[str] | None = None,
    batch_size: int = 512,
    overwrite: bool = False,
    device: str | torch.device = "cpu",
    scheduler: Any = None,
) -> Path:
    """What :meth:`Model.predict_to_parquet` writes, each part of the rows by a task of Dask.

    Tasks load the model and read their rows themselves, so nothing large passes between workers. Called
    again after it was stopped, it goes on with the parts that are missing. Needs the extra ``dask``.

    Args:
        model: folder of a saved model, which every worker can read.
        data: parquet files, likewise.
        folder: for the answers, likewise; holds ``part-00000-of-00008.parquet`` and so on afterwards, in the
            order of the data.
        parts: into how many the rows are shared out; some times the number of workers.
        k: as for :meth:`Model.predict`, as are all up to ``batch_size``.
        exclude_seen: see there.
        keys: see there.
        batch_size: see there.
        overwrite: write parts anew that are there already.
        device: of each worker, such as "cuda".
        scheduler: of Dask: "threads", "processes", "sync", or a ``distributed.Client``; the current client if
            there is one, else threads.

    Returns:
        The folder.

    Raises:
        ValueError: if there is no part, or as for :meth:`Model.predict`.
        ImportError: without Dask.

    Example:
        >>> folder = predict_with_dask(model.save("model"), files.test, "answers", parts=2, k=10)
        >>> sorted(path.name for path in folder.glob("*.parquet"))
        ['part-00000-of-00002.parquet', 'part-00001-of-00002.parquet']
    """
    if parts < 1:
        raise ValueError(f"parts is {parts}, expected at least 1")
    try:
        import dask
    except ImportError as error:
        raise ImportError(
            "predict_with_dask needs Dask: pip install 'merlin-models-torch[dask]', or share the parts out "
            "yourself by Model.predict_to_parquet(part=...)"
        ) from error
    options = {"k": k, "exclude_seen": exclude_seen, "keys": keys, "batch_size": batch_size}
    task = dask.delayed(_part, pure=False)
    tasks = [
        task(
            str(model),
            data,
            str(folder),
            str(device),
            {**options, "overwrite": overwrite, "part": (n, parts)},
        )
        for n in range(parts)
    ]
    dask.compute(*tasks, scheduler=scheduler)
    return Path(folder)


def _part(model: str, data: Any, folder: str, device: str, options: dict[str, Any]) -> None:
    from merlin_models_torch.training import load

    load(model).to(device).predict_to_parquet(data, folder, progress=False, **options)
