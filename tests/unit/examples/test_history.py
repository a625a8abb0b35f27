from types import SimpleNamespace

import pytest
import torch

from merlin_models_torch.examples.history import History


def trainer(**values):
    return SimpleNamespace(
        num_training_batches=20,
        current_epoch=values.pop("epoch", 0),
        sanity_checking=False,
        progress_bar_callback=None,
        callback_metrics={name: torch.tensor(value) for name, value in values.items()},
    )


def test_the_training_loss_is_the_mean_of_each_tenth_of_an_epoch():
    history = History()
    for epoch in range(2):
        for step in range(20):
            loss = torch.tensor(float(100 * epoch + step))
            history.on_train_batch_end(trainer(epoch=epoch), None, {"loss": loss}, None, step)
    tenths = [(0.1 * (i + 1), 2 * i + 0.5) for i in range(10)]
    expected = [*tenths, *((1 + x, 100 + y) for x, y in tenths)]
    assert [list(point) for point in history.train] == [pytest.approx(list(point)) for point in expected]


def test_a_short_epoch_keeps_every_step():
    history = History()
    short = SimpleNamespace(num_training_batches=3, current_epoch=0)
    for step in range(3):
        history.on_train_batch_end(short, None, torch.tensor(float(step)), None, step)
    assert [loss for _, loss in history.train] == [0, 1, 2]
    assert history.train[-1][0] == 1


def test_each_validation_is_kept_and_told(capsys):
    history = History(metric="ndcg_at_10")
    history.on_train_batch_end(trainer(), None, {"loss": torch.tensor(4.0)}, None, 1)
    history.on_validation_end(trainer(epoch=2, val_loss=3.5, val_ndcg_at_10=0.25), None)
    assert history.losses(chance=6.0).validation == ((3.0, 3.5),)
    assert history.losses(chance=6.0).chance == 6.0
    assert capsys.readouterr().out.startswith("epoch   3   loss 4.000   validation 3.500   NDCG@10 0.250   ")


def test_a_sanity_check_before_training_is_not_kept(capsys):
    history = History()
    history.on_validation_end(trainer(val_loss=9.0), None)
    assert history.losses().validation == ()
    assert capsys.readouterr().out == ""
