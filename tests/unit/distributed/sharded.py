"""What each process runs in ``test_sharded``: a model with its item tables shared out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning
import pyarrow as pa
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

import merlin_models_torch as mm
from merlin_models_torch import distributed
from merlin_models_torch.batch import Batch
from merlin_models_torch.data.table import TensorTable
from merlin_models_torch.distributed import building
from merlin_models_torch.outputs.losses import softmax_cross_entropy
from merlin_models_torch.schema import Tags
from merlin_models_torch.training.clipping import clip_gradients
from tests.unit.distributed.data_parallel import loader, small_model, trainer
from tests.unit.schemas import categorical, session_schema
from tests.unit.sessions import session_table

OUTPUTS: dict[str, dict[str, Any]] = {
    "tied": {"bias": True, "label_smoothing": 0.1, "temperature": 0.5, "exclude_seen": True},
    "own": {"weight_tying": False, "normalized": True, "temperature": 0.2},
}
STEPS = 3
ROWS = 24


def batch_of(rank: int, world: int) -> Batch:
    """The rows of one process; the first one gets sessions of one item, which have nothing to predict."""
    table = session_table(ROWS).slice(rank * ROWS // world, ROWS // world)
    if rank == 0:
        table = session_table(ROWS // world, shortest=1, longest=1)
    return next(iter(mm.ParquetLoader(table, session_schema(), batch_size=ROWS, rank=0, world=1)))


def joined(world: int) -> Batch:
    """The rows of all processes in one batch."""
    first = session_table(ROWS // world, shortest=1, longest=1)
    rest = session_table(ROWS).slice(ROWS // world)
    rows = pa.concat_tables([first, rest])
    return next(iter(mm.ParquetLoader(rows, session_schema(), batch_size=ROWS, rank=0, world=1)))


def loss_of(model: mm.Model, batch: Batch) -> tuple[Tensor, int]:
    """The training loss of a batch and its targets."""
    planned = model._planned(batch, "train", torch.Generator().manual_seed(0))
    loss: Tensor = model.output.loss(model.body(planned), planned, generator=torch.Generator().manual_seed(0))
    return loss, model.output.count(planned)


def optimizer_of(model: mm.Model) -> torch.optim.Optimizer:
    """Fused Adam with decay, so that every group of parameters is there."""
    # A large eps, since Adam turns the rounding of gradients that are almost 0 into steps.
    return mm.OptimizerConfig("adamw", lr=0.05, weight_decay=0.01, eps=1e-2).build(model)


def step(model: mm.Model, optimizer: torch.optim.Optimizer, batch: Batch, wrapped: Any = None) -> Tensor:
    """One step on the mean over the targets of all processes; the loss."""
    loss, count = (wrapped or Loss(model))(batch)
    optimizer.zero_grad()
    if wrapped is None:
        loss.backward()
        optimizer.step()
        return loss.detach()
    total = torch.tensor(float(count))
    torch.distributed.all_reduce(total)
    (loss * count * torch.distributed.get_world_size() / total).backward()
    optimizer.step()
    mean = loss.detach() * count / total
    torch.distributed.all_reduce(mean)
    return mean


class Loss(torch.nn.Module):
    """The loss as what ``DistributedDataParallel`` wraps."""

    def __init__(self, model: mm.Model) -> None:
        super().__init__()
        self.model = model
        self._ddp_params_and_buffers_to_ignore = [
            f"model.{name}" for name in distributed.sharded_names(model)
        ]

    def forward(self, batch: Batch) -> tuple[Tensor, int]:
        return loss_of(self.model, batch)


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor in one piece."""
    return (tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor).detach().clone()


