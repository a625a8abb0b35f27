"""Mixtures of experts: one gate for each task over experts that all tasks share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.base import ParallelBlock, call, takes_batch
from merlin_models_torch.blocks.join import concatenated
from merlin_models_torch.blocks.repeat import copies, names_of
from merlin_models_torch.serialize import serializable

if TYPE_CHECKING:
    from merlin_models_torch.schema import Schema

Tasks = ParallelBlock | Mapping[str, object] | Sequence[str]


def task_names(outputs: Tasks | Schema) -> list[str]:
    """The names of the tasks: branches of a parallel block, keys of a dict, or the names themselves."""
    return names_of(outputs)


class Experts(nn.Module):
    """One module several times on the same inputs, with weights of its own each.

    Args:
        expert: the first; the others are copies that draw weights of their own.
        count: how many.

    Raises:
        ValueError: if ``count`` is less than 1.
    """

    def __init__(self, expert: nn.Module, count: int) -> None:
        super().__init__()
        if count < 1:
            raise ValueError(f"the number of experts is {count}, expected at least 1")
        self.experts = nn.ModuleList(copies(expert, count))
        self._takes_batch = takes_batch(expert)

    def forward(self, inputs: Tensor, batch: Batch | None = None) -> Tensor:
        """(B, S) or (B, T, S) to (B, E, D) or (B, T, E, D)."""
        outputs = [call(expert, inputs, batch, takes=self._takes_batch) for expert in self.experts]
        return torch.stack(outputs, -2)


@serializable
class ExpertGate(nn.Module):
    """A weighted mean of experts, the weights a softmax of a linear layer of the inputs.

    Args:
        num_experts: E.
        in_features: width of the inputs; taken from the first batch if not given.
        temperature: divides the logits of the weights; above 1 the weights become more equal.

    Raises:
        ValueError: if a number is not positive.

    Example:
        >>> gate = ExpertGate(2, in_features=3)
        >>> gate.linear.bias.data = torch.tensor([1.0, 3.0]).log()
        >>> gate.weights(torch.zeros(1, 3)).detach()
        tensor([[0.2500, 0.7500]])
        >>> experts = torch.tensor([[[0.0, 4.0], [8.0, 4.0]]])
        >>> gate(torch.zeros(1, 3), experts).detach().round()  # 3 / 4 of 8
        tensor([[6., 4.]])
    """

    def __init__(self, num_experts: int, *, in_features: int | None = None, temperature: float = 1.0) -> None:
        super().__init__()
        if num_experts < 1 or temperature <= 0:
            raise ValueError(
                f"num_experts is {num_experts} and temperature is {temperature}, expected positive numbers"
            )
        self.linear = (
            nn.LazyLinear(num_experts) if in_features is None else nn.Linear(in_features, num_experts)
        )
        self.temperature = temperature

    def forward(self, inputs: Tensor, experts: Tensor) -> Tensor:
        """Mixes.

        Args:
            inputs: (B, S) or (B, T, S), what the weights are made of.
            experts: (B, E, D) or (B, T, E, D).

        Returns:
            (B, D) or (B, T, D).
        """
        return (self.weights(inputs)[..., None, :] @ experts).squeeze(-2)

    def weights(self, inputs: Tensor) -> Tensor:
        """(B, S) or (B, T, S) to the experts' weights (B, E) or (B, T, E), each row of sum 1."""
        logits: Tensor = self.linear(inputs)
        return (logits / self.temperature).softmax(-1)


@serializable
class MMOEBlock(nn.Module):
    """Multi-gate mixture of experts (Ma et al. 2018, equations 5 to 7).

    Each task k gets ``sum_i softmax(W_k x)_i f_i(x)`` of the experts ``f_i``, which all tasks share.

    Args:
        expert: the first expert; the others are copies that draw weights of their own.
        num_experts: how many.
        outputs: the tasks: a parallel block or dict with a branch for each, a schema with a column for each,
            or their names. One gate for a single task if not given.
        temperature: of the gates, see :class:`ExpertGate`.

    Raises:
        ValueError: if there are no experts or no tasks.

    Example:
        >>> block = MMOEBlock(nn.Linear(3, 4), num_experts=2, outputs=["click", "buy"])
        >>> {name: tuple(value.shape) for name, value in block(torch.ones(5, 3)).items()}
        {'click': (5, 4), 'buy': (5, 4)}
    """

    def __init__(
        self,
        expert: nn.Module,
        *,
        num_experts: int,
        outputs: Tasks | Schema | None = None,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        names = None if outputs is None else task_names(outputs)
        self._arguments = {
            "expert": expert,
            "num_experts": num_experts,
            "outputs": names,
            "temperature": temperature,
        }
        self.experts = Experts(expert, num_experts)
        gates = {name: ExpertGate(num_experts, temperature=temperature) for name in names or ()}
        self.gates = nn.ModuleDict(gates)
        self.gate = None if gates else ExpertGate(num_experts, temperature=temperature)

    def forward(
        self, inputs: Tensor | Mapping[str, Tensor], batch: Batch | None = None
    ) -> Tensor | dict[str, Tensor]:
        """Runs experts and gates.

        Args:
            inputs: (B, S) or (B, T, S); or several by name, put side by side in the order of their names.
            batch: passed to the experts if they ask for it.

        Returns:
            (B, D) or (B, T, D) by task; one tensor if there are no named tasks.
        """
        joined = concatenated(inputs)
        experts = self.experts(joined, batch)
        if self.gate is not None:
            single: Tensor = self.gate(joined, experts)
            return single
        return {name: gate(joined, experts) for name, gate in self.gates.items()}

    def init_arguments(self) -> dict[str, object]:
        """What builds this block again."""
        return dict(self._arguments)
