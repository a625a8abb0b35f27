"""``merlin.models.torch.outputs.tabular``: an output for each target of a schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from merlin.models._legacy import legacy
from merlin.models.torch.inputs.tabular import known
from merlin.models.torch.outputs.classification import BinaryOutput, CategoricalOutput
from merlin.models.torch.outputs.regression import RegressionOutput
from merlin.models.torch.router import RouterBlock
from merlin.models.torch.schema import select
from merlin.models.utils.registry import Registry
from merlin.schema import Tags

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
        # Plain attributes, which may be there before nn.Module's own.
        object.__setattr__(self, "selection", selection)
        object.__setattr__(self, "init", init)
        super().__init__(schema, prepend_routing_module=False)

    def initialize_from_schema(self, schema: Any) -> None:
        """Sets the targets, and adds the outputs.

        Raises:
            ValueError: if there is no way of that name.
        """
        super().initialize_from_schema(select(schema, self.selection) if self.selection else schema)
        self.schema = self.selectable.schema
        self.init = known(self.initializers, self.init)
        if self.init:
            self.init(self)

    @classmethod
    def register_init(cls, name: str) -> Any:
        """As decorator of a function: ``init=name`` calls it."""
        return cls.initializers.register(name)


@TabularOutputBlock.register_init("defaults")
def defaults(block: TabularOutputBlock) -> None:
    """Numbers, then yes or no, then classes."""
    block.add_route_for_each([Tags.CONTINUOUS, Tags.REGRESSION], RegressionOutput(), required=False)
    block.add_route_for_each(BinaryOutput.schema_selection, BinaryOutput(), required=False)
    block.add_route_for_each(CategoricalOutput.schema_selection, CategoricalOutput(), required=False)
