"""What a naive test misses: habits of 23.12.0 that no documentation has, one small case each.

Some have their case where the rest of their subject is: ``masking/rtd-ignores-mlm-probability``,
``masking/plm-permute-all`` and ``bodies/plm-xlnet-permute-all``, ``bodies/batch-of-one-*``,
``models/padded-positions-attended-to``, ``models/evaluate-leaves-dropout-on``,
``training/evaluation-loss-weighted-by-the-last-batch`` and ``training/warmup-ratio-ignored``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers4rec import torch as tr
from transformers4rec.config import transformer as configs
from transformers4rec.torch.block.transformer import TransformerBlock
from transformers4rec.torch.masking import masking_registry
from transformers4rec.torch.model.prediction_task import LogUniformSampler
from transformers4rec.torch.ranking_metric import RecallAt
from transformers4rec.torch.utils.data_utils import T4RecDataLoader

from tests.equivalence.cases import loaders, training
from tests.equivalence.cases._common import LENGTH, ragged, refuses, sessions, small_inputs
from tests.equivalence.cases.bodies import MODES, WIDTH, built, copied, vectors
from tests.equivalence.cases.models import batches_of, next_item_model
from tests.equivalence.cases.tasks import close_all
from tests.equivalence.side import Side


def no_fake_tokens(side: Side) -> None:
    """A model with "rtd" never replaces an item: its targets are those of "mlm"."""
    model, inputs = built(side, "electra", "rtd")
    called: list[str] = []
    for name in ("get_fake_tokens", "sample_from_softmax"):
        setattr(inputs.masking, name, lambda *given, name=name: called.append(name))
    batch = sessions(side)
    for number, (mode, flags) in enumerate(MODES.items()):
        model.train(mode == "training")
        side.seed(number)
        output = model(copied(batch), **flags)
        side.close(f"{mode}/scores", output if mode == "inference" else output["predictions"])
    side.value("drawn", called)
    side.seed(0)
    replaced = inputs.masking.compute_masked_targets(batch["item_id"], training=True).targets
    side.seed(0)
    masked = masking_registry.parse("mlm")(hidden_size=WIDTH)
    hidden = masked.compute_masked_targets(batch["item_id"], training=True).targets
    side.value("as mlm", torch.equal(replaced, hidden))


def answers_for_the_last(side: Side) -> None:
    """At inference "plm" hides the last item and answers for it: another last item changes nothing."""
    model, _ = built(side, "xlnet", "plm")
    model.eval()
    batch = {name: values[2:] for name, values in sessions(side).items()}
    other = copied(batch)
    last = (batch["item_id"] != 0).sum(1) - 1
    other["item_id"][torch.arange(len(last)), last] += 1
    scores = model(copied(batch))
    side.close("scores", scores)
    side.value("same answers", bool((model(other) - scores).abs().max() < 1e-6))


def not_its_field(side: Side, name: str) -> None:
    """``dropout=0`` leaves 0.1 on, as the architecture reads another field."""
    made = getattr(configs, name).build(WIDTH, 2, 1, total_seq_length=LENGTH, dropout=0.0)
    side.value("fields", [made.dropout, made.hidden_dropout_prob, made.attention_probs_dropout_prob])
    block = TransformerBlock(made).train()
    side.weights(block)
    inputs = vectors(side)
    side.value("drops", bool((block(inputs) - block(inputs)).abs().max() > 1e-3))
    side.close("evaluated", block.eval()(inputs))


def xlnet_has_no_length(side: Side) -> None:
    """XLNet has the same weights and answers whatever its ``total_seq_length``, also beyond it."""
    inputs, answers = vectors(side, steps=12), []
    for length in (3, 50):
        config = configs.XLNetConfig.build(WIDTH, 2, 1, total_seq_length=length, dropout=0.0)
        block = TransformerBlock(config).eval()
        side.weights(block, f"of-{length}")
        block.load_state_dict({name: x.fill_(0.1) for name, x in block.state_dict().items()})
        answers.append(block(inputs))
        side.close(f"of-{length}/output", answers[-1])
    side.value("same", torch.equal(*answers))


def positions_to_spare(side: Side) -> None:
    """GPT-2 has ``total_seq_length`` positions; ALBERT has two more."""
    gpt2 = configs.GPT2Config.build(WIDTH, 2, 1, total_seq_length=5)
    albert = configs.AlbertConfig.build(WIDTH, 2, 1, total_seq_length=5)
    side.value("positions", [gpt2.n_positions, albert.max_position_embeddings])
    for name, config in (("gpt2", gpt2), ("albert", albert)):
        block = TransformerBlock(config).eval()
        fits = []
        for steps in (5, 6, 7, 8):
            try:
                block(torch.zeros(1, steps, WIDTH))
            except (IndexError, RuntimeError):  # which of the two depends on the release
                break
            fits.append(steps)
        side.value(f"{name}/fits", fits)


def oldest_kept(side: Side, engine: str) -> None:
    """Of a session longer than ``max_sequence_length`` the loader gives the first items, not the last."""
    path = str(loaders.write_with_targets(side))
    schema = loaders.schema_with_targets()

    def read(length: int) -> Tensor:
        loader = T4RecDataLoader.parse(engine).from_schema(
            schema, path, 11, max_sequence_length=length, shuffle=False, shuffle_buffer_size=0
        )
        return next(iter(loader))[0]["item_id"]

    whole, cut = read(9), read(4)
    side.same("cut", cut)
    side.value("first ones", torch.equal(cut, whole[:, :4]))


def padded_to(side: Side) -> None:
    """The loader pads to its maximum, a model that is given ragged columns to the longest of the batch."""
    path, schema = str(loaders.write_with_targets(side)), loaders.schema_with_targets()
    loader = T4RecDataLoader.parse("merlin").from_schema(
        schema, path, 4, max_sequence_length=25, shuffle=False
    )
    side.value("loader", [list(inputs["item_id"].shape) for inputs, _ in loader])
    inputs = small_inputs(side, width=WIDTH)
    body = tr.SequentialBlock(inputs, tr.MLPBlock([WIDTH]))
    task = tr.RegressionTask("seconds", summary_type=None)
    model = tr.Model(tr.Head(body, task, inputs=inputs)).eval()
    side.weights(model)
    for rows in (1, 3, 6):
        batch = {name: values[:rows] for name, values in sessions(side, length=8, name=f"of-{rows}").items()}
        answers = model(ragged(batch))
        side.close(f"answers-{rows}", answers)
        side.value(f"model-{rows}", list(answers.shape))


def mask_appended(side: Side, masking: str) -> None:
    """At inference one more position follows the matrix, and the mask vector stands behind the last item."""
    inputs = small_inputs(side, width=WIDTH, masking=masking)
    side.weights(inputs)
    batch = {k: v.float() if v.is_floating_point() else v for k, v in sessions(side).items()}
    shapes = {}
    for mode, flags in MODES.items():
        side.seed(1)
        hidden = inputs(dict(batch), **flags)
        side.close(mode, hidden)
        shapes[mode] = list(hidden.shape)
    side.value("shapes", shapes)
    rows = torch.arange(len(hidden))
    behind = hidden[rows, (batch["item_id"] != 0).sum(1)]
    side.value("mask behind", bool((behind - inputs.masking.masked_item_embedding).abs().max() < 1e-6))


def targets_of(side: Side, masking: str, **options: Any) -> None:
    """Which items are targets in training and in evaluation, in the numbers of targets and in the loss."""
    model, _ = built(side, "xlnet" if masking != "clm" else "gpt2", masking, options)
    batch = sessions(side)
    items = batch["item_id"]
    last = items.gather(1, (items != 0).sum(1, keepdim=True) - 1).squeeze(1)
    for mode in ("training", "evaluation"):
        side.seed(2)
        output = model(copied(batch), **MODES[mode])
        side.same(f"{mode}/labels", output["labels"])
        side.close(f"{mode}/loss", output["loss"])
        side.value(f"{mode}/last items", set(output["labels"].tolist()) <= set(last.tolist()))


def predictions_cut(side: Side, last_only: bool) -> None:
    """Predictions of every position are cut to the number of sessions; labels are not."""
    model = training.build(side, masking="mlm")
    model.heads[0].body[0].masking.eval_on_last_item_seq_only = last_only
    schema, path = loaders.schema_with_targets(), str(loaders.write_with_targets(side))
    trainer = tr.Trainer(model=model, args=training.arguments(side), schema=schema, compute_metrics=True)
    trainer.eval_dataset_or_path = path
    output = trainer.evaluation_loop(
        trainer.get_eval_dataloader(), description="Evaluation", metric_key_prefix="eval"
    )
    training.note_output(side, "loop", output)
    ids, labels = torch.as_tensor(output.predictions[0]), torch.as_tensor(output.label_ids)
    side.value("rows", [output.num_samples, len(ids), len(labels)])
    side.value("a label for each session", len(labels) == output.num_samples)


def metrics_carried(side: Side) -> None:
    """A second ``fit`` reports the mean of both, as nothing is reset between epochs."""
    model = next_item_model(side)
    side.weights(model)
    data, still = batches_of(side, 3), torch.optim.SGD(model.parameters(), lr=0.0)

    def fitted(seed: int) -> dict[str, Any]:
        side.seed(seed)
        model.fit(data, optimizer=still, num_epochs=1, verbose=False)
        return model.compute_metrics(mode="train")

    first, both = fitted(1), fitted(2)
    model.reset_metrics()
    second = fitted(2)
    for name, values in {"first": first, "both": both, "second": second}.items():
        close_all(side, name, values)
    between = {
        name: bool(min(first[name], second[name]) - 1e-6 <= x <= max(first[name], second[name]) + 1e-6)
        for name, x in both.items()
        if torch.as_tensor(x).numel() == 1
    }
    side.value("between", between)
    side.value("carried", any(both[name] != second[name] for name in between))


def callers_dictionary(side: Side) -> None:
    """A model makes the caller's float64 columns float32 in its dictionary; a block takes them only then."""
    model = next_item_model(side).eval()
    side.weights(model)
    batch = sessions(side)
    batch["price"] = batch["price"].double()
    refuses(side, "a block before", RuntimeError, lambda: model.heads[0].body(dict(batch)))
    side.close("scores", model(batch))
    side.value("types", {name: str(values.dtype) for name, values in batch.items()})
    side.close("a block afterwards", model.heads[0].body(batch))


