"""Two and four processes over parquet files learn, measure and answer what one does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import merlin_models_torch as mm
from tests.unit.distributed import data_parallel
from tests.unit.distributed.processes import run


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("world", "streamed", "batch_size"), [(2, True, 2), (4, False, 2), (4, True, 1)])
def test_processes_equal_one_with_their_joined_batches(
    world: int, streamed: bool, batch_size: int, tmp_path: Path
) -> None:
    """In batches of one, some processes have no row left for the last training step."""
    folder = tmp_path / "data"
    folder.mkdir()
    data_parallel.write_files(folder)
    several = run(_train, world, tmp_path, folder, streamed, batch_size)
    model = data_parallel.small_model()
    model.optimizer = mm.OptimizerConfig("sgd", lr=0.5)
    joined = data_parallel.Joined(folder, world, streamed=streamed, batch_size=batch_size)
    fillers = sum(batch.filler for own in joined.loaders for batch in own)
    assert fillers == (2 if batch_size == 1 else 0)
    for own in joined.loaders:
        own.set_epoch(0)
    one = data_parallel.trainer(devices=1)
    one.fit(model, joined)
    figures = one.test(model, data_parallel.few(folder), verbose=False)[0]
    answers = torch.tensor(model.predict(data_parallel.few(folder), k=3)["item_id"].to_pylist())
    assert torch.equal(torch.cat([result.pop("answers") for result in several]), answers)
    expected = {**dict(model.named_parameters()), **{n: torch.tensor(v) for n, v in figures.items()}}
    for result in several:
        assert result.keys() == expected.keys() >= {"test_loss"}
        for name, value in expected.items():
            torch.testing.assert_close(
                result[name], value.detach(), atol=1e-5, rtol=1e-5, msg=lambda text, n=name: f"{n}: {text}"
            )


def _train(folder: Path, streamed: bool, batch_size: int) -> dict[str, torch.Tensor]:
    return data_parallel.train(folder, streamed=streamed, batch_size=batch_size)
