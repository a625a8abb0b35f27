"""The mean of a list, weighted by another list column."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from merlin_models_torch._recording import is_recorded
from merlin_models_torch.batch import Column, Ragged
from merlin_models_torch.data.errors import RowError
from merlin_models_torch.schema import Schema
from merlin_models_torch.serialize import serializable


@serializable
class WeightedMean(nn.Module):
    """A combiner: ``sum_s w_s v_s / sum_s w_s``, whose weights are another list column of the same row.

    Given to :class:`TabularInputBlock` as ``combiner={"genres": WeightedMean("genres_weight")}``. The weights
    are a continuous list column of the same schema with as many values in each row; it is no input of its
    own. Where ids have the padding id 0 the weight does not count.

    Args:
        weights: name of the column of weights, 0 or more each.

    Raises:
        TypeError: if it is no name.

    Example:
        >>> mean = WeightedMean("genres_weight")
        >>> vectors, inside = torch.tensor([[1.0], [5.0], [9.0]]), torch.tensor([True, True, False])
        >>> mean(vectors, inside, torch.tensor([3.0, 1.0, 7.0]))  # (3 * 1 + 1 * 5) / 4
        tensor([2.])
    """

    def __init__(self, weights: str) -> None:
        super().__init__()
        if not isinstance(weights, str):
            raise TypeError(f"weights is {weights!r}, expected the name of a list column")
        self.weights = weights

    def forward(self, vectors: Tensor, inside: Tensor, weights: Tensor) -> Tensor:
        """The weighted means.

        Args:
            vectors: (..., S, D).
            inside: (..., S) bool, places in use.
            weights: (..., S) float.

        Returns:
            (..., D); zeros for an empty list, and where all weights are 0.

        Raises:
            ValueError: if a weight is below 0.
        """
        weights = torch.where(inside, weights, 0.0)
        if not is_recorded() and bool((weights < 0).any()):
            raise ValueError(
                f"column {self.weights!r} has the weight {weights.min().item():g}, expected 0 or more: mend "
                "the data"
            )
        total = weights.sum(-1, keepdim=True)
        shares = (weights / torch.where(total > 0, total, 1.0)).to(vectors.dtype)
        return (torch.where(inside[..., None], vectors, 0.0) * shares[..., None]).sum(-2)

    def extra_repr(self) -> str:
        """The column of weights."""
        return repr(self.weights)


def weights_of(combiner: object) -> str | None:
    """The column of weights of a combiner, or of what holds one; None for a combiner without."""
    combiner = getattr(combiner, "module", combiner)
    return combiner.weights if isinstance(combiner, WeightedMean) else None


def weights_by_list(
    combiners: Mapping[str, object], continuous: Collection[str], schema: Schema
) -> dict[str, str]:
    """The column of weights of each list that has one.

    Args:
        combiners: by name of the list.
        continuous: names of the continuous columns.
        schema: of all columns.

    Raises:
        ValueError: if the weights are not such a column, or combined themselves.
    """
    found = {name: weights for name, how in combiners.items() if (weights := weights_of(how)) is not None}
    for name, weights in found.items():
        depth = len(schema[name].dims or ())
        if weights == name or weights not in continuous or len(schema[weights].dims or ()) != depth:
            lists = [
                other for other in continuous if other != name and len(schema[other].dims or ()) == depth
            ]
            raise ValueError(
                f"the combiner of {name!r} takes its weights from {weights!r}, expected a continuous column "
                f"of lists like its own, of which there are {lists}: check the name, its tags and is_list"
            )
        if weights in combiners:
            raise ValueError(
                f"column {weights!r} holds the weights of {name!r} and has a combiner too: leave that out, "
                "weights are no input of their own"
            )
    return found


def check_lengths(name: str, column: Column, weights_name: str, weights: Column) -> None:
    """Refuses lists that have another number of weights than of values; matrices do not tell their lengths.

    Raises:
        RowError: with the first such row.
    """
    if isinstance(column, Ragged) and isinstance(weights, Ragged) and column.offsets is not weights.offsets:
        different = column.lengths != weights.lengths
        if bool(different.any()):
            row = int(different.int().argmax())
            raise RowError(
                row,
                f"has {int(column.lengths[row])} values in list column {name!r} and "
                f"{int(weights.lengths[row])} weights in {weights_name!r}: give each value a weight",
            )


def check_shapes(name: str, values: Tensor, weights_name: str, weights: Tensor) -> None:
    """Refuses matrices of values and of weights that do not go together place by place.

    Raises:
        ValueError: if so.
    """
    if values.shape != weights.shape:
        raise ValueError(
            f"column {name!r} is a matrix {tuple(values.shape)} and its weights {weights_name!r} are "
            f"{tuple(weights.shape)}: give each value a weight"
        )
