"""DeepFMModel equals the sum over pairs, features and the tower."""

import pytest
import torch

import merlin_models_torch as mm
from tests.unit.clicks import click_schema
from tests.unit.models.ranking import CLICK, affine, click_batch, weights


def test_the_logit_is_the_paper_s() -> None:
    model = mm.DeepFMModel(CLICK, embedding_dim=4, deep=[5]).eval()
    w, batch = weights(model), click_batch()
    first, second = "body.layers.0.branches.first", "body.layers.0.branches.second.layers"
    expected = batch["age"] * w[f"{first}.embeddings.age.weight"]
    for name in ("item_id", "user_id"):
        expected = expected + w[f"{first}.tables.{name}.weight"][batch[name], 0]
    age = batch["age"][:, None] * w[f"{second}.0.embeddings.age.weight"]
    item, user = (w[f"{second}.0.tables.{name}.weight"][batch[name]] for name in ("item_id", "user_id"))
    expected = expected + (age * item).sum(1) + (age * user).sum(1) + (item * user).sum(1)
    deep = f"{second}.1.branches.deep.layers"
    hidden = affine(torch.cat([age, item, user], 1), w, f"{deep}.1.linears.0").relu()
    expected = expected + affine(hidden, w, f"{deep}.2.linears.0")[:, 0]
    torch.testing.assert_close(model(batch), expected)


def test_one_number_cannot_answer_two_targets() -> None:
    with pytest.raises(ValueError, match=r"the targets are \['click', 'rating'\]: pass"):
        mm.DeepFMModel(click_schema())
    with pytest.raises(ValueError, match="'click' itself: make its output with project=False"):
        mm.DeepFMModel(click_schema(), output=mm.BinaryOutput("click"))
    chosen = mm.DeepFMModel(click_schema(), output=mm.RegressionOutput("rating", project=False))
    assert chosen.schema.column_names == ["user_id", "item_id", "age"]
