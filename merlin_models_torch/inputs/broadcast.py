"""What is known of a row, at every position of its sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from merlin_models_torch.serialize import serializable


@serializable
class BroadcastToSequence(nn.Module):
    """Repeats vectors of rows at every position of the sequences beside them.

    Args:
        context: names of the vectors to repeat; all that have no positions if not given.

    Example:
        >>> BroadcastToSequence()({"user": torch.ones(2, 3), "items": torch.zeros(2, 5, 4)})["user"].shape
        torch.Size([2, 5, 3])
    """

    def __init__(self, context: Sequence[str] | None = None) -> None:
        super().__init__()
        self.context = None if context is None else list(context)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Repeats.

        Args:
            inputs: (B, D) and (B, T, D) by name.

        Returns:
            (B, T, D) by name.

        Raises:
            KeyError: if a context is missing.
            ValueError: if there is no sequence, or sequences differ in length.
        """
        steps = {name: v.shape[1] for name, v in inputs.items() if v.dim() == 3}
        if len(set(steps.values())) != 1:
            raise ValueError(
                f"the context is repeated along sequences of one length, got {steps or sorted(inputs)}: pad "
                "them to one"
            )
        flat = [name for name, v in inputs.items() if v.dim() < 3]
        names = flat if self.context is None else self.context
        missing = [name for name in names if name not in inputs]
        if missing:
            raise KeyError(f"the inputs have no {missing}, only {sorted(inputs)}: check the names")
        odd = [name for name in flat if name not in names]
        if odd:
            raise ValueError(f"{odd} have no positions and are not among the context {names}: add them to it")
        length = next(iter(steps.values()))
        return {name: _repeated(v, length) if name in names else v for name, v in inputs.items()}


def _repeated(vectors: Tensor, length: int) -> Tensor:
    if vectors.dim() == 3:
        return vectors
    wide = vectors[:, None] if vectors.dim() == 1 else vectors
    return wide[:, None].expand(-1, length, -1)
