"""Where transformers 5 goes another way than 4.30, and programs of Transformers4Rec must not notice."""

import json

import pytest
import torch
from transformers import TrainerCallback
from transformers4rec import torch as tr

from tests.compat.small import batch, model, trainer, write_sessions
from tests.compat.test_trainer import Rates, loader


class TakesAnything(tr.Model):
    """A model whose forward takes any argument, by which transformers 5 knows those that divide the loss."""

    def forward(self, inputs, targets=None, training=False, testing=False, **kwargs):
        return super().forward(inputs, targets=targets, training=training, testing=testing)


def _trained(folder, built, batches, **options):
    made = trainer(folder, model=built, optim="sgd", max_grad_norm=0.0, **options)
    made.train_dataloader = loader(*batches)
    made.train()
    return made


def test_a_forward_that_takes_anything_still_has_its_accumulated_losses_divided(tmp_path):
    plain = model("causal")
    anything = TakesAnything(*model("causal").heads)
    anything.load_state_dict(plain.state_dict())
    batches = [batch(seed=1), batch(seed=2)]
    _trained(tmp_path, plain, batches, gradient_accumulation_steps=2)
    _trained(tmp_path, anything, batches, gradient_accumulation_steps=2)
    for name, tensor in anything.state_dict().items():
        torch.testing.assert_close(tensor, plain.state_dict()[name], msg=name)


def test_batches_left_over_wait_for_the_next_epoch(tmp_path):
    # Five batches, two a step: steps of (0, 1), (2, 3), (4, 0), (1, 2). Transformers 5 takes six steps.
    built, by_hand = model("causal"), model("causal")
    by_hand.load_state_dict(built.state_dict())
    batches = [batch(seed=number) for number in range(5)]
    made = _trained(
        tmp_path,
        built,
        batches,
        gradient_accumulation_steps=2,
        num_train_epochs=2,
        lr_scheduler_type="constant",
    )
    assert made.state.global_step == made.state.max_steps == 4
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.01)
    for step in ((0, 1), (2, 3), (4, 0), (1, 2)):
        for number in step:
            (by_hand(batches[number].copy(), training=True)["loss"] / 2).backward()
        optimizer.step()
        optimizer.zero_grad()
    for name, tensor in built.state_dict().items():
        torch.testing.assert_close(tensor, by_hand.state_dict()[name], msg=name)


def test_an_epoch_of_fewer_batches_than_a_step_takes_one_step(tmp_path):
    made = _trained(tmp_path, model("causal"), [batch()], gradient_accumulation_steps=4, num_train_epochs=2)
    assert made.state.global_step == 2


def test_the_log_has_the_keys_and_the_rate_of_4_30(tmp_path):
    made = trainer(tmp_path, logging_steps=1, lr_scheduler_type="linear", masking="causal")
    made.train_dataloader = loader(*(batch(seed=number) for number in range(3)))
    made.train()
    entries = made.state.log_history[:3]
    assert all(set(entry) == {"loss", "learning_rate", "epoch", "step"} for entry in entries)
    assert [entry["learning_rate"] for entry in entries] == pytest.approx([2 / 300, 1 / 300, 0.0])
    assert [entry["epoch"] for entry in entries] == [0.33, 0.67, 1.0]
    assert all(entry["loss"] == round(entry["loss"], 4) for entry in entries)


def test_an_evaluation_before_any_training_logs_no_epoch(tmp_path):
    made = trainer(tmp_path)
    made.eval_dataloader = loader(batch())
    assert "epoch" not in made.evaluate()
    assert "epoch" not in made.state.log_history[-1]


def test_nothing_is_saved_or_evaluated_after_the_last_step_that_was_not_due(tmp_path):
    made = trainer(tmp_path, save_strategy="steps", eval_strategy="steps", eval_steps=2)
    made.train_dataloader = loader(*(batch(seed=number) for number in range(3)))
    made.eval_dataloader = loader(batch())
    made.train()
    assert not list(tmp_path.glob("checkpoint-*"))
    assert [entry["step"] for entry in made.state.log_history if "eval_/loss" in entry] == [2]


PROCESSING = object()


class Named(TrainerCallback):
    """A callback as programs of 4.30 write it, with every argument by name."""

    def __init__(self):
        self.tokenizers = []

    def on_step_end(self, args, state, control, model, tokenizer, optimizer, lr_scheduler, **kwargs):
        self.tokenizers.append(tokenizer)


