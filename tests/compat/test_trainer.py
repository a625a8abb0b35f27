"""The Trainer: windows, schedules, overrides of users, checkpoints, evaluation and prediction."""

import os

import numpy as np
import pytest
import torch
from transformers import TrainerCallback
from transformers4rec import torch as tr
from transformers4rec.torch.utils.data_utils import DLDataLoader, MerlinDataLoader

from tests.compat.small import ITEMS, LENGTH, batch, model, sessions, trainer, write_sessions


class Listed(torch.utils.data.Dataset):
    """Given pairs of inputs and targets."""

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return {name: x.clone() for name, x in self.batches[index].items()}, None


def loader(*batches):
    return DLDataLoader(Listed(batches), batch_size=4)


class Rates(TrainerCallback):
    """Learning rate of every step."""

    def __init__(self):
        self.seen = []

    def on_step_begin(self, args, state, control, lr_scheduler=None, **kwargs):
        self.seen.append(lr_scheduler.get_last_lr()[0])


def test_windows_of_the_getting_started_program(tmp_path):
    trained = trainer(tmp_path)
    for window in range(2):
        trained.train_dataset_or_path = write_sessions(tmp_path / "train.parquet", 12, seed=window)
        trained.reset_lr_scheduler()
        before = {name: p.detach().clone() for name, p in trained.model.named_parameters()}
        trained.train()
        trained.state.global_step += 1
        changed = [name for name, p in trained.model.named_parameters() if not torch.equal(p, before[name])]
        assert "heads.0.body.0.to_merge.categorical_module.embedding_tables.item_id.weight" in changed
        trained.eval_dataset_or_path = write_sessions(tmp_path / "valid.parquet", 7, seed=10 + window)
        metrics = trained.evaluate(metric_key_prefix="eval")
        assert set(metrics) == {
            "eval_/loss",
            *(f"eval_/next-item/{name}_at_{k}" for name in ("ndcg", "recall") for k in (5, 10)),
            "eval_runtime",
            "eval_samples_per_second",
            "eval_steps_per_second",
        }
        assert trained.state.log_history[-1].items() >= metrics.items()


