"""Configs: round trips, sharing, and what is refused."""

import json

import pytest
import torch
from torch import nn

from merlin_models_torch.blocks.base import Block, ParallelBlock
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.masking import RandomMasking
from merlin_models_torch.schema import Tags
from merlin_models_torch.serialize import ConfigError, from_config, serializable, to_config
from tests.unit.schemas import session_schema


def round_trip(obj: object) -> object:
    config, schemas = to_config(obj)
    return from_config(json.loads(json.dumps(config)), schemas)


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        0.1,
        "text",
        [1, (2, "a")],
        {"a": [1], 2: None},
        torch.bfloat16,
        Tags.ITEM_ID,
        RandomMasking(probability=0.3, attend_to_padding=True),
        session_schema(),
    ],
)
def test_plain_values_come_back_equal(value: object) -> None:
    assert round_trip(value) == value


def test_blocks_come_back_with_the_modules_they_have_now() -> None:
    block = Block(
        MLPBlock([4, 3], in_features=2, activation="tanh"), ParallelBlock({"a": nn.Linear(3, 2, bias=False)})
    )
    block.append(ParallelBlock({}))
    again = round_trip(block)
    assert isinstance(again, Block)
    assert str(again) == str(block)
    assert [p.shape for p in again.parameters()] == [p.shape for p in block.parameters()]


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(3, 2, bias=False),
        nn.GRU(3, 5, num_layers=2, batch_first=True),
        nn.Dropout(0.3),
        nn.GELU("tanh"),
        nn.Tanh(),
    ],
)
def test_torch_layers_come_back_with_their_arguments(module: nn.Module) -> None:
    again = round_trip(module)
    assert repr(again) == repr(module)
    assert {n: p.shape for n, p in again.named_parameters()} == {
        n: p.shape for n, p in module.named_parameters()
    }  # type: ignore[attr-defined]


def test_what_is_shared_stays_shared() -> None:
    shared = nn.Linear(2, 2)
    again = round_trip(Block(shared, nn.ReLU(), shared))
    assert isinstance(again, Block)
    assert again[0] is again[2]


class Foreign(nn.Module):
    pass


@serializable
class Own(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size


def test_a_class_that_remembers_nothing_is_refused_with_its_name() -> None:
    with pytest.raises(ConfigError, match=r"Foreign cannot be written to a config: decorate the class"):
        to_config(Block(Foreign()))


def test_a_function_is_refused() -> None:
    with pytest.raises(ConfigError, match="holds only data"):
        to_config([torch.relu])


def test_classes_outside_the_trusted_packages_are_not_built() -> None:
    config, schemas = to_config(Own(3))
    with pytest.raises(ConfigError, match=r"not of a trusted package .*load with trusted=\('tests',\)"):
        from_config(config, schemas)
    again = from_config(config, schemas, trusted=["tests"])
    assert type(again).__name__ == "Own"
    assert again.size == 3


@pytest.mark.parametrize(
    "path",
    [
        "os:system",
        "subprocess:Popen",
        "torch.nn.modules.module:os",
        "merlin_models_torch.serialize:importlib",
        "merlin_models_torch.serialize:from_config",
        "merlin_models_torch.blocks.base:nn.Module",
        "merlin_models_torch.blocks.base:Batch",
        "torch.hub:load",
    ],
)
def test_paths_to_anything_but_our_modules_build_nothing(path: str) -> None:
    with pytest.raises(ConfigError):
        from_config({"class": path, "id": 0, "args": {}}, [])


@pytest.mark.parametrize(
    "config", [{"class": "x"}, {"same": 4}, {"schema": 0}, {"schema": -1}, {"dtype": "load"}]
)
def test_malformed_configs_are_refused(config: object) -> None:
    with pytest.raises(ConfigError, match="no version of this library writes"):
        from_config(config, [])


def test_wrong_arguments_are_refused_with_the_class() -> None:
    config = {"class": "merlin_models_torch.blocks.mlp:MLPBlock", "id": 0, "args": {"size": 3}}
    with pytest.raises(ConfigError, match="MLPBlock cannot be built from its saved arguments"):
        from_config(config, [])
