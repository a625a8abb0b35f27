from itertools import combinations, combinations_with_replacement

import pytest
import torch
from torch import nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.dlrm import DLRMBlock
from merlin_models_torch.blocks.fm import FMBlock
from merlin_models_torch.blocks.interactions import (
    DotInteraction,
    DotProduct,
    FMInteraction,
    pairwise_dots,
    pairwise_sum,
)


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5), (3, 1, 5)])
def test_pairs_equal_their_definition(shape):
    torch.manual_seed(0)
    vectors = torch.randn(shape)
    rows = vectors.unbind(-2)
    pairs = [(a * b).sum(-1) for a, b in combinations(rows, 2)]
    want = torch.stack(pairs, -1) if pairs else torch.zeros(*shape[:-2], 0)
    torch.testing.assert_close(pairwise_dots(vectors), want)
    itself = torch.stack([(a * b).sum(-1) for a, b in combinations_with_replacement(rows, 2)], -1)
    torch.testing.assert_close(DotInteraction(self_interaction=True)(vectors), itself)
    total = sum((a * b for a, b in combinations(rows, 2)), torch.zeros_like(rows[0]))
    torch.testing.assert_close(pairwise_sum(vectors), total, atol=1e-5, rtol=1e-5)


def test_order_of_the_features_does_not_matter_to_a_sum():
    torch.manual_seed(0)
    vectors = torch.randn(3, 4, 5)
    torch.testing.assert_close(pairwise_sum(vectors.flip(1)), pairwise_sum(vectors))


def test_vectors_by_name_go_in_the_order_of_the_names():
    vectors = {
        "b": torch.tensor([[0.0, 1.0]]),
        "c": torch.tensor([[5.0, 7.0]]),
        "a": torch.tensor([[2.0, 3.0]]),
    }
    assert DotInteraction()(vectors).tolist() == [[3, 31, 7]]  # ab, ac, bc
    assert FMInteraction()(vectors).tolist() == [[10, 31]]  # 0 + 10 + 0, 3 + 21 + 7


def test_dlrm_by_hand():
    bottom = nn.Linear(2, 2, bias=False)
    bottom.weight.data = torch.tensor([[1.0, 1.0], [0.0, 2.0]])
    inputs = {
        "user": torch.tensor([[1.0, 0.0]]),
        "continuous": torch.tensor([[3.0, 4.0]]),
        "item": torch.tensor([[2.0, 5.0]]),
    }
    # bottom: (7, 8); pairs continuous-item 14 + 40, continuous-user 7, item-user 2
    assert DLRMBlock(bottom=bottom)(inputs).tolist() == [[7, 8, 54, 7, 2]]
    top = nn.Linear(5, 1, bias=False)
    top.weight.data.fill_(1)
    assert DLRMBlock(bottom=bottom, top=top)(inputs).tolist() == [[78]]
    ready = {**inputs, "continuous": torch.tensor([[7.0, 8.0]])}
    assert DLRMBlock()(ready).tolist() == [[7, 8, 54, 7, 2]]


def test_dlrm_without_numbers_and_with_another_interaction():
    inputs = {"user": torch.tensor([[1.0, 3.0]]), "item": torch.tensor([[2.0, 5.0]])}
    assert DLRMBlock()(inputs).tolist() == [[17]]
    assert DLRMBlock(interaction=FMInteraction())(inputs).tolist() == [[2, 15]]


def test_dlrm_changes_no_input_and_passes_gradients():
    torch.manual_seed(0)
    inputs = {"a": torch.randn(4, 3), "continuous": torch.randn(4, 2, requires_grad=True)}
    block = DLRMBlock(bottom=nn.LazyLinear(3), top=nn.LazyLinear(1))
    block(inputs).sum().backward()
    assert inputs["continuous"].shape == (4, 2)
    assert all(p.grad.abs().sum() > 0 for p in block.parameters())


def test_dlrm_errors():
    with pytest.raises(ValueError, match=r"bottom block for 'continuous', which is not among .* \['a'\]"):
        DLRMBlock(bottom=nn.LazyLinear(3))({"a": torch.zeros(1, 3)})
    with pytest.raises(ValueError, match=r"one width are needed, got the widths \{'a': 3, 'b': 2\}"):
        DLRMBlock()({"a": torch.zeros(1, 3), "b": torch.zeros(1, 2)})


def test_fm_equals_the_formula_over_pairs():
    torch.manual_seed(0)
    columns, width = 4, 3
    factors, weights = torch.randn(columns, width), torch.randn(columns)

    class Factors(nn.Module):
        def forward(self, inputs):
            return inputs[..., None] * factors

    inputs = torch.randn(5, columns)
    block = FMBlock(factors=Factors(), wide=nn.Identity())
    block(inputs)
    block.linear.weight.data = weights[None]
    block.linear.bias.data.fill_(0.5)
    want = 0.5 + inputs @ weights
    for i, j in combinations(range(columns), 2):
        want = want + (factors[i] @ factors[j]) * inputs[:, i] * inputs[:, j]
    torch.testing.assert_close(block(inputs), want[:, None])


def test_fm_parts_get_the_batch():
    class Column(nn.Module):
        def forward(self, inputs, batch):
            return {"x": batch["x"]}

    block = FMBlock(wide=Column())
    vectors = torch.tensor([[[1.0], [2.0]]])
    block(vectors, batch=Batch({"x": torch.tensor([1.0])}))
    block.linear.weight.data.fill_(10)
    block.linear.bias.data.fill_(0)
    assert block(vectors, batch=Batch({"x": torch.tensor([3.0])})).item() == 32


def test_dot_product():
    query, candidate = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
    assert DotProduct()({"user": query, "candidate": candidate}).tolist() == [[11]]
    both = {"user": query, "item": candidate, "other": candidate}
    assert DotProduct(query="user", candidate="item")(both).tolist() == [[11]]
    with pytest.raises(ValueError, match=r"product of 'a query' and 'item' got \['item', 'other', 'user'\]"):
        DotProduct(candidate="item")(both)
    with pytest.raises(ValueError, match="'user' has width 2 and 'candidate' has width 3"):
        DotProduct()({"user": query, "candidate": torch.ones(1, 3)})
