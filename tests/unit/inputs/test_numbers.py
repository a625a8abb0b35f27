"""Soft embeddings, continuous projection, one-hot, multi-hot and hashed crosses by their formulas."""

import pytest
import torch

import merlin_models_torch as mm

IDS = torch.tensor([[1, 2, 0], [3, 3, 0]])


def test_a_soft_embedding_is_a_vote_for_its_vectors() -> None:
    torch.manual_seed(0)
    module = mm.SoftEmbedding(4, vectors=3)
    number = torch.tensor([[0.5, -2.0]])
    for place in range(2):
        votes = (module.votes.weight[:, 0] * number[0, place] + module.votes.bias).exp()
        expected = (votes[:, None] / votes.sum() * module.vectors).sum(0)
        torch.testing.assert_close(module(number)[0, place], expected)
    assert torch.equal(module(torch.tensor([1])), module(torch.tensor([1.0])))
    with pytest.raises(ValueError, match="vectors is 0, expected a size of at least 1"):
        mm.SoftEmbedding(4, vectors=0)


def test_numbers_are_projected_together_in_the_order_of_names() -> None:
    torch.manual_seed(0)
    module = mm.ContinuousProjection([4], columns=2, normalize=True)
    price, age = torch.rand(2, 3), torch.rand(2)
    both = torch.stack([age[:, None].expand(-1, 3), price], -1)
    normed = (both - both.mean(-1, keepdim=True)) / (both.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    linear = module.mlp.linears[0]
    torch.testing.assert_close(module({"price": price, "age": age}), linear(normed).relu())
    alone = mm.ContinuousProjection(2)
    torch.testing.assert_close(alone(age), alone.mlp.linears[0](age[:, None]).relu())
    with pytest.raises(ValueError, match="columns is None, expected 2 or more to normalise"):
        mm.ContinuousProjection(4, normalize=True)


def test_one_hot_and_multi_hot_by_hand() -> None:
    assert mm.OneHot(4)(IDS)[0].tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert mm.MultiHot(4)(IDS).tolist() == [[0, 1, 1, 0], [0, 0, 0, 1]]
    assert mm.MultiHot(4, count=True)(IDS).tolist() == [[0, 1, 1, 0], [0, 0, 0, 2]]
    ragged = mm.Ragged(torch.tensor([1, 2, 3, 3]), torch.tensor([0, 2, 4]))
    assert torch.equal(mm.MultiHot(4)(ragged), mm.MultiHot(4)(IDS))
    assert torch.equal(mm.MultiHot(4)(IDS[:, None])[:, 0], mm.MultiHot(4)(IDS))
    assert torch.equal(mm.MultiHot(4)(IDS[:, 0]), mm.OneHot(4)(IDS[:, 0]))
    with pytest.raises(ValueError, match="cardinality is 0, expected at least 1"):
        mm.OneHot(0)
    for make in (mm.OneHot, mm.MultiHot):
        with pytest.raises(
            TypeError, match="cardinality is a ColumnSchema, expected a whole number, such as 10"
        ):
            make(mm.ColumnSchema("genre"))


def _splitmix(state: int) -> int:
    state &= 2**64 - 1
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & 2**64 - 1
    state = (state ^ state >> 27) * 0x94D049BB133111EB & 2**64 - 1
    return state ^ state >> 31


def test_a_cross_is_the_hash_of_its_columns() -> None:
    cross = mm.HashedCross(["a", "b"], bins=97, seed=5)
    a, b = torch.tensor([1, 7, 0, 123456789]), torch.tensor([2, 7, 3, 5])
    found = cross({"a": a, "b": b}).tolist()
    for place, (x, y) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        state = _splitmix(5 + 0x9E3779B97F4A7C15)
        for value in (x, y):
            state = _splitmix((state ^ value) + 0x9E3779B97F4A7C15)
        signed = state - 2**64 if state >= 2**63 else state
        assert found[place] == (signed % 97 + 1 if x and y else 0)


def test_a_cross_spreads_evenly_over_all_bins() -> None:
    cross = mm.HashedCross(["a", "b"], bins=50)
    grid = torch.cartesian_prod(torch.arange(1, 101), torch.arange(1, 101))
    ids = cross({"a": grid[:, 0], "b": grid[:, 1]})
    counts = ids.bincount(minlength=51)
    assert counts[0] == 0
    # 200 expected in each, with a standard deviation of 14.
    assert 140 < counts[1:].min() <= counts[1:].max() < 260
    swapped = cross({"a": grid[:, 1], "b": grid[:, 0]})
    assert (swapped != ids).float().mean() > 0.9


def test_a_cross_of_a_row_goes_with_every_position() -> None:
    cross = mm.HashedCross(["user", "item"], bins=1000)
    user = torch.tensor([1, 2])
    wide = cross({"user": user, "item": IDS})
    assert torch.equal(wide, cross({"user": user[:, None].expand(-1, 3), "item": IDS}))
    assert torch.equal(wide == 0, IDS == 0)
    with pytest.raises(KeyError, match="no 'item' to cross"):
        cross({"user": user})
    with pytest.raises(TypeError, match="'item' to cross is ragged"):
        cross({"user": user, "item": mm.Ragged(user, torch.tensor([0, 1, 2]))})
    with pytest.raises(ValueError, match="expected at least two different names"):
        mm.HashedCross(["a", "a"], bins=3)
