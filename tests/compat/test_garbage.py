"""What garbage collection looks at during training."""

import gc
import weakref

import pytest
from transformers4rec.torch._garbage import of_new_objects


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
    with pytest.raises(KeyError), of_new_objects():
        raise KeyError
    assert gc.get_freeze_count() == 0


def test_what_a_program_froze_stays_frozen():
    gc.freeze()
    try:
        before = gc.get_freeze_count()
        with of_new_objects():
            pass
        assert gc.get_freeze_count() >= before > 0
    finally:
        gc.unfreeze()
