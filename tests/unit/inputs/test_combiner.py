"""List combiners: hand values, empty lists, modules, attention by formula."""

import pytest
import torch
from torch import nn

import merlin_models_torch as mm
from merlin_models_torch.inputs.combiner import pool

VECTORS = torch.tensor([[[1.0, -2.0], [3.0, -4.0], [9.0, 9.0]], [[5.0, 5.0], [5.0, 5.0], [5.0, 5.0]]])
INSIDE = torch.tensor([[True, True, False], [False, False, False]])


@pytest.mark.parametrize(
    ("how", "expected"),
    [("sum", [4.0, -6.0]), ("mean", [2.0, -3.0]), ("sqrtn", [4 / 2**0.5, -6 / 2**0.5]), ("max", [3.0, -2.0])],
)
def test_poolings_by_hand_and_zeros_for_empty_lists(how: str, expected: list[float]) -> None:
    torch.testing.assert_close(
        pool(VECTORS, INSIDE, how),  # type: ignore[arg-type]
        torch.tensor([expected, [0.0, 0.0]]),
    )


def test_attention_is_the_weighted_mean_of_its_formula() -> None:
    attention = mm.AttentionPooling(2)
    inside = INSIDE.clone()
    torch.testing.assert_close(attention(VECTORS, inside), pool(VECTORS, inside, "mean"))
    with torch.no_grad():
        attention.query.copy_(torch.tensor([0.5, 0.25]))
    # Scores (0.5 - 0.5) / sqrt 2 and (1.5 - 1) / sqrt 2.
    weights = torch.tensor([0.0, 0.5 / 2**0.5]).softmax(0)
    expected = weights[0] * VECTORS[0, 0] + weights[1] * VECTORS[0, 1]
    torch.testing.assert_close(attention(VECTORS, inside)[0], expected)
    assert not attention(VECTORS, inside)[1].any()


def test_a_module_gets_zeros_where_nothing_is_and_the_places_if_it_asks() -> None:
    class Total(nn.Module):
        def forward(self, vectors: torch.Tensor) -> torch.Tensor:
            return vectors.sum(-2)

    class Count(nn.Module):
        def forward(self, vectors: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
            return inside.sum(-1, keepdim=True).expand(-1, vectors.shape[-1])

    totals = mm.ListCombiner(Total(), dim=2)(VECTORS, INSIDE)
    assert torch.equal(totals, pool(VECTORS, INSIDE, "sum"))
    assert mm.ListCombiner(Count(), dim=2)(VECTORS, INSIDE).tolist() == [[2, 2], [0, 0]]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"combiner is 'median', expected one of \['mean', 'sum', 'sqrtn'"):
        mm.ListCombiner("median", dim=2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="attention needs the width"):
        mm.ListCombiner("attention", dim=0)
