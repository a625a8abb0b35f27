"""Tasks: items, classes and numbers, alone and together; their losses, metrics and modes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torchmetrics
from merlin.schema import ColumnSchema, Tags
from torch import Tensor
from transformers4rec import torch as tr
from transformers4rec.torch.model.prediction_task import LogUniformSampler
from transformers4rec.torch.ranking_metric import ranking_metrics_registry

from tests.equivalence.cases._common import ITEMS, LENGTH, read_schema, refuses, sessions, small_inputs
from tests.equivalence.side import Side

MODES = {
    "training": {"training": True, "testing": False},
    "evaluation": {"training": False, "testing": True},
    "inference": {"training": False, "testing": False},
}
WIDTH = 16


def body_of(inputs: Any) -> Any:
    """Inputs and a layer of XLNet without dropout."""
    config = tr.XLNetConfig.build(d_model=WIDTH, n_head=2, n_layer=1, total_seq_length=LENGTH, dropout=0.0)
    return tr.SequentialBlock(inputs, tr.TransformerBlock(config, masking=inputs.masking))


def model_of(side: Side, *tasks: Any, masking: str | None = None, **head: Any) -> Any:
    """A model of one head with these tasks, its weights those of the original."""
    inputs = small_inputs(side, width=WIDTH, masking=masking)
    model = tr.Model(tr.Head(body_of(inputs), list(tasks), inputs=inputs, **head))
    side.weights(model)
    return model


def copied(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """In its own memory: the original writes into the dictionary that it is given."""
    return {name: values.clone() for name, values in batch.items()}


def labels_of(side: Side, rows: int = 6) -> dict[str, Tensor]:
    """Targets of a row, and of every position."""
    side.seed(2)
    return side.given(
        "targets",
        {
            "click": torch.randint(0, 2, (rows,)),
            "seconds": torch.rand(rows) * 3,
            "clicks": torch.randint(0, 2, (rows, LENGTH)),
            "dwell": torch.rand(rows, LENGTH),
        },
    )


def close_all(side: Side, name: str, values: Any) -> None:
    """A tensor, a tuple of them, or these by name."""
    if isinstance(values, dict):
        side.value(f"{name}/names", list(values))
        for key in values:
            close_all(side, f"{name}/{key}", values[key])
    elif isinstance(values, tuple | list):
        for number, value in enumerate(values):
            close_all(side, f"{name}/{number}", value)
    else:
        side.close(name, values)


def observe(side: Side, model: Any, targets: Any = None, batch: dict[str, Tensor] | None = None) -> None:
    """Everything that a model gives in its three modes, and its metrics."""
    batch = sessions(side) if batch is None else batch
    for mode, flags in MODES.items():
        model.train(mode == "training")
        side.seed(3)
        output = model(copied(batch), targets=targets, **flags)
        if mode == "inference":
            close_all(side, mode, output)
            continue
        close_all(side, f"{mode}/loss", output["loss"])
        close_all(side, f"{mode}/labels", output["labels"])
        close_all(side, f"{mode}/predictions", output["predictions"])
        if mode == "training":
            output["loss"].backward()
            side.gradients(model)
        values = model.calculate_metrics(output["predictions"], output["labels"])
        close_all(side, f"{mode}/batch", values)
    close_all(side, "metrics", model.compute_metrics())
    close_all(side, "metrics-of-mode", model.compute_metrics(mode="eval"))
    model.reset_metrics()


def next_item(side: Side, masking: str = "mlm", smoothing: float | None = None, **options: Any) -> None:
    """Items, with every option of the task."""
    if smoothing is not None:
        options["loss"] = tr.LabelSmoothCrossEntropyLoss(smoothing=smoothing)
    model = model_of(side, tr.NextItemPredictionTask(**options), masking=masking)
    observe(side, model)
    model.eval()
    model.top_k = 7
    scores, ids = model(sessions(side, name="again"))
    side.close("best-scores", scores)
    side.same("best-ids", ids)


def losses(side: Side) -> None:
    """Losses that need all scores: weighted, summed, of another kind."""
    chosen = {
        "weighted": torch.nn.CrossEntropyLoss(weight=torch.linspace(0.5, 1.5, ITEMS + 1)),
        "summed": torch.nn.CrossEntropyLoss(reduction="sum"),
        "ignoring": torch.nn.CrossEntropyLoss(ignore_index=3),
        "margin": torch.nn.MultiMarginLoss(),
    }
    inputs = small_inputs(side, width=WIDTH, masking="mlm")
    body, batch = body_of(inputs), sessions(side)
    for name, loss in chosen.items():
        model = tr.Model(
            tr.Head(body, tr.NextItemPredictionTask(loss=loss, weight_tying=True), inputs=inputs)
        )
        if name == "weighted":
            side.weights(body)
        side.seed(3)
        output = model(copied(batch), training=True)
        side.close(f"{name}/loss", output["loss"])
        side.close(f"{name}/predictions", output["predictions"])


def wider_tables(side: Side) -> None:
    """Weight tying over item vectors wider than the body, and a block before the scores."""
    inputs = small_inputs(side, width=WIDTH, masking="mlm", embedding_dim_default=24)
    model = tr.Model(tr.Head(body_of(inputs), tr.NextItemPredictionTask(weight_tying=True), inputs=inputs))
    side.weights(model, "projected")
    side.seed(3)
    output = model(sessions(side), training=True)
    side.close("projected/predictions", output["predictions"])
    block = tr.MLPBlock([24])
    task = tr.NextItemPredictionTask(weight_tying=True, task_block=block)
    model = tr.Model(tr.Head(body_of(inputs), task, task_blocks=block, inputs=inputs))
    side.weights(model, "block")
    side.seed(3)
    output = model(sessions(side, name="second"), training=True)
    side.close("block/predictions", output["predictions"])
    side.close("block/loss", output["loss"])


def sampled_softmax(side: Side, tied: bool) -> None:
    """The target against some negatives: the same ones under one seed, so the same loss."""
    task = tr.NextItemPredictionTask(
        weight_tying=tied, sampled_softmax=True, max_n_samples=20, softmax_temperature=0.5
    )
    model = model_of(side, task, masking="mlm")
    batch = sessions(side)
    side.seed(3)
    output = model(copied(batch), training=True)
    side.close("loss", output["loss"])
    side.same("labels", output["labels"])
    side.close("predictions", output["predictions"])
    output["loss"].backward()
    side.gradients(model)
    evaluated = model(copied(batch), testing=True)
    side.close("evaluated", evaluated["predictions"])
    side.close("evaluated-loss", evaluated["loss"])


def log_uniform(side: Side) -> None:
    """The sampler by itself: its chances, its draws under one seed and under others."""
    labels = torch.tensor([1, 5, 49])
    for unique in (True, False):
        sampler = LogUniformSampler(max_n_samples=12, max_id=50, min_id=1, unique_sampling=unique)
        side.close(f"{unique}/dist", sampler.dist)
        side.close(f"{unique}/unique", sampler.unique_sampling_dist)
        side.seed(4)
        negatives, of_labels, of_negatives = sampler.sample(labels)
        side.same(f"{unique}/negatives", negatives)
        side.close(f"{unique}/of-labels", of_labels)
        side.close(f"{unique}/of-negatives", of_negatives)
        side.seed(5 if side.is_original else 6)
        drawn = [sampler(labels)[0] for _ in range(1500)]
        side.draws(f"{unique}/items", torch.tensor([float(len(ids)) for ids in drawn]))
        side.draws(f"{unique}/mean", torch.stack([ids.float().mean() for ids in drawn]))
        side.draws(f"{unique}/largest", torch.stack([ids.max().float() for ids in drawn]))
    sampler = LogUniformSampler(max_n_samples=2, max_id=50)
    side.error("no-items", lambda: LogUniformSampler(max_n_samples=2, max_id=0))
    side.error("no-samples", lambda: LogUniformSampler(max_n_samples=0, max_id=5))
    side.error("list", lambda: sampler.sample([1, 2]))
    side.error("float", lambda: sampler.sample(torch.rand(3)))
    side.error("matrix", lambda: sampler.sample(torch.ones(2, 2, dtype=torch.long)))
    side.error("empty", lambda: sampler.sample(torch.ones(0, dtype=torch.long)))
    side.error("outside", lambda: sampler.sample(torch.tensor([51])))


def with_block(task: Callable[..., None], side: Side, **options: Any) -> None:
    """A task with a block of its own."""
    task(side, task_block=tr.MLPBlock([8]), task_name="named", **options)


def classified(side: Side, summary: str | None, **options: Any) -> None:
    """Classes of two, of rows or of every position."""
    target = "click" if summary else "clicks"
    metrics = [torchmetrics.Precision(task="binary"), torchmetrics.F1Score(task="binary")]
    task = tr.BinaryClassificationTask(target, summary_type=summary, metrics=metrics, **options)
    observe(side, model_of(side, task), labels_of(side))


def regressed(side: Side, summary: str | None, **options: Any) -> None:
    """Numbers, of rows or of every position."""
    target = "seconds" if summary else "dwell"
    task = tr.RegressionTask(
        target, summary_type=summary, metrics=[torchmetrics.regression.MeanSquaredError()], **options
    )
    observe(side, model_of(side, task), labels_of(side))


class Ordinal(tr.PredictionTask):
    """A task of a user: three levels of a number, with a layer and a loss of its own."""

    def __init__(self, target_name: str) -> None:
        self.target_dim = 3
        super().__init__(
            loss=torch.nn.MSELoss(),
            metrics=[torchmetrics.regression.MeanAbsoluteError()],
            target_name=target_name,
            pre=tr.Block(torch.nn.Linear(WIDTH, 1), [-1, 1]),
            forward_to_prediction_fn=torch.floor,
            summary_type="mean",
        )

    def forward(
        self, inputs: Tensor, targets: Tensor | None = None, training: bool = False, testing: bool = False
    ) -> Any:
        if training or testing:
            targets = targets.floor().unsqueeze(-1)
        return super().forward(inputs, targets=targets, training=training, testing=testing)


def of_users(side: Side) -> None:
    """A subclass of PredictionTask, named after itself."""
    model = model_of(side, Ordinal("seconds"))
    side.value("name", model.heads[0].prediction_task_dict["seconds/ordinal"].child_name("metric"))
    observe(side, model, labels_of(side))


def several(side: Side, reduction: str) -> None:
    """Several tasks on one body, weighted, beside the items."""
    tasks = [
        tr.NextItemPredictionTask(weight_tying=True),
        tr.BinaryClassificationTask(
            "click", task_name="clicked", metrics=[torchmetrics.Accuracy(task="binary")]
        ),
        tr.RegressionTask("seconds", summary_type="mean"),
    ]
    weights = [0.5, 2.0, 3.0]
    model = model_of(side, *tasks, masking="mlm", task_weights=weights, loss_reduction=reduction)
    observe(side, model, labels_of(side))


def task_blocks(side: Side) -> None:
    """One block for all tasks, copied for each, or one for each by name."""
    for name, blocks in {
        "one": tr.MLPBlock([8]),
        "each": {
            "click/binary_classification_task": tr.MLPBlock([4]),
            "seconds/regression_task": tr.MLPBlock([6, 3]),
        },
    }.items():
        inputs = small_inputs(side, width=WIDTH)
        tasks = [
            tr.BinaryClassificationTask("click", metrics=[torchmetrics.Accuracy(task="binary")]),
            tr.RegressionTask("seconds"),
        ]
        head = tr.Head(body_of(inputs), tasks, task_blocks=blocks, inputs=inputs)
        side.weights(head, name)
        side.value(f"{name}/blocks", sorted(head.task_blocks))
        output = head(sessions(side, name=f"{name}-batch"), call_body=True)
        close_all(side, name, output)


def several_heads(side: Side) -> None:
    """Two heads over inputs of their own, weighted and added up."""
    heads = []
    for task in (tr.NextItemPredictionTask(), tr.RegressionTask("seconds")):
        inputs = small_inputs(side, width=WIDTH, masking="mlm" if not heads else None)
        heads.append(tr.Head(body_of(inputs), task, inputs=inputs))
    model = tr.Model(*heads, head_weights=[0.25, 4.0], head_reduction="sum")
    side.weights(model)
    side.value("tasks", [task.task_name for task in model.prediction_tasks])
    observe(side, model, labels_of(side))


def from_schema(side: Side) -> None:
    """Tasks found by the tags of their columns."""
    targets = [
        ColumnSchema("click", tags=[Tags.BINARY], dtype=np.int64),
        ColumnSchema("bought", tags=[Tags.CLASSIFICATION], dtype=np.int64),
        ColumnSchema("seconds", tags=[Tags.REGRESSION], dtype=np.float32),
    ]
    schema = read_schema(side) + type(read_schema(side))(targets)
    inputs = small_inputs(side, width=WIDTH)
    head = tr.Head.from_schema(
        schema, body_of(inputs), task_weight_dict={"seconds": 5.0}, inputs=inputs, loss_reduction="sum"
    )
    side.weights(head)
    values = {**labels_of(side), "bought": torch.tensor([1, 0, 1, 1, 0, 0])}
    output = head(sessions(side), call_body=True, training=True, targets=values)
    side.close("loss", output["loss"])
    close_all(side, "predictions", output["predictions"])
    side.value("summaries", [task.summary_type for task in head.prediction_task_dict.values()])


def metrics(side: Side, name: str) -> None:
    """One ranking metric with every option and shape, of each batch and over all."""
    side.seed(7)
    given = side.given("scores", {"a": torch.rand(5, 12), "b": torch.rand(3, 12), "c": torch.rand(2, 4, 12)})
    ids = {"a": torch.tensor([0, 3, 11, 5, 5]), "b": torch.tensor([2, 2, 9]), "c": torch.arange(8).view(2, 4)}
    side.seed(8)
    many = side.given("many", {"a": (torch.rand(5, 12) < 0.3).float()})["a"]
    many[2] = 0
    cls = type(ranking_metrics_registry.parse(name))
    for top_ks in (None, 3, [1, 4, 10], (10, 2)):
        metric = cls(top_ks=top_ks, labels_onehot=True)
        for key, scores in given.items():
            side.close(f"{top_ks}/{key}", metric(scores, ids[key]))
        side.close(f"{top_ks}/all", metric.compute())
        metric.reset()
        metric.update(given["b"], ids["b"])
        side.close(f"{top_ks}/reset", metric.compute())
        labelled = cls(top_ks=top_ks)
        side.close(f"{top_ks}/labels", labelled(given["a"], many))
        side.close(f"{top_ks}/graded", labelled(given["a"], many * 0.4))
        hot = torch.nn.functional.one_hot(ids["c"], 12).float()
        side.close(f"{top_ks}/positions", labelled(given["c"], hot))
        side.close(f"{top_ks}/both", labelled.compute())
    wrong = cls(top_ks=[2])
    side.error("ids-as-labels", lambda: wrong(given["a"], ids["a"]))
    side.error("other-shape", lambda: wrong(given["a"], torch.zeros(5, 11)))
    side.error("too-many", lambda: cls(top_ks=[13], labels_onehot=True)(given["a"], ids["a"]))
    side.error("nothing", lambda: cls(top_ks=[2]).compute())


def two_of_one_class(side: Side) -> None:
    """Of two metrics of one class only the last is reported."""
    recall = type(ranking_metrics_registry.parse("recall_at"))
    chosen = [recall(top_ks=[5], labels_onehot=True), recall(top_ks=[3, 10], labels_onehot=True)]
    model = model_of(side, tr.NextItemPredictionTask(metrics=chosen), masking="mlm")
    side.seed(3)
    output = model(sessions(side), training=True)
    close_all(side, "batch", model.calculate_metrics(output["predictions"], output["labels"]))
    close_all(side, "all", model.compute_metrics())


def shared_defaults(side: Side) -> None:
    """Default metrics are one object for all tasks, which report what they measured together."""
    tasks = [tr.BinaryClassificationTask("click"), tr.BinaryClassificationTask("click", task_name="again")]
    model = model_of(side, *tasks)
    model.reset_metrics()
    output = model(sessions(side), targets=labels_of(side), training=True)
    model.calculate_metrics(output["predictions"], output["labels"])
    close_all(side, "all", model.compute_metrics())
    model.reset_metrics()


def errors(side: Side) -> None:
    """What cannot be: the classes of the exceptions."""
    inputs = small_inputs(side, width=WIDTH)
    masked = small_inputs(side, width=WIDTH, masking="mlm")
    labels = labels_of(side)
    refuses(side, "attn", NotImplementedError, lambda: tr.RegressionTask("seconds", summary_type="attn"))
    refuses(side, "no-masking", ValueError, lambda: tr.Head(body_of(inputs), tr.NextItemPredictionTask()))
    flat = tr.SequentialBlock(masked, tr.Block(torch.nn.Flatten(), [-1, LENGTH * WIDTH]))
    refuses(side, "flat", ValueError, lambda: tr.Head(flat, tr.NextItemPredictionTask(), inputs=masked))
    refuses(side, "no-size", ValueError, lambda: tr.Head(torch.nn.Linear(2, 2), tr.RegressionTask("seconds")))
    every = tr.Model(tr.Head(body_of(inputs), tr.BinaryClassificationTask("click", summary_type=None)))
    batch = sessions(side)
    refuses(side, "vector", ValueError, lambda: every(copied(batch), targets=labels, training=True))
    model = tr.Model(tr.Head(body_of(inputs), tr.BinaryClassificationTask("click")))
    matrix = {"click": labels["clicks"]}
    refuses(side, "matrix", ValueError, lambda: model(copied(batch), targets=matrix, training=True))
    short = {"click": labels["click"][:3]}
    refuses(side, "rows", ValueError, lambda: model(copied(batch), targets=short, training=True))
    refuses(
        side, "missing", AttributeError, lambda: model(copied(batch), targets={"x": short}, training=True)
    )
    few = tr.NextItemPredictionTask(target_dim=5)
    small = tr.Model(tr.Head(body_of(masked), few, inputs=masked))
    side.seed(3)
    refuses(side, "target-dim", IndexError, lambda: small(copied(batch), training=True))
    as_wide = small_inputs(side, width=WIDTH, masking="mlm", embedding_dim_default=WIDTH)
    wide = tr.NextItemPredictionTask(task_block=tr.MLPBlock([WIDTH + 3]), weight_tying=True)
    of_wide = tr.Model(tr.Head(body_of(as_wide), wide, inputs=as_wide))
    for name, how in {"training": {"training": True}, "testing": {"testing": True}, "answers": {}}.items():
        side.seed(3)
        refuses(side, f"wide-{name}", RuntimeError, partial(of_wide, copied(batch), **how))
    ranked = tr.Model(tr.Head(body_of(masked), tr.NextItemPredictionTask(), inputs=masked), top_k=500)
    refuses(side, "top-k", RuntimeError, lambda: ranked(copied(batch)))
    heads = [tr.Head(body_of(inputs), tr.RegressionTask("seconds"))]
    refuses(side, "head-weights", ValueError, lambda: tr.Model(*heads, head_weights=[1.0, 2.0]))
    refuses(side, "weights-tuple", ValueError, lambda: tr.Model(*heads, head_weights=(1.0,)))


CASES = {
    "next-item": next_item,
    "next-item-tied": partial(next_item, weight_tying=True),
    "next-item-causal": partial(next_item, masking="clm", weight_tying=True),
    "next-item-cold": partial(next_item, weight_tying=True, softmax_temperature=0.3),
    "next-item-no-temperature": partial(next_item, softmax_temperature=0),
    "next-item-smooth": partial(next_item, smoothing=0.2, softmax_temperature=2.0),
    "next-item-target-dim": partial(next_item, target_dim=ITEMS + 30),
    "next-item-losses": losses,
    "next-item-wider-tables": wider_tables,
    "sampled-softmax": partial(sampled_softmax, tied=False),
    "sampled-softmax-tied": partial(sampled_softmax, tied=True),
    "log-uniform-sampler": log_uniform,
    **{
        f"binary-{kind}": partial(classified, summary=kind)
        for kind in ("first", "last", "mean", "cls_index", None)
    },
    "binary-options": partial(with_block, classified, summary="mean", loss=torch.nn.BCELoss(reduction="sum")),
    **{f"regression-{kind}": partial(regressed, summary=kind) for kind in ("first", "last", "mean", None)},
    "regression-options": partial(with_block, regressed, summary="last", loss=torch.nn.SmoothL1Loss()),
    "task-of-a-user": of_users,
    "several-mean": partial(several, reduction="mean"),
    "several-sum": partial(several, reduction="sum"),
    "task-blocks": task_blocks,
    "several-heads": several_heads,
    "head-from-schema": from_schema,
    **{
        f"metric-{name}": partial(metrics, name=name)
        for name in ("precision_at", "recall_at", "avg_precision_at", "dcg_at", "ndcg_at", "mrr_at")
    },
    "metrics-of-one-class": two_of_one_class,
    "metrics-shared": shared_defaults,
    "errors": errors,
}
