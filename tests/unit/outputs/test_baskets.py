"""A set of items as the target of each row: the next basket."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.metrics import ndcg_at, recall_at, relevance_of
from tests.unit.schemas import categorical
from tests.unit.training.test_model import trainer

ITEMS = 12
BASKET = categorical("basket", ITEMS, mm.Tags.TARGET, domain="item_id")


def schema() -> mm.Schema:
    return mm.Schema([categorical("item_id", ITEMS, mm.Tags.ITEM_ID), BASKET])


def table(rows: int = 90) -> pa.Table:
    """After item 3 n + 1 comes a basket of one to three of the items 3 n + 1 to 3 n + 3."""
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 4, rows)
    items = [[*rng.integers(1, ITEMS + 1, rng.integers(0, 4)).tolist(), 3 * int(g) + 1] for g in groups]
    baskets = [(3 * g + 1 + rng.permutation(3)[: rng.integers(1, 4)]).tolist() for g in groups]
    return pa.table({"item_id": items, "basket": baskets})


def model(output: mm.CategoricalOutput) -> mm.Model:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(schema(), embedding_dim=8, masking=mm.CausalMasking())
    return mm.Model(inputs, mm.GRUBlock(8), output, optimizer=mm.OptimizerConfig(lr=0.03))


def test_loss_and_figures_are_those_of_sets_by_hand() -> None:
    made = model(mm.CategoricalOutput(target=BASKET, weight_tying=True, top_ks=(3,))).eval()
    lists = mm.Ragged(torch.tensor([1, 2, 5, 9]), torch.tensor([0, 2, 3, 3, 4]))
    items = mm.Ragged(torch.tensor([3, 4, 5, 6, 7]), torch.tensor([0, 2, 3, 4, 5]))
    batch = mm.Batch({"item_id": items}, {"basket": lists})
    logits = made(batch)
    planned = made.inputs.for_prediction(batch)
    hidden = made.body(planned)
    logs = logits.log_softmax(-1)
    expected = -(logs[0, 1] + logs[0, 2] + logs[1, 5] + logs[3, 9]) / 4
    torch.testing.assert_close(made.output.loss(hidden, planned), expected)
    assert made.output.count(planned) == 4
    metrics = made.output.make_metrics()
    made.output.update_metrics(metrics, hidden, planned)
    answers = made.output.topk(hidden, planned, k=3)[1][[0, 1, 3]]
    relevance = relevance_of(answers, torch.tensor([[1, 2], [5, -1], [9, -1]]))
    found = metrics.compute()
    torch.testing.assert_close(found["recall_at_3"], recall_at(*relevance, k=3).mean())
    torch.testing.assert_close(found["ndcg_at_3"], ndcg_at(*relevance, k=3).mean())
    padded = mm.Batch(planned.features, {"basket": lists.padded()}, plan=planned.plan)
    torch.testing.assert_close(made.output.loss(hidden, padded), expected)


@pytest.mark.filterwarnings("ignore:The number of training batches:UserWarning")
@pytest.mark.parametrize("sampled", [False, True])
def test_baskets_are_learned_and_answered(sampled: bool, tmp_path: Path) -> None:
    output = (
        mm.ContrastiveOutput(negatives=mm.UniformNegatives(20), target=BASKET, top_ks=(3,))
        if sampled
        else mm.CategoricalOutput(target=BASKET, top_ks=(3,))
    )
    made = model(output)
    data = mm.ParquetLoader(table(), schema(), batch_size=16, shuffle=True)
    run = trainer(max_epochs=20)
    run.fit(made, data)
    assert run.validate(made, data, verbose=False)[0]["val_recall_at_3"] > 0.9
    answers = made.predict(table().select(["item_id"]), k=3)
    assert answers.column_names == ["row", "basket", "score"]
    made.save(tmp_path / "model")
    assert mm.load(tmp_path / "model").predict(table().select(["item_id"]), k=3).equals(answers)