def mesh_of(shares: int | None) -> DeviceMesh | None:
    """Groups of so many neighbours that share the tables; none for what is done without a mesh."""
    if shares is None:
        return None
    return init_device_mesh("cpu", (torch.distributed.get_world_size() // shares, shares))


def train(kind: str, folder: Path, shares: int | None = None) -> dict[str, Any]:
    """Losses, gradients, weights and answers of sharded training, and a checkpoint in the middle."""
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    model = small_model(**OUTPUTS[kind])
    if rank:
        with torch.no_grad():
            model.output.bias.add_(1.0) if model.output.has_bias else model.output.weight.add_(1.0)
    distributed.shard_items(model, mesh_of(shares))  # The weights are those of the first process.
    optimizer, wrapped = optimizer_of(model), DistributedDataParallel(Loss(model))
    batch = batch_of(rank, world)
    found: dict[str, Any] = {"losses": []}
    for number in range(STEPS):
        found["losses"].append(step(model, optimizer, batch, wrapped))
        if number == 0:
            found["gradients"] = {n: whole(p.grad) for n, p in model.named_parameters() if p.grad is not None}
            distributed.save_checkpoint(folder / f"{kind}-{world}-{shares}", model, optimizer)
    found["weights"] = {name: whole(p) for name, p in model.named_parameters()}
    found["held"] = {
        name: model.get_parameter(name).to_local().shape for name in distributed.sharded_names(model)
    }  # type: ignore[operator]
    model.eval()
    found["scores"], found["items"] = model.topk(batch, k=12)
    distributed.unshard_items(model)
    found["unsharded"] = model.topk(batch, k=12)[1]
    return found


def resume(kind: str, saved: Path, written_by: int, shares: int | None = None) -> dict[str, Tensor]:
    """Weights after the remaining steps from a checkpoint of another number of processes."""
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    model = small_model(**OUTPUTS[kind])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    distributed.shard_items(model, mesh_of(shares))
    optimizer, wrapped = optimizer_of(model), DistributedDataParallel(Loss(model))
    distributed.load_checkpoint(saved, model, optimizer)
    batch = part_of(joined(written_by), rank, world)
    for _ in range(STEPS - 1):
        step(model, optimizer, batch, wrapped)
    return {name: whole(p) for name, p in model.named_parameters()}


def part_of(batch: Batch, rank: int, world: int) -> Batch:
    """The share of one process of the rows of a batch."""
    rows = torch.arange(len(batch)).tensor_split(world)[rank]
    table = TensorTable(batch.features, torch.arange(len(batch)))
    return Batch(table.take(rows), rows=rows)


def sampled(tied: bool) -> dict[str, Any]:
    """Weights after steps with drawn negatives, shared out and not, in the same processes."""
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    found: dict[str, Any] = {}
    for how in ("whole", "sharded"):
        torch.manual_seed(0)
        inputs = mm.TabularInputBlock(session_schema(), embedding_dim=8, masking=mm.CausalMasking())
        negatives = mm.MixedNegatives(mm.InBatchNegatives(), mm.UniformNegatives(7))
        output = mm.ContrastiveOutput(negatives=negatives, weight_tying=tied, bias=True, top_ks=(5,))
        model = mm.Model(inputs, mm.MLPBlock([8]), output)
        if how == "sharded":
            distributed.shard_items(model, domains=["country"])
            found["names"] = distributed.sharded_names(model)
        optimizer, wrapped = optimizer_of(model), DistributedDataParallel(Loss(model))
        for _ in range(STEPS):
            step(model, optimizer, batch_of(rank, world), wrapped)
        found[how] = {name: whole(p) for name, p in model.named_parameters()}
    return found


def pieces() -> dict[str, Any]:
    """Lookup, loss, search and clipping of a small table beside the plain formulas; texts of errors."""
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(5, 3, generator=generator).round()  # Whole numbers, so that scores tie.
    bias = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0])
    queries = torch.randn(world, 2, 3, generator=generator).round()
    targets = torch.randint(5, (world, 2), generator=generator)
    mesh = init_device_mesh("cpu", (world,))
    share, of_bias = (
        torch.nn.Parameter(distribute_tensor(tensor, mesh, [Shard(0)])) for tensor in (weight, bias)
    )
    catalogue = distributed.ShardedCatalogue(share, of_bias)
    own = slice(0, 2 if rank else 0)  # The first process asks for nothing.
    asked = queries[rank, own].clone().requires_grad_()
    options = {"temperature": 0.5, "label_smoothing": 0.2}
    loss = catalogue.loss(asked, targets[rank, own], **options)
    loss.backward()
    reference = [t.clone().requires_grad_() for t in (weight, bias, queries)]
    losses = [
        softmax_cross_entropy(reference[2][r], reference[0], targets[r], bias=reference[1], **options)
        for r in range(1, world)
    ]
    sum(losses).backward()  # type: ignore[union-attr]
    pairs = {
        "loss": (loss.detach(), losses[rank - 1].detach() if rank else torch.tensor(0.0)),
        "of weight": (whole(share.grad), reference[0].grad / world),  # type: ignore[operator, arg-type]
        "of bias": (whole(of_bias.grad), reference[1].grad / world),  # type: ignore[operator, arg-type]
        "of queries": (asked.grad, reference[2].grad[rank, own]),  # type: ignore[index]
    }
    share.grad = None
    rows = torch.tensor([[0, 4], [4, 1]])
    looked_up = distributed.ShardedRows(share, padding=0).lookup(rows)
    looked_up.sum().backward()
    counted = torch.tensor([0.0, 1, 0, 0, 2])[:, None].expand(5, 3)
    pairs |= {"lookup": (looked_up.detach(), weight[rows]), "of lookup": (whole(share.grad), counted)}  # type: ignore[arg-type]
    limits = {"k": 4, "temperature": 2.0, "exclude": torch.tensor([[1, -1], [3, 4]])[own], "never": (0,)}
    for name, found, expected in zip(
        ("scores", "items"),
        catalogue.topk(asked.detach(), **limits),
        mm.topk_blockwise(asked.detach(), weight, bias=bias, **limits),
        strict=True,
    ):
        pairs[name] = (found, expected)
    ordinary = torch.nn.Parameter(torch.zeros(2))
    ordinary.grad = torch.tensor([3.0, 4.0])
    clip_gradients([ordinary, share], 1.0)
    norm = (25 + (counted**2).sum()).sqrt()
    pairs |= {
        "clipped": (ordinary.grad, torch.tensor([3.0, 4.0]) / norm),
        "too": (whole(share.grad), counted / norm),
    }  # type: ignore[arg-type]
    model = distributed.shard_items(small_model(weight_tying=False))
    wrong: list[Callable[[], Any]] = [
        lambda: distributed.ShardedRows(share).lookup(torch.tensor([5])),
        lambda: catalogue.loss(queries[0], torch.tensor([1, 5])),
        lambda: catalogue.topk(queries[0], k=6),
        lambda: model.output.item_vectors,
        lambda: model.save("never"),
        lambda: model.grow(session_schema()["item_id"]),
        lambda: distributed.shard_items(small_model(), domains=["city"]),
    ]
    errors = []
    for call in wrong:
        try:
            call()
        except (IndexError, ValueError, RuntimeError) as error:
            errors.append(str(error))
    return {"rows": len(share.to_local()), "pairs": pairs, "errors": errors}  # type: ignore[operator, attr-defined]


