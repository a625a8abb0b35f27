"""Garbage collection during training, kept away from all that was there before."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# CPython 3.12 counts some hundred immortal objects of its own as frozen; a program that freezes what it
# imported, torch among it, has hundreds of thousands.
OF_PYTHON = 5_000


@contextmanager
def of_new_objects() -> Iterator[None]:
    """Collections look only at objects made inside, not at the hundred thousands of all imported modules.

    Each ``Trainer.train`` collects once on purpose, which takes a quarter of a second without this. Garbage
    from before is collected afterwards. Inside another such context, or where a program froze objects of its
    own, nothing changes.
    """
    if gc.get_freeze_count() > OF_PYTHON:
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
