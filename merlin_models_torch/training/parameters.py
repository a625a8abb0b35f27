"""Which parameters of a model get which optimiser."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from torch import nn
from torch.distributed.tensor import DTensor
from torch.nn.parameter import is_lazy

from merlin_models_torch.inputs import EmbeddingTable

_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase, nn.GroupNorm)


@dataclass(frozen=True)
class Parameters:
    """The trained parameters of a model by kind.

    Args:
        named: all of them.
        tables: ids (of the objects) of those that are embedding tables.
        sparse: ids of those whose gradients are sparse; each of them counts as a table.
        undecayed: ids of biases and of the weights of normalisation layers.
        frozen: ids of the model's parameters that are not trained.
        sharded: ids of those whose rows are in several processes.
    """

    named: dict[str, nn.Parameter]
    tables: frozenset[int]
    sparse: frozenset[int]
    undecayed: frozenset[int]
    frozen: frozenset[int]
    sharded: frozenset[int]

    @classmethod
    def of(cls, model: nn.Module) -> Parameters:
        """Sorts a model's parameters; frozen ones are left out.

        Raises:
            ValueError: for a parameter that has no size yet, with its name.
        """
        named = {}
        for name, parameter in model.named_parameters():
            if is_lazy(parameter):
                raise ValueError(f"parameter {name!r} has no size yet: pass a batch through the model first")
            if parameter.requires_grad:
                named[name] = parameter
        embeddings = [m for m in model.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag))]
        sparse = frozenset(id(m.weight) for m in embeddings if m.sparse)
        tables = sparse | {id(m.weight) for m in embeddings if isinstance(m, EmbeddingTable)}
        norms = {id(p) for m in model.modules() if isinstance(m, _NORMS) for p in m.parameters(recurse=False)}
        biases = {id(p) for name, p in named.items() if "bias" in name.rpartition(".")[2]}
        frozen = frozenset(id(p) for p in model.parameters() if not p.requires_grad)
        sharded = frozenset(id(p) for p in named.values() if isinstance(p, DTensor))
        return cls(named, tables, sparse, frozenset(norms | biases), frozen, sharded)

    def split(self, ids: Iterable[int]) -> tuple[Parameters, Parameters]:
        """Those whose ids are given, and the others."""
        wanted = frozenset(ids)
        inside = {name: p for name, p in self.named.items() if id(p) in wanted}
        outside = {name: p for name, p in self.named.items() if id(p) not in wanted}
        return self._only(inside), self._only(outside)

    def _only(self, named: dict[str, nn.Parameter]) -> Parameters:
        return replace(self, named=named)

    def __len__(self) -> int:
        return len(self.named)

    def all(self) -> list[nn.Parameter]:
        """The parameters themselves."""
        return list(self.named.values())