def test_a_step_outside_of_training_gives_loss_and_gradients(tmp_path):
    once = trainer(tmp_path)
    torch.manual_seed(2)
    loss = once.training_step(once.model, (batch(), None))
    plain = model()
    torch.manual_seed(2)
    expected = plain(batch(), training=True)["loss"]
    expected.backward()
    torch.testing.assert_close(loss, expected.detach())
    for ours, theirs in zip(once.model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_evaluation_weighs_the_last_batch_by_its_rows_and_equals_one_batch(tmp_path):
    trained = trainer(tmp_path)
    trained.eval_dataset_or_path = write_sessions(tmp_path / "valid.parquet", 10, longest=LENGTH)
    metrics = trained.evaluate()
    batches = [inputs for inputs, _ in trained.get_eval_dataloader()]
    outputs = [trained.model.eval()(inputs, testing=True) for inputs in batches]
    weights = [4, 4, 2]
    expected = sum(o["loss"].item() * w for o, w in zip(outputs, weights, strict=True)) / 10
    assert metrics["eval_/loss"] == pytest.approx(expected, abs=1e-6)
    scores = torch.cat([o["predictions"] for o in outputs])
    labels = torch.cat([o["labels"] for o in outputs])
    hits = (scores.topk(5).indices == labels[:, None]).any(1).float().mean().item()
    assert metrics["eval_/next-item/recall_at_5"] == pytest.approx(hits)


def test_predictions_are_the_best_items_of_each_session(tmp_path):
    trained = trainer(tmp_path)
    path = write_sessions(tmp_path / "test.parquet", 10, longest=LENGTH)
    result = trained.predict(path)
    items, scores = result.predictions
    assert items.shape == scores.shape == (10, 3)
    assert result.label_ids is None
    batches = [inputs for inputs, _ in trained.get_test_dataloader(path)]
    expected = torch.cat([trained.model.eval()(inputs) for inputs in batches]).topk(3)
    assert items.tolist() == expected.indices.tolist()
    np.testing.assert_allclose(scores, expected.values.detach(), rtol=1e-5)
    assert set(result.metrics) == {"test_runtime", "test_samples_per_second", "test_steps_per_second"}


def test_without_predict_top_k_all_scores_come_back(tmp_path):
    trained = trainer(tmp_path, predict_top_k=0)
    result = trained.predict(write_sessions(tmp_path / "test.parquet", 5))
    assert result.predictions.shape == (5, ITEMS + 1)


def test_a_model_that_answers_fewer_items_than_wanted_is_refused(tmp_path):
    trained = trainer(tmp_path)
    trained.model.top_k = 2
    with pytest.raises(ValueError, match="lower predict_top_k or raise top_k"):
        trained.predict(write_sessions(tmp_path / "test.parquet", 5))
    trained.args.predict_top_k = 1
    items, _ = trained.predict(str(tmp_path / "test.parquet")).predictions
    assert items.shape == (5, 1)


def test_predictions_are_cut_to_the_number_of_sessions(tmp_path):
    # With every position a target there are more predictions than sessions; 23.12.0 keeps the first ones.
    trained = trainer(tmp_path, masking="mlm")
    trained.model.heads[0].body[0].masking.eval_on_last_item_seq_only = False
    trained.eval_dataloader = loader(batch(4, seed=1), batch(4, seed=2))
    output = trained.evaluation_loop(trained.eval_dataloader, "Evaluation")
    assert output.label_ids.shape == (8,)
    assert output.predictions[0].shape == (8, 3)


def test_log_predictions_callback_sees_each_batch(tmp_path):
    trained = trainer(tmp_path, log_predictions=True)
    seen = []
    trained.log_predictions_callback = lambda **given: seen.append(given)
    trained.eval_dataset_or_path = write_sessions(tmp_path / "valid.parquet", 6)
    trained.evaluate()
    assert [given["labels"].shape for given in seen] == [(4,), (2,)]
    assert seen[0]["pred_item_ids"].shape == (4, 3)
    assert seen[0]["dataset_type"] == "eval"
    assert set(seen[0]["metrics"]) == {"next-item/ndcg_at", "next-item/recall_at"}


def test_a_schedule_goes_on_until_it_is_reset(tmp_path):
    rates = Rates()
    trained = trainer(tmp_path, callbacks=[rates], lr_scheduler_type="linear")
    trained.train_dataloader = loader(*(batch(seed=s) for s in range(4)))
    trained.train()
    assert rates.seen == pytest.approx([0.01, 0.0075, 0.005, 0.0025])
    trained.train()
    assert rates.seen[4:] == pytest.approx([0.0] * 4)
    trained.reset_lr_scheduler()
    trained.train()
    assert rates.seen[8:] == pytest.approx([0.01, 0.0075, 0.005, 0.0025])


def test_cosine_cycles_count_by_epoch(tmp_path):
    rates = Rates()
    options = {"lr_scheduler_type": "cosine", "learning_rate_num_cosine_cycles_by_epoch": 1.0}
    trained = trainer(tmp_path, callbacks=[rates], num_train_epochs=2, **options)
    trained.train_dataloader = loader(*(batch(seed=s) for s in range(4)))
    trained.train()
    # Two waves in eight steps.
    assert rates.seen == pytest.approx([0.01, 0.005, 0.0, 0.005] * 2)


def test_accumulated_gradients_are_the_mean_of_the_batches(tmp_path):
    # Causal masking draws nothing, so that the passes can be repeated. The step of SGD is the gradient.
    together = trainer(
        tmp_path, masking="causal", optim="sgd", gradient_accumulation_steps=2, max_grad_norm=0.0
    )
    parts = [batch(seed=1), batch(seed=2)]
    other = model("causal")
    other.load_state_dict(together.model.state_dict())
    before = {name: p.detach().clone() for name, p in other.named_parameters()}
    together.train_dataloader = loader(*parts)
    together.train()
    for part in parts:
        (other(part, training=True)["loss"] / 2).backward()
    for name, parameter in together.model.named_parameters():
        gradient = dict(other.named_parameters())[name].grad
        expected = before[name] - (0 if gradient is None else 0.01 * gradient)
        torch.testing.assert_close(parameter.detach(), expected, msg=name)


class Overriding(tr.Trainer):
    """Overrides as programs for transformers 4.30 write them."""

    logged: list = []  # noqa: RUF012

    def compute_loss(self, model, inputs, return_outputs=False):
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True)
        return (2 * loss, outputs) if return_outputs else 2 * loss

    def training_step(self, model, inputs):
        return super().training_step(model, inputs)

    def log(self, logs):
        self.logged.append(dict(logs))
        super().log(logs)

    def _save_checkpoint(self, model, trial, metrics=None):
        super()._save_checkpoint(model, trial, metrics=metrics)

    def prediction_step(
        self, model, inputs, prediction_loss_only, ignore_keys=None, training=False, testing=True
    ):
        return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys, training, testing)


