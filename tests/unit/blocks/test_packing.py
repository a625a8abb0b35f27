"""A body on the positions in use alone gives what it gives on all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.packing import Packing
from merlin_models_torch.blocks.transformer import TransformerBlock
from merlin_models_torch.blocks.xlnet import XLNetBlock
from merlin_models_torch.masking import CausalMasking, Masking, PermutedMasking, RandomMasking

LENGTHS = torch.tensor([1, 9, 2, 4, 3])
STEPS, DIM = 9, 8
_OPTIONS = {"heads": 2, "layers": 2, "dropout": 0.0, "initializer_range": 0.3}
BODIES: dict[str, Callable[[], nn.Module]] = {
    "pre": lambda: TransformerBlock(DIM, max_length=12, **_OPTIONS),
    "post": lambda: TransformerBlock(DIM, norm="post", positions="rotary", **_OPTIONS),
    "relative": lambda: TransformerBlock(DIM, positions="relative", max_length=12, **_OPTIONS),
    "xlnet": lambda: XLNetBlock(DIM, **_OPTIONS),
    "xlnet, two streams": lambda: XLNetBlock(DIM, two_streams=True, **_OPTIONS),
}
MASKINGS = {"causal": CausalMasking(), "random": RandomMasking(probability=0.5)}


def batch_of(masking: Masking, mode: str, lengths: Tensor = LENGTHS) -> Batch:
    ids = torch.arange(1, STEPS + 1) * (torch.arange(STEPS) < lengths[:, None])
    make = {"train": masking.train, "evaluate": masking.evaluate, "predict": masking.predict}[mode]
    return Batch({"item_id": ids}, plan=make(ids, lengths))


def answers(body: nn.Module, inputs: Tensor, batch: Batch) -> tuple[Tensor, list[Tensor]]:
    """What comes out at positions in use, and the gradients of inputs and parameters."""
    leaf = inputs.clone().requires_grad_()
    hidden = body(leaf, batch)
    assert batch.plan is not None
    used = hidden[torch.arange(hidden.shape[1]) < batch.plan.lengths[:, None]]
    leaves = [leaf, *(p for p in body.parameters() if p.requires_grad)]
    found = torch.autograd.grad((used**2).sum(), leaves, allow_unused=True)
    return used.detach(), [torch.zeros(()) if grad is None else grad for grad in found]


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("masking", MASKINGS)
@pytest.mark.parametrize("mode", ["train", "evaluate", "predict"])
def test_answers_and_gradients_are_those_of_the_padded_batch(
    name: str, masking: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    body, batch = BODIES[name](), batch_of(MASKINGS[masking], mode)
    assert batch.plan is not None
    inputs = torch.randn(*batch.plan.replaced.shape, DIM)
    assert Packing.of(inputs, batch) is not None
    met: list[int] = []
    for module in body.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda _, given, __: met.append(given[0].flatten(0, -2).shape[0]))
    found = answers(body, inputs, batch)
    assert set(met) == {len(found[0])}
    monkeypatch.setattr(Packing, "of", lambda *_: None)
    expected = answers(body, inputs, batch)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-4, atol=1e-5)
    for have, want in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(have, want, rtol=1e-4, atol=1e-4)


def test_two_streams_stay_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    body = BODIES["xlnet, two streams"]()
    batch = batch_of(PermutedMasking(), "train", torch.tensor([2, 9, 2, 2]))
    assert batch.plan is not None
    inputs = torch.randn(*batch.plan.replaced.shape, DIM)
    found = answers(body, inputs, batch)
    monkeypatch.setattr(Packing, "of", lambda *_: None)
    torch.testing.assert_close(found, answers(body, inputs, batch))


def test_rows_go_and_come_back_by_hand() -> None:
    batch = batch_of(CausalMasking(), "predict", torch.tensor([1, 0, 3]))
    inputs = torch.arange(27.0).view(3, 9, 1)
    packing = Packing.of(inputs, batch)
    assert packing is not None
    packed = packing.entered(inputs)
    assert packing.packed(inputs).tolist() == packed.tolist()
    assert packed.flatten().tolist() == [0.0, 18.0, 19.0, 20.0]
    padded = packing.padded(packed + 1)[..., 0]
    assert padded[0].tolist() == [1.0] + [0.0] * 8
    assert padded[1].tolist() == [0.0] * 9
    assert padded[2].tolist() == [19.0, 20.0, 21.0] + [0.0] * 6


def test_nothing_is_packed_where_it_does_not_pay() -> None:
    full = batch_of(CausalMasking(), "predict", torch.tensor([9, 8]))
    inputs = torch.zeros(2, 9, DIM)
    assert Packing.of(inputs, full) is None
    assert Packing.of(inputs, None) is None
    assert Packing.of(inputs, Batch(full.features)) is None
    short = batch_of(CausalMasking(), "predict", torch.tensor([2, 3]))
    assert Packing.of(inputs, short) is not None
    assert Packing.of(inputs.to("meta"), short) is None


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("lengths", [LENGTHS, torch.full((5,), STEPS)], ids=["short", "full"])
@pytest.mark.parametrize(
    ("masking", "mode"), [("random", "train"), ("causal", "predict"), ("random", "predict")]
)
def test_what_is_read_is_the_same_where_the_last_layer_leaves_the_rest_out(
    name: str, lengths: Tensor, masking: str, mode: str
) -> None:
    torch.manual_seed(0)
    body, batch = BODIES[name](), batch_of(MASKINGS[masking], mode, lengths)
    assert batch.plan is not None
    inputs = torch.randn(*batch.plan.replaced.shape, DIM)
    met: list[int] = []
    last = body.get_submodule("layer.1.ff.layer_2")
    last.register_forward_hook(lambda _, given, __: met.append(given[0].flatten(0, -2).shape[0]))

    def read(batch: Batch) -> tuple[Tensor, list[Tensor]]:
        leaf = inputs.clone().requires_grad_()
        found = batch.plan.queries(body(leaf, batch))  # type: ignore[union-attr]
        leaves = [leaf, *(p for p in body.parameters() if p.requires_grad)]
        grads = torch.autograd.grad((found**2).sum(), leaves, allow_unused=True)
        return found.detach(), [torch.zeros(()) if grad is None else grad for grad in grads]

    expected, found = read(batch), read(replace(batch, read_at_targets=body))
    assert met[1] == batch.plan.targeted.sum() < met[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    body(inputs, replace(batch, read_at_targets=nn.Identity()))
    assert met[2] == met[0]


def test_places_that_are_read_by_hand() -> None:
    packing = Packing(2, 3, torch.tensor([0, 1, 3])).narrowed(torch.tensor([[0, 1, 0], [0, 0, 0]]).bool())
    hidden = torch.tensor([[1.0], [2.0], [4.0]])
    assert packing.kept(hidden).tolist() == [[2.0]]
    assert packing.packed(packing.padded(hidden)).tolist() == [[2.0]]
    assert packing.left(packing.kept(hidden))[..., 0].tolist() == [[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    assert packing.of_layer(last=False).kept(hidden).tolist() == [[1.0], [2.0], [4.0]]
    every = Packing(1, 3).narrowed(torch.tensor([[True, False, True]]))
    assert every.kept(hidden).tolist() == [[1.0], [4.0]]
    assert every.left(every.packed(every.padded(hidden)))[0, :, 0].tolist() == [1.0, 0.0, 4.0]


def test_nothing_is_left_out_where_padding_is_read_or_almost_everything() -> None:
    packing = Packing(1, 3, torch.tensor([0, 1]))
    assert packing.narrowed(torch.tensor([[True, False, True]])).read is None
    assert packing.narrowed(torch.tensor([[True, True, False]])).read is None