def test_callbacks_get_the_tokenizer_by_its_old_name(tmp_path):
    named = Named()
    made = trainer(tmp_path, callbacks=[named])
    made.train_dataloader = loader(batch(), batch(seed=1))
    made.train()
    assert named.tokenizers == [None, None]


class ListedFor430(TrainerCallback):
    """A callback that lists the keywords of transformers 4.30, and takes no others."""

    def __init__(self):
        self.got = []

    def on_epoch_end(
        self,
        args,
        state,
        control,
        model,
        tokenizer,
        optimizer,
        lr_scheduler,
        train_dataloader,
        eval_dataloader,
    ):
        self.got.append((model, tokenizer, train_dataloader))
        control.should_training_stop = True
        return control


class ListedFor5(TrainerCallback):
    """The same for transformers 5."""

    def __init__(self):
        self.got = []

    def on_epoch_end(
        self,
        args,
        state,
        control,
        *,
        model,
        processing_class,
        optimizer,
        lr_scheduler,
        train_dataloader,
        eval_dataloader,
    ):
        self.got.append((model, processing_class, train_dataloader))


class WithoutModel(TrainerCallback):
    """A callback that failed on 4.30: the keywords that it lists are too few."""

    def on_epoch_end(self, args, state, control, tokenizer):
        pass


def test_callbacks_that_list_their_keywords_get_these_and_may_stop_the_training(tmp_path):
    old, new = ListedFor430(), ListedFor5()
    made = trainer(tmp_path, callbacks=[old, new], processing_class=PROCESSING, num_train_epochs=3)
    made.train_dataloader = loader(batch(), batch(seed=1))
    made.train()
    assert made.state.global_step == 2  # the first epoch of three
    for got in (old.got, new.got):
        ((model_given, processing, batches),) = got
        assert model_given is made.model
        assert processing is PROCESSING
        assert len(batches) == 2


def test_a_callback_that_lists_too_few_keywords_fails_as_on_4_30(tmp_path):
    made = trainer(tmp_path, callbacks=[WithoutModel()])
    made.train_dataloader = loader(batch())
    with pytest.raises(TypeError, match="unexpected keyword argument 'model'"):
        made.train()


class OwnOptimizer(tr.Trainer):
    """Overrides that choose the optimiser, with the arguments of 4.30."""

    @staticmethod
    def get_optimizer_cls_and_kwargs(args):
        return torch.optim.SGD, {"lr": 3 * args.learning_rate}

    def create_optimizer(self):
        super().create_optimizer()
        self.optimizer.param_groups[0]["momentum"] = 0.5
        return self.optimizer


def test_overrides_of_the_optimiser_are_called_with_what_they_take(tmp_path):
    made = trainer(tmp_path, OwnOptimizer)
    made.create_optimizer(made.model)
    assert isinstance(made.optimizer, torch.optim.SGD)
    assert made.optimizer.param_groups[0]["lr"] == pytest.approx(0.03)
    assert made.optimizer.param_groups[0]["momentum"] == 0.5


