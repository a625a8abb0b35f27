"""Answers as parquet files: whole or not there, and told apart by what was asked."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from merlin_models_torch.data import ParquetLoader, Vocabulary
from merlin_models_torch.data.coding import RawIds
from merlin_models_torch.data.source import ParquetSource, open_source
from merlin_models_torch.serialize import ConfigError, to_config
from merlin_models_torch.storage import parquet_writer, whole_file, writing

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

_QUESTION = b"merlin_models_torch.question"
# Answers are written in groups of so many rows, or of so many bytes where rows are long.
_ROWS, _BYTES = 65_536, 32 * 2**20
Write = Callable[[pa.Table], None]


class AnswerFiles:
    """Parquet files of answers in a folder, each with what was asked in its metadata.

    Args:
        folder: made if it is not there.
        question: what the answers depend on besides the data: plain values.
        overwrite: write files anew that are there.
        agreed: whether a file is to be written, if this process would write its own or not; for processes
            that can only answer together.
    """

    def __init__(
        self,
        folder: Path,
        question: dict[str, Any],
        *,
        overwrite: bool,
        agreed: Callable[[bool], bool] = bool,
    ) -> None:
        self._folder = folder
        self._question = question
        self._overwrite = overwrite
        self._agreed = agreed

    @contextmanager
    def written(
        self, parts: Sequence[Any], *, rows: int, progress: bool | None, names: Sequence[str] | None = None
    ) -> Iterator[Iterator[tuple[Any, Write]]]:
        """The parts of the data whose answers are missing, each with what writes them.

        A file gets its name when the next part is asked for, so it has to be whole then.

        Args:
            parts: paths of files, or tables.
            rows: of all of them.
            progress: show a bar; if None, only on a terminal.
            names: of the files; as those of the data if None.

        Raises:
            FileExistsError: if a file is there that holds other answers.
        """
        from tqdm import tqdm

        with writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        paths = [self._folder / name for name in names or _names(parts)]
        questions = [json.dumps({**self._question, "data": fingerprint(part)}).encode() for part in parts]
        missing = [
            self._agreed(self._overwrite or not _holds(p, q)) for p, q in zip(paths, questions, strict=True)
        ]

        with tqdm(total=rows, unit="row", disable=None if progress is None else not progress) as bar:

            def each() -> Iterator[tuple[Any, Write]]:
                for part, path, question, wanted in zip(parts, paths, questions, missing, strict=True):
                    if wanted:
                        file = _File(path, question, bar.update)
                        try:
                            yield part, file.write
                            file.finish()
                        except BaseException as error:
                            file.drop(error)
                            raise
                    else:
                        bar.update(_rows_of(path))

            steps = each()
            try:
                yield steps
            finally:
                steps.close()  # type: ignore[attr-defined]


class _File:
    """One file under a hidden name until it is whole; rows are gathered to groups of some size."""

    def __init__(self, path: Path, question: bytes, told: Callable[[int], object]) -> None:
        self._path = path
        self._question = question
        self._told = told
        self._stack = ExitStack()
        self._writer: Any = None
        self._held: list[pa.Table] = []
        self._count = self._bytes = 0

    def write(self, table: pa.Table) -> None:
        self._held.append(table)
        self._count += table.num_rows
        self._bytes += table.nbytes
        self._told(table.num_rows)
        if self._count >= _ROWS or self._bytes >= _BYTES:
            self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        table = pa.concat_tables(self._held).replace_schema_metadata({_QUESTION: self._question})
        self._held, self._count, self._bytes = [], 0, 0
        with writing(self._path):
            if self._writer is None:
                part = self._stack.enter_context(whole_file(self._path))
                self._writer = self._stack.enter_context(parquet_writer(part, table.schema))
            self._writer.write_table(table)

    def finish(self) -> None:
        """Gives the file its name; there is none if there was nothing to write."""
        self._flush()
        with writing(self._path):
            self._stack.close()

    def drop(self, error: BaseException) -> None:
        """Leaves nothing behind."""
        self._stack.__exit__(type(error), error, error.__traceback__)


def _names(parts: Sequence[Any]) -> list[str]:
    """A name for the answers to each part, in the order of the parts where they have the same."""
    names = [f"{Path(p).stem}.parquet" if isinstance(p, str) else "answers.parquet" for p in parts]
    if max(Counter(names).values()) == 1:
        return names
    return [f"{number:05d}-{name}" for number, name in enumerate(names)]


def _holds(path: Path, question: bytes) -> bool:
    """Whether the file is there; an error if it does not answer the question."""
    import pyarrow.parquet as pq

    if not path.exists():
        return False
    try:
        found = (pq.read_schema(path).metadata or {}).get(_QUESTION)
    except (pa.ArrowException, OSError):
        found = None
    if found != question:
        raise FileExistsError(
            f"{path} holds something else, or answers of another model, data or question: choose another "
            "folder or pass overwrite=True"
        )
    return True


def _rows_of(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def fingerprint_of_model(model: Model) -> str:
    """A digest of everything that the answers of a model depend on."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        tensor = tensor.to_local() if isinstance(tensor, DTensor) else tensor
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    for told in fingerprint_of_vocabularies(model.vocabularies):
        digest.update(told.encode())
    try:
        digest.update(json.dumps(to_config(model, files=[])[0], sort_keys=True).encode())
    except ConfigError:
        # A model that cannot be saved is told apart by its weights.
        digest.update(repr(model).encode())
    return digest.hexdigest()


def fingerprint_of_vocabularies(vocabularies: Mapping[str, Vocabulary]) -> list[str]:
    """What tells some vocabularies from others."""
    return [
        f"{name} {one.first} {fingerprint(pa.table({'v': one.values}))}" for name, one in vocabularies.items()
    ]


def fingerprint(data: Any) -> Any:
    """What tells some data from other data, as plain values: size and time of files, a digest of tables."""
    if data is None:
        return None
    if isinstance(data, ParquetLoader):
        data = data.source.content
    if isinstance(data, RawIds):
        return [fingerprint_of_vocabularies(data.coding.vocabularies), fingerprint(data.data)]
    vectors = [getattr(data, name, None) for name in ("ids", "vectors")]
    if all(isinstance(one, Tensor) for one in vectors):
        return [hashlib.sha256(_bytes(one)).hexdigest() for one in vectors if isinstance(one, Tensor)]
    if isinstance(data, (list, tuple, Tensor, pa.Array, pa.ChunkedArray)) or hasattr(data, "dtype"):
        paths = isinstance(data, (list, tuple)) and any(isinstance(one, (str, os.PathLike)) for one in data)
        data = data if paths else pa.table({"item": pa.array(list(data))})
    if not isinstance(data, pa.Table):
        source = open_source(data)
        if isinstance(source, ParquetSource):
            files = [Path(path) for path in source.paths]
            return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
        data = source.table
    digest = _Digest()
    with pa.ipc.new_stream(pa.PythonFile(digest, "w"), data.schema) as stream:
        stream.write_table(data.combine_chunks())
    return digest.value.hexdigest()


class _Digest:
    """A file that only keeps a digest of what is written to it."""

    closed = False

    def __init__(self) -> None:
        self.value = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.value.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""


def _bytes(tensor: Tensor) -> Any:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
