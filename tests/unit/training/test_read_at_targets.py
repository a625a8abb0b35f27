"""A model's body leaves out what its output does not read, and nothing that anybody else reads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import merlin_models_torch as mm
from tests.unit.sessions import session_batch, session_model

MASKING = mm.RandomMasking(probability=0.3)


def whole_and_hidden(model: mm.Model, mode: str = "evaluate") -> tuple[Tensor, Tensor, mm.Batch]:
    model.eval()
    planned = model._planned(session_batch(), mode, torch.Generator().manual_seed(1))  # type: ignore[arg-type]
    with torch.no_grad():
        return model.body(planned), model.hidden_states(planned), planned


def leaves_out(model: mm.Model, mode: str = "evaluate") -> bool:
    whole, hidden, planned = whole_and_hidden(model, mode)
    assert planned.plan is not None
    torch.testing.assert_close(
        planned.plan.queries(hidden), planned.plan.queries(whole), atol=1e-5, rtol=1e-5
    )
    rest = ~planned.plan.targeted & (torch.arange(whole.shape[1]) < planned.plan.lengths[:, None])
    assert whole[rest].count_nonzero()
    if hidden[rest].count_nonzero():
        torch.testing.assert_close(hidden, whole)
        return False
    return True


@pytest.mark.parametrize("body", ["transformer", "xlnet"])
@pytest.mark.parametrize("mode", ["train", "evaluate", "predict"])
def test_only_what_the_output_reads_is_there(body: str, mode: str) -> None:
    assert leaves_out(session_model(MASKING, body=body), mode)


@pytest.mark.parametrize("body", ["transformer", "xlnet"])
def test_loss_and_gradients_are_those_of_the_whole_body(body: str) -> None:
    torch.manual_seed(0)
    model = session_model(MASKING, body=body).eval()
    planned = model._planned(session_batch(), "train", torch.Generator().manual_seed(1))
    results = []
    for hidden_states in (model.hidden_states, model.body):
        model.zero_grad()
        loss = model.output.loss(hidden_states(planned), planned)
        loss.backward()
        results.append((loss.detach(), [p.grad for p in model.parameters() if p.grad is not None]))
    torch.testing.assert_close(*results, atol=1e-6, rtol=1e-4)


class _Smoothing(nn.Module):
    """Reads its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = mm.TransformerBlock(16, heads=2, layers=1, max_length=20)

    def forward(self, inputs: Tensor, batch: mm.Batch | None = None) -> Tensor:
        hidden: Tensor = self.inner(inputs, batch)
        return hidden + hidden.mean(1, keepdim=True)


class _Own(mm.CategoricalOutput):
    """May read anything."""


class _OwnAtTargets(mm.CategoricalOutput):
    reads_targets = True


def model_of(*blocks: nn.Module, output: mm.CategoricalOutput | None = None) -> mm.Model:
    inputs = session_model(MASKING).inputs
    return mm.Model(inputs, *blocks, output or mm.CategoricalOutput(weight_tying=True))


def transformer() -> mm.TransformerBlock:
    return mm.TransformerBlock(16, heads=2, layers=1, max_length=20)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: model_of(mm.Block(nn.Identity(), transformer())), True),
        (lambda: model_of(transformer(), output=_OwnAtTargets(weight_tying=True)), True),
        (lambda: model_of(transformer(), output=mm.ContrastiveOutput(weight_tying=True)), True),
        (lambda: model_of(transformer(), output=_Own(weight_tying=True)), False),
        (lambda: model_of(transformer(), mm.GRUBlock(16, bidirectional=True)), False),
        (lambda: model_of(transformer(), nn.Identity()), False),
        (lambda: model_of(_Smoothing()), False),
        (lambda: model_of(mm.ResidualBlock(transformer())), False),
    ],
    ids=["chain", "own, told", "contrastive", "own", "recurrent", "identity", "neighbours", "residual"],
)
def test_a_body_is_whole_unless_its_last_block_is_read_at_targets_alone(made: Any, expected: bool) -> None:
    torch.manual_seed(0)
    assert leaves_out(made()) is expected


def test_whoever_calls_the_body_gets_all_of_it() -> None:
    model = session_model(MASKING)
    whole, *_ = whole_and_hidden(model)
    torch.testing.assert_close(mm.Step(model.eval(), session_batch(), "evaluate").hidden, whole)