def test_overrides_with_the_signatures_of_4_30_work(tmp_path):
    Overriding.logged.clear()
    trained = trainer(tmp_path, Overriding, logging_steps=1, save_strategy="epoch", masking="causal")
    only = batch()
    trained.train_dataloader = trained.eval_dataloader = loader(only)
    plain = trained.model(only, training=True)["loss"].item()
    trained.train()
    assert Overriding.logged[0]["loss"] == pytest.approx(2 * plain, rel=1e-5)
    assert (tmp_path / "checkpoint-1" / "pytorch_model.bin").is_file()
    trained.evaluate()
    assert "eval_/loss" in Overriding.logged[-1]


def test_a_checkpoint_holds_every_name_and_loads_without_unpickling(tmp_path):
    trained = trainer(tmp_path, save_strategy="epoch")
    trained.train_dataset_or_path = sessions(8)
    trained.train()
    folder = tmp_path / "checkpoint-2"
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    assert set(state) == set(trained.model.state_dict())
    assert not (folder / "model.safetensors").exists()
    other = trainer(tmp_path / "other", model=model(seed=9))
    other.load_model_trainer_states_from_checkpoint(str(folder), model=model(seed=9))
    for name, tensor in other.model.state_dict().items():
        assert torch.equal(tensor, trained.model.state_dict()[name])


def test_save_safetensors_writes_the_other_kind_of_file(tmp_path):
    from safetensors.torch import load_file

    trained = trainer(tmp_path, save_safetensors=True)
    trained.save_model()
    assert set(load_file(tmp_path / "model.safetensors")) == set(trained.model.state_dict())
    assert not (tmp_path / "pytorch_model.bin").exists()


@pytest.mark.parametrize("save_safetensors", [False, True])
def test_training_resumes_exactly(tmp_path, save_safetensors):
    batches = [batch(seed=s) for s in range(4)]
    options = {"masking": "causal", "save_strategy": "steps", "save_steps": 2, "num_train_epochs": 1}
    whole = trainer(tmp_path / "whole", save_safetensors=save_safetensors, **options)
    whole.train_dataloader = loader(*batches)
    whole.train()
    half = trainer(tmp_path / "half", model=model("causal", seed=5), **options)
    half.train_dataloader = loader(*batches)
    half.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    for name, tensor in half.model.state_dict().items():
        torch.testing.assert_close(tensor, whole.model.state_dict()[name], msg=name)


def test_the_best_model_is_loaded_at_the_end(tmp_path):
    options = {
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "num_train_epochs": 3,
        "learning_rate": 0.5,
    }
    best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_/loss", "greater_is_better": False}
    trained = trainer(tmp_path, masking="causal", **options, **best)
    trained.train_dataloader = loader(batch(seed=1))
    trained.eval_dataloader = loader(batch(seed=2))
    trained.train()
    losses = [entry["eval_/loss"] for entry in trained.state.log_history if "eval_/loss" in entry]
    assert len(losses) == 3
    assert trained.evaluate()["eval_/loss"] == pytest.approx(min(losses), rel=1e-5)


def test_incremental_logging_counts_on(tmp_path):
    trained = trainer(tmp_path, incremental_logging=True, logging_steps=1)
    trained.train_dataloader = loader(batch(seed=1), batch(seed=2))
    trained.train()
    trained.train()
    assert trained.past_global_steps == 4


