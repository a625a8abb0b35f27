"""Outputs trained with negatives: losses by the plain formula, false negatives, learning, saving."""

from pathlib import Path

import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.metrics import RetrievalMetrics
from merlin_models_torch.outputs import (
    CachedNegatives,
    ContrastiveOutput,
    InBatchNegatives,
    MixedNegatives,
    PopularityNegatives,
    TwoTowerOutput,
    UniformNegatives,
    gbce_loss,
)
from merlin_models_torch.outputs.contrastive import LOSSES
from merlin_models_torch.schema import Schema
from tests.unit.clicks import click_schema, click_table
from tests.unit.schemas import ITEMS, categorical, session_schema
from tests.unit.sessions import session_batch
from tests.unit.training.test_model import loader, trainer

COUNTS = [0.0, *range(1, ITEMS + 1)]


def model_of(output: torch.nn.Module, body: torch.nn.Module | None = None) -> mm.Model:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(
        session_schema(), embedding_dim=16, masking=mm.CausalMasking(), projection=16
    )
    return mm.Model(inputs, body or mm.MLPBlock([16]), output, optimizer=mm.OptimizerConfig(lr=0.02))


@pytest.mark.parametrize("log_q", ["negatives", "all", "none"])
def test_in_batch_softmax_with_log_q_is_the_formula(log_q: str) -> None:
    sampler = InBatchNegatives(counts=COUNTS)
    output = ContrastiveOutput(negatives=sampler, log_q=log_q, weight_tying=True, temperature=0.5)  # type: ignore[arg-type]
    model = model_of(output)
    batch = model.inputs.for_training(session_batch(4))
    hidden, ids = model.body(batch), output.targets(batch)
    logits = output(hidden, batch)
    share = torch.tensor(COUNTS) / sum(COUNTS)
    rows = []
    for row, target in enumerate(ids.tolist()):
        others = [item for item in ids.tolist() if item != target]
        expected = (len(ids) * share).log()
        positive = logits[row, target] - (expected[target] if log_q == "all" else 0)
        negatives = logits[row, others] - (0 if log_q == "none" else expected[others])
        rows.append(torch.cat([positive[None], negatives]).logsumexp(0) - positive)
    torch.testing.assert_close(output.loss(hidden, batch), torch.stack(rows).mean())


