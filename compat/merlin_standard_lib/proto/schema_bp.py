"""Messages of schema files: those that were read here, all others as tensorflow-metadata has them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from merlin_standard_lib.proto._parts import (
    Annotation,
    FeatureType,
    FixedShape,
    FixedShapeDim,
    FloatDomain,
    IntDomain,
    ValueCount,
    ValueCountList,
)

__all__ = [
    "Annotation",
    "FeatureType",
    "FixedShape",
    "FixedShapeDim",
    "FloatDomain",
    "IntDomain",
    "ValueCount",
    "ValueCountList",
]
_LOADED_WHEN_TAKEN = (
    "BoolDomain DatasetConstraints DistributionConstraints Feature FeatureComparator"
    " FeatureCoverageConstraints FeaturePresence FeaturePresenceWithinGroup ImageDomain InfinityNorm"
    " JensenShannonDivergence LifecycleStage MIDDomain NaturalLanguageDomain NumericValueComparator"
    " Path SequenceLengthConstraints SequenceValueConstraints SparseFeature SparseFeatureIndexFeature"
    " SparseFeatureValueFeature StringDomain StructDomain TensorRepresentation"
    " TensorRepresentationDefaultValue TensorRepresentationDenseTensor TensorRepresentationGroup"
    " TensorRepresentationRaggedTensor TensorRepresentationRaggedTensorPartition"
    " TensorRepresentationRowPartitionDType TensorRepresentationSparseTensor"
    " TensorRepresentationVarLenSparseTensor TimeDomain TimeDomainIntegerTimeFormat TimeOfDayDomain"
    " TimeOfDayDomainIntegerTimeOfDayFormat URLDomain UniqueConstraints WeightedFeature"
)
__all__ += _LOADED_WHEN_TAKEN.split()


def _message(name: str, home: Any) -> Any:
    """The message of this name; ``SparseFeatureIndexFeature`` is IndexFeature inside SparseFeature."""
    if hasattr(home, name):
        return getattr(home, name)
    for end in range(len(name) - 1, 0, -1):
        outer = getattr(home, name[:end], None)
        if hasattr(outer, "DESCRIPTOR") and (found := _message(name[end:], outer)) is not None:
            return found
    return None


def __getattr__(name: str) -> Any:
    if name in ("Feature", "_Schema"):
        from merlin_standard_lib.schema.schema import ColumnSchema, Schema

        return ColumnSchema if name == "Feature" else Schema
    value: Any = None
    if not name.startswith("_"):
        from tensorflow_metadata.proto.v0 import path_pb2, schema_pb2

        value = _message(name, schema_pb2) or _message(name, path_pb2)
    if value is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not isinstance(value, type):
        make: Any = IntEnum
        value = make(name, dict(value.items()))
    globals()[name] = value
    return value