def fit(folder: Path, shares: int | None = None) -> dict[str, Any]:
    """Stock Lightning with the strategy: weights, figures, answers, and a run resumed from its checkpoint."""
    world = torch.distributed.get_world_size()

    def trained(epochs: int, checkpoint: str | None = None) -> tuple[mm.Model, lightning.Trainer]:
        model = small_model(exclude_seen=True)
        model.optimizer = mm.OptimizerConfig("adamw", lr=0.05, eps=1e-2, weight_decay=0.01, schedule="linear")
        saved = ModelCheckpoint(folder / f"saved-{checkpoint is None}", filename="{epoch}", save_top_k=-1)
        one = trainer(
            strategy=distributed.ShardedStrategy(shares=shares),
            devices=world,
            max_epochs=epochs,
            enable_checkpointing=True,
            callbacks=[saved],
            gradient_clip_val=0.5,
        )
        one.fit(model, loader(folder / "data", streamed=False), ckpt_path=checkpoint)
        return model, one

    model, one = trained(2)
    found = {"weights": {name: whole(p) for name, p in model.named_parameters()}}
    # Three rows in batches of one, some without a target: processes that have none take part all the same.
    found["figures"] = one.test(model, uneven(), verbose=False)[0]
    found["answers"] = model.predict(uneven(), k=3)["item_id"].to_pylist()
    # Each process writes its part; if one of them is missing, all are needed for it.
    for _ in range(2):
        (folder / "answers" / f"part-00001-of-{world:05}.parquet").unlink(missing_ok=True)
        torch.distributed.barrier()
        model.predict_to_parquet(folder / "data", folder / "answers", k=3, batch_size=4, progress=False)
        torch.distributed.barrier()
    resumed, _ = trained(2, str(folder / "saved-True" / "epoch=0.ckpt"))
    found["resumed"] = {name: whole(p) for name, p in resumed.named_parameters()}
    return found