def test_gbce_with_uniform_negatives_is_the_formula() -> None:
    output = ContrastiveOutput(negatives=UniformNegatives(7), loss="gbce", calibration=0.6, bias=True)
    model = model_of(output)
    batch = model.inputs.for_training(session_batch(4))
    hidden, ids = model.body(batch), output.targets(batch)
    torch.nn.init.normal_(output.bias)
    drawn = output.negatives(ids, generator=torch.Generator().manual_seed(1)).ids
    logits = output(hidden, batch)
    expected = gbce_loss(
        logits.gather(1, ids[:, None])[:, 0],
        logits[:, drawn],
        drawn != ids[:, None],
        sampling_rate=7 / (ITEMS - 1),
        calibration=0.6,
    )
    found = output.loss(hidden, batch, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(found, expected.mean())


def test_many_uniform_negatives_approach_the_full_softmax() -> None:
    output = ContrastiveOutput(negatives=UniformNegatives(60_000), weight_tying=True)
    model = model_of(output)
    batch = model.inputs.for_training(session_batch(3))
    hidden = model.body(batch) * 5
    sampled = output.loss(hidden, batch, generator=torch.Generator().manual_seed(0))
    logits = output(hidden, batch)[:, 1:]
    full = torch.nn.functional.cross_entropy(logits, output.targets(batch) - 1)
    torch.testing.assert_close(sampled, full, rtol=0.01, atol=0)


def test_evaluation_is_the_softmax_over_the_catalogue() -> None:
    output = ContrastiveOutput(loss="bpr_max", weight_tying=True)
    model = model_of(output).eval()
    batch = model.inputs.for_evaluation(session_batch())
    hidden = model.body(batch)
    full = torch.nn.functional.cross_entropy(output(hidden, batch), output.targets(batch))
    torch.testing.assert_close(output.loss(hidden, batch), full)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_comes_next_is_learned_with_every_loss(loss: str) -> None:
    import pyarrow as pa

    table = pa.table(
        {
            "item_id": [list(range(s, s + 6)) for s in range(1, 22)],
            "category": [[1] * 6] * 21,
            "age": pa.array([[0.0] * 6] * 21, pa.list_(pa.float32())),
            "price": pa.array([[0.0] * 6] * 21, pa.list_(pa.float32())),
            "country": [1] * 21,
        }
    )
    negatives = MixedNegatives(InBatchNegatives(), PopularityNegatives(8), CachedNegatives(16))
    model = model_of(ContrastiveOutput(negatives=negatives, loss=loss, top_ks=(5,)))  # type: ignore[arg-type]
    run = trainer(max_epochs=90 if "bce" in loss else 40)
    run.fit(model, loader(table, shuffle=True))
    found = run.validate(model, loader(table), verbose=False)[0]["val_recall_at_5"]
    assert found > 0.8


def test_the_same_seed_gives_the_same_weights_and_a_saved_model_the_same_answers(tmp_path: Path) -> None:
    models = []
    for _ in range(2):
        negatives = MixedNegatives(UniformNegatives(8), CachedNegatives(4), InBatchNegatives(counts=COUNTS))
        models.append(model_of(ContrastiveOutput(negatives=negatives)))
        torch.manual_seed(len(models))
        trainer(max_epochs=2).fit(models[-1], loader(shuffle=True))
    states = [model.state_dict() for model in models]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    again = mm.load(models[0].save(tmp_path / "model"))
    assert all(torch.equal(states[0][name], value) for name, value in again.state_dict().items())
    torch.testing.assert_close(again(session_batch()), models[0].eval()(session_batch()))


def test_a_column_of_items_is_the_target_of_a_table_without_sequences(tmp_path: Path) -> None:
    # Matrix factorisation: a vector for each user, and one for each item of the target's catalogue.
    table = click_table(200)
    table = table.set_column(1, "item_id", [[1 + user % 9 for user in table["user_id"].to_pylist()]])
    schema = click_schema()
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(schema.select_by_name(["user_id"]), embedding_dim=8)
    output = ContrastiveOutput(target=schema["item_id"], negatives=UniformNegatives(6), top_ks=(2,))
    model = mm.Model(inputs, mm.Block(), output, optimizer=mm.OptimizerConfig(lr=0.05))
    assert output.item_vectors.shape == (10, 8)
    data = mm.ParquetLoader(table, schema, batch_size=32, targets=["item_id"], shuffle=True)
    run = trainer(max_epochs=20)
    run.fit(model, data)
    assert run.validate(model, data, verbose=False)[0]["val_recall_at_2"] > 0.95
    answers = mm.load(model.save(tmp_path / "mf")).predict(table.select(["user_id"]), k=1, keys=["user_id"])
    assert answers.column_names == ["user_id", "item_id", "score"]
    right = [row["item_id"] == [1 + row["user_id"] % 9] for row in answers.to_pylist()]
    assert sum(right) / len(right) > 0.9


def towers(output: TwoTowerOutput) -> mm.Model:
    torch.manual_seed(0)
    schema = click_schema()
    query = mm.Block(
        mm.TabularInputBlock(schema.select_by_name(["user_id"]), embedding_dim=8),
        mm.MLPBlock([8], activation="none"),
    )
    item = mm.Block(
        mm.TabularInputBlock(schema.select_by_name(["item_id"]), embedding_dim=8),
        mm.MLPBlock([8], activation="none"),
    )
    both = mm.ParallelBlock({"query": query, "candidate": item})
    return mm.Model(both, output, optimizer=mm.OptimizerConfig(lr=0.03))


def pairs(rows: int = 200) -> mm.ParquetLoader:
    table = click_table(rows)
    table = table.set_column(1, "item_id", [[1 + user % 9 for user in table["user_id"].to_pylist()]])
    return mm.ParquetLoader(table, click_schema(), batch_size=32, shuffle=True)


def test_two_towers_find_the_item_of_each_user(tmp_path: Path) -> None:
    negatives = MixedNegatives(InBatchNegatives(), CachedNegatives(20))
    model = towers(TwoTowerOutput(click_schema()["item_id"], negatives=negatives, top_ks=(1, 3)))
    run = trainer(max_epochs=25)
    run.fit(model, pairs())
    assert run.validate(model, pairs(), verbose=False)[0]["val_recall_at_1"] > 0.9
    again = mm.load(model.save(tmp_path / "towers"))
    batch = next(iter(pairs()))
    torch.testing.assert_close(again.scores(batch), model.eval().scores(batch))


def test_two_tower_loss_with_false_negatives_is_the_formula() -> None:
    output = TwoTowerOutput("item_id", size=10, normalized=True, temperature=0.5, log_q="none")
    output.build(None, {"query": 2, "candidate": 2})
    query = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]])
    item = torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 0.0]])
    batch = mm.Batch({"item_id": torch.tensor([4, 7, 4])})
    # Cosines over 0.5; the first and third row have the same item, so only the second is their negative.
    scores = torch.tensor([[1.2, 1.6, 1.2], [2.0, 0.0, 2.0], [0.0, 2.0, 0.0]])
    first = torch.logsumexp(scores[0, [0, 1]], 0) - scores[0, 0]
    second = torch.logsumexp(scores[1, [1, 0, 2]], 0) - scores[1, 1]
    third = torch.logsumexp(scores[2, [2, 1]], 0) - scores[2, 2]
    found = output.loss({"query": query, "candidate": item}, batch)
    torch.testing.assert_close(found, (first + second + third) / 3)


