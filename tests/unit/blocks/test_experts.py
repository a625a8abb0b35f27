import copy

import pytest
import torch
from torch import nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.base import ParallelBlock
from merlin_models_torch.blocks.experts import ExpertGate, MMOEBlock
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.blocks.ple import CGCBlock, PLEBlock
from merlin_models_torch.schema import Schema

TASKS = ["click", "buy"]


def gated(gate, inputs, experts):
    """The sum of experts by the softmax of a linear layer, expert by expert."""
    weights = (gate.linear(inputs) / gate.temperature).softmax(-1)
    return sum(weights[..., i : i + 1] * expert for i, expert in enumerate(experts))


def test_gate_by_hand():
    gate = ExpertGate(2, in_features=1)
    with torch.no_grad():
        gate.linear.weight.copy_(torch.tensor([[0.0], [1.0]]))
        gate.linear.bias.zero_()
    # log 3: weights 1/4 and 3/4
    inputs = torch.tensor([[3.0]]).log()
    experts = torch.tensor([[[4.0, 8.0], [0.0, 4.0]]])
    torch.testing.assert_close(gate(inputs, experts), torch.tensor([[1.0, 5.0]]))
    warm = ExpertGate(2, in_features=1, temperature=1e6)
    torch.testing.assert_close(warm(inputs, experts), torch.tensor([[2.0, 6.0]]))


@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 3)])
def test_mmoe_equals_the_formula(shape):
    torch.manual_seed(0)
    block = MMOEBlock(MLPBlock([4]), num_experts=3, outputs=TASKS, temperature=2.0)
    inputs = torch.randn(shape)
    outputs = block(inputs)
    assert list(outputs) == TASKS
    experts = [expert(inputs) for expert in block.experts.experts]
    assert not torch.allclose(experts[0], experts[1])
    for name in TASKS:
        torch.testing.assert_close(outputs[name], gated(block.gates[name], inputs, experts))
    assert not torch.allclose(outputs["click"], outputs["buy"])


def test_mmoe_with_one_gate_and_inputs_by_name():
    torch.manual_seed(0)
    block = MMOEBlock(MLPBlock([4]), num_experts=2)
    parts = {"b": torch.randn(5, 2), "a": torch.randn(5)}
    outputs = block(parts)
    joined = torch.cat([parts["a"][:, None], parts["b"]], 1)
    torch.testing.assert_close(outputs, gated(block.gate, joined, [e(joined) for e in block.experts.experts]))


@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 3)])
def test_cgc_equals_the_formula(shape):
    torch.manual_seed(0)
    block = CGCBlock(MLPBlock([4]), num_shared_experts=2, num_task_experts=1, outputs=TASKS, shared_gate=True)
    inputs = torch.randn(shape)
    outputs = block(inputs)
    shared = [expert(inputs) for expert in block.shared_experts.experts]
    own = {name: [e(inputs) for e in block.task_experts[name].experts] for name in TASKS}
    for name in TASKS:
        torch.testing.assert_close(outputs[name], gated(block.gates[name], inputs, own[name] + shared))
    everything = own["click"] + own["buy"] + shared
    torch.testing.assert_close(outputs["shared"], gated(block.shared_gate, inputs, everything))
    assert len({e.sum().item() for e in everything}) == 4, "no two experts start with the same weights"


def test_ple_is_cgc_on_what_the_layer_below_gave():
    torch.manual_seed(0)
    block = PLEBlock(MLPBlock([4]), num_shared_experts=1, num_task_experts=2, depth=3, outputs=TASKS)
    inputs = torch.randn(5, 3)
    outputs = block(inputs)
    assert list(outputs) == TASKS
    level = {"shared": inputs, "click": inputs, "buy": inputs}
    for number, layer in enumerate(block.layers):
        shared = [e(level["shared"]) for e in layer.shared_experts.experts]
        own = {name: [e(level[name]) for e in layer.task_experts[name].experts] for name in TASKS}
        above = {name: gated(layer.gates[name], level[name], own[name] + shared) for name in TASKS}
        if number < 2:
            above["shared"] = gated(layer.shared_gate, level["shared"], own["click"] + own["buy"] + shared)
        level = above
    for name in TASKS:
        torch.testing.assert_close(outputs[name], level[name])
    assert block.layers[2].shared_gate is None


def test_one_task_does_not_train_the_experts_of_another():
    torch.manual_seed(0)
    block = CGCBlock(nn.LazyLinear(4), num_shared_experts=1, num_task_experts=1, outputs=TASKS)
    block(torch.randn(5, 3))["click"].pow(2).sum().backward()
    trained = {name for name, p in block.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    parts = ("shared_experts", "task_experts.click", "gates.click")
    assert trained == {name for name, _ in block.named_parameters() if name.startswith(parts)}


def test_every_weight_of_ple_is_trained_by_all_tasks_together():
    torch.manual_seed(0)
    block = PLEBlock(nn.LazyLinear(4), num_shared_experts=1, num_task_experts=1, depth=2, outputs=TASKS)
    outputs = block(torch.randn(5, 3))
    (outputs["click"] ** 2 + outputs["buy"] ** 2).sum().backward()
    for name, parameter in block.named_parameters():
        if parameter.shape[0] > 1:  # the weight of a single expert is 1 whatever its gate says
            assert parameter.grad.abs().sum() > 0, name


def test_experts_get_the_batch():
    class Column(nn.Module):
        def forward(self, inputs, batch):
            return inputs * batch["x"][:, None]

    batch = Batch({"x": torch.tensor([2.0, 3.0])})
    outputs = MMOEBlock(Column(), num_experts=2, outputs=["a"])(torch.ones(2, 1), batch=batch)
    torch.testing.assert_close(outputs["a"], torch.tensor([[2.0], [3.0]]))


@pytest.mark.parametrize(
    "outputs", [Schema(TASKS), dict.fromkeys(TASKS), ParallelBlock({name: nn.ReLU() for name in TASKS})]
)
def test_tasks_are_named_by_anything_with_names(outputs):
    assert list(MMOEBlock(nn.Linear(2, 2), num_experts=1, outputs=outputs)(torch.ones(1, 2))) == TASKS


def test_deepcopy_is_apart_and_equal():
    torch.manual_seed(0)
    block = PLEBlock(MLPBlock([4]), num_shared_experts=1, num_task_experts=1, depth=2, outputs=TASKS)
    inputs = torch.randn(2, 3)
    want = block(inputs)["buy"]
    other = copy.deepcopy(block)
    torch.testing.assert_close(other(inputs)["buy"], want, rtol=0, atol=0)
    assert not {id(p) for p in other.parameters()} & {id(p) for p in block.parameters()}


def test_errors():
    with pytest.raises(ValueError, match=r"num_experts is 0 and temperature is 1\.0, expected positive"):
        ExpertGate(0)
    with pytest.raises(ValueError, match="number of experts is 0, expected at least 1"):
        MMOEBlock(nn.ReLU(), num_experts=0)
    with pytest.raises(ValueError, match=r"names are \[\], expected at least one"):
        MMOEBlock(nn.ReLU(), num_experts=1, outputs=[])
    with pytest.raises(ValueError, match=r"tasks are \['shared'\], and 'shared' names what they share"):
        CGCBlock(nn.ReLU(), num_shared_experts=1, num_task_experts=1, outputs=["shared"])
    with pytest.raises(ValueError, match="depth is 0, expected at least 1 layer"):
        PLEBlock(nn.ReLU(), num_shared_experts=1, num_task_experts=1, depth=0, outputs=TASKS)