def uneven() -> mm.ParquetLoader:
    """Five sessions one by one, of which two of one item have nothing to predict."""
    rows = pa.concat_tables([session_table(3), session_table(2, shortest=1, longest=1)])
    return mm.ParquetLoader(rows, session_schema(), batch_size=1)


def built(shares: int | None = None) -> dict[str, Any]:
    """The state of models made in shares, whole again, beside that of whole ones; losses; the next number."""
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    found: dict[str, Any] = {"whole": {}, "shares": {}, "held": {}}
    for how, around in (("whole", nullcontext), ("shares", distributed.sharded_tables)):
        for kind in OUTPUTS:
            mesh = mesh_of(shares)
            with around(**({"mesh": mesh, "domains": ["country"]} if how == "shares" else {})):  # type: ignore[operator]
                model = small_model(**OUTPUTS[kind])
            following = torch.rand(1)
            if how == "shares":
                found["held"][kind] = {
                    name: len(value.to_local())
                    for name, value in model.named_parameters()
                    if hasattr(value, "to_local")
                }
                distributed.shard_items(model, mesh, domains=["country"])
            optimizer = optimizer_of(model)
            wrapped = DistributedDataParallel(Loss(model))
            found[how] |= {f"{kind} {name}": whole(value) for name, value in model.state_dict().items()}
            found[how][f"{kind} generator"] = following
            found[how][f"{kind} loss"] = step(model, optimizer, batch_of(rank, world), wrapped)
            found[how] |= {f"{kind} learned {n}": whole(p) for n, p in model.named_parameters()}
    return found


def drawn() -> dict[str, Tensor]:
    """Tables made in shares by short pieces, of sizes that do and do not fit the steps of the generator."""
    building._PIECE = 64
    tables: dict[str, Tensor] = {}
    for items, width in ((30, 16), (31, 5), (7, 3), (200, 7), (2, 1)):
        column = categorical("item_id", items, Tags.ITEM_ID)
        given = torch.arange((items + 1) * width).float().reshape(-1, width)
        for name, weights in (("drawn", None), ("given", given)):
            torch.manual_seed(1)
            expected = mm.EmbeddingTable(column, width, weights=weights)
            torch.manual_seed(1)
            with distributed.sharded_tables():
                table = mm.EmbeddingTable(column, width, weights=weights)
                other = mm.EmbeddingTable(categorical("category", 9), 4)
            assert not hasattr(other.weight, "to_local")
            tables[f"{name} {items} {width}"] = whole(table.weight) - expected.weight.detach()
            ids = torch.tensor([[1, 2, 0], [items, 0, 0]])
            tables[f"{name} {items} {width} found"] = table(ids).detach() - expected(ids).detach()
    return tables


def interrupted(folder: Path) -> list[str]:
    """What each process is told of checkpoints that one of them cannot write; the one before stays."""
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter

    rank = torch.distributed.get_rank()
    model = distributed.shard_items(small_model())
    saved = distributed.save_checkpoint(folder / "saved", model)
    before = {name: whole(p) for name, p in model.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    if not rank:
        (folder / "other").mkdir()
        (folder / "other" / "thesis.txt").write_text("words")
    torch.distributed.barrier()
    told = []

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    write = HuggingFaceStorageWriter.write_data
    for number, target in enumerate(("other", "saved", "saved")):
        if number and rank == number - 1:
            HuggingFaceStorageWriter.write_data = full  # type: ignore[method-assign, assignment]
        try:
            distributed.save_checkpoint(folder / target, model)
        except (OSError, RuntimeError) as error:
            told.append(f"{type(error).__name__}: {error}".replace(str(folder), ""))
        HuggingFaceStorageWriter.write_data = write  # type: ignore[method-assign]
        # None is left behind in a conversation that the others have ended.
        torch.distributed.barrier()
    distributed.load_checkpoint(saved, model)
    told.append(str(all(torch.equal(whole(p), before[name]) for name, p in model.named_parameters())))
    return [*told, *sorted(path.name for path in folder.iterdir() if path.name != "interrupted-2")]
