"""A model whose item tables are shared out equals the whole one: losses, gradients, weights, answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

import merlin_models_torch as mm
from merlin_models_torch import distributed
from tests.unit.distributed import data_parallel, sharded
from tests.unit.distributed.processes import run

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def whole_training(kind: str, world: int) -> tuple[mm.Model, list[Tensor], dict[str, Tensor]]:
    """One process with the joined batches: the model, its losses, and the gradients of the first step."""
    model = sharded.small_model(**sharded.OUTPUTS[kind])
    optimizer, losses, gradients = sharded.optimizer_of(model), [], {}
    for number in range(sharded.STEPS):
        losses.append(sharded.step(model, optimizer, sharded.joined(world)))
        if number == 0:
            gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return model.eval(), losses, gradients


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value.detach(), **CLOSE, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize(
    ("kind", "world", "shares"),
    [("own", 2, None), ("own", 4, None), ("own", 4, 2), ("tied", 2, None), ("tied", 4, None), ("tied", 4, 2)],
)
def test_training_and_answers_equal_those_of_one_process(
    kind: str, world: int, shares: int | None, tmp_path: Path
) -> None:
    """Of four processes with two shares the first two hold one copy of the tables, the others another."""
    ranks = run(sharded.train, world, tmp_path, kind, tmp_path, shares)
    model, losses, gradients = whole_training(kind, world)
    scores, items = model.topk(sharded.joined(world), k=12)
    # Adam's division makes the rounding of a sum in another order larger with each step.
    torch.testing.assert_close(torch.cat([rank["scores"] for rank in ranks]), scores, rtol=1e-4, atol=1e-4)
    assert torch.equal(torch.cat([rank["items"] for rank in ranks]), items)
    assert torch.equal(torch.cat([rank["unsharded"] for rank in ranks]), items)
    for rank in ranks:
        torch.testing.assert_close(rank["losses"], losses, **CLOSE)
        assert_same(rank["gradients"], gradients)
        assert_same(rank["weights"], dict(model.named_parameters()))
    names = {"tied": {"output.bias"}, "own": {"output.weight"}}[kind]
    held: list[dict[str, Any]] = [rank["held"] for rank in ranks]
    assert held[0].keys() == {"body.layers.0.tables.item_id.weight"} | names
    for name in held[0]:
        # 31 rows: no process but the last has another number than the others, and nothing is held twice in
        # those that share.
        each = {2: [16, 15], 4: [8, 8, 8, 7]}[shares or world]
        assert [shapes[name][0] for shapes in held] == each * (world // len(each))

    # The checkpoint of the first step goes on with another number of processes or shares, or with none.
    saved = tmp_path / f"{kind}-{world}-{shares}"
    others = (2, None) if world == 4 else (4, 2)
    for weights in run(sharded.resume, others[0], tmp_path, kind, saved, world, others[1]):
        assert_same(weights, dict(model.named_parameters()))
    alone = sharded.small_model(**sharded.OUTPUTS[kind])
    optimizer = sharded.optimizer_of(alone)
    distributed.load_checkpoint(saved, alone, optimizer)
    for _ in range(sharded.STEPS - 1):
        sharded.step(alone, optimizer, sharded.joined(world))
    assert_same(dict(alone.named_parameters()), dict(model.named_parameters()))


@pytest.mark.parametrize(("world", "shares"), [(2, None), (4, 2)])
def test_tables_made_in_shares_are_those_of_the_whole_model(
    world: int, shares: int | None, tmp_path: Path
) -> None:
    """Bit by bit, so that a seed gives the same model however many processes there are."""
    ranks = run(sharded.built, world, tmp_path, shares)
    for rank in ranks:
        assert rank["whole"].keys() == rank["shares"].keys()
        for name, value in rank["whole"].items():
            if "learned" in name or "loss" in name:
                torch.testing.assert_close(
                    rank["shares"][name], value, **CLOSE, msg=lambda t, n=name: f"{n}: {t}"
                )
            else:
                assert torch.equal(rank["shares"][name], value), name
    items, country = "body.layers.0.tables.item_id.weight", "body.layers.0.tables.country.weight"
    copies = world // 2
    assert [rank["held"]["tied"] for rank in ranks] == [
        {items: 16, country: 3},
        {items: 15, country: 2},
    ] * copies
    assert [rank["held"]["own"]["output.weight"] for rank in ranks] == [16, 15] * copies


def test_pieces_of_random_numbers_are_those_of_one_draw(tmp_path: Path) -> None:
    for rank in run(sharded.drawn, 4, tmp_path):
        assert len(rank) == 20
        assert all(not difference.any() for difference in rank.values())


@pytest.mark.parametrize("tied", [False, True])
def test_sampled_losses_and_further_tables_equal_data_parallel(tied: bool, tmp_path: Path) -> None:
    for found in run(sharded.sampled, 2, tmp_path, tied):
        assert_same(found["sharded"], found["whole"])
        assert found["names"] == [
            "body.layers.0.tables.item_id.weight",
            "body.layers.0.tables.country.weight",
            *([] if tied else ["output.weight"]),
            "output.bias",
        ]


def test_a_checkpoint_that_one_process_cannot_write_is_refused_by_all_and_the_last_one_stays(
    tmp_path: Path,
) -> None:
    first, second = run(sharded.interrupted, 2, tmp_path, tmp_path)
    assert first[0].startswith("FileExistsError: /other was not saved by this and is not replaced")
    assert second[0].startswith("RuntimeError: /other was not written: the first process could not")
    for told in (first, second):
        for process, text in enumerate(told[1:3]):
            reason = f"(process {process}: [Errno 28] No space left on device)"
            assert text.startswith(f"WriteError: /saved could not be written {reason}")
        assert told[3:] == ["True", "other", "saved"]


def test_small_catalogues_leave_processes_without_rows(tmp_path: Path) -> None:
    """The pieces by themselves, with 5 items on four processes: the last one holds none."""
    ranks = run(sharded.pieces, 4, tmp_path)
    assert [rank["rows"] for rank in ranks] == [2, 2, 1, 0]
    for rank in ranks:
        for name, (found, expected) in rank["pairs"].items():
            torch.testing.assert_close(found, expected, **CLOSE, msg=lambda text, n=name: f"{n}: {text}")
        assert rank["errors"] == [
            "row 5 is outside a table of 5 rows: encode the ids",
            "target id 5 is outside the catalogue of 5 items (0 to 4): encode the ids with the vocabulary, "
            "or raise the column's int domain in the schema",
            "k is 6, but the catalogue has 5 items: ask for fewer answers",
            "the item vectors are on several devices and never in one matrix: use loss() and topk(), or "
            "gather them by unshard_items()",
            "the model's tables are shared out to several processes: call unshard_items(model) in all of "
            "them and save it in one, or write a checkpoint by distributed.save_checkpoint()",
            "the model's tables are shared out to several processes and do not grow: call "
            "unshard_items(model) first",
            "domains names 'city', but the tables are of ['category', 'country', 'item_id']: check the name",
        ]


@pytest.mark.parametrize(("world", "shares"), [(2, None), (4, 2)])
def test_the_strategy_of_lightning_equals_one_process_and_resumes(
    world: int, shares: int | None, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data_parallel.write_files(data)
    ranks = run(sharded.fit, world, tmp_path, tmp_path, shares)
    model = sharded.small_model(exclude_seen=True)
    model.optimizer = mm.OptimizerConfig("adamw", lr=0.05, eps=1e-2, weight_decay=0.01, schedule="linear")
    one = data_parallel.trainer(devices=1, gradient_clip_val=0.5)
    one.fit(model, data_parallel.Joined(data, world, streamed=False))
    figures = one.test(model, sharded.uneven(), verbose=False)[0]
    for rank in ranks:
        assert_same(rank["weights"], dict(model.named_parameters()))
        assert_same(rank["resumed"], dict(model.named_parameters()))
        assert rank["figures"] == pytest.approx(figures, abs=1e-5)
    answers = model.predict(sharded.uneven(), k=3)["item_id"].to_pylist()
    assert [row for rank in ranks for row in rank["answers"]] == answers

    parts = sorted((tmp_path / "answers").iterdir())
    assert [path.name for path in parts] == [
        f"part-0000{number}-of-0000{world}.parquet" for number in range(world)
    ]
    together = pa.concat_tables([pq.read_table(path) for path in parts]).replace_schema_metadata()
    expected = model.predict(data, k=3)
    assert together.drop(["score"]).equals(expected.drop(["score"]))

    # The last checkpoint is read by a model in one piece, where there are no processes.
    alone = sharded.small_model(exclude_seen=True)
    distributed.load_checkpoint(tmp_path / "saved-True" / "epoch=1.ckpt", alone)
    assert_same(dict(alone.named_parameters()), dict(model.named_parameters()))


def test_without_processes_there_is_nothing_to_share_out() -> None:
    with pytest.raises(RuntimeError, match=r"needs a process group: start the program by torchrun"):
        distributed.shard_items(sharded.small_model())
    with (
        pytest.raises(RuntimeError, match=r"sharded_tables needs a process group"),
        distributed.sharded_tables(),
    ):
        pass
