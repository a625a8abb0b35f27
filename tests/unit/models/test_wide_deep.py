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


def test_a_cross_with_a_list_adds_the_weights_of_its_values() -> None:
    top = {"user_id": 5, "genres": 4}
    genres = mm.Ragged(torch.tensor([1, 3, 2, 4, 1]), torch.tensor([0, 2, 2, 5]))
    schema = mm.Schema(
        [
            *(
                mm.ColumnSchema(
                    name,
                    tags=[mm.Tags.CATEGORICAL],
                    dtype="int64",
                    properties={"domain": {"min": 0, "max": top[name]}},
                    is_list=name == "genres",
                    is_ragged=name == "genres",
                )
                for name in top
            ),
            mm.ColumnSchema("click", tags=[mm.Tags.BINARY_CLASSIFICATION], dtype="float32"),
        ]
    )
    cross = mm.HashedCross(["user_id", "genres"], bins=97)
    model = mm.WideAndDeepModel(schema, crosses={"taste": cross}, embedding_dim=4, deep=[5]).eval()
    batch = mm.Batch({"user_id": torch.tensor([5, 1, 2]), "genres": genres})
    remembered = weights(model)["body.layers.0.branches.wide.tables.taste.weight"]
    with_taste = model(batch)
    pairs = [[(5, 1), (5, 3)], [], [(2, 2), (2, 4), (2, 1)]]
    ids = [
        [int(cross({"user_id": torch.tensor([u]), "genres": torch.tensor([g])})) for u, g in row]
        for row in pairs
    ]
    expected = torch.stack([sum((remembered[i, 0] for i in row), torch.tensor(0.0)) for row in ids])
    with torch.no_grad():
        model.get_parameter("body.layers.0.branches.wide.tables.taste.weight").zero_()
    torch.testing.assert_close(with_taste - model(batch), expected)


def test_the_wide_part_has_the_columns_chosen() -> None:
    model = mm.WideAndDeepModel(CLICK, wide=["item_id"], embedding_dim=4, deep=[5])
    wide = [name for name, _ in model.named_parameters() if ".wide." in name]
    assert wide == ["body.layers.0.branches.wide.tables.item_id.weight"]
