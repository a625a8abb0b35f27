"""Tasks: sampled softmax, options and errors, training and evaluation without the Trainer."""

import math
import warnings

import numpy as np
import pytest
import torch
import torchmetrics
from transformers4rec import torch as tr
from transformers4rec.torch.model.prediction_task import (
    LogUniformSampler,
    NextItemPredictionPrepareBlock,
    _NextItemPredictionTask,
)

from tests.compat.small import LENGTH, batch, model, schema

LOWEST = "sampled softmax draws twice as many items as it uses"


def inputs_of(**options):
    torch.manual_seed(0)
    return tr.TabularSequenceFeatures.from_schema(
        schema(), max_sequence_length=LENGTH, d_output=8, aggregation="concat", **options
    )


def classifier(**options):
    inputs = inputs_of()
    return tr.Model(tr.Head(inputs, tr.BinaryClassificationTask("click", **options), inputs=inputs))


def scores_of(*, temperature=1.0, samples=3, items=12):
    torch.manual_seed(0)
    block = NextItemPredictionPrepareBlock(
        items, softmax_temperature=temperature, sampled_softmax=True, max_n_samples=samples, min_id=1
    ).build([-1, LENGTH, 4])
    return block.module


# ---- sampled softmax


def test_chances_of_negatives_by_hand():
    sampler = LogUniformSampler(max_n_samples=3, max_id=5, min_id=2)
    expected = [0, 0, math.log(2) / math.log(4), math.log(1.5) / math.log(4), math.log(4 / 3) / math.log(4)]
    assert sampler.dist.tolist() == pytest.approx(expected)
    assert sampler.n_sample == 6
    assert sampler.unique_sampling_dist.tolist() == pytest.approx([1 - (1 + p) ** -6 for p in expected])


def test_negatives_are_distinct_and_of_the_lowest_ids():
    sampler = LogUniformSampler(max_n_samples=3, max_id=40, min_id=1)
    torch.manual_seed(0)
    all_drawn = torch.multinomial(sampler.dist, 6, replacement=True).unique()
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match=LOWEST):
        drawn, _, _ = sampler.sample(torch.tensor([1]))
    assert len(all_drawn) > 3
    assert drawn.tolist() == all_drawn[:3].tolist()


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_sampled_scores_by_hand(temperature):
    module = scores_of(temperature=temperature)
    hidden, targets = torch.randn(2, 4), torch.tensor([1, 7])
    torch.manual_seed(2)
    with pytest.warns(UserWarning, match=LOWEST):
        negatives, of_targets, of_negatives = module.sampler.sample(targets)
    torch.manual_seed(2)
    scores, labels = module(hidden, targets, training=True)
    assert labels.tolist() == [0, 0]
    for row, target in enumerate(targets.tolist()):
        first = hidden[row] @ module.output_layer[target] - of_targets[row].log()
        assert scores[row, 0].item() == pytest.approx(first.item() / temperature, rel=1e-4)
        for place, negative in enumerate(negatives.tolist()):
            expected = hidden[row] @ module.output_layer[negative] - of_negatives[place].log()
            if negative == target:
                expected = torch.tensor(-655.04)
            assert scores[row, 1 + place].item() == pytest.approx(expected.item() / temperature, rel=1e-4)
    assert 1 in negatives  # the first row has its own target among the negatives


def test_only_training_samples():
    module = scores_of()
    hidden, targets = torch.randn(2, 4), torch.tensor([1, 7])
    for flags in ({"testing": True}, {}):
        scores, labels = module(hidden, targets, **flags)
        torch.testing.assert_close(scores, hidden @ module.output_layer.t())
        assert labels is targets


@pytest.mark.parametrize(
    ("labels", "error", "text"),
    [
        ([1, 2], TypeError, "labels are a list"),
        (torch.rand(3), ValueError, r"labels are torch.float32: give int64"),
        (torch.ones(2, 2, dtype=torch.long), ValueError, r"shape \(2, 2\)"),
        (torch.ones(0, dtype=torch.long), ValueError, "there are no labels"),
        (torch.tensor([3, 51]), ValueError, "labels go from 3 to 51, but must be in 0 to 50"),
    ],
)
def test_labels_that_cannot_be(labels, error, text):
    with pytest.raises(error, match=text):
        LogUniformSampler(max_n_samples=2, max_id=50)(labels)


