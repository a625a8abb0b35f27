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
        return tensors if isinstance(tensors, dict) else dict(tensors)
    raise ValueError(f"{what} is a {type(tensors).__name__}: give a tensor or a dictionary of tensors")


@legacy
class Sequence:
    """Lengths and masks of the sequences of a batch.

    Args:
        lengths: one tensor, or tensors by column.
        masks: one tensor, or tensors by column.

    Raises:
        ValueError: if either is something else.
    """

    def __init__(self, lengths: Named, masks: Named | None = None) -> None:
        if lengths is None:
            raise ValueError("lengths is None: give a tensor or a dictionary of tensors")
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

    def flatten_to_dict(self) -> dict[str, Tensor]:
        """The tensors by the name of their part and their own."""
        parts = {"lengths": self.lengths, "masks": self.masks}
        return {f"{part}.{name}": tensor for part, one in parts.items() for name, tensor in one.items()}

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

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

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
        self, dtype: Any = None, device: Any = None, *, non_blocking: bool = False
    ) -> Batch:
        """The same batch with its fractions in another type, or on another device.

        Args:
            dtype: of the fractions; also a device, which Lightning gives first.
            device: where to.
            non_blocking: whether a copy to a device is waited for.
        """
        if dtype is not None and not isinstance(dtype, torch.dtype):
            dtype, device = None, dtype

        def moved(tensors: Mapping[str, Any], kind: Any) -> dict[str, Tensor]:
            return {
                name: t.to(device, kind if t.is_floating_point() else None, non_blocking=non_blocking)
                for name, t in tensors.items()
            }

        sequences = Sequence(moved(self.sequences.lengths, None), moved(self.sequences.masks, None))
        return Batch(moved(self.features, dtype), moved(self.targets, dtype), sequences)

    def flatten_as_dict(self, inputs: Batch | None) -> dict[str, Tensor]:
        """All tensors by the name of their part and their own: ``features.a``, ``lengths.a``, ...

        Args:
            inputs: the batch that this one was made of: what it had is marked as ``inputs.features.a``, ...,
                and what this one lacks is taken from it, except lists.
        """
        flat = self._flat()
        if inputs is not None and inputs is not self:
            for name, tensor in inputs._flat().items():
                flat[f"inputs.{name}"] = torch.tensor(0)
                if not name.endswith(("__values", "__offsets")):
                    flat.setdefault(name, tensor)
        return flat

    def _flat(self) -> dict[str, Tensor]:
        parts: dict[str, Any] = {"features": self.features, "targets": self.targets}
        named = {f"{part}.{name}": tensor for part, one in parts.items() for name, tensor in one.items()}
        return {**named, **self.sequences.flatten_to_dict()}

    @staticmethod
    def from_partial_dict(input: Mapping[str, Tensor], batch: Batch) -> Batch:
        """A batch of tensors named as by :meth:`flatten_as_dict`, and of what another batch has beside them.

        Args:
            input: the tensors; what is marked by ``inputs.`` is not taken from the other batch.
            batch: the other batch.
        """
        parts: dict[str, dict[str, Tensor]] = {
            part: {} for part in ("features", "targets", "lengths", "masks")
        }
        for name, tensor in input.items():
            part, *rest = name.split(".")
            if part in parts:
                parts[part][rest[0]] = tensor
        rest_of = {
            "features": batch.features,
            "targets": batch.targets,
            "lengths": batch.sequences.lengths,
            "masks": batch.sequences.masks,
        }
        for part, tensors in rest_of.items():
            kept = {name: t for name, t in tensors.items() if f"inputs.{part}.{name}" not in input}
            parts[part].update(kept)  # type: ignore[arg-type]
        known = parts["lengths"] or parts["masks"]
        sequences = Sequence(parts["lengths"], parts["masks"]) if known else None
        return Batch(parts["features"], parts["targets"], sequences)

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


def is_data(thing: Any) -> bool:
    """Whether batches come from it: a data set or a loader."""
    return hasattr(thing, "to_ddf") or hasattr(thing, "peek")


@legacy
def sample_batch(data: Any, batch_size: int | None = None, shuffle: bool | None = False) -> Batch:
    """The first batch of a data set or loader.

    Args:
        data: a ``merlin.io.Dataset`` or a loader.
        batch_size: rows, for a data set.
        shuffle: whether a data set's rows come in random order.

    Raises:
        ValueError: for a data set without ``batch_size``, or for something else.
    """
    if not is_data(data) and (not hasattr(data, "__iter__") or hasattr(data, "iloc")):
        raise ValueError(f"data is a {type(data).__name__}, expected a data set or a loader")
    if hasattr(data, "to_ddf"):
        from merlin.dataloader.torch import Loader

        if not batch_size:
            raise ValueError("a batch of a data set needs a size: give batch_size")
        data = Loader(data, batch_size=batch_size, shuffle=bool(shuffle))
    sample = data.peek() if hasattr(data, "peek") else next(iter(data))
    return sample if isinstance(sample, Batch) else Batch(*sample)


@legacy
def sample_features(data: Any, batch_size: int | None = None, shuffle: bool | None = False) -> Any:
    """The features of :func:`sample_batch`."""
    return sample_batch(data, batch_size, shuffle).features
