"""What the builders share: the schema and ids of the data, towers, columns in and targets out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from merlin_models_torch.blocks.mlp import MLPBlock, as_widths
from merlin_models_torch.data import SessionFiles, Vocabulary
from merlin_models_torch.inputs.combiner import Combiner
from merlin_models_torch.inputs.weighted import weights_of
from merlin_models_torch.outputs import BinaryOutput, RegressionOutput, TabularOutputBlock
from merlin_models_torch.outputs.target import TargetOutput
from merlin_models_torch.schema import Schema, Tags, as_schema
from merlin_models_torch.serialize import serializable

RankingOutput = TargetOutput | TabularOutputBlock
_TARGETS = [
    Tags.TARGET,
    Tags.BINARY,
    Tags.BINARY_CLASSIFICATION,
    Tags.MULTI_CLASS,
    Tags.MULTI_CLASS_CLASSIFICATION,
    Tags.REGRESSION,
]


class Columns(NamedTuple):
    """What a ranking model reads and answers.

    Args:
        features: all columns but the targets.
        output: for the targets.
        vocabularies: by domain.
    """

    features: Schema
    output: RankingOutput
    vocabularies: Mapping[str, Vocabulary] | None


def schema_of(data: Schema | SessionFiles) -> Schema:
    """The schema of what a builder is given: one of its own, ours or Merlin's, or that of session files."""
    return as_schema(data.schema if isinstance(data, SessionFiles) else data)


def vocabularies_of(
    data: Schema | SessionFiles, given: Mapping[str, Vocabulary] | None
) -> Mapping[str, Vocabulary] | None:
    """The vocabularies that are given, or else those of session files."""
    return data.vocabularies if given is None and isinstance(data, SessionFiles) else given


def columns_of(
    data: Schema | SessionFiles,
    output: RankingOutput | None,
    vocabularies: Mapping[str, Vocabulary] | None,
) -> Columns:
    """Splits the columns of a schema into features and targets.

    A target is never a feature, also where it lacks ``Tags.TARGET``.

    Args:
        data: a schema, or what ``sessions_from_events`` returned.
        output: made from the schema's targets if not given.
        vocabularies: those of the data if not given.

    Raises:
        ValueError: if there is no output and no column is tagged as a kind of target.
    """
    schema = schema_of(data)
    if output is None:
        output = TabularOutputBlock(schema)
        if len(output.outputs) == 1:
            output = _single(output)
    names = output.outputs if isinstance(output, TabularOutputBlock) else [output.target]
    targets = {*names, *schema.select(_TARGETS).column_names}
    features = schema.select_by_name([name for name in schema.column_names if name not in targets])
    return Columns(features, output, vocabularies_of(data, vocabularies))


def _single(block: TabularOutputBlock) -> TargetOutput:
    output = next(iter(block.outputs.values()))
    if not isinstance(output, TargetOutput):
        raise TypeError(f"{type(output).__name__} has no column of labels")
    return output


def logit_output(output: RankingOutput, *, given: bool, model: str) -> TargetOutput:
    """An output for a body that ends in the answer itself, a single number.

    Args:
        output: as :func:`columns_of` found it.
        given: whether the user made it.
        model: name for the error.

    Raises:
        ValueError: if there are several targets or classes, or a given output would put a layer after the
            number.
    """
    if isinstance(output, TabularOutputBlock) or output.numbers is not None:
        targets = list(output.outputs) if isinstance(output, TabularOutputBlock) else [output.target]
        raise ValueError(
            f"{model} answers with one number and the targets are {targets}: pass "
            "output=BinaryOutput(..., project=False) for one of them, or use MultiTaskModel"
        )
    if given:
        if output.project:
            raise ValueError(
                f"{model} gives the number of {output.target!r} itself: make its output with project=False"
            )
        return output
    if isinstance(output, BinaryOutput):
        return BinaryOutput(output.target, project=False)
    return RegressionOutput(output.target, project=False)


def tower(units: Sequence[int], *, dropout: float) -> list[MLPBlock]:
    """One MLP, or none without units: for ``Block(*tower([64], dropout=0.1))``."""
    return [MLPBlock(units, dropout=dropout)] if units else []


def encoder(units: Sequence[int], *, dropout: float) -> list[MLPBlock]:
    """A :func:`tower` whose last layer has no activation, so that its vector may point anywhere."""
    units = as_widths(units)
    last = [MLPBlock([units[-1]], activation="none")] if units else []
    return [*tower(units[:-1], dropout=dropout), *last]


def logit() -> MLPBlock:
    """One linear unit."""
    return MLPBlock([1], activation="none")


@serializable
class NumberVector(nn.Module):
    """A number times a learned vector: how factorisation machines see numbers (Rendle 2010, equation 1).

    Args:
        dim: width D of the vector.
        init_std: standard deviation of its normal initial values.

    Raises:
        ValueError: for a width below 1.

    Example:
        >>> NumberVector(4)(torch.tensor([0.5, 2.0])).shape
        torch.Size([2, 4])
    """

    def __init__(self, dim: int, *, init_std: float = 0.05) -> None:
        super().__init__()
        if dim < 1:
            raise ValueError(f"dim is {dim}, expected a width of at least 1")
        self.dim = dim
        self.weight = nn.Parameter(torch.empty(dim).normal_(std=init_std))

    def forward(self, numbers: Tensor) -> Tensor:
        """(..., D) float vectors of (...) numbers."""
        return numbers.to(self.weight.dtype)[..., None] * self.weight


Combiners = Combiner | Mapping[str, Combiner]
"""How lists become one vector: all of them, or by name, the others by their mean."""


def combiners_of(schema: Schema, combiner: Combiners, *, known: Schema | None = None) -> Combiners:
    """The combiners of the lists of an input block, each of them named where some are.

    Args:
        schema: columns of the block.
        combiner: of a builder.
        known: columns of all blocks of the model; those of the block if not given.

    Raises:
        ValueError: if a list is named that there is not.
    """
    if not isinstance(combiner, Mapping):
        return combiner
    lists = [column.name for column in known or schema if column.is_list]
    for name in combiner:
        if name not in lists:
            raise ValueError(f"combiner names {name!r}, but the list columns are {lists}: check the name")
    weights = weights_in(combiner)
    return {
        column.name: combiner.get(column.name, "mean")
        for column in schema
        if column.is_list and column.name not in weights
    }


def weights_in(combiner: Combiners) -> set[str]:
    """Names of the columns that weigh lists, which are no inputs of their own."""
    hows = combiner.values() if isinstance(combiner, Mapping) else [combiner]
    return {weights for how in hows if (weights := weights_of(how)) is not None}


def number_vectors(schema: Schema, dim: int, *, besides: Collection[str] = ()) -> dict[str, nn.Module]:
    """A :class:`NumberVector` for each continuous column that is not among some others, by name."""
    names = schema.select_by_tag(Tags.CONTINUOUS).column_names
    return {name: NumberVector(dim) for name in names if name not in besides}
