"""Optimisers over tables whose rows are in several processes, beyond what torch steps by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Replicate
from torch.optim import LBFGS, Optimizer
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from merlin_models_torch.training.split import SplitOptimizer

# They write to places of a tensor, which a process can do to its own rows alone.
_OWN_ROWS: frozenset[Any] = frozenset({Tensor.__setitem__, torch._foreach_copy_})


class SharesOptimizer(SplitOptimizer):
    """Steps optimisers whose formulas torch cannot apply to shared-out tables as they are written.

    Optimisers that look at each number alone, such as Adam, need nothing of that. Adafactor takes norms over
    rows and of whole tables, which are then those of all processes; Rprop writes where signs have changed.

    Args:
        parts: as for :class:`SplitOptimizer`.

    Raises:
        ValueError: for LBFGS, which joins all parameters in one vector.

    Example:
        >>> shared = shard_items(model)
        >>> optimizer = mm.OptimizerConfig("adafactor", lr=0.01).build(shared)
        >>> mm.Step(shared, batch, "train").loss.backward()
        >>> optimizer.step()
    """

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        if any(isinstance(part, LBFGS) for part in parts):
            raise ValueError(
                "LBFGS joins all parameters in one vector, which tables shared out to several processes are "
                "never in: take another optimizer, or call unshard_items(model)"
            )
        super().__init__(parts)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Steps each part once; see :meth:`SplitOptimizer.step`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with _Rows():
            super().step()
        return loss


class _Rows(TorchFunctionMode):
    """Sums are those of all processes, and what has one entry for each row is shared out as the rows are."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _OWN_ROWS:
            own, options = tree_map_only(DTensor, DTensor.to_local, (args, kwargs))
            return func(*own, **options)
        found = tree_map_only(DTensor, _complete, func(*args, **kwargs))
        if func is Tensor.new_zeros and isinstance(found, DTensor):
            return _beside(found, args[0])
        return found


def _complete(tensor: DTensor) -> DTensor:
    """A norm or sum of which each process has a part, as the same number in all of them."""
    placements = [Replicate() if one.is_partial() else one for one in tensor.placements]
    return tensor if placements == [*tensor.placements] else tensor.redistribute(placements=placements)


def _beside(zeros: DTensor, table: DTensor) -> DTensor:
    """New state with an entry for each row of a table: placed like it, or products would be whole tables."""
    if not zeros.dim() or zeros.shape[0] != table.shape[0] or zeros.placements == table.placements:
        return zeros
    return zeros.redistribute(placements=table.placements)
