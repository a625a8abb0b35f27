"""Numbers that count something: whatever else is given is refused by the argument's name."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import merlin_models_torch as mm
from tests.unit.schemas import categorical

GENRE = categorical("genre", 4)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: mm.UniformNegatives(2.5), "count is 2.5, expected a whole number, such as 10"),
        (lambda: mm.PopularityNegatives("5"), "count is '5', expected a whole number"),
        (lambda: mm.CachedNegatives(2.5), "capacity is 2.5, expected a whole number"),
        (lambda: mm.HashedCross(["a", "b"], bins=2.5), "bins is 2.5, expected a whole number"),
        (lambda: mm.HashedCross("ab", bins=5), r"columns is 'ab', expected several names, such as \('ab',\)"),
        (lambda: mm.EmbeddingTable(GENRE, 4.5), "dim is 4.5, expected a whole number"),
        (
            lambda: mm.EmbeddingTable("genre", 4),
            r"columns is a str, expected the schema of a column, such as",
        ),
        (
            lambda: mm.TabularInputBlock(mm.Schema([GENRE]), embedding_dim=8.0),
            "embedding_dim is 8.0, expected a whole number",
        ),
        (
            lambda: mm.TabularInputBlock(mm.Schema([GENRE]), embedding_dim={"genre": None}),
            "embedding_dim is None, expected a whole number",
        ),
        (lambda: mm.ClassificationOutput("x", classes=2.5), "classes of 'x' is 2.5, expected a whole number"),
        (lambda: mm.CausalMasking(next_k=1.5), "next_k is 1.5, expected a whole number"),
        (
            lambda: mm.PretrainedEmbeddings(torch.eye(3)),
            r"path is a Tensor, expected that of a file: write vectors by save_vectors\(\), or give those",
        ),
    ],
)
def test_arguments_are_named(make: Callable[[], Any], text: str) -> None:
    with pytest.raises(TypeError, match=f"^{text}"):
        make()
