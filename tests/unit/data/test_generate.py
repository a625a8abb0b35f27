"""Generated sessions: what popularity cannot know and the last item tells."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest

from merlin_models_torch.data import generate_sessions


def sessions_of(**arguments: Any) -> list[list[str]]:
    events = generate_sessions(2000, 100, seed=5, **arguments)
    grouped: dict[int, list[str]] = defaultdict(list)
    for session, item in zip(events["session_id"].to_pylist(), events["item_id"].to_pylist(), strict=True):
        grouped[session].append(item)
    return list(grouped.values())


def test_the_last_item_tells_the_next_and_popularity_does_not() -> None:
    sessions = sessions_of(follow=0.65)
    train, test = sessions[:1500], sessions[1500:]
    popular = [item for item, _ in Counter(item for s in train for item in s).most_common(5)]
    after: dict[str, Counter[str]] = defaultdict(Counter)
    for session in train:
        for item, following in pairwise(session):
            after[item][following] += 1
    by_popularity = sum(s[-1] in popular for s in test) / len(test)
    by_last_item = sum(s[-1] == after[s[-2]].most_common(1)[0][0] for s in test) / len(test)
    assert by_popularity < 0.15
    assert 0.58 < by_last_item < 0.75


def test_categories_are_clusters_that_drift() -> None:
    events = generate_sessions(500, 60, clusters=6, drift=0.2, seed=1)
    category = dict(zip(events["item_id"].to_pylist(), events["category"].to_pylist(), strict=True))
    assert Counter(category.values()) == Counter({f"category-{c}": 10 for c in range(6)})
    moves = Counter()
    last: dict[int, str] = {}
    for session, here in zip(events["session_id"].to_pylist(), events["category"].to_pylist(), strict=True):
        if session in last:
            moves[(int(here[-1]) - int(last[session][-1])) % 6] += 1
        last[session] = here
    assert set(moves) == {0, 1}
    assert 0.15 < moves[1] / sum(moves.values()) < 0.25


def test_events_are_a_log_in_order_of_time() -> None:
    events = generate_sessions(300, 50, max_length=6, days=2, seed=2)
    times = events["timestamp"].to_pylist()
    assert times == sorted(times)
    assert (times[-1] - times[0]).days in (1, 2)
    lengths = Counter(events["session_id"].to_pylist())
    assert len(lengths) == 300
    assert min(lengths.values()) >= 2
    assert max(lengths.values()) == 6
    assert generate_sessions(300, 50, max_length=6, days=2, seed=2).equals(events)
    assert not generate_sessions(300, 50, max_length=6, days=2, seed=3).equals(events)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"sessions": 0}, "sessions is 0, clusters 10, days 7: expected at least 1"),
        ({"items": 19}, "items is 19, expected two for each of 10 clusters"),
        ({"follow": 0.9, "drift": 0.2}, "follow is 0.9 and drift 0.2, expected probabilities"),
        ({"mean_length": 1}, "mean_length is 1 and max_length 30, expected at least 2"),
    ],
)
def test_arguments(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        generate_sessions(**{"sessions": 10, "items": 100, **arguments})
