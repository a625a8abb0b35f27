"""What every definition of ``merlin.models.tf`` is written with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, keyword, with_args
from merlin_migrate.codemod.merlin.builders import ADAM
from merlin_migrate.codemod.merlin.towers import MLP_OF_TF, Tower, tower
from merlin_migrate.codemod.rule import Rule

TF = "merlin.models.tf"
TASKS = {
    "BinaryClassificationTask": "BinaryOutput",
    "BinaryOutput": "BinaryOutput",
    "RegressionTask": "RegressionOutput",
    "RegressionOutput": "RegressionOutput",
}
OF_SCHEMA = ("PredictionTasks", "OutputBlock")
Way = Callable[[cst.Call, cst.Call], cst.BaseExpression]
"""Of a call as it is in the program, and with its parts in the new names, to the call in the new names."""


class Definitions:
    """Writes calls.

    Args:
        rule: that asks for it.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def name(self, node: cst.CSTNode | None) -> str | None:
        """Name of the class of ``merlin.models.tf`` that is called."""
        name = self.rule.qualified(node.func) if isinstance(node, cst.Call) else None
        return name.removeprefix(f"{TF}.") if name and name.startswith(f"{TF}.") else None

    def bound(self, call: cst.Call, parameters: tuple[str, ...], *more: str) -> dict[str, cst.Arg]:
        """Arguments by name, but for None.

        Raises:
            ValueError: if one has no successor.
        """
        bound = bind(call, parameters)
        if bound is None:
            raise ValueError(f"the arguments of {code(call.func)} cannot be followed")
        given = {name: arg for name, arg in bound.items() if code(arg.value) != "None"}
        unknown = [name for name in given if name not in (*parameters, *more)]
        if unknown:
            raise ValueError(f"the argument {unknown[0]} of {code(call.func)} has no successor")
        return given

    def refused(self, bound: Mapping[str, cst.Arg], *names: str) -> None:
        """Raises a ValueError for arguments without successor."""
        for name in names:
            if name in bound:
                raise ValueError(f"the argument {name}={code(bound[name].value)} has no successor")

    def written(self, name: str, call: cst.Call, args: list[cst.Arg]) -> cst.Call:
        """The call of another class with other arguments."""
        return with_args(call.with_changes(func=self.rule.api(name)), args)

    def tower_of(self, node: cst.BaseExpression) -> Tower:
        """The layers of a block that is an ``MLPBlock`` written in place."""
        if not isinstance(node, cst.Call) or self.name(node) != "MLPBlock":
            raise ValueError(f"the tower {code(node)} is not an MLPBlock written in the call")
        return tower(node, MLP_OF_TF)

    def built(
        self, name: str, call: cst.Call, bound: Mapping[str, cst.Arg], own: list[cst.Arg]
    ) -> cst.BaseExpression:
        """The call of a builder, with its tasks as output and Keras' own optimiser."""
        if "schema" not in bound:
            raise ValueError(f"{name} is called without a schema")
        args = [cst.Arg(bound["schema"].value), *own]
        if "prediction_tasks" in bound:
            tasks = bound["prediction_tasks"].value
            if isinstance(tasks, (cst.List, cst.Tuple)):
                block = cst.Call(self.rule.api("TabularOutputBlock"), [cst.Arg(tasks)])
                tasks = tasks.elements[0].value if len(tasks.elements) == 1 else block
            args.append(keyword("output", tasks))
        return self.written(name, call, [*args, keyword("optimizer", self.rule.new(ADAM))])
