"""Coverage beside ranking measures, by hand, and as a metric of an output."""

import lightning
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.metrics import AnswerMetrics, RankingMetrics, answer_metrics
from tests.unit.sessions import session_model, session_table


def test_both_come_from_the_same_answers() -> None:
    metrics = AnswerMetrics(("coverage", "recall"), (1, 2), size=6)
    for _ in range(2):
        metrics.update(torch.tensor([[2, 3], [2, 4]]), torch.tensor([3, 5]), never=(1,))
        # Of the items 2 to 5 one is answered first, and three are among the first two.
        assert {name: value.item() for name, value in metrics.compute().items()} == {
            "recall_at_1": 0.0,
            "recall_at_2": 0.5,
            "coverage_at_1": 0.25,
            "coverage_at_2": 0.75,
        }
        assert list(metrics.compute()) == metrics.names
        metrics.reset()


def test_coverage_may_stand_alone_and_other_names_need_no_catalogue() -> None:
    alone = answer_metrics(("coverage",), (1,), size=3, exclude=(0,))
    alone.update(torch.tensor([[1]]), torch.tensor([2]))
    assert {name: value.item() for name, value in alone.compute().items()} == {"coverage_at_1": 0.5}
    assert isinstance(answer_metrics(("recall",), (1,), size=3, exclude=(0,)), RankingMetrics)
    with pytest.raises(
        ValueError, match=r"'rcall' is not known: choose from .* \(and coverage, in an output"
    ):
        answer_metrics(("rcall", "coverage"), (1,), size=3, exclude=(0,))


@pytest.mark.filterwarnings("ignore:Starting from v1.9.0, `tensorboardX`:UserWarning")
def test_an_output_measures_what_its_answers_cover() -> None:
    torch.manual_seed(0)
    model = session_model(metrics=("recall", "coverage"), top_ks=(3, 5))
    data = mm.ParquetLoader(session_table(), model.schema, batch_size=7)
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    figures = trainer.validate(model, data, verbose=False)[0]
    shorter = [row[:-1] for row in session_table()["item_id"].to_pylist()]
    table = session_table()
    for name in ("item_id", "category", "age", "price"):
        table = table.set_column(
            table.column_names.index(name), name, [[row[:-1] for row in table[name].to_pylist()]]
        )
    assert table["item_id"].to_pylist() == shorter
    answers = model.predict(table, k=5)["item_id"].to_pylist()
    for k in (3, 5):
        answered = {item for row in answers for item in row[:k]}
        assert figures[f"val_coverage_at_{k}"] == pytest.approx(len(answered) / 30)


def test_coverage_of_two_towers_is_that_of_the_candidates() -> None:
    metrics = mm.RetrievalMetrics(metrics=("coverage", "recall"), top_ks=(1, 9))
    one_hot = torch.eye(4)
    # Three candidates; two queries find the first, one the second, and nothing more is asked for.
    metrics.update(one_hot[[0, 0, 1]], one_hot[[0, 1, 2]], torch.tensor([5, 6, 7]))
    found = {name: value.item() for name, value in metrics.compute().items()}
    assert list(found) == metrics.names
    assert found == pytest.approx(
        {"coverage_at_1": 2 / 3, "coverage_at_9": 1.0, "recall_at_1": 1 / 3, "recall_at_9": 1.0}
    )
    alone = mm.RetrievalMetrics(metrics=("coverage",), top_ks=(1,))
    alone.update(one_hot, one_hot, torch.tensor([5, 6, 7, 8]))
    assert {name: value.item() for name, value in alone.compute().items()} == {"coverage_at_1": 1.0}
