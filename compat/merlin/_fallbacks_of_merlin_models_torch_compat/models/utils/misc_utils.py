"""``merlin.models.utils.misc_utils``: arguments, files, times and sizes."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from merlin.models._legacy import served


def filter_kwargs(
    kwargs: Mapping[str, Any],
    thing_with_kwargs: Any,
    cascade_kwargs_if_possible: bool = False,
    argspec_fn: Callable[[Any], Any] = inspect.getfullargspec,
) -> Mapping[str, Any]:
    """The arguments that something takes by position or name.

    Args:
        kwargs: arguments.
        thing_with_kwargs: what may take them.
        cascade_kwargs_if_possible: whether all are given to what has ``**kwargs``.
        argspec_fn: finds the parameters.
    """
    found = argspec_fn(thing_with_kwargs)
    if cascade_kwargs_if_possible and found.varkw is not None:
        return kwargs
    return {name: kwargs[name] for name in found.args if name in kwargs}


def safe_json(data: Any) -> bool:
    """Whether a value can be written as JSON and read again: tuples, as lists, can."""
    if isinstance(data, dict):
        return all(isinstance(name, str) and safe_json(value) for name, value in data.items())
    if isinstance(data, (tuple, list)):
        return all(safe_json(value) for value in data)
    return data is None or isinstance(data, (bool, int, float, str))


def get_filenames(data_paths: Iterable[str], files_filter_pattern: str = "*") -> list[str]:
    """What is in some folders under a pattern of names, folder by folder."""
    return [str(file) for folder in data_paths for file in Path(folder).glob(files_filter_pattern)]


def get_label_feature_name(feature_map: Mapping[str, Mapping[str, Any]]) -> str:
    """The one column of which ``is_label`` is true.

    Raises:
        ValueError: if there are none or several.
    """
    return _only("is_label", [name for name, said in feature_map.items() if said.get("is_label")])


def get_timestamp_feature_name(feature_map: Mapping[str, Mapping[str, Any]]) -> str:
    """The one column of which ``dtype`` is "timestamp".

    Raises:
        ValueError: if there are none or several.
    """
    found = [name for name, said in feature_map.items() if said["dtype"] == "timestamp"]
    return _only('dtype "timestamp"', found)


def _only(what: str, found: list[str]) -> str:
    if len(found) != 1:
        raise ValueError(f"{len(found)} columns have {what} ({', '.join(found)}): expected one")
    return found[0]


class Timing:
    """Says how long a block of a program took.

    Args:
        message: said before.
        file: where to.
        logger: takes both messages instead, at level INFO.
        one_line: whether both come on one line.
    """

    def __init__(
        self, message: str, file: Any = sys.stdout, logger: Any = None, one_line: bool = True
    ) -> None:
        self.message = message
        self.file = file
        self.logger = logger
        self.one_line = one_line and logger is None

    def _say(self, text: str, end: str = "\n") -> None:
        if self.logger is not None:
            self.logger.info(text)
            return
        self.file.write(text + end)
        self.file.flush()

    def __enter__(self) -> None:
        self.start = time.time()
        self._say(self.message, "" if self.one_line else "\n")

    def __exit__(self, *_: object) -> None:
        self._say(f"{'' if self.one_line else self.message}Done in {time.time() - self.start:.3f}s")


def get_object_size(obj: Any, seen: set[int] | None = None) -> int:
    """Bytes of an object and of what it holds, each counted once."""
    seen = set() if seen is None else seen
    if id(obj) in seen:
        return 0
    seen.add(id(obj))
    inner: list[Any] = []
    if isinstance(obj, dict):
        inner = [*obj.values(), *obj]
    elif hasattr(obj, "__dict__"):
        inner = [obj.__dict__]
    elif hasattr(obj, "__iter__") and not isinstance(obj, (str, bytes, bytearray)):
        inner = list(obj)
    return sys.getsizeof(obj) + sum(get_object_size(part, seen) for part in inner)


__getattr__ = served(__name__)
