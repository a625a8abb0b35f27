"""``merlin.models.torch.batch``: columns of a batch under the names that a loader gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from merlin.models._legacy import legacy
from torch import Tensor

from merlin_models_torch.batch import Batch as CoreBatch

Named = Tensor | Mapping[str, Tensor]
_ALONE = "default"


def _by_name(tensors: Named | None, what: str) -> dict[str, Tensor]:
    if tensors is None:
        return {}
    if isinstance(tensors, Tensor):
        return {_ALONE: tensors}
    if isinstance(tensors, Mapping):
        return dict(tensors)
    raise ValueError(f"{what} is a {type(tensors).__name__}: give a tensor or a dictionary of tensors")


@legacy
class Sequence:
    """Lengths and masks of the sequences of a batch.

    Args:
        lengths: one tensor, or tensors by column.
        masks: one tensor, or tensors by column.
    """

    def __init__(self, lengths: Named, masks: Named | None = None) -> None:
        self.lengths = _by_name(lengths, "lengths")
        self.masks = _by_name(masks, "masks")

    def length(self, name: str = _ALONE) -> Tensor:
        """The lengths of a column."""
        return _entry(self.lengths, name, "lengths")

    def mask(self, name: str = _ALONE) -> Tensor:
        """The mask of a column."""
        return _entry(self.masks, name, "masks")

    def device(self) -> torch.device:
        """Where the tensors are."""
        return _device(self.lengths)

    def __contains__(self, name: object) -> bool:
        return name in self.lengths

    def __bool__(self) -> bool:
        return bool(self.lengths)


@legacy
class Batch(CoreBatch):
    """A batch of the core made as that of merlin.models.torch was.

    Args:
        features: one tensor, or tensors by column; lists as ``<name>__values`` and ``<name>__offsets``.
        targets: one tensor, or tensors by column.
        sequences: lengths and masks, if they are known.
    """

    sequences: Sequence

    def __init__(
        self, features: Named, targets: Named | None = None, sequences: Sequence | None = None
    ) -> None:
        super().__init__(_by_name(features, "features"), _by_name(targets, "targets"))
        object.__setattr__(self, "sequences", Sequence({}) if sequences is None else sequences)

    @staticmethod
    def sample_from(dataset_or_loader: Any, batch_size: int = 32, shuffle: bool | None = False) -> Batch:
        """The first batch of a data set or loader."""
        return sample_batch(dataset_or_loader, batch_size, shuffle)

    def replace(
        self,
        features: Named | None = None,
        targets: Named | None = None,
        sequences: Sequence | None = None,
    ) -> Batch:
        """The same batch with some of its parts replaced."""
        own: dict[str, Any] = {"features": features, "targets": targets, "sequences": sequences}
        return Batch(**{name: getattr(self, name) if new is None else new for name, new in own.items()})

    def feature(self, name: str = _ALONE) -> Tensor:
        """A feature by name."""
        return _entry(self.features, name, "features")

    def target(self, name: str = _ALONE) -> Tensor:
        """A target by name."""
        return _entry(self.targets, name, "targets")

    def inputs(self) -> Any:
        """The features; the tensor itself if there was one without a name."""
        alone = list(self.features) == [_ALONE]
        return self.features[_ALONE] if alone else self.features

    def device(self) -> torch.device:
        """Where the tensors are."""
        return _device(self.features)

    def to(  # type: ignore[override]
        self, device: Any = None, *, dtype: torch.dtype | None = None, non_blocking: bool = False
    ) -> Batch:
        """The same batch on another device, or with its fractions in another type."""

        def moved(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
            return {
                name: t.to(device, dtype if t.is_floating_point() else None, non_blocking=non_blocking)
                for name, t in tensors.items()
            }

        sequences = Sequence(moved(self.sequences.lengths), moved(self.sequences.masks))
        return Batch(moved(self.features), moved(self.targets), sequences)

    def __bool__(self) -> bool:
        return bool(self.features)


def _entry(tensors: Mapping[str, Any], name: str, what: str) -> Tensor:
    if name not in tensors:
        raise ValueError(f"the batch has no {name!r} among its {what} {sorted(tensors)}: give one of these")
    found: Tensor = tensors[name]
    return found


def _device(tensors: Mapping[str, Any]) -> torch.device:
    if not tensors:
        raise ValueError("nothing is in here, so it is on no device: add a tensor")
    found: torch.device = next(iter(tensors.values())).device
    return found


@legacy
def sample_batch(
    dataset_or_loader: Any,
    batch_size: int | None = None,
    shuffle: bool | None = False,
) -> Batch:
    """The first batch of a data set or loader.

    Args:
        dataset_or_loader: a ``merlin.io.Dataset`` or a loader.
        batch_size: rows, for a data set.
        shuffle: whether a data set's rows come in random order.

    Raises:
        ValueError: for a data set without ``batch_size``.
    """
    loader = dataset_or_loader
    if hasattr(loader, "to_ddf"):
        from merlin.dataloader.torch import Loader

        if not batch_size:
            raise ValueError("a batch of a data set needs a size: give batch_size")
        loader = Loader(loader, batch_size=batch_size, shuffle=bool(shuffle))
    sample = next(iter(loader))
    return sample if isinstance(sample, Batch) else Batch(*sample)


@legacy
def sample_features(
    dataset_or_loader: Any, batch_size: int | None = None, shuffle: bool | None = False
) -> Any:
    """The features of :func:`sample_batch`."""
    return sample_batch(dataset_or_loader, batch_size, shuffle).features
