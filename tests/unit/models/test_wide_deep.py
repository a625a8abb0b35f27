"""WideAndDeepModel equals a linear model over ids and crosses plus a tower."""

import torch

import merlin_models_torch as mm
from tests.unit.models.ranking import CLICK, affine, click_batch, weights


def test_the_logit_is_the_sum_of_both_parts() -> None:
    cross = mm.HashedCross(["user_id", "item_id"], bins=20)
    model = mm.WideAndDeepModel(CLICK, crosses={"both": cross}, embedding_dim=4, deep=[5]).eval()
    w, batch = weights(model), click_batch()
    wide, deep = "body.layers.0.branches.wide", "body.layers.0.branches.deep.layers"
    expected = batch["age"] * w[f"{wide}.embeddings.age.weight"]
    ids = {"item_id": batch["item_id"], "user_id": batch["user_id"], "both": cross(batch)}
    for name, rows in ids.items():
        expected = expected + w[f"{wide}.tables.{name}.weight"][rows, 0]
    item, user = (w[f"{deep}.0.tables.{name}.weight"][batch[name]] for name in ("item_id", "user_id"))
    joined = torch.cat([batch["age"][:, None], item, user], 1)
    hidden = affine(joined, w, f"{deep}.1.linears.0").relu()
    expected = expected + affine(hidden, w, f"{deep}.2.linears.0")[:, 0]
    torch.testing.assert_close(model(batch), expected)


def test_the_wide_part_has_the_columns_chosen() -> None:
    model = mm.WideAndDeepModel(CLICK, wide=["item_id"], embedding_dim=4, deep=[5])
    wide = [name for name, _ in model.named_parameters() if ".wide." in name]
    assert wide == ["body.layers.0.branches.wide.tables.item_id.weight"]
