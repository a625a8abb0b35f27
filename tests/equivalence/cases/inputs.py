"""Input blocks: aggregations, projections, features of every kind."""

from __future__ import annotations

from functools import partial

from transformers4rec import torch as tr

from tests.equivalence.cases._common import read_schema, sessions
from tests.equivalence.side import Side


def concatenated(side: Side, projected: bool) -> None:
    """Every column beside the others, plain or projected to one width."""
    block = tr.TabularSequenceFeatures.from_schema(
        read_schema(side),
        max_sequence_length=10,
        continuous_projection=64,
        aggregation="concat",
        d_output=32 if projected else None,
    )
    side.weights(block)
    output = block(sessions(side))
    side.close("output", output)
    output.square().sum().backward()
    side.gradients(block)


CASES = {
    "concat": partial(concatenated, projected=False),
    "concat-projected": partial(concatenated, projected=True),
}
