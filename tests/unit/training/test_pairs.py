"""Pairs of columns and labels train a model as batches do."""

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

import merlin_models_torch as mm


def ids(name: str, largest: int) -> mm.ColumnSchema:
    domain = {"domain": {"min": 0, "max": largest, "name": name}}
    return mm.ColumnSchema(name, tags=[mm.Tags.CATEGORICAL], dtype="int64", properties=domain)


SCHEMA = mm.Schema([ids("word", 8), mm.ColumnSchema("score", tags=[mm.Tags.CONTINUOUS], dtype="float32")])


def model() -> mm.Model:
    torch.manual_seed(0)
    output = mm.BinaryOutput("late", metrics=("accuracy", "log_loss"))
    return mm.Model(mm.TabularInputBlock(SCHEMA, embedding_dim=4), mm.MLPBlock([8]), output)


def trainer() -> lightning.Trainer:
    return lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def test_a_loader_of_torch_trains_and_measures_what_batches_do() -> None:
    torch.manual_seed(1)
    rows = [
        ({"word": torch.randint(1, 9, (1,)), "score": torch.rand(1)}, torch.tensor(float(i % 2)))
        for i in range(24)
    ]
    pairs = DataLoader(rows, batch_size=8)
    # Lightning takes a list for several loaders.
    made_by_hand = [mm.Batch(columns, {"late": labels}) for columns, labels in pairs]
    batches = DataLoader(made_by_hand, batch_size=None)
    found = []
    for data in (pairs, batches):
        made, runs = model(), trainer()
        runs.fit(made, data)
        found.append((made.state_dict(), runs.validate(made, data, verbose=False)[0]))
    assert found[0][1] == found[1][1]
    for name, weight in found[1][0].items():
        assert torch.equal(found[0][0][name], weight)


def test_a_step_takes_labels_by_name_or_of_the_one_target() -> None:
    columns = {"word": torch.tensor([1, 2]), "score": torch.tensor([0.5, 0.1])}
    labels = torch.tensor([1.0, 0.0])
    made = model()
    expected = mm.Step(made, mm.Batch(columns, {"late": labels})).loss
    for rows in ((columns, labels), [columns, {"late": labels}]):
        assert torch.equal(mm.Step(made, rows).loss, expected)
    assert torch.equal(mm.Step(made, columns, "predict").scores, made(mm.Batch(columns)))


def test_other_rows_say_what_is_expected() -> None:
    columns = {"word": torch.tensor([1, 2]), "score": torch.tensor([0.5, 0.1])}
    with pytest.raises(TypeError, match=r"the rows are 3 things, expected mm\.Batch, columns by name, or a"):
        mm.Step(model(), (columns, None, None))
    outputs = mm.TabularOutputBlock([mm.BinaryOutput("late"), mm.RegressionOutput("length")])
    both = mm.Model(mm.TabularInputBlock(SCHEMA, embedding_dim=4), outputs)
    with pytest.raises(ValueError, match="the model has the targets late, length: give a dict of labels by"):
        mm.Step(both, (columns, torch.tensor([1.0, 0.0])))


def test_a_model_answers_columns_by_name_and_names_ids_that_it_does_not_have() -> None:
    answering = model().eval()
    columns = {"word": torch.tensor([1, 8]), "score": torch.tensor([0.5, 0.1])}
    torch.testing.assert_close(answering(columns), answering(mm.Batch(columns)), rtol=0, atol=0)
    with pytest.raises(IndexError, match="column 'word' has id 9, expected 0 to 8: encode the ids"):
        answering({**columns, "word": torch.tensor([1, 9])})
