"""Generated sessions whose next item depends on the last ones, not on popularity."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_START = 1_700_000_000
_DAY = 86_400


def generate_sessions(
    sessions: int,
    items: int,
    *,
    clusters: int = 10,
    mean_length: float = 8.0,
    max_length: int = 30,
    follow: float = 0.65,
    drift: float = 0.1,
    days: int = 7,
    seed: int = 0,
) -> pa.Table:
    """Events of generated sessions, in order of time, for demonstrations and tests.

    Items form clusters, and in each cluster a ring in random order. A session starts in a random cluster; its
    next item is the one that follows in the ring (``follow``), or any item of the cluster, the first ones of
    the ring more often, or of the cluster after it (``drift``). All clusters and nearly all items are equally
    popular, so that recommending the most popular items finds little, while the last item tells the next one
    with probability ``follow``.

    Args:
        sessions: number of sessions.
        items: number of items, at least two in each cluster.
        clusters: number of clusters; an item's category names its cluster.
        mean_length: events of a session on average, before they are bounded by 2 and ``max_length``.
        max_length: events of a session at most.
        follow: probability that the next item is the one that follows in the ring.
        drift: probability that a session moves on to the next cluster.
        days: sessions begin within so many days.
        seed: the same number gives the same events.

    Returns:
        Columns ``session_id`` (int64), ``item_id`` and ``category`` (string), ``price`` (float32, of the item
        with a little noise) and ``timestamp`` (seconds, UTC).

    Raises:
        ValueError: if a number is out of its range.

    Example:
        >>> generate_sessions(100, 50, seed=1).column_names
        ['session_id', 'item_id', 'category', 'price', 'timestamp']
    """
    if sessions < 1 or clusters < 1 or days < 1:
        raise ValueError(f"sessions is {sessions}, clusters {clusters}, days {days}: expected at least 1")
    if items < 2 * clusters:
        raise ValueError(f"items is {items}, expected two for each of {clusters} clusters")
    if not (follow >= 0 and drift >= 0 and follow + drift <= 1):
        raise ValueError(f"follow is {follow} and drift {drift}, expected probabilities, together at most 1")
    if mean_length < 2 or max_length < 2:
        raise ValueError(f"mean_length is {mean_length} and max_length {max_length}, expected at least 2")
    rng = np.random.default_rng(seed)
    ring = rng.permutation(items)  # the item at each place; cluster c has places bounds[c] to bounds[c + 1]
    bounds = np.arange(clusters + 1) * items // clusters
    lengths = np.clip(rng.poisson(mean_length, sessions), 2, max_length)
    longest = int(lengths.max())

    places = np.empty((sessions, longest), np.int64)
    cluster = rng.integers(0, clusters, sessions)
    places[:, 0] = _any_place(rng, bounds, cluster)
    for step in range(1, longest):
        chance = rng.random(sessions)
        moves = chance >= 1 - drift
        cluster = np.where(moves, (cluster + 1) % clusters, cluster)
        first, size = bounds[cluster], bounds[cluster + 1] - bounds[cluster]
        after = first + (places[:, step - 1] - first + 1) % size
        places[:, step] = np.where(chance < follow, after, _any_place(rng, bounds, cluster))

    inside = np.arange(longest) < lengths[:, None]
    gaps = np.where(np.arange(longest) == 0, 0, rng.exponential(60, (sessions, longest)).astype(np.int64) + 1)
    times = _START + rng.integers(0, days * _DAY, sessions)[:, None] + gaps.cumsum(1)
    session, _ = np.nonzero(inside)
    place, time = places[inside], times[inside]
    order = np.argsort(time, kind="stable")
    session, place, time = session[order], place[order], time[order]
    prices = rng.lognormal(3, 0.5, items)[place] * rng.normal(1, 0.02, len(place))
    return pa.table(
        {
            "session_id": pa.array(session.astype(np.int64)),
            "item_id": _names("item", items).take(pa.array(ring[place])),
            "category": _names("category", clusters).take(
                pa.array(np.searchsorted(bounds, place, side="right") - 1)
            ),
            "price": pa.array(prices.astype(np.float32)),
            "timestamp": pa.array(time).cast(pa.timestamp("s", "UTC")),
        }
    )


def _any_place(
    rng: np.random.Generator, bounds: NDArray[np.int64], cluster: NDArray[np.int64]
) -> NDArray[np.int64]:
    """A place of each cluster, the first ones somewhat more often."""
    size = bounds[cluster + 1] - bounds[cluster]
    places: NDArray[np.int64] = bounds[cluster] + (rng.random(len(cluster)) ** 1.5 * size).astype(np.int64)
    return places


def _names(kind: str, count: int) -> pa.Array:
    width = len(str(count - 1))
    return pa.array([f"{kind}-{number:0{width}d}" for number in range(count)])
