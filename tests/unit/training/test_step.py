"""A batch by hand gives what lightning.Trainer computes."""

import lightning
import pytest
import torch

import merlin_models_torch as mm
from tests.unit.clicks import click_schema, click_table
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_batch, session_model, session_table


def test_a_training_step_of_ones_own_may_take_its_loss_from_a_step() -> None:
    class Halved(mm.Model):
        def training_step(self, batch: mm.Batch, batch_idx: int) -> torch.Tensor:
            step = mm.Step(self, batch, "train")
            return 0.5 * torch.nn.functional.cross_entropy(step.scores, step.targets)

    torch.manual_seed(0)
    plain = session_model(mm.CausalMasking())
    model = Halved(*plain.body, plain.output)
    model.optimizer = mm.OptimizerConfig(torch.optim.SGD, lr=0.1)
    loader = mm.ParquetLoader(session_table(), session_schema(), batch_size=8)
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    before = mm.Step(model.eval(), next(iter(loader)), "train").loss.detach()
    # It is not taken for an epoch without anything to learn from, which is refused.
    trainer.fit(model.train(), loader)
    assert mm.Step(model.eval(), next(iter(loader)), "train").loss < before


def test_a_loop_by_hand_learns_what_the_trainer_learns() -> None:
    def model() -> mm.Model:
        torch.manual_seed(0)
        made = session_model(mm.CausalMasking())
        for module in made.modules():
            if hasattr(module, "p"):
                module.p = 0.0
        return made

    loader = mm.ParquetLoader(session_table(), session_schema(), batch_size=8)
    by_hand, by_trainer = model().train(), model()
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.1)
    for batch in loader:
        step = mm.Step(by_hand, batch, "train")
        optimizer.zero_grad()
        step.loss.backward()
        optimizer.step()
    by_trainer.optimizer = mm.OptimizerConfig(torch.optim.SGD, lr=0.1)
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(by_trainer, loader)
    for name, weight in by_hand.state_dict().items():
        torch.testing.assert_close(by_trainer.state_dict()[name], weight, msg=name)


def test_measurements_by_hand_are_those_of_validate() -> None:
    torch.manual_seed(0)
    model = session_model(mm.RandomMasking(), body="xlnet").eval()
    loader = mm.ParquetLoader(session_table(), session_schema(), batch_size=8)
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False
    )
    expected = trainer.validate(model, loader, verbose=False)[0]
    evaluation = model.evaluations["val"]
    evaluation.reset()
    model.eval()
    with torch.no_grad():
        for batch in loader:
            mm.Step(model, batch, "evaluate").update(evaluation)
    assert {f"val_{k}": float(v) for k, v in evaluation.compute().items()} == pytest.approx(expected)


def test_scores_are_those_of_the_targets_and_the_body_runs_once() -> None:
    torch.manual_seed(0)
    model = session_model(mm.CausalMasking())
    calls = []
    model.body.register_forward_hook(lambda *_: calls.append(1))
    step = mm.Step(model.train(), session_batch(6), "train")
    assert step.scores.shape == (step.count, model.output.cardinality)
    assert len(step.targets) == step.count
    torch.testing.assert_close(step.loss, torch.nn.functional.cross_entropy(step.scores, step.targets))
    assert calls == [1]


def test_labels_of_rows_are_the_targets_in_any_mode() -> None:
    torch.manual_seed(0)
    model = mm.Model(mm.TabularInputBlock(click_schema()), mm.MLPBlock([4]), mm.BinaryOutput("click"))
    table = click_table(12)
    batch = next(iter(mm.ParquetLoader(table, click_schema(), batch_size=12)))
    step = mm.Step(model, batch, "train")
    assert step.targets.tolist() == table["click"].to_pylist()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(step.scores, step.targets.float())
    torch.testing.assert_close(step.loss, expected)


def test_results_are_of_the_batch_alone_and_their_loss_is_learned_from() -> None:
    torch.manual_seed(0)
    output = mm.BinaryOutput("click", metrics=("accuracy",))
    model = mm.Model(mm.TabularInputBlock(click_schema(), embedding_dim=4), mm.MLPBlock([4]), output)
    first, second = list(mm.ParquetLoader(click_table(), click_schema(), batch_size=len(click_table()) // 2))[
        :2
    ]
    assert mm.Step(model, first).results["loss"].item() > 0
    step = mm.Step(model, second)
    results = step.results
    right = ((step.scores > 0) == step.targets.bool()).float().mean()
    assert sorted(results) == ["click_accuracy", "loss"]
    torch.testing.assert_close(results["click_accuracy"], right)
    results["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
