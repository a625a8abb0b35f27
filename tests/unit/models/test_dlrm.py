"""DLRMModel equals the paper's architecture written out."""

import pytest
import torch

import merlin_models_torch as mm
from tests.unit.models.ranking import CLICK, affine, click_batch, weights


def test_the_model_is_the_one_written_out() -> None:
    model = mm.DLRMModel(CLICK, embedding_dim=4, bottom=[6], top=[5]).eval()
    w, batch = weights(model), click_batch()
    number = affine(batch["age"][:, None], w, "body.layers.0.continuous_projection.linears.0").relu()
    number = affine(number, w, "body.layers.0.continuous_projection.linears.1").relu()
    item = w["body.layers.0.tables.item_id.weight"][batch["item_id"]]
    user = w["body.layers.0.tables.user_id.weight"][batch["user_id"]]
    dots = torch.stack([(number * item).sum(1), (number * user).sum(1), (item * user).sum(1)], 1)
    hidden = affine(torch.cat([number, dots], 1), w, "body.layers.1.linears.0").relu()
    torch.testing.assert_close(model(batch), affine(hidden, w, "output.linear")[:, 0])


def test_without_numbers_there_is_no_bottom_tower() -> None:
    model = mm.DLRMModel(CLICK.remove_col("age"), embedding_dim=4, top=[]).eval()
    w, batch = weights(model), click_batch()
    item = w["body.layers.0.tables.item_id.weight"][batch["item_id"]]
    user = w["body.layers.0.tables.user_id.weight"][batch["user_id"]]
    expected = affine((item * user).sum(1, keepdim=True), w, "output.linear")[:, 0]
    torch.testing.assert_close(model(batch), expected)


def test_one_vector_has_no_pairs() -> None:
    with pytest.raises(ValueError, match=r"\['item_id'\] make 1 vector: add a categorical column"):
        mm.DLRMModel(CLICK.select_by_name(["item_id", "click"]))
