"""What each process runs in ``test_torchrec``: the same steps with our lookup and with torchrec's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

import merlin_models_torch as mm
from merlin_models_torch import distributed
from merlin_models_torch.batch import Batch
from tests.unit.distributed.sharded import STEPS, Loss, batch_of, part_of, step, whole
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_batch

RATE = 0.2


def sampled_model(**options: Any) -> mm.Model:
    """The same weights in every process."""
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(session_schema(), embedding_dim=8, masking=mm.CausalMasking())
    output = mm.ContrastiveOutput(
        negatives=mm.UniformNegatives(7), bias=True, top_ks=(5,), weight_tying=True, **options
    )
    return mm.Model(inputs, mm.MLPBlock([8]), output)


def own_batch(rank: int, world: int) -> Batch:
    """Sessions of a process; of four one has none of some kinds."""
    return part_of(session_batch(5, seed=3), rank, world) if world == 4 else batch_of(rank, world)


def learned(folder: Path) -> dict[str, Any]:
    """Losses, weights and answers of both ways, and what a checkpoint holds."""
    from fbgemm_gpu.split_embedding_configs import EmbOptimType

    from merlin_models_torch.distributed.torchrec import torchrec_optimizers, use_torchrec

    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    found: dict[str, Any] = {}
    for how in ("ours", "torchrec"):
        model = distributed.shard_items(sampled_model(normalized=True, temperature=0.2))
        if how == "torchrec":
            use_torchrec(model, {"optimizer": EmbOptimType.EXACT_SGD, "learning_rate": RATE})
            assert len(torchrec_optimizers(model)) == 1
        optimizer = mm.OptimizerConfig("sgd", lr=RATE).build(model)
        wrapped, batch = DistributedDataParallel(Loss(model)), own_batch(rank, world)
        losses = torch.stack([step(model, optimizer, batch, wrapped) for _ in range(STEPS)])
        path = distributed.save_checkpoint(folder / f"{how}-{world}", model)
        model.eval()
        scores, items = model.topk(batch, k=12)
        result: dict[str, Tensor] = {"losses": losses, "scores": scores, "items": items}
        with torch.no_grad():
            planned = model._planned(batch, "evaluate")
            result["evaluated"] = super(mm.ContrastiveOutput, model.output).loss(model.body(planned), planned)
        result |= {name: whole(p) for name, p in model.named_parameters()}
        distributed.unshard_items(model)
        result["unsharded"] = model.topk(batch, k=12)[0]
        assert all(p.requires_grad for p in model.parameters())
        again = sampled_model(normalized=True, temperature=0.2)
        distributed.load_checkpoint(path, distributed.shard_items(again))
        result |= {f"loaded {name}": whole(p) for name, p in again.named_parameters()}
        found[how] = result
    return found


def refused() -> list[str]:
    """Texts of errors."""
    from merlin_models_torch.distributed.torchrec import TorchrecRows, use_torchrec

    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(session_schema(), embedding_dim=8, masking=mm.CausalMasking())
    softmax = mm.Model(inputs, mm.MLPBlock([8]), mm.CategoricalOutput(weight_tying=True))
    model = use_torchrec(distributed.shard_items(sampled_model()))
    store = model.inputs.item_table.elsewhere
    assert isinstance(store, TorchrecRows)
    queries = torch.zeros(1, 8, requires_grad=True)
    errors = []
    for call in (
        lambda: use_torchrec(sampled_model()),
        lambda: use_torchrec(distributed.shard_items(softmax)),
        lambda: store.lookup(torch.tensor([31])),
        lambda: model.output.elsewhere.loss(queries, torch.tensor([1])),
    ):
        try:
            call()
        except (IndexError, ValueError, RuntimeError) as error:
            errors.append(str(error))
    return errors
