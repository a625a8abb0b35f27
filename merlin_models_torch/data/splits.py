"""Which events of which session go into which file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from merlin_models_torch.data.errors import DataError
from merlin_models_torch.data.events import Ints, Order

_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
TimeUnit = Literal["s", "ms", "us", "ns"]


@dataclass(frozen=True)
class Spans:
    """The rows of one file: a range of sorted events each.

    Args:
        sessions: (R,) int64 number of the session.
        starts: (R,) int64 first event.
        stops: (R,) int64 the event after the last.
    """

    sessions: Ints
    starts: Ints
    stops: Ints

    def latest(self, length: int | None) -> Spans:
        """Only the latest events of each row."""
        if length is None:
            return self
        return Spans(self.sessions, np.maximum(self.starts, self.stops - length), self.stops)


def whole(order: Order, sessions: Ints | None = None) -> Spans:
    """Whole sessions, all or some."""
    sessions = np.arange(len(order.users)) if sessions is None else sessions
    return Spans(sessions, order.offsets[sessions], order.offsets[sessions + 1])


def leave_one_out(order: Order) -> dict[str, Spans]:
    """Training rows without the last two items, validation rows without the last, whole test rows.

    Sessions of two items are for training only; a training row has at least two items, one to see and one
    to predict.

    Raises:
        DataError: if no session has three items.
    """
    spans = whole(order)
    lengths = spans.stops - spans.starts
    three = lengths >= 3
    if not three.any():
        raise DataError(
            "no session has three items, so leave-one-out has nothing to test: "
            "use split=None or 'time-window'"
        )
    train_stops = np.where(three, spans.stops - 2, spans.stops)
    enough = train_stops - spans.starts >= 2
    if not enough.any():
        raise DataError(
            "every session has three items, so leave-one-out has nothing to train on: "
            "use split=None or 'time-window'"
        )
    return {
        "train": Spans(spans.sessions[enough], spans.starts[enough], train_stops[enough]),
        "valid": Spans(spans.sessions[three], spans.starts[three], spans.stops[three] - 1),
        "test": Spans(spans.sessions[three], spans.starts[three], spans.stops[three]),
    }


def time_windows(
    order: Order,
    times: NDArray[Any],
    *,
    window: str | int | None,
    by: Literal["last", "first"],
    kind: pa.DataType,
    time_unit: TimeUnit,
) -> list[Spans]:
    """Sessions by the window of time that their last (or first) event falls into.

    Args:
        order: sessions.
        times: (K,) time of the sorted events.
        window: a length of time such as "1d", "12h", "30min"; windows begin at its multiples since
            1970-01-01 UTC. Or a number of equally long windows between the first and the last session.
        by: which event of a session counts.
        kind: type of the time column.
        time_unit: unit of a time column of numbers.

    Returns:
        The windows that have sessions, in order of time; in a window sessions are in order of that time.

    Raises:
        ValueError: if the window is no length of time and no number.
    """
    moments = times[order.offsets[1:] - 1] if by == "last" else times[order.offsets[:-1]]
    numbers = _window_numbers(moments, window, kind, time_unit)
    sessions = np.argsort(moments, kind="stable")
    changes = np.flatnonzero(np.diff(numbers[sessions])) + 1
    return [whole(order, part) for part in np.split(sessions, changes)]


def _window_numbers(
    moments: NDArray[Any], window: str | int | None, kind: pa.DataType, time_unit: TimeUnit
) -> NDArray[Any]:
    if isinstance(window, int) and not isinstance(window, bool) and window > 0:
        since = (moments - moments.min()).astype(np.float64)
        numbers: NDArray[Any] = np.minimum(since / max(since.max(), 1e-9) * window, window - 1).astype(
            np.int64
        )
        return numbers
    match = re.fullmatch(r"(\d+)\s*(s|min|h|d|w)", window) if isinstance(window, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError(
            f"window is {window!r}, expected a length of time such as '1d', '12h', '30min', "
            "or a number of windows"
        )
    seconds = int(match[1]) * _SECONDS[match[2]]
    if pa.types.is_date32(kind):
        numbers = np.floor_divide(moments * _SECONDS["d"], seconds)
    else:
        unit = "ms" if pa.types.is_date64(kind) else getattr(kind, "unit", time_unit)
        numbers = np.floor_divide(moments, seconds * _PER_SECOND[unit])
    return numbers