class Of430(tr.Trainer):
    """Overrides with the arguments of 4.30, which note what they are given and call what they override."""

    def __init__(self, *args, **kwargs):
        self.noted = {}
        super().__init__(*args, **kwargs)

    def training_step(self, model, inputs):
        self.noted["training_step"] = (model, sorted(inputs[0]))
        return super().training_step(model, inputs)

    def compute_loss(self, model, inputs, return_outputs=False):
        self.noted["compute_loss"] = (model, return_outputs)
        return super().compute_loss(model, inputs, return_outputs)

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        self.noted["prediction_step"] = (model, prediction_loss_only, ignore_keys)
        return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)

    def evaluation_loop(
        self, dataloader, description, prediction_loss_only=None, ignore_keys=None, metric_key_prefix="eval"
    ):
        self.noted["evaluation_loop"] = (description, metric_key_prefix)
        return super().evaluation_loop(
            dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix
        )

    def log(self, logs):
        self.noted.setdefault("log", []).append(sorted(logs))
        super().log(logs)

    def create_optimizer_and_scheduler(self, num_training_steps):
        self.noted["create_optimizer_and_scheduler"] = num_training_steps
        super().create_optimizer_and_scheduler(num_training_steps)

    def create_scheduler(self, num_training_steps, optimizer=None):
        self.noted["create_scheduler"] = num_training_steps
        return super().create_scheduler(num_training_steps, optimizer)

    def _inner_training_loop(
        self, batch_size=None, args=None, resume_from_checkpoint=None, trial=None, ignore_keys_for_eval=None
    ):
        self.noted["_inner_training_loop"] = (batch_size, resume_from_checkpoint)
        return super()._inner_training_loop(
            batch_size, args, resume_from_checkpoint, trial, ignore_keys_for_eval
        )

    def _maybe_log_save_evaluate(self, loss, model, trial, epoch, ignore_keys_for_eval):
        self.noted["_maybe_log_save_evaluate"] = (float(loss) >= 0, model, trial, epoch)
        super()._maybe_log_save_evaluate(loss, model, trial, epoch, ignore_keys_for_eval)

    def _save_checkpoint(self, model, trial, metrics=None):
        self.noted["_save_checkpoint"] = (model, trial)
        super()._save_checkpoint(model, trial, metrics=metrics)

    def _save(self, output_dir=None, state_dict=None):
        self.noted["_save"] = output_dir
        super()._save(output_dir, state_dict)

    def _load_best_model(self):
        self.noted["_load_best_model"] = self.state.best_model_checkpoint
        super()._load_best_model()


class Below(Of430):
    """Overrides an override, by position."""

    def _maybe_log_save_evaluate(self, tr_loss, model, trial, epoch, ignore_keys_for_eval):
        self.noted["below"] = epoch
        super()._maybe_log_save_evaluate(tr_loss, model, trial, epoch, ignore_keys_for_eval)


@pytest.mark.parametrize("accumulated", [1, 2])
def test_overrides_of_4_30_are_given_what_they_were_given(tmp_path, accumulated):
    made = trainer(
        tmp_path,
        Below,
        masking="causal",
        gradient_accumulation_steps=accumulated,
        max_steps=3,
        logging_steps=1,
        save_strategy="steps",
        eval_strategy="steps",
        save_steps=1,
        eval_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model="eval_/loss",
        greater_is_better=False,
    )
    made.train_dataloader = loader(*(batch(seed=number) for number in range(3)))
    made.eval_dataloader = loader(batch())
    made.train()
    built, noted = made.model, made.noted
    assert noted["training_step"] == (built, ["category", "item_id", "price"])
    assert noted["compute_loss"][0] is built
    assert noted["prediction_step"] == (built, False, None)
    assert noted["evaluation_loop"] == ("Evaluation", "eval")
    assert ["learning_rate", "loss"] in noted["log"]
    assert noted["create_optimizer_and_scheduler"] == noted["create_scheduler"] == 3
    assert noted["_inner_training_loop"] == (4, None)
    assert noted["_maybe_log_save_evaluate"][:3] == (True, built, None)
    assert noted["_maybe_log_save_evaluate"][3] == noted["below"]
    assert noted["_save_checkpoint"] == (built, None)
    assert noted["_save"] == str(tmp_path / "checkpoint-3")
    assert noted["_load_best_model"] in {str(tmp_path / f"checkpoint-{step}") for step in (1, 2, 3)}
    assert [entry["step"] for entry in made.state.log_history if "loss" in entry] == [1, 2, 3]


def test_methods_that_programs_of_4_30_call_are_there(tmp_path):
    made = trainer(tmp_path)
    labels = torch.tensor([[1, 2], [3, 4]])
    assert torch.equal(made._nested_gather(made._pad_across_processes(labels)), labels)
    assert made._nested_gather(None) is None


def test_an_override_that_nothing_calls_is_told_of():
    with pytest.warns(UserWarning, match="Keeping._rotate_checkpoints is not called: transformers 5 has no"):

        class Keeping(tr.Trainer):
            def _rotate_checkpoints(self, use_mtime=False, output_dir=None):
                pass


def test_other_data_to_evaluate_on_is_not_read_and_told_of_once(tmp_path):
    made = trainer(tmp_path, masking="causal")
    made.eval_dataloader = loader(batch())
    loss = made.evaluate()["eval_/loss"]
    with pytest.warns(UserWarning, match=r"assign trainer\.eval_dataset_or_path before"):
        told = made.evaluate("other.parquet")
    assert told["eval_/loss"] == loss
    assert made.evaluate("other.parquet")["eval_/loss"] == loss  # a second warning would be an error


