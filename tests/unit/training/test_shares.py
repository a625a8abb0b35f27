"""Every optimiser steps tables whose rows are in several processes as it steps whole ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from merlin_models_torch import OptimizerConfig
from merlin_models_torch.distributed import load_checkpoint, save_checkpoint
from merlin_models_torch.training import shares
from tests.unit.distributed.processes import run

ROWS, STEPS, SAVED = 7, 5, 2
NAMES = [
    name.lower()
    for name, cls in vars(torch.optim).items()
    if inspect.isclass(cls)
    and issubclass(cls, torch.optim.Optimizer)
    # LBFGS is refused, SparseAdam takes other gradients, Muon no vectors.
    and name not in ("Optimizer", "LBFGS", "SparseAdam", "Muon")
]


def module() -> nn.Module:
    """A table whose rows no number of processes divides, with a number for each of them, and a layer."""
    generator = torch.Generator().manual_seed(0)
    made = nn.Module()
    made.table = nn.Parameter(torch.randn(ROWS, 3, generator=generator))
    made.bias = nn.Parameter(torch.randn(ROWS, generator=generator))
    made.layer = nn.Parameter(torch.randn(4, 2, generator=generator))
    return made


def share_out(made: nn.Module) -> None:
    """What ``shard_items`` does to a model's tables."""
    mesh = init_device_mesh("cpu", (torch.distributed.get_world_size(),))
    for name in ("table", "bias"):
        whole = getattr(made, name).detach()
        setattr(made, name, nn.Parameter(distribute_tensor(whole, mesh, [Shard(0)])))


def config(name: str) -> OptimizerConfig:
    """Weights that fall by decay where the optimiser has one."""
    arguments = inspect.signature(OptimizerConfig(name).cls).parameters  # type: ignore[arg-type]
    return OptimizerConfig(name, lr=0.05, weight_decay=0.1 if "weight_decay" in arguments else None)


def stepped(made: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    """Steps with gradients of either sign, drawn for each step."""
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        for parameter in made.parameters():
            gradient = torch.randn(parameter.shape, generator=generator)
            if isinstance(parameter, DTensor):
                gradient = distribute_tensor(gradient, parameter.device_mesh, parameter.placements)
            parameter.grad = gradient
        optimizer.step()


def whole(tensor: Tensor) -> Tensor:
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach()


def trained(folder: Path) -> dict[str, dict[str, Tensor]]:
    """Weights after the steps of each optimiser, with a checkpoint in the middle."""
    found = {}
    for name in NAMES:
        made = module()
        share_out(made)
        optimizer = config(name).build(made)
        stepped(made, optimizer, 0, SAVED)
        save_checkpoint(folder / name, made, optimizer)
        stepped(made, optimizer, SAVED, STEPS)
        found[name] = {key: whole(p) for key, p in made.named_parameters()}
        # No state of a number of rows is anywhere but with the rows.
        for state in optimizer.state.values():
            for value in state.values():
                if isinstance(value, DTensor) and value.dim() and value.shape[0] == ROWS:
                    assert value.placements == (Shard(0),)
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("world", [2, 4])
def test_weights_are_those_of_whole_tables(world: int, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    ranks = run(trained, world, tmp_path, saved)
    for name in NAMES:
        made = module()
        optimizer = config(name).build(made)
        stepped(made, optimizer, 0, STEPS)
        alone = module()
        resumed = config(name).build(alone)
        load_checkpoint(saved / name, alone, resumed)
        stepped(alone, resumed, SAVED, STEPS)
        for key, value in made.named_parameters():
            for rank in ranks:
                torch.testing.assert_close(rank[name][key], value.detach(), msg=_of(name, key))
            torch.testing.assert_close(alone.get_parameter(key), value, msg=_of(f"{name} resumed", key))


def _of(*names: str) -> Callable[[str], str]:
    return lambda text: f"{' '.join(names)}: {text}"


def test_an_optimizer_of_one_vector_is_refused() -> None:
    with pytest.raises(ValueError, match="LBFGS joins all parameters in one vector, which tables shared out"):
        shares.SharesOptimizer([torch.optim.LBFGS(module().parameters())])