def test_samplers_that_cannot_be():
    with pytest.raises(ValueError, match="max_id is 0: give a positive number"):
        LogUniformSampler(max_n_samples=2, max_id=0)
    with pytest.raises(ValueError, match="max_n_samples is 0"):
        LogUniformSampler(max_n_samples=0, max_id=2)


def test_the_scoring_module_keeps_its_name():
    assert str(_NextItemPredictionTask([1, 1, 2], 3)) == "NextItemPredictionTask()"


# ---- options


def test_a_target_outside_of_target_dim_is_an_index_error():
    built = model()
    inputs = built.heads[0].body[0]
    few = tr.Model(tr.Head(built.heads[0].body, tr.NextItemPredictionTask(target_dim=3), inputs=inputs))
    with pytest.raises(IndexError, match="is outside the catalogue of 3 items"):
        few(batch(), training=True)


def test_summaries_of_a_sequence():
    hidden = torch.arange(12.0).view(1, 3, 4)
    for name, expected in {"first": hidden[:, 0], "last": hidden[:, 2], "mean": hidden[:, 1]}.items():
        task = tr.RegressionTask("seconds", summary_type=name)
        assert torch.equal(task.sequence_summary(hidden), expected)
    with pytest.raises(NotImplementedError, match="summary_type 'attn' never was there"):
        tr.RegressionTask("seconds", summary_type="attn")
    with pytest.raises(ValueError, match="summary_type is 'median': write 'last', 'first' or 'mean'"):
        tr.RegressionTask("seconds", summary_type="median")


def test_targets_that_are_missing_or_have_no_positions():
    with pytest.raises(AttributeError, match=r"got no targets: give targets with a column 'click'"):
        classifier()(batch(), targets={"other": torch.ones(4)}, training=True)
    with pytest.raises(ValueError, match=r"targets have to be \(rows, positions\), got \(4,\)"):
        classifier(summary_type=None)(batch(), targets=torch.ones(4), training=True)


def test_two_metrics_of_one_class_report_the_last():
    recall = tr.ranking_metric.RecallAt
    built = model()
    task = built.prediction_tasks[0]
    task.set_metrics([recall(top_ks=[2], labels_onehot=True), recall(top_ks=[3], labels_onehot=True)])
    output = built(batch(), training=True)
    built.calculate_metrics(output["predictions"], output["labels"])
    with pytest.warns(UserWarning, match="two metrics of one class, of which only the last is reported"):
        assert list(built.compute_metrics()) == ["next-item/recall_at_3"]


def test_default_metrics_of_two_tasks_are_told_of():
    inputs = inputs_of()
    tasks = [tr.BinaryClassificationTask(name) for name in ("a", "b")]
    with pytest.warns(UserWarning, match="two tasks share metrics, as default ones are"):
        tr.Model(tr.Head(inputs, tasks, inputs=inputs))


def test_a_head_without_tasks_answers_nothing():
    inputs = inputs_of()
    assert tr.Head(inputs, [], inputs=inputs)(batch(), call_body=True) == {}


def test_head_weights_by_hand():
    heads, losses = [], []
    targets = {"seconds": torch.tensor([1.0, 2.0, 3.0, 4.0])}
    for _ in range(2):
        inputs = inputs_of()
        task = tr.RegressionTask("seconds", task_name=f"seconds-{len(heads)}")
        heads.append(tr.Head(inputs, task, inputs=inputs))
        losses.append(heads[-1](batch(), call_body=True, targets=targets, training=True)["loss"])
    with pytest.warns(UserWarning, match="two tasks share metrics"):
        built = tr.Model(*heads, head_weights=[2.0, 0.5], head_reduction="sum")
    output = built(batch(), targets=targets, training=True)
    torch.testing.assert_close(output["loss"], 2 * losses[0] + 0.5 * losses[1])
    assert list(output["predictions"]) == ["seconds-0", "seconds-1"]