def lowest_kept(side: Side) -> None:
    """Of twice as many draws those of the lowest ids are the negatives of sampled softmax."""
    sampler = LogUniformSampler(max_n_samples=10, max_id=1000, min_id=1, unique_sampling=True)
    side.seed(8)
    drawn = [sampler.sample(torch.tensor([3, 700]))[0] for _ in range(40)]
    for number, ids in enumerate(drawn):
        side.same(f"draw/{number}", ids)
    side.value("in order", all(torch.equal(ids, ids.sort().values) for ids in drawn))
    # Drawn once, every tenth of the ids below 1000 would be above 500.
    side.value("share above 500", float((torch.cat(drawn) > 500).float().mean()))


def aliased_keys(side: Side) -> None:
    """Head and transformer hold parts of the input block again, so one tensor has several names."""
    model, _ = built(side, "xlnet", "mlm")
    names: dict[int, list[str]] = {}
    for name, tensor in model.state_dict().items():
        names.setdefault(tensor.data_ptr(), []).append(name)
    side.value("keys", [len(model.state_dict()), len(names), len(list(model.parameters()))])
    side.value("aliases", sorted(sorted(group) for group in names.values() if len(group) > 1))


def one_item(side: Side, body: str, masking: str) -> None:
    """Sessions of one item alone: how many targets there are, and the loss, which may be no number."""
    model, _ = built(side, body, masking)
    batch = {name: values[:1].expand(3, -1).clone() for name, values in sessions(side).items()}
    for number, (mode, flags) in enumerate(MODES.items()):
        model.train(mode == "training")
        side.seed(number)
        output = model(copied(batch), **flags)
        if mode == "inference":
            side.close("scores", output)
            continue
        side.same(f"{mode}/labels", output["labels"])
        side.value(f"{mode}/is-nan", bool(output["loss"].isnan()))
        if len(output["labels"]):
            side.close(f"{mode}/loss", output["loss"])


