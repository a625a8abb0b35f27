"""Training ends with the weights of the best epoch; figures of runs become mean and spread."""

import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.examples.comparison import fit_best, mean_and_spread
from tests.unit.clicks import click_schema, click_table
from tests.unit.models.ranking import CLICK


@pytest.mark.filterwarnings("ignore")
def test_the_best_epoch_is_kept_and_training_stops_after_it() -> None:
    figures, states = iter([0.1, 0.5, 0.4, 0.5, 0.9]), []

    def measure(model: mm.Model) -> float:
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        return next(figures)

    loader = mm.ParquetLoader(click_table(), click_schema(), batch_size=40, shuffle=True)
    model, best, epochs = fit_best(
        lambda: mm.DCNModel(CLICK, embedding_dim=4), loader, measure, seed=0, epochs=9, patience=2
    )
    assert (best, epochs, len(states)) == (0.5, 2, 4)
    assert all(torch.equal(value, states[1][name]) for name, value in model.state_dict().items())
    weight = "body.layers.0.tables.item_id.weight"
    assert not torch.equal(states[1][weight], states[3][weight])
    assert not model.training


def test_mean_and_spread() -> None:
    found = mean_and_spread([{"AUC": 0.5}, {"AUC": 0.7}])
    assert found["AUC"]["mean"] == pytest.approx(0.6)
    assert found["AUC"]["spread"] == pytest.approx(0.02**0.5)
    assert mean_and_spread([{"AUC": 0.5}]) == {"AUC": {"mean": 0.5, "spread": 0.0}}
