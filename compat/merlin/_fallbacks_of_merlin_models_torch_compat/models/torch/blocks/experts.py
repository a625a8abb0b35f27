"""``merlin.models.torch.blocks.experts``: mixtures of experts."""

from __future__ import annotations

import textwrap
from typing import Any

import torch
from merlin.models._legacy import legacy, served
from merlin.models.torch.batch import Batch
from merlin.models.torch.block import (
    Block,
    ParallelBlock,
    ShortcutBlock,
    repeat_parallel,
    repeat_parallel_like,
)
from merlin.models.torch.container import step
from merlin.models.torch.transforms.agg import Concat, Stack
from torch import Tensor, nn


@legacy
class SoftmaxGate(nn.Module):
    """Weights of experts from their logits."""

    def forward(self, gate_logits: Tensor) -> Tensor:
        """(B, E) to (B, E, 1), which add up to one."""
        return torch.softmax(gate_logits, dim=-1).unsqueeze(-1)


@legacy
class GateBlock(Block):
    """A linear layer that weighs experts.

    Args:
        num_experts: how many.
    """

    def __init__(self, num_experts: int) -> None:
        super().__init__(nn.LazyLinear(num_experts), SoftmaxGate())


@legacy
class ExpertGateBlock(Block):
    """Experts weighed by a gate over the inputs.

    Args:
        num_experts: how many.
    """

    def __init__(self, num_experts: int) -> None:
        super().__init__(GateBlock(num_experts))

    def forward(self, inputs: Any, batch: Batch | None = None) -> Tensor:
        """(B, D) of "experts" (B, E, D), weighed by "shortcut" (B, I).

        Raises:
            RuntimeError: if the two are not there by name.
        """
        weights: Any = _by_name(inputs)["shortcut"]
        for module in self.values:
            weights = step(module, weights, batch)
        experts = inputs["experts"]
        return (experts * weights.expand_as(experts)).sum(dim=1)  # type: ignore[no-any-return]


@legacy
class PLEExpertGateBlock(Block):
    """The shared experts and those of a task, weighed for it.

    Args:
        num_experts: of both kinds together.
        task_experts: those of the task.
        name: of the task.
    """

    def __init__(self, num_experts: int, task_experts: nn.Module, name: str) -> None:
        super().__init__(ExpertGateBlock(num_experts), name=f"PLEExpertGateBlock[{name}]")
        self.stack, self.concat = Stack(dim=1), Concat(dim=1)
        self.task_experts = task_experts
        self.task_name = name

    def forward(self, inputs: Any, batch: Batch | None = None) -> Any:
        """(B, D), weighed by what the layer before gave for the task, or by "shortcut".

        Raises:
            RuntimeError: if the inputs are not by name.
        """
        shortcut = _by_name(inputs)["shortcut"]
        own = self.task_experts(shortcut, batch=batch)
        own = self.stack(own) if isinstance(own, dict) else own
        outputs: Any = {
            "experts": self.concat({"experts": inputs["experts"], "task_experts": own}),
            "shortcut": inputs.get(self.task_name, shortcut),
        }
        for module in self.values:
            outputs = step(module, outputs, batch)
        return outputs

    def __repr__(self) -> str:
        parts = (f"\n(task_experts): {self.task_experts!r}", f"\n(gate): {self.values[0]!r}")
        return f"{self._get_name()}({''.join(textwrap.indent(part, '    ') for part in parts)}\n)"


def _by_name(inputs: Any) -> Any:
    if isinstance(inputs, Tensor):
        raise RuntimeError("experts and what weighs them are taken by name, got a tensor")
    return inputs


@legacy
class MMOEBlock(Block):
    """Experts that all tasks share, weighed for each (Ma et al. 2018).

    Args:
        expert: copied for each.
        num_experts: how many.
        outputs: the tasks; one mixture without it.
    """

    def __init__(self, expert: nn.Module, num_experts: int, outputs: Any = None) -> None:
        experts = repeat_parallel(expert, num_experts, agg=Stack(dim=1))
        super().__init__(ShortcutBlock(experts, output_name="experts"))
        gate = ExpertGateBlock(num_experts)
        several = isinstance(outputs, ParallelBlock)
        self.append(repeat_parallel_like(gate, outputs) if several else gate)


@legacy
class CGCBlock(Block):
    """Shared experts and those of each task, weighed for each (Tang et al. 2020).

    Args:
        expert: copied for each.
        num_shared_experts: those of all tasks.
        num_task_experts: those of each task.
        outputs: the tasks.
        shared_gate: whether the shared experts are also weighed for themselves, for a next layer. They alone
            are, as in 23.12; in the paper, and in the core, the experts of the tasks too.
    """

    def __init__(
        self,
        expert: nn.Module,
        *,
        num_shared_experts: int,
        num_task_experts: int,
        outputs: Any,
        shared_gate: bool = False,
    ) -> None:
        shared = repeat_parallel(expert, num_shared_experts, agg=Stack(dim=1))
        super().__init__(ShortcutBlock(shared, output_name="experts"))
        gates = ParallelBlock()
        for name in outputs.branches:
            gates.branches[name] = PLEExpertGateBlock(
                num_shared_experts + num_task_experts,
                task_experts=repeat_parallel(expert, num_task_experts, agg=Stack(dim=1)),
                name=name,
            )
        if shared_gate:
            gates.branches["experts"] = ShortcutBlock(
                ExpertGateBlock(num_shared_experts), propagate_shortcut=True, output_name="experts"
            )
        self.append(gates)


@legacy
class PLEBlock(Block):
    """Several layers of :class:`CGCBlock`.

    Args:
        expert: copied for each.
        num_shared_experts: those of all tasks, in a layer.
        num_task_experts: those of each task, in a layer.
        depth: layers.
        outputs: the tasks.
    """

    def __init__(
        self,
        expert: nn.Module,
        *,
        num_shared_experts: int,
        num_task_experts: int,
        depth: int,
        outputs: Any,
    ) -> None:
        experts: dict[str, Any] = {
            "num_shared_experts": num_shared_experts,
            "num_task_experts": num_task_experts,
            "outputs": outputs,
        }
        super().__init__(*CGCBlock(expert, shared_gate=True, **experts).repeat(depth - 1))
        self.append(CGCBlock(expert, **experts))


__getattr__ = served(__name__)
