"""Every kind of model under ``torch.compile``: answers, loss and gradients of the plain one.

The body of each is traced forward and backward by "aot_eager", which makes no machine code and so is quick;
some are trained by Lightning compiled as a whole, and some compiled by torch's default, "inductor".
"""

import copy
import os
import shutil
from collections.abc import Callable
from typing import Any
from unittest import mock

import lightning
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import merlin_models_torch as mm
from tests.contract.cases import click_schema, table_batch, table_schema, tensors
from tests.contract.masking_cases import MASKINGS, ROOM, WIDTH
from tests.unit.schemas import categorical
from tests.unit.sessions import session_batch

pytestmark = pytest.mark.filterwarnings("ignore")

RATING = mm.ColumnSchema("stars", tags=[mm.Tags.TARGET, mm.Tags.REGRESSION], dtype="float32")
ROWS: dict[str, Callable[[], mm.Model]] = {
    "DCNModel": lambda: mm.DCNModel(click_schema(), embedding_dim=4),
    "DLRMModel": lambda: mm.DLRMModel(click_schema(), embedding_dim=4),
    "DeepFMModel": lambda: mm.DeepFMModel(click_schema(), embedding_dim=4),
    "WideAndDeepModel": lambda: mm.WideAndDeepModel(click_schema(), embedding_dim=4),
    "MultiTaskModel, mmoe": lambda: _of_two_targets("mmoe"),
    "MultiTaskModel, ple": lambda: _of_two_targets("ple"),
    "MatrixFactorizationModel": lambda: mm.MatrixFactorizationModel(table_schema(), dim=4),
    "TwoTowerModel": lambda: mm.TwoTowerModel(table_schema(), embedding_dim=4, units=[6, 4]),
}
SESSIONS: dict[str, Callable[[], mm.Model]] = {
    "YoutubeDNNRetrievalModel": lambda: mm.YoutubeDNNRetrievalModel(
        _items(), embedding_dim=WIDTH, num_sampled=5
    ),
    "ReplacedItemModel": lambda: _replaced(),
    "causal, transformer": lambda: _session("causal", _transformer("rotary")),
    "causal, last, transformer-xl": lambda: _session(
        "causal, last", mm.TransformerXLBlock(WIDTH, heads=2, layers=1)
    ),
    "causal, next 3, lstm": lambda: _session("causal, next 3", mm.LSTMBlock(WIDTH)),
    "random, xlnet": lambda: _session("random", _xlnet()),
    "random, bert": lambda: _session("random", _bert()),
    "permuted, xlnet": lambda: _session("permuted spans", _xlnet(two_streams=True)),
}
WITH_MACHINE_CODE = ["TwoTowerModel", "causal, transformer"]
OF_SEVERAL_GRAPHS = ["causal, next 3, lstm"]
"""torch keeps its recurrent layers out of graphs."""
ALL = {**ROWS, **SESSIONS}


def _items() -> mm.Schema:
    return mm.Schema([categorical("item_id", 30, mm.Tags.ITEM_ID)])


def _transformer(positions: Any) -> nn.Module:
    return mm.TransformerBlock(WIDTH, heads=2, layers=1, max_length=ROOM, positions=positions)


def _xlnet(**options: Any) -> nn.Module:
    return mm.XLNetBlock(WIDTH, heads=2, layers=1, **options)


def _bert() -> nn.Module:
    pytest.importorskip("transformers", reason="the body is Hugging Face's")
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 20}
    return mm.HuggingFaceBlock({"model_type": "bert", "vocab_size": 5, **sizes})


def _session(masking: str, body: nn.Module) -> mm.Model:
    return mm.SessionModel(_items(), dim=WIDTH, body=body, masking=MASKINGS[masking], max_sequence_length=9)


def _replaced() -> mm.Model:
    inputs = mm.TabularInputBlock(_items(), embedding_dim=WIDTH, masking=MASKINGS["replaced"])
    return mm.ReplacedItemModel(inputs, _transformer("learned"), mm.CategoricalOutput())


def _of_two_targets(experts: Any) -> mm.Model:
    schema = click_schema() + mm.Schema([RATING])
    return mm.MultiTaskModel(schema, embedding_dim=4, experts=experts, num_experts=2)


def built(name: str) -> tuple[mm.Model, mm.Batch]:
    """A model without dropout, and a batch for it."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    model = ALL[name]()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    return model, table_batch() if name in ROWS else session_batch(6).select(["item_id"])


def trained(model: mm.Model, step: Callable[..., Tensor], batch: mm.Batch) -> dict[str, Tensor]:
    """The loss of a training step and the gradients of all parameters."""
    model.train()
    with mock.patch.object(model, "log"):
        loss = step(batch, 0)
    loss.backward()  # type: ignore[no-untyped-call]
    found = {key: value.grad for key, value in model.named_parameters() if value.grad is not None}
    return {"loss": loss.detach(), **found}


def answers(model: mm.Model, run: Callable[..., Any], batch: mm.Batch) -> list[Tensor]:
    """What comes out in evaluation mode."""
    model.eval()
    with torch.no_grad():
        return list(tensors(run(batch)))


@pytest.mark.parametrize("name", ALL)
def test_a_compiled_body_learns_and_answers_as_the_plain_one(name: str) -> None:
    plain, batch = built(name)
    model = copy.deepcopy(plain)
    model.body.compile(backend="aot_eager", dynamic=True, fullgraph=name not in OF_SEVERAL_GRAPHS)
    found = trained(model, model.training_step, batch)
    assert len(found) > 1
    torch.testing.assert_close(found, trained(plain, plain.training_step, batch), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        answers(model, model, batch), answers(plain, plain, batch), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_answered_by_one_graph(name: str) -> None:
    model, batch = built(name)
    compiled = torch.compile(model, backend="eager", dynamic=True, fullgraph=True)
    wanted = answers(model, model, batch)
    torch.testing.assert_close(answers(model, compiled, batch), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["causal, transformer", "DLRMModel"])
def test_a_model_compiled_as_a_whole_learns_as_the_plain_one(name: str) -> None:
    plain, batch = built(name)
    model = copy.deepcopy(plain)
    for one in (plain, torch.compile(model, backend="aot_eager", dynamic=True)):
        trainer = lightning.Trainer(
            max_epochs=2,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        data = DataLoader([batch], batch_size=None)
        trainer.fit(one, data, data)
    torch.testing.assert_close(dict(model.state_dict()), dict(plain.state_dict()), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="there is no C++ compiler")
@pytest.mark.parametrize("name", WITH_MACHINE_CODE)
def test_machine_code_answers_and_learns_alike(name: str) -> None:
    plain, batch = built(name)
    model = copy.deepcopy(plain)
    model.body.compile(dynamic=True)
    found = trained(model, model.training_step, batch)
    torch.testing.assert_close(found, trained(plain, plain.training_step, batch), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        answers(model, model, batch), answers(plain, plain, batch), rtol=1e-5, atol=1e-5
    )
