"""How a model's input blocks prepare a batch: cut, padded, and with a plan for its sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.masking import MaskPlan, Mode
from merlin_models_torch.training.compiling import outside_graphs


def input_blocks(body: nn.Module) -> tuple[TabularInputBlock, ...]:
    """The input blocks in a body, one with a masking first; those inside others belong to them.

    Raises:
        ValueError: if there is none.
    """
    found: list[TabularInputBlock] = []
    inside: set[int] = set()
    for module in body.modules():
        if isinstance(module, TabularInputBlock) and id(module) not in inside:
            found.append(module)
            inside.update(id(part) for part in module.modules())
    if not found:
        raise ValueError("a model needs a TabularInputBlock among its blocks, to turn columns into vectors")
    return tuple(sorted(found, key=lambda block: block.masking is None))


def planned(
    inputs: tuple[TabularInputBlock, ...],
    batch: Batch,
    mode: Mode,
    *,
    generator: torch.Generator | None = None,
) -> Batch:
    """The batch as the body takes it.

    Args:
        inputs: the input blocks; the first one's masking plans the sequences.
        batch: as a loader gives it.
        mode: what the plan is for.
        generator: makes the random choices of training.

    Returns:
        The columns of all input blocks, prepared, and those that are no inputs as they were. Sequences have a
        plan; without a masking everything in use is visible, and the last position answers.
    """
    first = inputs[0]
    if mode == "train":
        ready = first.for_training(batch, generator=generator)
    elif mode == "evaluate":
        ready = first.for_evaluation(batch)
    else:
        ready = first.for_prediction(batch)
    if ready.plan is None and first.sequences:
        ready = ready.with_plan(_everything(first, batch, ready))
    for other in inputs[1:]:
        ready = ready.with_features({**other.prepare(batch)[0].features, **ready.features})
    return ready.with_features({**batch.features, **ready.features})


planned_outside = outside_graphs(planned)
"""The same beside the graphs of ``torch.compile``: draws, and widths that only the data tells."""


def _everything(inputs: TabularInputBlock, batch: Batch, ready: Batch) -> MaskPlan:
    name = inputs.item_id if inputs.item_id in inputs.sequences else inputs.sequences[0]
    matrix = ready.padded(str(name))
    lengths = batch.lengths(str(name)).clamp(max=matrix.shape[1])
    steps = torch.arange(matrix.shape[1], device=lengths.device)
    targeted = steps == lengths[:, None] - 1
    if inputs.attend_to_padding:
        lengths = torch.full_like(lengths, matrix.shape[1])
    return MaskPlan(
        replaced=torch.zeros_like(targeted),
        targeted=targeted,
        targets=torch.zeros(targeted.shape, dtype=torch.int64, device=lengths.device),
        lengths=lengths,
        attention="full",
    )


def width_of(hidden: Any) -> int | dict[str, int]:
    """Width of the body's output, or widths by name of several.

    Raises:
        TypeError: if it is neither a tensor nor several by name.
    """
    if isinstance(hidden, Tensor):
        return hidden.shape[-1]
    if isinstance(hidden, Mapping):
        return {name: width_of(one) for name, one in hidden.items()}  # type: ignore[misc]
    raise TypeError(
        f"the body gives a {type(hidden).__name__}, expected a tensor or several in a dict: change its end"
    )