# ---- fit and evaluate


def batches(rows=3):
    return [(batch(seed=seed), None) for seed in range(rows)]


def test_fit_gives_the_mean_loss_of_each_epoch():
    built, other = model(), model()
    torch.manual_seed(1)
    losses = built.fit(batches(), optimizer=torch.optim.SGD, num_epochs=2, verbose=False)
    torch.manual_seed(1)
    optimizer, expected = torch.optim.SGD(other.parameters()), []
    for _ in range(2):
        epoch = []
        for columns, _targets in batches():
            loss = other(columns, training=True)["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            epoch.append(loss.item())
        expected.append(np.mean(epoch))
    assert losses.tolist() == pytest.approx(expected, rel=1e-5)


def test_fit_without_training_changes_no_weight():
    built = model()
    before = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    built.fit(batches(), train=False, verbose=False)
    assert not built.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in built.state_dict().items())


def test_fit_prints_metrics_that_add_up_over_epochs(capsys):
    built = model()
    with pytest.warns(UserWarning, match="are over all epochs since the last reset"):
        built.fit(batches(), num_epochs=2, eval_dataloader=None)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert len(printed) == 2
    rows = sum(len(values) for values in built.prediction_tasks[0].metrics[0].metric_mean)
    once = model()
    once.fit(batches(), verbose=False)
    assert rows > sum(len(values) for values in once.prediction_tasks[0].metrics[0].metric_mean)


def test_evaluate_leaves_dropout_on_and_says_so():
    built = model(dropout=0.5).train()
    with pytest.warns(UserWarning, match="leaves dropout on, .* call model.eval"):
        built.evaluate(batches(), verbose=False)
    assert built.training
    quiet = model(dropout=0.5).eval()
    first, second = (quiet.evaluate(batches(), verbose=False) for _ in range(2))
    assert first == second
    assert set(first) == {f"next-item/{name}_at_{k}" for name in ("ndcg", "recall") for k in (5, 10)}


def test_a_torch_loader_is_gone_through_by_row_and_says_so():
    loader = torch.utils.data.DataLoader(batches(), batch_size=3, collate_fn=list)
    with pytest.warns(UserWarning, match="go through the dataset of a torch DataLoader"):
        losses = model().fit(loader, verbose=False)
    assert losses.shape == (1,)


def test_a_trace_in_evaluation_mode_answers_as_the_model():
    built = model().eval()
    with warnings.catch_warnings():
        # Tracing is deprecated, and reads every property of every module, deprecated ones too.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        trace = torch.jit.trace(built, batch(), strict=False)
    other = batch(seed=5)
    torch.testing.assert_close(trace(other), built(other))


def test_a_lightning_module_has_the_models_loss_and_optimizer():
    built = classifier(metrics=[torchmetrics.Accuracy(task="binary")])
    lightning = built.to_lightning()
    targets = {"click": torch.tensor([0, 1, 1, 0])}
    lightning.log = lambda name, value: None
    loss = lightning.training_step((batch(), targets), 0)
    torch.testing.assert_close(loss, built(batch(), targets=targets, training=True)["loss"])
    assert type(lightning.configure_optimizers()) is torch.optim.Adam


def test_the_trainer_of_lightnings_old_name_trains_a_model():
    pytorch_lightning = pytest.importorskip("pytorch_lightning")
    built = classifier(metrics=[torchmetrics.Accuracy(task="binary")])
    before = {name: weight.clone() for name, weight in built.state_dict().items()}
    loader = torch.utils.data.DataLoader([(batch(), {"click": torch.tensor([0, 1, 1, 0])})], batch_size=None)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pytorch_lightning.Trainer(max_steps=1, accelerator="cpu", enable_model_summary=False, **quiet)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Lightning, on the number of workers
        trainer.fit(built.to_lightning(), loader)
    assert any(not torch.equal(weight, before[name]) for name, weight in built.state_dict().items())
