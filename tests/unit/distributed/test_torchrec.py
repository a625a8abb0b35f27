"""Tables given to torchrec learn and answer what they do without it. Skipped where it is not installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from tests.unit.distributed import with_torchrec
from tests.unit.distributed.processes import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        importlib.util.find_spec("torchrec") is None,
        reason="torchrec is not installed: its release asks for another torchmetrics, see the scale page",
    ),
]


@pytest.mark.parametrize("world", [2, 4])
def test_losses_weights_and_answers_are_those_without_it(world: int, tmp_path: Path) -> None:
    start = dict(with_torchrec.sampled_model(normalized=True, temperature=0.2).named_parameters())
    table = "body.layers.0.tables.item_id.weight"
    for found in run(with_torchrec.learned, world, tmp_path, tmp_path):
        ours, theirs = found["ours"], found["torchrec"]
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            torch.testing.assert_close(
                theirs[name], value, atol=1e-5, rtol=1e-5, msg=lambda t, n=name: f"{n}: {t}"
            )
        assert torch.equal(theirs[f"loaded {table}"], theirs[table])
        assert (theirs[table] - start[table]).abs().max() > 0.01
        assert not theirs[table][0].any()


def test_what_it_cannot_do_is_refused(tmp_path: Path) -> None:
    for errors in run(with_torchrec.refused, 2, tmp_path):
        assert errors == [
            "no table of the model is shared out: call shard_items(model) first",
            "CategoricalOutput(weight_tying=True) gives every row a gradient, which torchrec's kernels do "
            "not take: use ContrastiveOutput, or an output with weights of its own",
            "row 31 is outside a table of 31 rows: encode the ids",
            "torchrec's kernels take no gradient for every row: train with negatives, by ContrastiveOutput",
        ]
