"""``merlin.models.torch`` 23.12: what blocks refuse, loaders of several, an index of predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import merlin.models.torch as mm
import numpy as np
import pandas as pd
import torch
from merlin.io import Dataset
from merlin.models.torch.batch import Batch, Sequence, sample_batch
from merlin.models.torch.models.base import MultiLoader
from merlin.models.torch.transforms.sequences import TabularSequenceTransform
from merlin.schema import Schema, Tags
from torch import Tensor, nn

from tests.equivalence.cases._common import refuses
from tests.equivalence.cases.merlin_torch import column
from tests.equivalence.side import Side


class Pair(nn.Module):
    """Gives a tuple."""

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The input twice."""
        return inputs, inputs


def refused(side: Side) -> None:
    """Tensors by name for a module of one tensor, tuples in a shortcut, no lengths, no data set."""
    rows = torch.ones(2, 3)
    named = {"a": rows, "b": rows}
    refuses(side, "names for one", RuntimeError, lambda: mm.Block(nn.Linear(3, 2))(named))
    refuses(side, "names for MLP", RuntimeError, lambda: mm.ParallelBlock({"x": nn.Linear(3, 2)})(named))
    refuses(side, "tuple", RuntimeError, lambda: mm.ShortcutBlock(Pair())(rows))
    refuses(
        side, "tuple, shared", RuntimeError, lambda: mm.ShortcutBlock(Pair(), propagate_shortcut=True)(rows)
    )
    refuses(side, "no lengths", ValueError, lambda: Sequence(None))
    refuses(side, "a frame", ValueError, lambda: sample_batch(pd.DataFrame({"a": [1]})))
    ids = Schema([column("a", 9, Tags.ID, Tags.SEQUENCE, is_list=True, is_ragged=True)])
    transform = TabularSequenceTransform(schema=ids)
    refuses(side, "abstract", NotImplementedError, lambda: transform({}, batch=Batch({}), extra=1))


def frame() -> pd.DataFrame:
    """Users in no order."""
    return pd.DataFrame({"user": np.array([5, 2, 5, 9, 1]), "item": np.array([1, 2, 3, 4, 5])})


def users() -> Schema:
    """Their columns."""
    return Schema([column("user", 9, Tags.USER_ID), column("item", 9, Tags.ITEM_ID)])


class Doubled(nn.Module):
    """Gives a vector of each row."""

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Item and its double."""
        return torch.stack([inputs["item"], 2 * inputs["item"]], -1).float()


def indexed(side: Side) -> None:
    """Vectors by user come in order of users, as lists."""
    for unique in (True, False):
        encoder = mm.DaskEncoder(Doubled())
        made = encoder(Dataset(frame(), schema=users()), batch_size=2, index=Tags.USER_ID, unique=unique)
        answer = made.compute()
        order = sorted(zip(answer.index.tolist(), map(list, answer["output"]), strict=True))
        side.value(f"users, unique {unique}", answer.index.tolist())
        side.value(f"vectors, unique {unique}", order)
        side.value(f"cells, unique {unique}", type(answer["output"].iloc[0]).__name__)


def loaders(side: Side) -> None:
    """Loaders are kept until the end of a stage."""
    module = MultiLoader(Dataset(frame(), schema=users()), batch_size=2, repartition=2)
    batches: Any = module.train_dataloader()
    side.value("rows", sorted(torch.cat([inputs["item"] for inputs, _ in batches]).tolist()))
    side.value("kept", [hasattr(module, "loader_train"), module.repartition])
    module.teardown("fit")
    side.value("left", hasattr(module, "loader_train"))


CASES: dict[str, Callable[[Side], None]] = {
    "refused": refused,
    "an index of predictions": indexed,
    "several loaders": loaders,
}