class BothAtOnce(tr.Trainer):
    """Makes optimiser and schedule in one method, and would make another optimiser if asked again."""

    def create_optimizer(self):
        self.made = getattr(self, "made", 0) + 1
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.5)
        return self.optimizer

    def create_optimizer_and_scheduler(self, num_training_steps):
        self.create_optimizer()
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: 1 - step / num_training_steps
        )


def test_optimiser_and_schedule_of_one_override(tmp_path):
    rates = Rates()
    made = trainer(tmp_path, BothAtOnce, callbacks=[rates], masking="causal")
    made.train_dataloader = loader(*(batch(seed=number) for number in range(4)))
    made.train()
    assert made.made == 1
    assert rates.seen == pytest.approx([0.5, 0.375, 0.25, 0.125])
    assert made.optimizer.param_groups[0]["lr"] == 0
    assert "create_optimizer" not in vars(made)
    made.train()
    assert made.made == 2


def test_training_resumes_in_the_shuffled_order_of_its_epoch(tmp_path):
    path = write_sessions(tmp_path / "train.parquet", 16)
    options = {"masking": "causal", "save_strategy": "steps", "save_steps": 6, "num_train_epochs": 2}
    whole = trainer(tmp_path / "whole", **options)
    whole.train_dataset_or_path = path
    whole.train()
    half = trainer(tmp_path / "half", model=model("causal", seed=5), **{**options, "save_strategy": "no"})
    half.train_dataset_or_path = path
    half.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-6"))
    for name, tensor in half.model.state_dict().items():
        torch.testing.assert_close(tensor, whole.model.state_dict()[name], msg=name)


def test_a_checkpoint_whose_state_says_less_is_gone_on_with(tmp_path):
    options = {"save_strategy": "steps", "save_steps": 2, "logging_steps": 1, "masking": "causal"}
    batches = [batch(seed=number) for number in range(4)]
    whole = trainer(tmp_path, **options)
    whole.train_dataloader = loader(*batches)
    whole.train()
    file = tmp_path / "checkpoint-2" / "trainer_state.json"
    newer = ("train_batch_size", "logging_steps", "eval_steps", "save_steps", "stateful_callbacks")
    state = {name: value for name, value in json.loads(file.read_text()).items() if name not in newer}
    file.write_text(json.dumps(state))
    rest = trainer(tmp_path / "rest", model=model("causal", seed=3), **options)
    rest.train_dataloader = loader(*batches)
    rest.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert json.loads(file.read_text()) == state
    assert [entry["step"] for entry in rest.state.log_history if "loss" in entry] == [1, 2, 3, 4]
    assert (tmp_path / "rest" / "checkpoint-4").is_dir()
    for name, tensor in rest.model.state_dict().items():
        torch.testing.assert_close(tensor, whole.model.state_dict()[name], msg=name)


def test_schedules_that_23_12_0_could_not_make(tmp_path):
    options = {"optim": "sgd", "learning_rate": 0.1, "metric_for_best_model": "eval_/loss"}
    options |= {"greater_is_better": False, "eval_strategy": "steps", "eval_steps": 1, "masking": "causal"}
    plateau = trainer(tmp_path, lr_scheduler_type="reduce_lr_on_plateau", **options)
    plateau.train_dataloader = plateau.eval_dataloader = loader(batch(), batch(seed=1))
    plateau.train()
    losses = [entry["eval_/loss"] for entry in plateau.state.log_history if "eval_/loss" in entry]
    assert plateau.lr_scheduler.best == min(losses)
    root = trainer(tmp_path, lr_scheduler_type="inverse_sqrt", warmup_steps=4)
    weight = torch.nn.Parameter(torch.ones(1))
    root.create_scheduler(10, torch.optim.SGD([weight], lr=1.0))
    rates = []
    for _ in range(9):
        rates.append(root.lr_scheduler.get_last_lr()[0])
        root.lr_scheduler.optimizer.step()
        root.lr_scheduler.step()
    # It rises to 1 in four steps; then it is the root of 4 / step, counted from the end of the warm-up.
    assert rates[:5] == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    assert rates[8] == pytest.approx((4 / 8) ** 0.5)
