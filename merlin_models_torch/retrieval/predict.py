"""Answers for a whole table, in memory or written to parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch
from torch import Tensor

from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.data.source import ParquetSource, open_source
from merlin_models_torch.retrieval.answers import Answers, IndexFactory, answers_of
from merlin_models_torch.retrieval.inference import evaluating, placed
from merlin_models_torch.retrieval.keys import RowKeys, key_names
from merlin_models_torch.retrieval.writing import (
    AnswerFiles,
    fingerprint,
    fingerprint_of_model,
    fingerprint_of_vocabularies,
)

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model


def predict(
    model: Model,
    data: Any,
    *,
    k: int | None = None,
    candidates: Any = None,
    exclude: Any = None,
    exclude_seen: bool | None = None,
    seen: Any = None,
    keys: Sequence[str] | None = None,
    batch_size: int = 512,
    index: IndexFactory | None = None,
) -> pa.Table:
    """What :meth:`merlin_models_torch.training.Model.predict` does."""
    filters = {"candidates": candidates, "exclude": exclude, "exclude_seen": exclude_seen, "seen": seen}
    answers = answers_of(model, k=k, index=index, **filters)
    return answer(model, data, answers, seen=seen, keys=keys, batch_size=batch_size)


def answer(
    model: Model,
    data: Any,
    answers: Answers,
    *,
    seen: Any = None,
    keys: Sequence[str] | None = None,
    batch_size: int = 512,
) -> pa.Table:
    """Answers of one kind to all rows of some data, in their order; arguments as for :func:`predict`."""
    loader = data
    if not isinstance(loader, ParquetLoader):
        loader = ParquetLoader(data, answers.schema, batch_size=batch_size)
    known = _keys(model, loader, keys, answers, seen, streamed=False)
    tables, rows = [], []
    for table, own in _answered(model, loader, answers, known):
        tables.append(table)
        rows.append(own)
    return pa.concat_tables(tables).take(pa.array(torch.cat(rows).argsort().numpy())).combine_chunks()


def predict_to_parquet(
    model: Model,
    data: Any,
    folder: str | Path,
    *,
    k: int | None = None,
    candidates: Any = None,
    exclude: Any = None,
    exclude_seen: bool | None = None,
    seen: Any = None,
    keys: Sequence[str] | None = None,
    batch_size: int = 512,
    index: IndexFactory | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
    part: tuple[int, int] | None = None,
) -> Path:
    """What :meth:`merlin_models_torch.training.Model.predict_to_parquet` does."""
    filters = {"candidates": candidates, "exclude": exclude, "exclude_seen": exclude_seen, "seen": seen}
    answers = answers_of(model, k=k, index=index, **filters)
    return answer_to_parquet(
        model,
        data,
        folder,
        answers,
        besides={"candidates": candidates},
        seen=seen,
        keys=keys,
        batch_size=batch_size,
        overwrite=overwrite,
        progress=progress,
        part=part,
    )


def answer_to_parquet(
    model: Model,
    data: Any,
    folder: str | Path,
    answers: Answers,
    *,
    besides: Mapping[str, Any],
    seen: Any = None,
    keys: Sequence[str] | None = None,
    batch_size: int = 512,
    overwrite: bool = False,
    progress: bool | None = None,
    part: tuple[int, int] | None = None,
) -> Path:
    """Answers of one kind to all rows of some data, file by file.

    Args:
        model: that answers.
        data: as for :func:`predict_to_parquet`, as are the arguments after ``besides``.
        folder: see there.
        answers: of which kind.
        besides: by name, data that the answers depend on too.
        seen: see there.
        keys: see there.
        batch_size: see there.
        overwrite: see there.
        progress: see there.
        part: see there.

    Returns:
        The folder.
    """
    given = data if isinstance(data, ParquetLoader) else None
    source = open_source(data) if given is None else given.source
    question = {
        **answers.question,
        "model": fingerprint_of_model(model),
        **{name: fingerprint(one) for name, one in besides.items()},
        "seen": fingerprint(seen),
        "keys": None if keys is None else list(keys),
    }
    rank, world = _of_processes() if part is None else part
    if not 0 <= rank < world:
        raise ValueError(f"part is {part}, expected the number of a part, from 0, and how many there are")
    if isinstance(source, ParquetSource):
        # A file without rows has no answers.
        parts: Any = [part.name for part in source.parts if part.rows]
    else:
        parts = [source.table]
    names = None
    if part is not None or world > 1:
        # One file of a share of all rows, in their order, wherever the files of the data end.
        question["part"] = [rank, world]
        names = [f"part-{rank:05d}-of-{world:05d}.parquet"]
        parts = [parts if isinstance(source, ParquetSource) else source.table]
    if source.coding is not None:
        question["raw_ids"] = fingerprint_of_vocabularies(source.coding.vocabularies)
    agreed = _in_any_process if model.is_sharded else bool
    first_rows = {one.name: one.first_row for one in source.parts}
    files = AnswerFiles(Path(folder), question, overwrite=overwrite, agreed=agreed)
    with files.written(parts, rows=source.num_rows, progress=progress, names=names) as missing:
        for some, write in missing:
            if given is None:
                loader = ParquetLoader(
                    source.alike(some),
                    answers.schema,
                    batch_size=batch_size,
                    rank=rank,
                    world=world,
                    memory_limit=0,
                )
            else:
                loader = given.over(some, rank=rank, world=world)
            first_row = first_rows[some] if isinstance(some, str) else 0
            known = _keys(model, loader, keys, answers, seen, streamed=True, first_row=first_row)
            for table, _ in _answered(model, loader, answers, known):
                write(table)
    return Path(folder)


def _of_processes() -> tuple[int, int]:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _in_any_process(wanted: bool) -> bool:
    count = torch.tensor(float(wanted))
    if torch.distributed.get_backend() == "nccl":
        count = count.cuda()
    torch.distributed.all_reduce(count)
    return bool(count > 0)


def _keys(
    model: Model,
    loader: ParquetLoader,
    names: Sequence[str] | None,
    answers: Answers,
    seen: Any,
    *,
    streamed: bool,
    first_row: int = 0,
) -> RowKeys:
    if names is None:
        names = key_names(loader, [key for block in model.input_blocks for key in block.keys])
    left_out = None if answers.question.get("exclude_seen") is False else seen
    given = None
    if answers.given is not None:
        given = answers.given.reader(loader, names, streamed=streamed, first_row=first_row)
    output: Any = model.output
    return RowKeys(
        model,
        loader,
        names,
        seen=left_out,
        item_id=answers.item_id,
        catalogue=getattr(output, "size", None) or getattr(output, "cardinality", None),
        streamed=streamed,
        given=given,
    )


def _answered(
    model: Model, loader: ParquetLoader, answers: Answers, known: RowKeys
) -> Iterator[tuple[pa.Table, Tensor]]:
    """Keys and answers of each batch, with the numbers of its rows."""
    for batch in loader:
        if batch.rows is None:
            raise ValueError("the loader's batches carry no row numbers, so answers cannot be put in order")
        # A filler stands for no row, but other processes may wait for what is computed with it.
        own = known.of(batch.rows.clamp(min=0))
        columns: dict[str, Any] = {name: own.keys[name] for name in own.keys.column_names}
        # Not around the loop: between two batches the caller's code runs.
        with placed(loader, batch.rows), evaluating(model):
            columns |= answers.columns(batch, own)
        count = 0 if batch.filler else len(batch)
        yield pa.table(columns).slice(0, count), batch.rows[:count].cpu()
