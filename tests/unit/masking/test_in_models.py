"""Maskings in a model: the loss of several targets by hand, and that permuted masking learns and is saved."""

from pathlib import Path

import pytest
import torch

import merlin_models_torch as mm
from tests.unit.schemas import categorical
from tests.unit.sessions import session_batch, session_model


def test_the_loss_of_next_k_is_the_mean_over_all_pairs() -> None:
    torch.manual_seed(0)
    model = session_model(mm.CausalMasking(next_k=3)).eval()
    planned = model.inputs.for_training(session_batch())
    hidden = model.body(planned)
    items, lengths = planned.padded("item_id"), session_batch().lengths("item_id").tolist()
    losses = []
    for row, length in enumerate(lengths):
        for step in range(length - 1):
            chances = (hidden[row, step] @ model.inputs.item_table.weight.T).log_softmax(0)
            losses += [-chances[item] for item in items[row, step + 1 : min(step + 4, length)]]
    assert len(losses) > sum(length - 1 for length in lengths)
    torch.testing.assert_close(model.output.loss(hidden, planned), torch.stack(losses).mean())


def _counting(masking: mm.PermutedMasking) -> tuple[mm.Model, mm.Batch]:
    torch.manual_seed(0)
    schema = mm.Schema([categorical("item_id", 14, mm.Tags.ITEM_ID)])
    inputs = mm.TabularInputBlock(schema, embedding_dim=16, masking=masking, init_std=0.5)
    body = mm.XLNetBlock(16, heads=2, layers=2, dropout=0.0, initializer_range=0.1, two_streams=True)
    model = mm.Model(inputs, body, mm.CategoricalOutput(weight_tying=True, top_ks=(1,)))
    lengths = torch.arange(64) % 5 + 3
    items = torch.cat([torch.arange(int(n)) + 1 + row % 6 for row, n in enumerate(lengths)])
    offsets = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
    return model, mm.Batch({"item_id": mm.Ragged(items, offsets)})


@pytest.mark.parametrize("targets", ["spans", "all"])
def test_permuted_masking_learns_what_comes_next(targets: str) -> None:
    model, batch = _counting(mm.PermutedMasking(targets=targets, probability=0.3))  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    generator = torch.Generator().manual_seed(1)
    for _ in range(120):
        optimizer.zero_grad()
        planned = model.inputs.for_training(batch, generator=generator)
        model.output.loss(model.body(planned), planned).backward()
        optimizer.step()
    model.eval()
    planned = model.inputs.for_evaluation(batch)
    answers = model.output.topk(model.body(planned), planned, k=1)[1][:, 0]
    assert (answers == model.output.targets(planned)).float().mean() > 0.9


def test_a_model_of_two_streams_is_saved_and_loaded(tmp_path: Path) -> None:
    masking = mm.PermutedMasking(targets="all", probability=0.25, max_span_length=2)
    model, batch = _counting(masking)
    model.save(tmp_path / "model")
    again = mm.load(tmp_path / "model")
    assert again.inputs.masking == masking
    torch.testing.assert_close(again.eval()(batch), model.eval()(batch), rtol=0, atol=0)


def test_every_weight_of_two_streams_gets_a_gradient() -> None:
    model, batch = _counting(mm.PermutedMasking())
    planned = model.inputs.for_training(batch, generator=torch.Generator().manual_seed(1))
    model.output.loss(model.body(planned), planned).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and name != "body.layers.0.mask_vector.weight":
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name
    # Of the input block's mask vector nothing is needed, but DDP waits for it: it takes part with 0.
    unused = model.inputs.mask_vector.weight.grad  # type: ignore[union-attr]
    assert unused is not None
    assert not unused.any()
