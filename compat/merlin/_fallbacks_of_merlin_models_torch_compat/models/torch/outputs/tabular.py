"""``merlin.models.torch.outputs.tabular``: an output for each target of a schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from merlin.models._legacy import legacy
from merlin.models.torch.outputs.classification import BinaryOutput, CategoricalOutput
from merlin.models.torch.outputs.regression import RegressionOutput
from merlin.models.torch.router import RouterBlock, chosen
from transformers4rec._registry import Registry

from merlin_models_torch.schema import Tags, as_schema

Initializer = Callable[["TabularOutputBlock"], Any]


@legacy
class TabularOutputBlock(RouterBlock):
    """A router of targets to outputs.

    Args:
        schema: with the targets; given later by the block that it is put in if None.
        init: function of the block that adds its outputs, or the name of one: "defaults" goes by tags.
        selection: the targets in the schema; all columns if None.
    """

    initializers: ClassVar[Registry] = Registry("output-initializers")

    def __init__(
        self, schema: Any = None, init: str | Initializer | None = None, selection: Any = Tags.TARGET
    ) -> None:
        # Not ``selection``, which is the core router's method.
        self._targets, self._init = selection, init
        super().__init__(schema, prepend_routing_module=False)

    def initialize_from_schema(self, schema: Any) -> None:
        """Sets the targets, and adds the outputs."""
        schema = as_schema(schema)
        if self._targets is not None:
            schema = schema.select(chosen(schema, self._targets))
        super().initialize_from_schema(schema)
        fill: Any = self.initializers.parse(self._init)
        if fill:
            fill(self)

    @classmethod
    def register_init(cls, name: str) -> Any:
        """As decorator of a function: ``init=name`` calls it."""
        return cls.initializers.register(name)


@TabularOutputBlock.register_init("defaults")
def defaults(block: TabularOutputBlock) -> None:
    """Numbers, then yes or no, then classes."""
    block.add_route_for_each([Tags.CONTINUOUS, Tags.REGRESSION], RegressionOutput())
    block.add_route_for_each(BinaryOutput.schema_selection, BinaryOutput())
    block.add_route_for_each(CategoricalOutput.schema_selection, CategoricalOutput())
