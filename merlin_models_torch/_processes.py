"""The end of a program that ran in several processes.

A thread of torch's gloo group that lets go of a tensor while Python shuts down is ended by Python in the
middle of a destructor, which aborts the process ("terminate called without an active exception"). A group
that is gone before has no threads. Lightning destroys groups of NCCL only, Hugging Face's Trainer none.
Device meshes (tables shared out) hold groups too, and torch's caches hold meshes.
"""

from __future__ import annotations

import atexit
import functools
import gc

import torch
from torch.distributed.device_mesh import DeviceMesh


def has_group() -> bool:
    """Whether this process belongs to a process group."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


@functools.cache
def destroy_group_at_exit() -> None:
    """The process group, if there still is one, is destroyed when the program ends.

    Only the first call counts: what the program registers with ``atexit`` later still finds the group.
    """
    atexit.register(_destroy_group)


def _destroy_group() -> None:
    if has_group():
        meshes = [one for one in gc.get_objects() if type(one) is DeviceMesh]
        torch.distributed.destroy_process_group()
        for mesh in meshes:
            # Destroyed groups, which nobody can use any more: the last that refers to them is this.
            getattr(mesh, "_pg_registry", {}).clear()
