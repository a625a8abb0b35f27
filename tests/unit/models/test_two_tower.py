"""Two towers and matrix factorisation: written out, learned, saved."""

from pathlib import Path

import pyarrow as pa
import pytest
import torch

import merlin_models_torch as mm
from tests.unit.clicks import click_schema
from tests.unit.models.ranking import affine, click_batch, weights

SCHEMA = click_schema()


def builders() -> dict[str, mm.Model]:
    torch.manual_seed(0)
    schema = SCHEMA.select_by_name(["user_id", "item_id"])
    output = mm.TwoTowerOutput("item_id", size=10, top_ks=(1,))
    return {
        "factors": mm.MatrixFactorizationModel(schema, dim=8, output=output),
        "towers": mm.TwoTowerModel(
            schema, embedding_dim=8, units=[16, 8], output=mm.TwoTowerOutput("item_id", size=10, top_ks=(1,))
        ),
    }


def test_matrix_factorisation_is_a_dot_product_of_two_rows() -> None:
    model = mm.MatrixFactorizationModel(SCHEMA, dim=5).eval()
    w, batch = dict(model.named_parameters()), click_batch()
    users = w["body.layers.0.branches.query.tables.user_id.weight"][batch["user_id"]]
    items = w["body.layers.0.branches.candidate.tables.item_id.weight"][batch["item_id"]]
    assert len(w) == 2
    torch.testing.assert_close(model(batch), (users * items).sum(1))


def test_towers_are_mlps_of_their_columns() -> None:
    model = mm.TwoTowerModel(
        SCHEMA, query=[mm.Tags.USER, "age"], embedding_dim=4, units=[6, 3], candidate_units=[3]
    ).eval()
    w, batch = weights(model), click_batch()
    query, candidate = (f"body.layers.0.branches.{name}.layers" for name in ("query", "candidate"))
    user = w[f"{query}.0.tables.user_id.weight"][batch["user_id"]]
    hidden = affine(torch.cat([batch["age"][:, None], user], 1), w, f"{query}.1.linears.0").relu()
    item = w[f"{candidate}.0.tables.item_id.weight"][batch["item_id"]]
    expected = affine(hidden, w, f"{query}.2.linears.0") * affine(item, w, f"{candidate}.1.linears.0")
    torch.testing.assert_close(model(batch), expected.sum(1))


@pytest.mark.parametrize("name", ["factors", "towers"])
def test_the_item_of_each_user_is_found_and_saved_scores_are_equal(name: str, tmp_path: Path) -> None:
    model = builders()[name]
    # Each user takes one item, and each item is taken by a user, so popularity knows nothing.
    users = torch.arange(1, 10).repeat(4)
    batch = mm.Batch({"user_id": users, "item_id": users * 2 % 9 + 1})
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05 if name == "factors" else 0.01)
    for step in range(100):
        optimizer.zero_grad()
        model.output.loss(model.body(batch), batch).backward()
        if not step:
            for key, parameter in model.named_parameters():
                assert parameter.grad is not None, key
                assert parameter.grad.any(), key
        optimizer.step()
    model.eval()
    everything = model.body(batch)
    scores = everything["query"][:9] @ everything["candidate"][:9].T
    assert torch.equal(scores.argmax(1), torch.arange(9))
    table = pa.table({key: batch[key].numpy() for key in ("user_id", "item_id")})
    loaded = mm.load(model.save(tmp_path / "model"))
    assert loaded.predict(table).equals(model.predict(table))


def test_missing_columns_are_named() -> None:
    with pytest.raises(ValueError, match=r"query selection .* means no categorical or continuous column"):
        mm.TwoTowerModel(SCHEMA, query=mm.Tags.SESSION)
    with pytest.raises(ValueError, match=r"\[\] of \['item_id'\] are tagged Tags.USER_ID"):
        mm.MatrixFactorizationModel(SCHEMA.select_by_name(["item_id"]))
