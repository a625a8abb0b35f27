"""The state of torch's generators in checkpoints, of each process its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def random_states(device: torch.device) -> list[dict[str, Tensor]]:
    """States of the generators that dropout draws from, one entry for each process.

    Args:
        device: of this process. All processes have to call this.
    """
    own = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        own["cuda"] = torch.cuda.get_rng_state(device)
    if not torch.distributed.is_initialized():
        return [own]
    states: list[dict[str, Tensor]] = [{} for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(states, own)
    return states


def restore_random_states(states: Sequence[dict[str, Tensor]], device: torch.device) -> None:
    """Sets the generators of this process, if the states are of as many processes as there are now."""
    distributed = torch.distributed.is_initialized()
    rank, world = (
        (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)
    )
    if len(states) != world:
        return
    torch.set_rng_state(states[rank]["cpu"].cpu())
    if device.type == "cuda" and "cuda" in states[rank]:
        torch.cuda.set_rng_state(states[rank]["cuda"].cpu(), device)
