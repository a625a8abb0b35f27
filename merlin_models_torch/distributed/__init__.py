"""Models whose item tables are shared out to several processes."""

from merlin_models_torch.distributed.building import sharded_tables
from merlin_models_torch.distributed.catalogue import ShardedCatalogue
from merlin_models_torch.distributed.checkpoint import load_checkpoint, save_checkpoint
from merlin_models_torch.distributed.dask import predict_with_dask
from merlin_models_torch.distributed.lookup import ShardedRows
from merlin_models_torch.distributed.shard import shard_items, sharded_names, unshard_items
from merlin_models_torch.distributed.strategy import ShardedStrategy
from merlin_models_torch.distributed.torchrec import torchrec_optimizers, use_torchrec
from merlin_models_torch.outputs.catalogue import Catalogue, RowStore, WholeCatalogue

__all__ = [
    "Catalogue",
    "RowStore",
    "ShardedCatalogue",
    "ShardedRows",
    "ShardedStrategy",
    "WholeCatalogue",
    "load_checkpoint",
    "predict_with_dask",
    "save_checkpoint",
    "shard_items",
    "sharded_names",
    "sharded_tables",
    "torchrec_optimizers",
    "unshard_items",
    "use_torchrec",
]