def without_targets(side: Side, masking: str, **options: Any) -> None:
    """Batches without a row or without an item: no target and a loss that is no number, or an error."""
    model, _ = built(side, "xlnet", masking, options)
    batch = sessions(side)
    empty = {
        "rows": {name: values[:0] for name, values in batch.items()},
        "items": {name: values * 0 for name, values in batch.items()},
    }
    for number, (mode, flags) in enumerate(MODES.items()):
        for what, given in empty.items():
            model.train(mode == "training")
            side.seed(number)
            try:
                output = model(copied(given), **flags)
            except RuntimeError as error:  # a draw from nothing
                side.value(f"{mode}/{what}", type(error).__name__)
                continue
            if mode == "inference":
                side.close(f"{mode}/{what}", output)
                continue
            side.same(f"{mode}/{what}", output["labels"])
            side.value(f"{mode}/{what}/is-nan", bool(output["loss"].isnan()))
            if mode == "training":
                output["loss"].backward()
    side.gradients(model)


def recall_of_one_row(side: Side) -> None:
    """23.12.0 fails for a batch with one target in ``RecallAt``; the drop-in counts it."""
    metric = RecallAt(top_ks=[1, 2], labels_onehot=True)
    try:
        found = metric(torch.tensor([[0.1, 0.9, 0.5]]), torch.tensor([2])).tolist()
    except IndexError:
        found = "IndexError"
    side.value("as the guide has it", found == ("IndexError" if side.is_original else [0.0, 1.0]))


