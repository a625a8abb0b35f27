"""DCNModel equals the equations of the paper."""

import pytest
import torch

import merlin_models_torch as mm
from tests.unit.models.ranking import CLICK, affine, click_batch, weights


def test_stacked_is_cross_layers_then_a_tower() -> None:
    model = mm.DCNModel(CLICK, embedding_dim=4, depth=2, deep=[5]).eval()
    w, batch = weights(model), click_batch()
    first = torch.cat(
        [
            batch["age"][:, None],
            w["body.layers.0.tables.item_id.weight"][batch["item_id"]],
            w["body.layers.0.tables.user_id.weight"][batch["user_id"]],
        ],
        1,
    )
    hidden = first
    for layer in range(2):
        hidden = first * affine(hidden, w, f"body.layers.1.layers.{layer}") + hidden
    hidden = affine(hidden, w, "body.layers.2.linears.0").relu()
    torch.testing.assert_close(model(batch), affine(hidden, w, "output.linear")[:, 0])


def test_parallel_joins_cross_layers_and_tower() -> None:
    model = mm.DCNModel(CLICK, embedding_dim=4, depth=1, low_rank=2, deep=[5], structure="parallel").eval()
    w, batch = weights(model), click_batch()
    first = model.inputs(batch)
    cross = "body.layers.1.branches.cross.layers.0"
    inner = first @ w[f"{cross}.down"].T @ w[f"{cross}.weight"].T + w[f"{cross}.bias"]
    deep = affine(first, w, "body.layers.1.branches.deep.layers.0.linears.0").relu()
    joined = torch.cat([first * inner + first, deep], 1)
    torch.testing.assert_close(model(batch), affine(joined, w, "output.linear")[:, 0])


def test_wrong_structures_are_refused() -> None:
    with pytest.raises(ValueError, match="structure is 'both', expected 'stacked' or 'parallel'"):
        mm.DCNModel(CLICK, structure="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a parallel structure has a deep tower"):
        mm.DCNModel(CLICK, structure="parallel", deep=[])
