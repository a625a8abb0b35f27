"""Experts of each task beside shared ones, in one layer or several."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.experts import ExpertGate, Experts, Tasks, task_names
from merlin_models_torch.blocks.join import concatenated
from merlin_models_torch.blocks.repeat import copies
from merlin_models_torch.serialize import serializable

if TYPE_CHECKING:
    from merlin_models_torch.schema import Schema

SHARED = "shared"


@serializable
class CGCBlock(nn.Module):
    """Customised gate control (Tang et al. 2020, section 4.1).

    Each task has experts of its own, and a gate over these and the shared experts.

    Args:
        expert: the first shared expert; all others are copies that draw weights of their own.
        num_shared_experts: experts that all tasks use.
        num_task_experts: further experts of each task.
        outputs: the tasks: a parallel block or dict with a branch for each, a schema with a column for each,
            or their names. None may be named "shared".
        shared_gate: also give "shared", a mixture of the experts of all tasks and the shared ones, for a
            layer above.

    Raises:
        ValueError: if there are no experts of a kind, no tasks, or one named "shared".

    Example:
        >>> tasks = ["click", "buy"]
        >>> block = CGCBlock(nn.Linear(3, 4), num_shared_experts=2, num_task_experts=1, outputs=tasks)
        >>> outputs = block(torch.ones(5, 3))
        >>> {name: tuple(vectors.shape) for name, vectors in outputs.items()}
        {'click': (5, 4), 'buy': (5, 4)}
        >>> block.gates["buy"].weights(torch.ones(5, 3)).shape  # over one expert of its own and two shared
        torch.Size([5, 3])
    """

    def __init__(
        self,
        expert: nn.Module,
        *,
        num_shared_experts: int,
        num_task_experts: int,
        outputs: Tasks | Schema,
        shared_gate: bool = False,
    ) -> None:
        super().__init__()
        names = task_names(outputs)
        if SHARED in names:
            raise ValueError(f"the tasks are {names}, and {SHARED!r} names what they share: rename the task")
        self._arguments = {
            "expert": expert,
            "num_shared_experts": num_shared_experts,
            "num_task_experts": num_task_experts,
            "outputs": names,
            "shared_gate": shared_gate,
        }
        first = copies(expert, len(names) + 1)
        self.shared_experts = Experts(first[0], num_shared_experts)
        self.task_experts = nn.ModuleDict(
            {name: Experts(one, num_task_experts) for name, one in zip(names, first[1:], strict=True)}
        )
        self.gates = nn.ModuleDict(
            {name: ExpertGate(num_task_experts + num_shared_experts) for name in names}
        )
        everything = num_task_experts * len(names) + num_shared_experts
        self.shared_gate = ExpertGate(everything) if shared_gate else None

    def forward(
        self,
        inputs: Tensor | Mapping[str, Tensor],
        batch: Batch | None = None,
        *,
        tasks: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Runs experts and gates.

        Args:
            inputs: (B, S) or (B, T, S), for the shared experts; or several by name, put side by side in the
                order of their names.
            batch: passed to the experts if they ask for it.
            tasks: what the experts and the gate of each task take; the inputs if not given.

        Returns:
            (B, D) or (B, T, D) by task, and "shared" if there is a shared gate.
        """
        joined = concatenated(inputs)
        own = {name: joined if tasks is None else tasks[name] for name in self.gates}
        shared = self.shared_experts(joined, batch)
        experts = {name: module(own[name], batch) for name, module in self.task_experts.items()}
        outputs = {
            name: gate(own[name], torch.cat([experts[name], shared], -2)) for name, gate in self.gates.items()
        }
        if self.shared_gate is not None:
            outputs[SHARED] = self.shared_gate(joined, torch.cat([*experts.values(), shared], -2))
        return outputs

    def init_arguments(self) -> dict[str, object]:
        """What builds this block again."""
        return dict(self._arguments)


@serializable
class PLEBlock(nn.Module):
    """Progressive layered extraction: layers of :class:`CGCBlock` (Tang et al. 2020, section 4.2).

    In the first layer all experts and gates take the inputs. Above it those of a task take what the layer
    below gave for the task, and the shared ones what its shared gate gave.

    Args:
        expert: the first shared expert of the first layer; all others are copies that draw weights of their
            own. With more than one layer its input width must be its output width, or be left open (a lazy
            layer that has seen no inputs).
        num_shared_experts: in each layer.
        num_task_experts: of each task in each layer.
        depth: number of layers.
        outputs: the tasks, as for :class:`CGCBlock`.

    Raises:
        ValueError: if there are no layers, experts or tasks.

    Example:
        >>> block = PLEBlock(
        ...     nn.LazyLinear(4), num_shared_experts=1, num_task_experts=1, depth=2, outputs=["click", "buy"]
        ... )
        >>> {name: tuple(value.shape) for name, value in block(torch.ones(5, 3)).items()}
        {'click': (5, 4), 'buy': (5, 4)}
    """

    def __init__(
        self,
        expert: nn.Module,
        *,
        num_shared_experts: int,
        num_task_experts: int,
        depth: int,
        outputs: Tasks | Schema,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"depth is {depth}, expected at least 1 layer")
        names = task_names(outputs)
        self._arguments = {
            "expert": copy.deepcopy(expert),
            "num_shared_experts": num_shared_experts,
            "num_task_experts": num_task_experts,
            "depth": depth,
            "outputs": names,
        }
        self.layers = nn.ModuleList(
            CGCBlock(
                one,
                num_shared_experts=num_shared_experts,
                num_task_experts=num_task_experts,
                outputs=names,
                shared_gate=number < depth - 1,
            )
            for number, one in enumerate(copies(expert, depth))
        )

    def forward(self, inputs: Tensor | Mapping[str, Tensor], batch: Batch | None = None) -> dict[str, Tensor]:
        """Runs all layers.

        Args:
            inputs: (B, S) or (B, T, S); or several by name, put side by side in the order of their names.
            batch: passed to the experts if they ask for it.

        Returns:
            (B, D) or (B, T, D) by task.
        """
        shared = concatenated(inputs)
        tasks: dict[str, Tensor] | None = None
        for layer in self.layers:
            tasks = layer(shared, batch, tasks=tasks)
            shared = tasks.pop(SHARED, shared)
        return tasks or {}

    def init_arguments(self) -> dict[str, object]:
        """What builds this block again."""
        return dict(self._arguments)
