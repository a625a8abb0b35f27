"""Swap noise, dropout and norms of each column: properties and formulas."""

import pytest
import torch

import merlin_models_torch as mm

IDS = torch.cat([torch.arange(1, 2001).view(-1, 4), torch.zeros(500, 2, dtype=torch.int64)], 1)


def test_swapped_values_come_from_the_column_and_padding_stays() -> None:
    noise = mm.StochasticSwapNoise(0.3)
    before = IDS.clone()
    noisy = noise(IDS, generator=torch.Generator().manual_seed(0))
    assert torch.equal(IDS, before)
    assert torch.equal(noisy == 0, IDS == 0)
    assert noisy.max() <= 2000
    # Of 2000 values 600 are drawn anew, one of each 2000 as it was; standard deviation 20.
    assert 520 < (noisy != IDS).sum() < 680
    again = noise(IDS, generator=torch.Generator().manual_seed(0))
    assert torch.equal(noisy, again)


def test_noise_is_of_training_only_and_keeps_the_kind() -> None:
    noise = mm.StochasticSwapNoise(1.0)
    ragged = mm.Ragged(torch.tensor([1.5, 2.5, 3.5]), torch.tensor([0, 2, 3]))
    found = noise({"a": ragged, "b": torch.zeros(3)}, generator=torch.Generator().manual_seed(1))
    assert set(found["a"].values.tolist()) <= {1.5, 2.5, 3.5}
    assert torch.equal(found["a"].offsets, ragged.offsets)
    assert not found["b"].any()
    assert noise.eval()(IDS) is IDS
    with pytest.raises(ValueError, match=r"probability is 1\.5, expected a number from 0 to 1"):
        mm.StochasticSwapNoise(1.5)


def test_feature_dropout_scales_what_stays() -> None:
    torch.manual_seed(0)
    vectors = {"a": torch.ones(4000, 3)}
    single = mm.FeatureDropout(0.25)(vectors)["a"]
    assert set(single.unique().tolist()) == {0.0, single.max().item()}
    assert abs(single.max().item() - 4 / 3) < 1e-6
    assert abs(single.mean().item() - 1) < 0.03
    whole = mm.FeatureDropout(0.25, whole=True)(vectors)["a"]
    assert torch.equal(whole[:, 0], whole[:, 2])
    assert abs((whole[:, 0] == 0).float().mean().item() - 0.25) < 0.03
    assert mm.FeatureDropout(0.25).eval()(vectors)["a"] is vectors["a"]


def test_layer_norm_is_each_columns_own() -> None:
    torch.manual_seed(0)
    vectors = {"a": torch.randn(5, 4), "b": torch.randn(5, 6), "c": torch.randn(5, 1)}
    norm = mm.FeatureLayerNorm(["a", "b"])
    found = norm(vectors)
    for name in "ab":
        expected = torch.nn.functional.layer_norm(vectors[name], vectors[name].shape[-1:])
        torch.testing.assert_close(found[name], expected)
    assert found["c"] is vectors["c"]
    assert sorted(norm.state_dict()) == ["norms.a.bias", "norms.a.weight", "norms.b.bias", "norms.b.weight"]
    known = mm.FeatureLayerNorm({"a": 4, "b": 6})
    known.load_state_dict(norm.state_dict())
    torch.testing.assert_close(known(vectors)["b"], found["b"])
    with pytest.raises(ValueError, match="column 'c' has width 1"):
        mm.FeatureLayerNorm({"c": 1})
    with pytest.raises(ValueError, match="layer norm of a single number is always 0"):
        mm.FeatureLayerNorm(["c"])(vectors)


def test_vectors_get_length_one_and_zeros_stay() -> None:
    found = mm.L2Norm()({"a": torch.tensor([[3.0, 4.0], [0.0, 0.0]])})["a"]
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
