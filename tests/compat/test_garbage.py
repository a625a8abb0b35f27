"""What garbage collection looks at during training."""

import gc
import weakref

import pytest
from transformers4rec.torch._garbage import OF_PYTHON, of_new_objects


class Cycle:
    def __init__(self):
        self.itself = self


def test_only_what_is_made_inside_is_collected_until_the_end():
    gc.collect()
    old = weakref.ref(Cycle())
    with of_new_objects():
        new = weakref.ref(Cycle())
        gc.collect()
        assert old() is not None
        assert new() is None
    gc.collect()
    assert old() is None


def test_objects_are_thawed_after_an_error():
    before = gc.get_freeze_count()  # on Python 3.12 some are Python's own
    with pytest.raises(KeyError), of_new_objects():
        raise KeyError
    assert gc.get_freeze_count() <= before


def test_what_a_program_froze_stays_frozen():
    mine = Cycle()
    gc.freeze()
    try:
        assert gc.get_freeze_count() > OF_PYTHON
        with of_new_objects():
            pass
        # Not by the count: frozen objects may die at any time.
        assert not any(found is mine for found in gc.get_objects())
    finally:
        gc.unfreeze()