LAST = {"train_on_last_item_seq_only": True}
EVERY = {"eval_on_last_item_seq_only": False}

CASES = {
    "rtd-never-draws-fake-tokens": no_fake_tokens,
    "plm-at-inference-answers-for-the-last-item": answers_for_the_last,
    **{
        f"dropout-is-not-the-field-of-{name}": partial(not_its_field, name=f"{name}Config")
        for name in ("Bert", "Roberta", "Longformer")
    },
    "xlnet-ignores-total-seq-length": xlnet_has_no_length,
    "gpt2-has-no-two-extra-positions": positions_to_spare,
    **{
        f"long-sessions-keep-the-oldest-items-{engine}": partial(oldest_kept, engine=engine)
        for engine in ("merlin", "pyarrow")
    },
    "padded-to-the-maximum-by-the-loader-and-to-the-longest-by-the-model": padded_to,
    "mask-appended-at-inference-mlm": partial(mask_appended, masking="mlm"),
    "mask-appended-at-inference-rtd": partial(mask_appended, masking="rtd"),
    "train-on-last-item-seq-only": partial(targets_of, masking="clm", **LAST),
    **{
        f"eval-on-last-item-seq-only-false-{masking}": partial(targets_of, masking=masking, **EVERY)
        for masking in ("clm", "mlm")
    },
    "eval-on-last-item-seq-only-true-a-prediction-for-each-session": partial(predictions_cut, last_only=True),
    "eval-on-last-item-seq-only-false-predictions-cut-to-sessions": partial(predictions_cut, last_only=False),
    "fit-carries-metrics-over-epochs": metrics_carried,
    "callers-dictionary-changed-in-place": callers_dictionary,
    "sampled-softmax-keeps-the-lowest-ids": lowest_kept,
    "aliased-state-dict-keys": aliased_keys,
    **{
        f"sessions-of-one-item-{masking}": partial(one_item, body=body, masking=masking)
        for masking, body in {"clm": "gpt2", "mlm": "xlnet", "rtd": "electra", "plm": "xlnet"}.items()
    },
    **{
        f"no-target-{masking}": partial(without_targets, masking=masking) for masking in ("clm", "mlm", "plm")
    },
    "no-target-plm-permute-all": partial(without_targets, masking="plm", permute_all=True),
    "batch-of-one-recall": recall_of_one_row,
}
