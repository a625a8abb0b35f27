"""Lightning's data parallel strategy for models whose item tables are shared out."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.optim import Optimizer

from merlin_models_torch.distributed.checkpoint import load_checkpoint, write_checkpoint
from merlin_models_torch.distributed.shard import shard_items
from merlin_models_torch.training.model import Model

_REST = "rest.pt"


class ShardedStrategy(DDPStrategy):
    """Data parallel, with the rows of item tables shared out to the processes: see :func:`shard_items`.

    Checkpoints are folders that each process writes its part of; a run goes on from them with any number of
    processes.

    Args:
        domains: of further tables to share out.
        shares: processes that share the tables among them; all if not given. Eight with ``shares=4`` are two
            groups of four neighbours, such as the devices of a host, which hold copies of the tables.
        process_group_backend: "gloo", "nccl" or another; by the device if not given.
        timeout: of what processes wait for each other.

    Example:
        >>> import lightning
        >>> quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        >>> trainer = lightning.Trainer(  # four processes: devices=4
        ...     devices=1, strategy=ShardedStrategy(), accelerator="cpu", max_epochs=1, **quiet
        ... )
        >>> trainer.fit(model.train(), loader)
        >>> sharded_names(model)
        ['body.layers.0.tables.item_id.weight']
    """

    def __init__(
        self,
        *,
        domains: Iterable[str] = (),
        shares: int | None = None,
        process_group_backend: str | None = None,
        timeout: timedelta = timedelta(minutes=30),
    ) -> None:
        super().__init__(process_group_backend=process_group_backend, timeout=timeout)
        self.domains = tuple(domains)
        self.shares = shares

    @property
    def restore_checkpoint_after_setup(self) -> bool:
        """Yes: the shares have to be there first."""
        return True

    def setup(self, trainer: Any) -> None:
        """Shares the tables out, and sets up data parallel for the rest.

        Raises:
            TypeError: if what is trained is no :class:`Model`.
            ValueError: if the processes are not a multiple of ``shares``.
        """
        model = self.lightning_module
        if not isinstance(model, Model):
            raise TypeError(
                f"ShardedStrategy is for Models of this library, got {type(model).__name__}: call "
                "shard_items() on the Model inside it, and use strategy='ddp'"
            )
        # Before anything is moved: a device may not hold a whole table.
        shard_items(model, self._mesh(), domains=self.domains)
        super().setup(trainer)

    def _mesh(self) -> DeviceMesh:
        shares = self.world_size if self.shares is None else self.shares
        if shares < 1 or self.world_size % shares:
            raise ValueError(
                f"shares is {shares}, expected a number that divides the {self.world_size} processes"
            )
        shape = (self.world_size,) if shares == self.world_size else (self.world_size // shares, shares)
        return init_device_mesh(self.root_device.type, shape)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Nothing: :meth:`save_checkpoint` asks the model."""
        return {}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Nothing, likewise."""
        return {}

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Nothing: :meth:`load_checkpoint` has done it."""

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Nothing, likewise."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None
    ) -> None:
        """Writes a folder: the parts of all processes, and what the Trainer knows."""
        path = Path(self.broadcast(filepath))
        with_optimizers = "optimizer_states" in checkpoint
        # On a disk that is full torch's own writer of archives ends the process when it is thrown away.
        archive = io.BytesIO()
        torch.save(checkpoint, archive)
        optimizers = self._optimizers_of_torch if with_optimizers else ()
        write_checkpoint(path, self._own, optimizers, {_REST: archive.getvalue()})

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Reads such a folder, with as many processes as there are now."""
        path = Path(self.broadcast(checkpoint_path))
        training = self._own.trainer.state.fn == TrainerFn.FITTING
        load_checkpoint(path, self._own, *(self._optimizers_of_torch if training else ()))
        return cast(dict[str, Any], torch.load(path / _REST, map_location="cpu", weights_only=True))

    @property
    def _own(self) -> Model:
        return cast(Model, self.lightning_module)

    @property
    def _optimizers_of_torch(self) -> list[Optimizer]:
        return [one._optimizer if isinstance(one, LightningOptimizer) else one for one in self.optimizers]
