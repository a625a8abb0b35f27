"""Modules that change the columns of a batch."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from merlin_models_torch.batch import Batch, Column
from merlin_models_torch.blocks.base import Block
from merlin_models_torch.serialize import serializable


@serializable
class BatchBlock(Block):
    """Modules one after the other on the features of a batch; gives a new batch.

    Args:
        *modules: each gets the features as a dict (and the batch, if it asks for it), and gives a batch, or a
            dict of the features that it adds or replaces.

    Example:
        >>> class Cheap(nn.Module):
        ...     def forward(self, features):
        ...         return {"cheap": features["price"] < 10}
        >>> rows = BatchBlock(Cheap())(Batch({"price": torch.tensor([5.0, 20.0])}))
        >>> rows["price"], rows["cheap"]
        (tensor([ 5., 20.]), tensor([ True, False]))
    """

    def forward(
        self,
        inputs: Batch | Mapping[str, Column] | Tensor,
        batch: Batch | None = None,
        *,
        targets: Mapping[str, Column] | None = None,
    ) -> Batch:
        """Runs the modules in order.

        Args:
            inputs: a batch, features by name, or one feature, which gets the name "default": (B,), (B, D) or
                (B, T), or ragged.
            batch: taken instead of ``inputs`` if given.
            targets: of a batch made of features.

        Returns:
            The batch that the last module leaves; the one that came in is not changed.

        Raises:
            TypeError: if a module gives neither a batch nor a dict.
        """
        if batch is not None:
            current = batch
        elif isinstance(inputs, Batch):
            current = inputs
        else:
            features = {"default": inputs} if isinstance(inputs, Tensor) else dict(inputs)
            current = Batch(features, targets={} if targets is None else targets)
        for index in range(len(self)):
            output, _ = self.step(index, dict(current.features), current)
            if isinstance(output, Batch):
                current = output
            elif isinstance(output, Mapping):
                current = current.with_features(output)
            else:
                raise TypeError(
                    f"module {index} of a batch block gives {type(output).__name__}, expected a Batch or a "
                    "dict of features"
                )
        return current
