"""Evaluation that makes some rows of scores at a time against one that makes them all."""

from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from transformers4rec.torch import Block, Trainer
from transformers4rec.torch.model import _ranked_scores
from transformers4rec.torch.model._item_scores import NextItemPredictionPrepareBlock
from transformers4rec.torch.model._ranked_scores import RankedScores, best_of, best_wanted, only_best_wanted

from tests.compat.small import batch, model, trainer, write_sessions


def made(rows=9, items=40, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(items, 4, generator=generator)
    x = torch.randn(rows, 4, generator=generator)
    labels = torch.randint(0, items, (rows,), generator=generator)

    def block(some):
        return (some @ weight.T).to(dtype), None

    block.module = SimpleNamespace(weight=weight)
    return block, x, labels


@pytest.mark.parametrize("at_a_time", [1, 100, 10_000], ids=["a row", "two rows", "all rows"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_and_best_items_are_those_of_all_scores(at_a_time, smoothing, monkeypatch):
    monkeypatch.setattr(_ranked_scores, "_SCORES", at_a_time)
    block, x, labels = made()
    scores = block(x)[0]
    ranked = RankedScores(block, x, labels, k=7, label_smoothing=smoothing)
    plain = torch.nn.functional.cross_entropy(scores, labels, label_smoothing=smoothing)
    torch.testing.assert_close(ranked.loss, plain)
    values, items = scores.sort(dim=1, descending=True)
    torch.testing.assert_close(ranked.best[0], values[:, :7])
    assert torch.equal(ranked.best[1], items[:, :7])
    torch.testing.assert_close(ranked.value(), scores)


@pytest.mark.parametrize("items", [64, 4097], ids=["few", "not whole cache lines"])
@pytest.mark.parametrize("temperature", [1, 0.5])
@pytest.mark.parametrize("rows", [37, 20], ids=["a rest of one row", "whole pieces"])
def test_scores_in_memory_used_again_are_those_of_the_block(items, temperature, rows, monkeypatch):
    monkeypatch.setattr(_ranked_scores, "_SCORES", 4 * items)
    torch.manual_seed(0)
    block = NextItemPredictionPrepareBlock(items, softmax_temperature=temperature).build([-1, 8])
    x, labels = torch.randn(rows, 8), torch.randint(0, items, (rows,))
    called = []
    with torch.no_grad():
        scores = block(x)[0]
        monkeypatch.setattr(Block, "forward", lambda *_: called.append(1))
        ranked = RankedScores(block, x, labels, k=5, label_smoothing=0.1)
    assert not called, "the scores were not made in memory that is used again"
    torch.testing.assert_close(
        ranked.loss, torch.nn.functional.cross_entropy(scores, labels, label_smoothing=0.1)
    )
    values, found = scores.topk(5)
    torch.testing.assert_close(ranked.best[0], values)
    assert torch.equal(ranked.best[1], found)


def test_hooks_and_autocast_see_what_the_block_makes():
    torch.manual_seed(0)
    block = NextItemPredictionPrepareBlock(50).build([-1, 8])
    x, labels = torch.randn(6, 8), torch.randint(1, 50, (6,))
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            ranked = RankedScores(block, x, labels, k=3, label_smoothing=0.0)
            assert ranked.best[0].dtype == torch.bfloat16
            assert torch.equal(
                ranked.best[1], block(x)[0].float().sort(descending=True, stable=True)[1][:, :3]
            )
        block.module.register_forward_hook(lambda module, given, made: (-made[0], made[1]))
        ranked = RankedScores(block, x, labels, k=3, label_smoothing=0.0)
        assert torch.equal(ranked.best[1], (x @ -block.module.output_layer.T).topk(3)[1])


def test_narrow_scores_are_summed_wide():
    block, x, labels = made(dtype=torch.bfloat16)
    loss = RankedScores(block, x, labels, k=3, label_smoothing=0.0).loss
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(block(x)[0].float(), labels))


def test_a_label_that_is_no_item_is_refused():
    block, x, labels = made()
    labels[3] = 40
    with pytest.raises(IndexError, match="the items are 0 to 39"):
        RankedScores(block, x, labels, k=3, label_smoothing=0.0)


def test_what_is_wanted_is_wanted_inside_only():
    with only_best_wanted(3):
        assert best_wanted() == 3
    assert best_wanted() == 0


class Noting(Trainer):
    """A program's own step, which reads the scores."""

    widths: ClassVar[list[int]] = []

    def prediction_step(self, *args, **kwargs):
        loss, predictions, labels, rest = super().prediction_step(*args, **kwargs)
        self.widths.append(predictions.shape[1])
        return loss, predictions, labels, rest


def test_a_step_of_ones_own_gets_all_scores_and_the_same_metrics(tmp_path):
    path = write_sessions(tmp_path / "valid.parquet", 10)
    found = []
    for kind in (Trainer, Noting):
        one = trainer(tmp_path / kind.__name__)
        one.__class__ = kind
        one.eval_dataset_or_path = path
        found.append(one.evaluate())
    skipped = {name for name in found[0] if "runtime" in name or "per_second" in name}
    for name in set(found[0]) - skipped:
        assert found[1][name] == pytest.approx(found[0][name], rel=1e-5), name
    assert set(Noting.widths) == {model().heads[0].prediction_task_dict["next-item"].target_dim}


def test_the_trainer_never_makes_all_scores(tmp_path, monkeypatch):
    monkeypatch.setattr(_ranked_scores, "_SCORES", 1)
    one = trainer(tmp_path)
    one.eval_dataset_or_path = write_sessions(tmp_path / "valid.parquet", 10)
    rows = []
    task = one.model.heads[0].prediction_task_dict["next-item"]
    task.pre.register_forward_pre_hook(lambda module, given: rows.append(len(given[0])))
    one.evaluate()
    assert rows == [1] * 10


def test_with_gradients_the_scores_have_them():
    built = model()
    built.eval()
    with only_best_wanted(3):
        outputs = built(batch(), testing=True)
    assert outputs["predictions"].requires_grad
    outputs["loss"].backward()


def test_prediction_with_top_k_makes_some_rows_of_scores_at_a_time(monkeypatch):
    monkeypatch.setattr(_ranked_scores, "_SCORES", 2 * 50)
    torch.manual_seed(0)
    block = NextItemPredictionPrepareBlock(50, softmax_temperature=2).build([-1, 8])
    x, made_at_once = torch.randn(5, 8), []
    values, items = block(x)[0].topk(4)
    plain = Block.forward

    def watching(self, inputs, **kwargs):
        made_at_once.append(len(inputs))
        return plain(self, inputs, **kwargs)

    monkeypatch.setattr(Block, "forward", watching)
    with torch.no_grad():
        best = best_of(block, x, 4)
        none = best_of(block, x[:0], 4)
    assert made_at_once == [2, 2, 1, 0]
    torch.testing.assert_close(best[0], values)
    assert torch.equal(best[1], items)
    assert none[0].shape == none[1].shape == (0, 4)
    assert best_of(block, x, 4)[0].requires_grad, "with gradients the scores have them"