def test_evaluation_on_training_data_takes_some_batches(tmp_path):
    trained = trainer(tmp_path, eval_steps_on_train_set=2)
    trained.eval_dataset_or_path = write_sessions(tmp_path / "train.parquet", 20)
    output = trained.evaluation_loop(trained.get_eval_dataloader(), "Evaluation", metric_key_prefix="train")
    assert output.label_ids.shape == (8,)
    assert output.num_samples == 8


def test_decay_spares_biases_and_layer_normalisation(tmp_path):
    trained = trainer(tmp_path)
    decayed = trained.get_decay_parameter_names(trained.model)
    own = [name for name, _ in trained.model.named_parameters()]
    spared = sorted({name.rpartition(".")[2] for name in own if name not in decayed})
    assert spared == ["bias", "r_r_bias", "r_s_bias", "r_w_bias", "weight"]
    assert all("layer_norm" in name for name in own if name not in decayed and name.endswith("weight"))


def test_missing_data_and_schema_are_named(tmp_path):
    trained = trainer(tmp_path)
    with pytest.raises(ValueError, match=r"no train_dataset_or_path: assign trainer\.train_dataset_or_path"):
        trained.train()
    trained.schema = None
    with pytest.raises(ValueError, match="no schema"):
        trained.evaluate()


def test_the_loader_pads_to_the_length_and_keeps_the_oldest_items(tmp_path):
    table = sessions(9, shortest=3, longest=9)
    from tests.compat.small import schema

    batches = list(
        MerlinDataLoader.from_schema(schema(), table, 4, max_sequence_length=LENGTH, shuffle=False)
    )
    items = torch.cat([inputs["item_id"] for inputs, _ in batches]).tolist()
    expected = [(row[:LENGTH] + [0] * LENGTH)[:LENGTH] for row in table["item_id"].to_pylist()]
    assert items == expected
    assert [targets for _, targets in batches] == [None] * 3
    ragged, _ = next(iter(MerlinDataLoader.from_schema(schema(), table, 4, shuffle=False)))
    assert ragged["item_id__offsets"].diff().tolist() == [len(r) for r in table["item_id"].to_pylist()[:4]]


def test_the_loader_shuffles_anew_each_epoch_and_by_numpys_seed(tmp_path):
    from tests.compat.small import schema

    table = sessions(32)

    def order(seed, epochs=1):
        np.random.seed(seed)
        made = MerlinDataLoader.from_schema(schema(), table, 32, max_sequence_length=LENGTH)
        return [next(iter(made))[0]["price"][:, 0].tolist() for _ in range(epochs)]

    first, second = order(0, epochs=2)
    assert first != second
    assert sorted(first) == sorted(second)
    assert order(0)[0] == first
    assert order(1)[0] != first


def test_a_loader_of_the_users_own_by_name(tmp_path):
    from transformers4rec.torch.utils.data_utils import T4RecDataLoader, dataloader_registry

    @dataloader_registry.register("listed-of-tests")
    class Mine(T4RecDataLoader):
        @classmethod
        def from_schema(cls, schema, paths_or_dataset, batch_size, max_sequence_length, **kwargs):
            assert max_sequence_length == LENGTH
            assert {"shuffle", "drop_last", "global_rank", "device"} <= set(kwargs)
            return loader(*paths_or_dataset)

    trained = trainer(tmp_path, data_loader_engine="listed-of-tests")
    trained.eval_dataset_or_path = [batch(seed=3)]
    assert trained.evaluate()["eval_/loss"] > 0


def test_fit_and_evaluate_of_the_model_itself():
    built = model()
    losses = built.fit(loader(batch(seed=1), batch(seed=2)), num_epochs=3, verbose=False)
    assert losses.shape == (3,)
    assert losses[2] < losses[0]
    metrics = built.evaluate(loader(batch(seed=1)), verbose=False)
    assert set(metrics) == {f"next-item/{name}_at_{k}" for name in ("ndcg", "recall") for k in (5, 10)}


def test_hugging_faces_callbacks_and_arguments_are_its_own(tmp_path):
    import transformers

    trained = trainer(tmp_path)
    assert isinstance(trained, transformers.Trainer)
    assert os.path.isdir(tmp_path)
    assert trained.model_accepts_loss_kwargs is False
