import pytest
import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.batch_block import BatchBlock
from merlin_models_torch.blocks.residual import ResidualBlock, ShortcutBlock


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.factor


class Sum(nn.Module):
    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return inputs["shortcut"] * 100 + inputs["output"] + 1


def test_residual_by_hand():
    # previous: 1 -> 1 + 2 = 3 -> 3 + 3 * 3 = 12; first: 1 -> 3 -> 1 + 9 = 10.
    assert ResidualBlock(Times(2), Times(3))(torch.ones(1)).item() == 12
    assert ResidualBlock(Times(2), Times(3), shortcut="first")(torch.ones(1)).item() == 10


def test_residual_passes_the_batch_on():
    class AddColumn(nn.Module):
        def forward(self, inputs: Tensor, batch: Batch) -> Tensor:
            return batch["x"]

    batch = Batch({"x": torch.tensor([5.0])})
    assert ResidualBlock(AddColumn(), Times(1))(torch.ones(1), batch=batch).item() == 12


def test_residual_errors():
    with pytest.raises(ValueError, match=r"module 1 .* gives the shape \(2, 4\), expected .* \(2, 3\)"):
        ResidualBlock(nn.Identity(), nn.Linear(3, 4))(torch.ones(2, 3))
    with pytest.raises(ValueError, match="shortcut is 'last', expected one of"):
        ResidualBlock(shortcut="last")


def test_shortcut_keeps_the_input_beside_the_output():
    outputs = ShortcutBlock(Times(2), Times(5))(torch.tensor(3.0))
    assert {name: value.item() for name, value in outputs.items()} == {"shortcut": 3, "output": 30}


def test_shortcut_blocks_chain_with_the_first_shortcut():
    chain = nn.Sequential(ShortcutBlock(Times(2)), ShortcutBlock(Times(5)))
    outputs = chain(torch.tensor(3.0))
    assert {name: value.item() for name, value in outputs.items()} == {"shortcut": 3, "output": 30}


def test_propagated_shortcut_reaches_every_module():
    # 2 -> 2 * 100 + 2 + 1 = 203 -> 200 + 203 + 1 = 404
    outputs = ShortcutBlock(Sum(), Sum(), propagate_shortcut=True)(torch.tensor(2.0))
    assert {name: value.item() for name, value in outputs.items()} == {"shortcut": 2, "output": 404}


def test_shortcut_with_names_and_a_dict_at_the_end():
    class Split(nn.Module):
        def forward(self, inputs: Tensor) -> dict[str, Tensor]:
            return {"a": inputs + 1, "b": inputs + 2}

    block = ShortcutBlock(Split(), shortcut_name="raw", output_name="deep")
    outputs = block({"raw": torch.tensor(1.0), "deep": torch.tensor(5.0)})
    assert {name: value.item() for name, value in outputs.items()} == {"raw": 1, "a": 6, "b": 7}
    with pytest.raises(ValueError, match=r"inputs .* entries \['deep'\] and not 'raw'"):
        block({"deep": torch.tensor(5.0)})


def test_batch_block_makes_and_changes_batches():
    class Double(nn.Module):
        def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
            return {"x": inputs["x"] * 2}

    class Join(nn.Module):
        def forward(self, inputs: dict[str, Tensor], batch: Batch) -> Batch:
            return batch.with_features({"z": batch["x"] + inputs["y"]})

    batch = Batch({"x": torch.tensor([1.0]), "y": torch.tensor([10.0])}, rows=torch.tensor([7]))
    after = BatchBlock(Double(), Join(), Double())(batch)
    assert {name: value.item() for name, value in after.features.items()} == {"x": 4, "y": 10, "z": 12}
    assert after.rows.item() == 7
    assert batch["x"].item() == 1
    assert BatchBlock()(torch.ones(1)).features["default"].item() == 1
    made = BatchBlock(Double())({"x": torch.ones(1)}, targets={"t": torch.zeros(1)})
    assert made["x"].item() == 2
    assert list(made.targets) == ["t"]


def test_batch_block_refuses_what_is_no_batch():
    class Wrong(nn.Module):
        def forward(self, inputs):
            return list(inputs)

    block = BatchBlock(Wrong())
    with pytest.raises(TypeError, match="module 0 of a batch block gives list, expected a Batch or a dict"):
        block(torch.ones(1))
