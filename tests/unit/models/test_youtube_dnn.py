"""YoutubeDNNRetrievalModel: the network of the paper written out, learned with and without sampling."""

from pathlib import Path

import pyarrow as pa
import pytest
import torch

import merlin_models_torch as mm
from tests.unit.models.ranking import affine, weights
from tests.unit.schemas import ITEMS, categorical, session_schema
from tests.unit.sessions import session_batch, session_table
from tests.unit.training.test_model import trainer, without_last


def test_the_logits_are_those_of_the_mean_through_the_mlp() -> None:
    schema = session_schema().select_by_name(["item_id", "country"])
    model = mm.YoutubeDNNRetrievalModel(
        schema, embedding_dim=4, top_block=[6, 4], logits_temperature=0.5
    ).eval()
    w, batch = weights(model), session_batch(5)
    items = w["body.layers.0.tables.item_id.weight"]
    country = w["body.layers.0.tables.country.weight"][batch["country"]]
    rows = []
    for row, context in zip(batch["item_id"].padded().tolist(), country, strict=True):
        watched = items[[item for item in row if item]].mean(0)
        hidden = affine(torch.cat([context, watched]), w, "body.layers.2.linears.0").relu()
        rows.append(affine(hidden, w, "body.layers.3.linears.0") @ items.T / 0.5)
    torch.testing.assert_close(model(batch), torch.stack(rows))


@pytest.mark.parametrize("num_sampled", [None, 200])
def test_what_follows_is_learned_and_saved_answers_are_equal(num_sampled: int | None, tmp_path: Path) -> None:
    # The item after those of a group of five is the last of the group: its order tells nothing.
    table = pa.table({"item_id": [[1 + 5 * g, 2 + 5 * g, 3 + 5 * g, 5 + 5 * g] for g in range(6)] * 4})
    schema = mm.Schema([categorical("item_id", ITEMS, mm.Tags.ITEM_ID)])
    torch.manual_seed(0)
    model = mm.YoutubeDNNRetrievalModel(
        schema,
        embedding_dim=8,
        top_block=[16, 8],
        num_sampled=num_sampled,
        top_ks=(1,),
        exclude_seen=True,
        optimizer=mm.OptimizerConfig(lr=0.03),
    )
    data = mm.ParquetLoader(table, schema, batch_size=8, shuffle=True)
    run = trainer(max_epochs=40)
    run.fit(model, data)
    found = run.validate(model, mm.ParquetLoader(table, schema, batch_size=8), verbose=False)[0]
    assert found["val_recall_at_1"] > 0.95
    watched = pa.table({"item_id": [row[:3] for row in table["item_id"].to_pylist()[:6]]})
    answers = mm.load(model.save(tmp_path / "model")).predict(watched, k=1)
    assert answers["item_id"].to_pylist() == [[5 + 5 * g] for g in range(6)]
    assert answers.equals(model.predict(watched, k=1))


def test_evaluation_equals_prediction_without_the_last_item() -> None:
    torch.manual_seed(0)
    model = mm.YoutubeDNNRetrievalModel(session_schema(), embedding_dim=8, max_sequence_length=4).eval()
    batch = session_batch()
    planned = model.inputs.for_evaluation(batch)
    torch.testing.assert_close(model.output(model.body(planned), planned), model(without_last(batch)))


def test_every_weight_gets_a_gradient() -> None:
    torch.manual_seed(0)
    model = mm.YoutubeDNNRetrievalModel(session_schema(), embedding_dim=8, top_block=[16], weight_tying=False)
    batch = model.inputs.for_training(session_batch())
    model.output.loss(model.body(batch), batch).backward()
    still = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert still == ["body.layers.0.mask_vector.weight"]
    assert model.predict(session_table(), k=3, exclude_seen=True)["item_id"].null_count == 0


def test_a_network_without_units_is_refused() -> None:
    with pytest.raises(ValueError, match="top_block has no units"):
        mm.YoutubeDNNRetrievalModel(session_schema(), top_block=[])
