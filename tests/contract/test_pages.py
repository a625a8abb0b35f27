"""Every kind of model gets a page with the figures of a test, and orders candidates by its own scores."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pyarrow as pa
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.outputs import CategoricalOutput, TwoTowerOutput
from merlin_models_torch.training.evaluation import evaluation_schema
from tests.contract.cases import MODELS
from tests.unit.sessions import session_table

_ROWS = 40


def rows_of(model: mm.Model) -> pa.Table:
    """Rows that the model reads, with a label."""
    if model.inputs.sequences:
        return session_table(_ROWS).drop_columns(["user_id"])
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "user_id": rng.integers(1, 10, _ROWS),
            "item_id": rng.integers(1, 21, _ROWS),
            "age": rng.random(_ROWS, dtype=np.float32),
            "click": rng.integers(0, 2, _ROWS),
        }
    )


def model_of(name: str) -> mm.Model:
    torch.manual_seed(0)
    model = MODELS[name].build()
    assert isinstance(model, mm.Model)
    return model.eval()


@pytest.mark.parametrize("name", MODELS)
def test_its_page_has_the_figures_of_a_test(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    table = rows_of(model)
    page = mm.report(model, table, tmp_path, batch_size=16)
    root = ET.fromstring(page.read_text(encoding="utf-8").split("\n", 1)[1])
    found = {}
    for one in root.iter("table"):
        head, *lines = ([("".join(cell.itertext())).lower() for cell in row] for row in one.iter("tr"))
        for line in lines:
            if head[0] == "measure":
                found[line[0].replace(" ", "_")] = float(line[1])
            elif line[0] == "this model":
                found |= {
                    key.replace("@", "_at_"): float(v) for key, v in zip(head[1:], line[1:], strict=True)
                }
    trainer = lightning.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    loader = mm.ParquetLoader(table, evaluation_schema(model), batch_size=_ROWS)
    (figures,) = trainer.test(model, loader, verbose=False)
    compared = 0
    for key, value in figures.items():
        short = key.removeprefix("test_").removeprefix("click_")
        if short in found:
            assert found[short] == pytest.approx(value, abs=1e-4), key
            compared += 1
    assert compared >= 2


@pytest.mark.parametrize("name", MODELS)
def test_it_orders_candidates_by_its_own_scores(name: str) -> None:
    model = model_of(name)
    table = rows_of(model).slice(0, 6)
    lists = [[3, 9, 5], [7], [], [1, 2], [11, 4, 4], [6]]
    answers = model.rerank(table, lists)
    scores: list[dict[int, float]] = []
    for row in range(6):
        one = table.slice(row, 1)
        if isinstance(model.output, CategoricalOutput):
            best = model.predict(one, k=model.output.cardinality - 1, exclude_seen=False).to_pylist()[0]
            scores.append(dict(zip(best["item_id"], best["score"], strict=True)))
        else:
            column = "item_id_score" if isinstance(model.output, TwoTowerOutput) else "click_score"
            scores.append({})
            for item in {*lists[row]}:
                joined: Any = one.set_column(one.column_names.index("item_id"), "item_id", pa.array([item]))
                scores[-1][item] = model.predict(joined)[column][0].as_py()
    for row, own, items in zip(answers.to_pylist(), scores, lists, strict=True):
        assert row["item_id"] == sorted({*items}, key=lambda item: (-own[item], item))
        np.testing.assert_allclose(row["score"], [own[i] for i in row["item_id"]], rtol=1e-5, atol=1e-6)
