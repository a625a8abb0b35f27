"""Vectors as tables: their products are the model's scores, and ids stand beside them."""

import numpy as np
import pyarrow as pa
import pytest
import torch

import merlin_models_torch as mm
from tests.unit.clicks import click_schema, click_table
from tests.unit.retrieval.test_predict import ITEMS, USERS, towers
from tests.unit.schemas import ITEMS as COUNT
from tests.unit.sessions import session_batch, session_model, session_table


def matrix(table: pa.Table, name: str = "vector") -> np.ndarray:
    return np.array(table[name].to_pylist())


@pytest.mark.parametrize("masking", [mm.CausalMasking(), mm.RandomMasking()])
def test_products_of_sessions_and_items_are_the_scores(masking: mm.Masking) -> None:
    torch.manual_seed(0)
    model = session_model(masking, normalized=True, temperature=0.1)
    items, sessions = (
        model.encode_items(),
        model.encode_sessions(session_table(), keys=["user_id"], batch_size=5),
    )
    assert items["item_id"].to_pylist() == list(range(1, COUNT + 1))
    assert sessions["user_id"].to_pylist() == [f"user {n}" for n in range(24)]
    scores = matrix(sessions) @ matrix(items).T / 0.1
    with torch.no_grad():
        wanted = model.eval()(session_batch())[:, 1:]
    np.testing.assert_allclose(scores, wanted, rtol=1e-3, atol=1e-4)


def test_products_of_towers_are_the_scores_and_ids_are_the_original_ones() -> None:
    model = towers()
    model.vocabularies["item_id"] = mm.Vocabulary(pa.array([f"film {n}" for n in range(2, 10)]))
    items, users = model.encode_items(ITEMS), model.encode_sessions(USERS)
    assert items["item_id"].to_pylist() == [f"film {n}" for n in (2, 4, 7, 9)]
    assert users["user_id"].to_pylist() == USERS["user_id"].to_pylist()
    scores = matrix(users) @ matrix(items).T
    best = model.predict(USERS, k=4, candidates=ITEMS)
    np.testing.assert_allclose(np.sort(scores)[:, ::-1], best["score"].to_pylist(), rtol=1e-5)
    assert model.encode(
        "*", {**USERS.slice(0, 2).to_pydict(), **ITEMS.slice(0, 2).to_pydict()}
    ).column_names == [
        "user_id",
        "item_id",
        "query",
        "candidate",
    ]


def test_a_column_with_a_table_is_encoded_by_itself() -> None:
    model = session_model()
    table = model.extract("category")
    for given in ("category", table):
        found = model.encode(given)
        assert found["category"].to_pylist() == list(range(1, 8))
        np.testing.assert_array_equal(matrix(found), table.weight[1:].detach())
    clicks = mm.Model(
        mm.TabularInputBlock(click_schema(), embedding_dim=4), mm.MLPBlock([4]), mm.BinaryOutput("click")
    )
    np.testing.assert_array_equal(matrix(clicks.encode_items()), clicks.inputs.item_table.weight[1:].detach())


def test_a_part_is_encoded_and_sequences_have_a_vector_for_each_position() -> None:
    model = session_model().eval()
    whole = model.encode("*", session_table(6), keys=["user_id"], batch_size=4)
    with torch.no_grad():
        wanted = model.select("*")(session_batch(6))
    for row, vectors, ids in zip(
        whole["vector"].to_pylist(), wanted, session_table(6)["item_id"].to_pylist(), strict=True
    ):
        np.testing.assert_allclose(row, vectors[: len(ids)], rtol=1e-5, atol=1e-6)
    user = model.encode(mm.Tags.USER, session_table(6))
    part = model.extract("country")
    np.testing.assert_array_equal(
        matrix(user), part(torch.tensor(session_table(6)["country"].to_pylist())).detach()
    )
    assert model.encode(model.select(mm.Tags.USER), session_table(6)).equals(user)


def test_what_has_no_vectors_says_what_to_do() -> None:
    clicks = mm.Model(
        mm.TabularInputBlock(click_schema(), embedding_dim=4), mm.MLPBlock([4]), mm.BinaryOutput("click")
    )
    with pytest.raises(TypeError, match=r"use encode\('\*', data\)"):
        clicks.encode_sessions(click_table())
    with pytest.raises(ValueError, match="pass data, the rows to encode"):
        clicks.encode("*")
    with pytest.raises(ValueError, match="leave out items"):
        session_model().encode_items(ITEMS)
