import pytest
import torch
from torch import nn

from merlin_models_torch.blocks.base import Block, ParallelBlock
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.blocks.residual import ResidualBlock
from merlin_models_torch.blocks.tree import find, leaf, map, walk


def tree():
    return Block(
        nn.Linear(2, 2), ParallelBlock({"a": nn.Tanh(), "b": Block(nn.Linear(2, 3), nn.ReLU())}), nn.Sigmoid()
    )


def test_find_by_class_and_by_test_outer_first():
    block = tree()
    assert [m.out_features for m in block.find(nn.Linear)] == [2, 3]
    assert find(block, lambda m: getattr(m, "out_features", 0) > 2) == [block[1]["b"][0]]
    assert find(block, Block) == [block, block[1]["b"]]
    assert find(nn.ReLU(), nn.Linear) == []


def test_a_module_used_twice_is_found_once():
    shared = nn.Linear(2, 2)
    assert find(Block(shared, shared), nn.Linear) == [shared]


@pytest.mark.parametrize("wanted", ["Linear", 3, int])
def test_find_by_something_else_is_refused(wanted):
    with pytest.raises(TypeError, match="found by a class of modules or a function of a module"):
        find(nn.ReLU(), wanted)


def test_leaf_is_the_end_of_the_chain():
    last = nn.Linear(2, 1)
    assert leaf(last) is last
    assert Block(nn.ReLU(), ParallelBlock({"only": nn.Sequential(nn.ReLU(), last)})).leaf() is last
    mlp = MLPBlock([3])
    assert Block(mlp).leaf() is mlp


def test_leaf_of_branches_or_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"has the branches \['a', 'b'\] and no single leaf"):
        ParallelBlock({"a": nn.ReLU(), "b": nn.ReLU()}).leaf()
    with pytest.raises(ValueError, match="Block is empty and has no leaf"):
        Block(nn.ReLU(), Block()).leaf()


def test_map_changes_only_the_first_level_and_walk_all():
    block = tree()
    relu = nn.ReLU()
    first = block.map(lambda m: relu if isinstance(m, nn.Linear) else m)
    assert first[0] is relu
    assert first[1] is block[1]
    every = walk(block, lambda m: relu if isinstance(m, nn.Linear) else m)
    assert every[0] is relu
    assert every[1]["b"][0] is relu
    assert every[1]["a"] is block[1]["a"]
    assert isinstance(block[0], nn.Linear), "the original is as it was"
    assert isinstance(block[1]["b"][0], nn.Linear)


def test_none_leaves_a_module_out_and_place_is_passed_on_request():
    places = []

    def drop_linear(module, i, name):
        places.append((i, name))
        return None if isinstance(module, nn.Linear) else module

    changed = tree().walk(drop_linear)
    assert [type(m) for m in changed] == [ParallelBlock, nn.Sigmoid]
    assert [type(m) for m in changed[0]["b"]] == [nn.ReLU]
    assert places == [(0, "0"), (0, "a"), (0, "0"), (1, "1"), (2, "2")]
    with pytest.raises(ValueError, match="gives nothing for ReLU"):
        map(nn.ReLU(), lambda m: None)


def test_map_keeps_the_options_of_a_block_and_every_use_of_a_shared_module():
    double = nn.Identity()
    block = ResidualBlock(double, double, shortcut="first")
    changed = block.map(lambda m: m)
    assert isinstance(changed, ResidualBlock)
    assert changed(torch.ones(1)).item() == block(torch.ones(1)).item() == 3


def test_map_of_torchs_containers():
    swap = {nn.Tanh: nn.ReLU()}
    change = lambda m: swap.get(type(m), m)  # noqa: E731
    assert [type(m) for m in map(nn.Sequential(nn.Tanh(), nn.Tanh()), change)] == [nn.ReLU, nn.ReLU]
    assert [type(m) for m in map(nn.ModuleList([nn.Tanh()]), change)] == [nn.ReLU]
    assert type(map(nn.ModuleDict({"x": nn.Tanh()}), change)["x"]) is nn.ReLU
    assert type(map(nn.Tanh(), change)) is nn.ReLU
