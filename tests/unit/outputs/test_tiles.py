"""How the softmax over a catalogue is cut."""

import pytest
import torch

from merlin_models_torch.outputs import tiles
from merlin_models_torch.outputs.tiles import DEVICE, NARROW, OWN_CACHE, SHARED_CACHE, Tiles, sizes_for


@pytest.mark.parametrize(
    ("targets", "items", "expected"),
    [
        (97, 40_001, Tiles(97, 8_080, keep=True)),
        (512, 100_000, Tiles(64, 8_080, keep=True)),
        (1_025, 1_000, Tiles(513, 1_000, keep=True)),
        (512, 1_000_000, Tiles(512, 2_032, keep=False)),
    ],
)
def test_pieces_are_even_and_small_enough(targets: int, items: int, expected: Tiles) -> None:
    assert Tiles.choose(targets, items, SHARED_CACHE) == expected


def test_a_large_catalogue_is_scored_twice_where_the_shared_cache_is_slow() -> None:
    assert Tiles.choose(512, 100_000, OWN_CACHE) == Tiles(512, 2_032, keep=False)
    assert Tiles.choose(512, 10_000, OWN_CACHE) == Tiles(256, 4_080, keep=True)
    assert Tiles.choose(80, 40_000, OWN_CACHE) == Tiles(80, 8_080, keep=True)


@pytest.mark.parametrize("targets", [86, 171, 640, 854, 1_020])
def test_rows_of_scores_begin_with_a_cache_line_and_no_power_of_two(targets: int) -> None:
    for sizes in (NARROW, SHARED_CACHE, OWN_CACHE):
        for items in (60_001, 10_000_001):
            width = Tiles.choose(targets, items, sizes).items
            assert width % 16 == 0
            assert width & (width - 1)


@pytest.mark.parametrize("sizes", [NARROW, SHARED_CACHE, OWN_CACHE, DEVICE])
@pytest.mark.parametrize(
    ("targets", "items"), [(0, 1_000), (0, 1_000_000), (1, 1), (5_000, 3), (900, 10_001), (1_000, 1_040)]
)
def test_every_piece_holds_something(sizes: tiles.Sizes, targets: int, items: int) -> None:
    chosen = Tiles.choose(targets, items, sizes)
    assert chosen.targets >= 1
    assert 1 <= chosen.items <= items
    covered = [place for piece in chosen.over_items(items) for place in range(items)[piece]]
    assert covered == list(range(items))


def test_the_sizes_are_those_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for intel, narrow, expected in (
        (True, False, OWN_CACHE),
        (False, False, SHARED_CACHE),
        (False, True, NARROW),
    ):
        monkeypatch.setattr(tiles, "is_intel", lambda intel=intel: intel)
        monkeypatch.setattr(tiles, "is_narrow_amd", lambda narrow=narrow: narrow)
        assert sizes_for(torch.device("cpu")) is expected
        assert sizes_for(torch.device("cuda")) is DEVICE
