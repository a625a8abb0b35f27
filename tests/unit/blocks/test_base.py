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


def test_a_module_that_gives_a_batch_changes_it_for_those_after_it() -> None:
    class Raise(nn.Module):
        def forward(self, batch: Batch) -> Batch:
            return batch.with_features({"x": batch["x"] + 100})

    batch = Batch({"x": torch.tensor([1.0])})
    assert Block(Raise(), Read(), AddColumn())(batch).tolist() == [202.0]
    assert batch["x"].tolist() == [1.0]


def test_a_slice_is_a_block_of_the_same_modules() -> None:
    block = Block(Add(1.0), Double(), Add(2.0))
    assert isinstance(block[1:], Block)
    assert block[1:](torch.tensor(3.0)).item() == 8
    assert block[:1][0] is block[0]


def test_modules_are_added_to_branches_in_place() -> None:
    block = ParallelBlock({"a": Double(), "b": Add(1.0)})
    block.append_to("a", Add(10.0)).prepend_to("a", Add(100.0))
    assert {k: v.item() for k, v in block(torch.tensor(1.0)).items()} == {"a": 212, "b": 2}
    assert len(block["a"]) == 3
    block.prepend_for_each(Double()).append_for_each(Double(), shared=True)
    assert {k: v.item() for k, v in block(torch.tensor(1.0)).items()} == {"a": 428, "b": 6}
    assert block["a"][-1] is block["b"][-1]
    assert block["a"][0] is not block["b"][0]
    with pytest.raises(KeyError, match=r"there is no branch 'c', only \['a', 'b'\]"):
        block.append_to("c", Double())


def test_a_parallel_block_is_put_before_or_after_another_module() -> None:
    block = ParallelBlock({"a": Double()})
    assert block.prepend(Add(1.0))(torch.tensor(1.0))["a"].item() == 4
    assert block.append(nn.Identity())(torch.tensor(1.0))["a"].item() == 2
    assert "a" in block
    assert "b" not in block
    assert list(block) == ["a"]