def test_retrieval_metrics_do_not_depend_on_batches_and_break_ties_by_id() -> None:
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(12, 4, generator=generator)
    ids = torch.randint(0, 12, (50,), generator=generator)
    queries = torch.randn(50, 4, generator=generator)
    whole, parts = RetrievalMetrics(("recall", "mrr"), (3, 20)), RetrievalMetrics(("recall", "mrr"), (3, 20))
    whole.update(queries, table[ids], ids)
    for start, stop in ((0, 1), (1, 33), (33, 50)):
        parts.update(queries[start:stop], table[ids[start:stop]], ids[start:stop])
    torch.testing.assert_close(whole.compute(), parts.compute())
    present = ids.unique()
    ranks = [
        1 + int((row > row[present == i]).sum())
        for row, i in zip(queries @ table[present].T, ids, strict=True)
    ]
    found = whole.compute()
    assert found["recall_at_3"].item() == pytest.approx(sum(rank <= 3 for rank in ranks) / 50)
    assert found["mrr_at_20"].item() == pytest.approx(sum(1 / rank for rank in ranks) / 50, abs=1e-6)
    ties = RetrievalMetrics(("mrr",), (3,))
    ties.update(torch.ones(3, 1), torch.ones(3, 1), torch.tensor([9, 2, 5]))
    assert ties.compute()["mrr_at_3"].item() == pytest.approx((1 / 3 + 1 + 1 / 2) / 3)


def test_normalized_scores_are_cosines_in_training_too() -> None:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(session_schema(), embedding_dim=6, masking=mm.CausalMasking())
    output = ContrastiveOutput(
        negatives=InBatchNegatives(), weight_tying=True, normalized=True, temperature=0.07, log_q="none"
    )
    model = mm.Model(inputs, mm.MLPBlock([6]), output)
    batch = inputs.for_training(session_batch())
    hidden = model.body(batch)
    items = output.targets(batch)
    table = inputs.item_table.weight
    scores = torch.nn.functional.cosine_similarity(
        batch.plan.queries(hidden)[:, None], table[items][None], dim=-1
    )
    scores = scores / 0.07
    same = items[:, None] == items
    positive = scores.diagonal()
    others = scores.masked_fill(same, -torch.inf)
    expected = torch.cat([positive[:, None], others], 1).logsumexp(1) - positive
    torch.testing.assert_close(output.loss(hidden, batch), expected.mean())


def test_errors_say_what_to_do() -> None:
    with pytest.raises(
        ValueError,
        match="loss is 'warp', expected one of softmax, bce, gbce, bpr, bpr_max, top1, top1_max, hinge",
    ):
        ContrastiveOutput(loss="warp")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="calibration and penalty are 2 and 1"):
        ContrastiveOutput(loss="gbce", calibration=2)
    with pytest.raises(ValueError, match="negatives draws items of the whole catalogue"):
        TwoTowerOutput("item_id", size=3, negatives=MixedNegatives(InBatchNegatives(), UniformNegatives(3)))
    with pytest.raises(ValueError, match="the catalogue of 'item_id' is not known: give size"):
        TwoTowerOutput("item_id")
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        TwoTowerOutput("item_id", size=3, temperature=0)
    with pytest.raises(ValueError, match=r"the body gives widths \{'query': 2, 'candidate': 3\}"):
        TwoTowerOutput("item_id", size=3).build(None, {"query": 2, "candidate": 3})


def test_the_answer_of_a_sequence_is_that_of_its_last_position_and_shares_the_embeddings() -> None:
    import pyarrow as pa

    schema = session_schema().select_by_name(["item_id"]) + Schema(
        [categorical("bought", ITEMS, lists=False)]
    )
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(schema.select_by_name(["item_id"]), embedding_dim=6)
    output = mm.CategoricalOutput(target="bought", weight_tying=True, top_ks=(3,))
    model = mm.Model(inputs, mm.MLPBlock([5]), output).eval()
    assert output.item_vectors is inputs.item_table.weight
    table = pa.table({"item_id": [[3, 4], [5], [7, 8, 9]], "bought": [2, 6, 1]})
    batch = next(iter(mm.ParquetLoader(table, schema, batch_size=3, targets=["bought"])))
    last = model.body[1](inputs.item_table(torch.tensor([4, 5, 9])))
    logits = output.projection(last) @ output.item_vectors.T
    torch.testing.assert_close(model(batch), logits)
    loss = output.loss(model.body(model._planned(batch, "train")), model._planned(batch, "train"))
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, torch.tensor([2, 6, 1])))
