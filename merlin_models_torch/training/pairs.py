"""Rows that come as columns and labels, such as a plain ``torch.utils.data.DataLoader`` gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from merlin_models_torch.batch import Batch
from merlin_models_torch.outputs import TabularOutputBlock

Rows = Batch | Mapping[str, Any] | Sequence[Any]
"""A batch, its columns by name, or a pair of these and the labels: by name, or one tensor of one target."""


def as_batch(rows: Rows, output: Any) -> Batch:
    """The rows as a batch.

    Args:
        rows: a batch, which comes back as it is; columns by name; or a pair of these and labels.
        output: of the model, whose one target a (B,) tensor of labels without a name is for.

    Raises:
        TypeError: if they are none of these.
        ValueError: if labels have no name and the output has several targets.
    """
    if isinstance(rows, Batch):
        return rows
    if isinstance(rows, Mapping):
        return Batch(dict(rows))
    pair = tuple(rows) if isinstance(rows, (list, tuple)) else ()
    if len(pair) != 2 or not isinstance(pair[0], Mapping) or not isinstance(pair[1], (Mapping, Tensor)):
        got = f"{len(pair)} things" if pair else f"a {type(rows).__name__}"
        raise TypeError(
            f"the rows are {got}, expected mm.Batch, columns by name, or a pair of these and labels: make a "
            "mm.Batch of them"
        )
    features, labels = pair
    if isinstance(labels, Tensor):
        labels = {_only_target(output): labels}
    return Batch(dict(features), dict(labels))


def _only_target(output: Any) -> str:
    if isinstance(output, TabularOutputBlock):
        names = list(output.outputs)
        if len(names) > 1:
            raise ValueError(
                f"the labels have no name and the model has the targets {', '.join(names)}: give a dict of "
                "labels by target"
            )
        return str(names[0])
    return str(getattr(output, "target", "target"))
