"""Block and ParallelBlock: order, who gets the batch, and what is refused."""

import pytest
import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.base import Block, ParallelBlock


class Add(nn.Module):
    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = nn.Parameter(torch.tensor(amount))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + self.amount


class Double(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * 2


class AddColumn(nn.Module):
    def forward(self, inputs: Tensor, batch: Batch) -> Tensor:
        return inputs + batch["x"]


class Read(nn.Module):
    def forward(self, batch: Batch) -> Tensor:
        return batch["x"]


def test_modules_run_in_order_wherever_they_were_added() -> None:
    block = Block(Double())
    block.append(Add(1.0)).prepend(Add(3.0)).insert(1, Add(10.0))
    assert block(torch.tensor(0.0)).item() == (0 + 3 + 10) * 2 + 1


def test_the_batch_goes_to_those_who_ask_for_it_also_inside_other_blocks() -> None:
    batch = Batch({"x": torch.tensor([1.0, 2.0])})
    block = Block(Read(), Block(Double(), AddColumn()), Double())
    assert block(batch).tolist() == [6.0, 12.0]
    assert block[1](torch.tensor([5.0, 5.0]), batch=batch).tolist() == [11.0, 12.0]


def test_a_copy_has_weights_of_its_own() -> None:
    block = Block(Add(1.0))
    other = block.copy()
    with torch.no_grad():
        other[0].amount.fill_(5.0)
    assert block(torch.tensor(0.0)).item() == 1.0
    assert other(torch.tensor(0.0)).item() == 5.0


def test_repeat_runs_copies_one_after_the_other() -> None:
    repeated = Block(Add(2.0)).repeat(3)
    assert repeated(torch.tensor(1.0)).item() == 7.0
    assert len({id(p) for p in repeated.parameters()}) == 3
    with pytest.raises(ValueError, match="once or more, got times=0"):
        Block().repeat(0)


def test_what_is_no_module_is_refused_with_its_type() -> None:
    with pytest.raises(TypeError, match="a block takes modules, got builtin_function_or_method"):
        Block(torch.relu)  # type: ignore[arg-type]


def test_branches_get_the_same_input_and_keep_their_names() -> None:
    block = ParallelBlock({"a": Double(), "b": ParallelBlock({"c": Add(1.0), "d": Double()})})
    outputs = block(torch.tensor(4.0))
    assert {name: value.item() for name, value in outputs.items()} == {"a": 8, "c": 5, "d": 8}


def test_two_outputs_of_one_name_are_refused() -> None:
    block = ParallelBlock({"a": Double(), "b": ParallelBlock({"a": Double()})})
    with pytest.raises(ValueError, match="two branches give an output named 'a'"):
        block(torch.tensor(1.0))
