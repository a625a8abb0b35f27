"""One small model of each family, with rows for it and what each is asked."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import torch
from torch import nn

import merlin_models_torch as mm
from tests.unit.clicks import click_schema
from tests.unit.models.ranking import CLICK
from tests.unit.retrieval.test_predict import ITEMS, towers
from tests.unit.schemas import categorical, continuous, session_schema

WIDTH = 8
LONGEST = 9


@dataclass(frozen=True)
class Family:
    """A model and how it is exported.

    Args:
        build: makes the model.
        options: of the export.
    """

    build: Callable[[], mm.Model]
    options: dict[str, Any] = field(default_factory=dict)

    def made(self) -> mm.Model:
        """The model in evaluation mode, no bias of it zero."""
        torch.manual_seed(0)
        model = self.build().eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("bias"):
                    parameter.normal_()
        return model


def session(body: nn.Module, masking: Any = "causal", **options: Any) -> Callable[[], mm.Model]:
    """Items alone, with a body."""
    schema = mm.Schema([categorical("item_id", 30, mm.Tags.ITEM_ID)])
    return lambda: mm.SessionModel(
        schema, dim=WIDTH, body=body, masking=masking, max_sequence_length=LONGEST, **options
    )


def wide_session() -> mm.Model:
    """Items with categories, numbers and a country; a list of sizes combined."""
    schema = session_schema() + mm.Schema([categorical("sizes", 5, mm.Tags.USER)])
    inputs = mm.TabularInputBlock(
        schema,
        embedding_dim=WIDTH,
        continuous_projection=4,
        projection=WIDTH,
        combiner={"sizes": "mean"},
        masking=mm.CausalMasking(),
        max_sequence_length=LONGEST,
    )
    body = mm.TransformerBlock(WIDTH, heads=2, layers=1, max_length=LONGEST)
    words = pa.array([f"item {number}" for number in range(29)])
    return mm.Model(
        inputs,
        body,
        mm.CategoricalOutput(weight_tying=True, bias=True, normalized=True, temperature=0.1),
        vocabularies={"item_id": mm.Vocabulary(words)},
    )


def lists_of_numbers() -> mm.Model:
    """A click for a row with lists of ids and of numbers, each combined."""
    schema = mm.Schema([categorical("genres", 5, mm.Tags.USER), continuous("spent", mm.Tags.USER)])
    inputs = mm.TabularInputBlock(
        schema, embedding_dim=WIDTH, combiner={"genres": "mean", "spent": "mean"}, continuous_projection=4
    )
    return mm.Model(inputs, mm.MLPBlock([8]), mm.BinaryOutput("click"))


def clicked_session() -> mm.Model:
    """A click for the whole session."""
    inputs = mm.TabularInputBlock(
        mm.Schema([categorical("item_id", 30, mm.Tags.ITEM_ID), continuous("price", mm.Tags.ITEM)]),
        embedding_dim=WIDTH,
        max_sequence_length=LONGEST,
    )
    body = mm.GRUBlock(WIDTH, any_masking=True)
    return mm.Model(inputs, body, mm.BinaryOutput("click"))


def _block(cls: Any, **options: Any) -> nn.Module:
    block: nn.Module = cls(WIDTH, heads=2, layers=1, **options)
    return block


SESSIONS: dict[str, Family] = {
    "transformer, many columns": Family(wide_session, {"k": 5, "exclude_seen": True}),
    "transformer, random": Family(
        session(_block(mm.TransformerBlock, positions="rotary"), "random"), {"k": 30}
    ),
    "xlnet, permuted": Family(session(_block(mm.XLNetBlock, two_streams=True), "permuted"), {"k": 5}),
    "transformer-xl": Family(session(_block(mm.TransformerXLBlock)), {"k": 5, "candidates": range(3, 25)}),
    "gru": Family(session(mm.GRUBlock(WIDTH), exclude_seen=True), {"k": 5}),
    "gru, both ways": Family(session(mm.GRUBlock(WIDTH, bidirectional=True, layers=2), "random"), {"k": 5}),
    "lstm, both ways": Family(session(mm.LSTMBlock(WIDTH, bidirectional=True), "random"), {"k": 5}),
    "consistent": Family(
        session(mm.ConsistentBlock(_block(mm.TransformerBlock, positions="none"), dim=WIDTH)), {"k": 5}
    ),
    "youtube dnn": Family(
        lambda: mm.YoutubeDNNRetrievalModel(
            mm.Schema([categorical("item_id", 30, mm.Tags.ITEM_ID)]),
            embedding_dim=WIDTH,
            top_block=[WIDTH],
            num_sampled=5,
            max_sequence_length=LONGEST,
        ),
        {"k": 5},
    ),
    "click of a session": Family(clicked_session),
}
ROWS: dict[str, Family] = {
    "matrix factorisation": Family(lambda: mm.MatrixFactorizationModel(click_schema(), dim=4), {"k": 4}),
    "matrix factorisation, pairs": Family(lambda: mm.MatrixFactorizationModel(click_schema(), dim=4)),
    "two towers": Family(towers, {"k": 3, "candidates": ITEMS}),
    "lists of numbers": Family(lists_of_numbers),
    "dlrm": Family(lambda: mm.DLRMModel(CLICK, embedding_dim=8, bottom=[8], top=[16])),
    "dcn": Family(lambda: mm.DCNModel(CLICK, embedding_dim=8, deep=[16])),
    "deepfm": Family(lambda: mm.DeepFMModel(CLICK, embedding_dim=8, deep=[16])),
    "wide and deep": Family(lambda: mm.WideAndDeepModel(CLICK, embedding_dim=8, deep=[16])),
    "mmoe": Family(lambda: mm.MultiTaskModel(click_schema(), embedding_dim=8, num_experts=2)),
    "ple": Family(
        lambda: mm.MultiTaskModel(click_schema(), experts="ple", embedding_dim=8, num_experts=2, depth=2)
    ),
}
FAMILIES = {**SESSIONS, **ROWS}
