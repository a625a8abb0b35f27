"""Models of V1: what each is made of, its heads and tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, is_plain
from merlin_migrate.codemod.merlin.uses import short
from merlin_migrate.codemod.rule import Rule

TASKS = ("BinaryClassificationTask", "RegressionTask")
_HEAD = ("body", "prediction_tasks", "task_blocks", "task_weights", "loss_reduction", "inputs")
_OF_SCHEMA = ("schema", "body", "task_blocks", "task_weight_dict", "loss_reduction", "inputs")


@dataclass
class Model:
    """What a model of V1 is made of, in the old names.

    Args:
        body: its body.
        tasks: calls that make its tasks; none where the schema tells them.
        schema: whose targets it has, where that tells the tasks.
        block: what stands before each task, or a display of these by task.
        weights: of the tasks' losses: a list, or an expression that gives a dict by column.
        reduction: of the losses, "mean" or "sum".
        optimizer: class that ``to_lightning`` trained by.
        taken: calls that it takes up.
        heads: what its heads are made of, where it has several; their weights and reduction are the model's.
    """

    body: cst.BaseExpression
    tasks: list[cst.Call] = field(default_factory=list)
    schema: cst.BaseExpression | None = None
    block: cst.BaseExpression | None = None
    weights: cst.BaseExpression | None = None
    reduction: str = "mean"
    optimizer: cst.BaseExpression | None = None
    taken: list[cst.Call | cst.Dict] = field(default_factory=list)
    heads: list[Model] = field(default_factory=list)

    @property
    def several(self) -> bool:
        """Whether results are by target."""
        return self.schema is not None or len(self.tasks) > 1

    @property
    def nested(self) -> bool:
        """Whether ``evaluate`` gave metrics by task; those of heads of one task came together."""
        return self.several and not self.heads


class ModelsOfV1:
    """Finds out what models are made of.

    Args:
        rule: that asks for it.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def name(self, node: cst.CSTNode | None) -> str:
        """What is called, from its class on; empty if it is no name of merlin.models.torch."""
        name = self.rule.qualified(node.func) if isinstance(node, cst.Call) else None
        return short(name) if name and name.startswith("merlin.models.torch.") else ""

    def model(self, node: cst.CSTNode | None) -> Model | None:
        """The model that a call makes; None if it makes none.

        Raises:
            ValueError: if it makes one that cannot be followed.
        """
        if not isinstance(node, cst.Call):
            return None
        if self.name(node) == "Model":
            return self._of_heads(node)
        if isinstance(node.func, cst.Attribute) and node.func.attr.value == "to_model":
            return self._to_model(node, node.func.value)
        return None

    def _of_heads(self, call: cst.Call) -> Model:
        heads = [arg for arg in call.args if arg.keyword is None]
        options = {arg.keyword.value: arg for arg in call.args if arg.keyword is not None}
        if not heads or any(head.star for head in heads):
            raise ValueError("a model is followed with its heads written in the call")
        if len(heads) == 1:
            return self._with_options(self._head(heads[0].value), options)
        return self._of_several([self._head(head.value) for head in heads], options)

    def _of_several(self, heads: list[Model], options: dict[str, cst.Arg]) -> Model:
        """One model of the tasks of several heads."""
        if any(head.schema is not None for head in heads):
            raise ValueError(
                "of several heads one has its tasks from the schema: give mm.TabularOutputBlock all outputs"
            )
        alike = len({code(head.body) for head in heads}) == 1 and isinstance(heads[0].body, cst.Name)
        if not alike and any(len(head.tasks) > 1 for head in heads):
            raise ValueError(
                "of several heads with bodies of their own one has several tasks: give mm.ParallelBlock a "
                "body by the name of each target"
            )
        made = Model(heads[0].body, [task for head in heads for task in head.tasks], heads=heads)
        made.taken = [part for head in heads for part in head.taken]
        weights, reduction = options.pop("head_weights", None), options.pop("head_reduction", None)
        made.weights = weights.value if weights is not None and code(weights.value) != "None" else None
        made.reduction = code(reduction.value).strip("'\"") if reduction is not None else "mean"
        if made.reduction not in ("mean", "sum"):
            raise ValueError(f"head_reduction={made.reduction} has no successor")
        return self._with_options(made, options)

    def _with_options(self, made: Model, options: Mapping[str, cst.Arg]) -> Model:
        for name, arg in options.items():
            if name == "optimizer":
                made.optimizer = arg.value
            elif name != "name" and code(arg.value) != "None":
                raise ValueError(f"the argument {name} of Model has no successor")
        return made

    def _to_model(self, call: cst.Call, owner: cst.BaseExpression) -> Model | None:
        """``head.to_model()``, ``body.to_model(task)``, ``task.to_model(body)``."""
        made = self.rule.origin(owner)
        given = [arg.value for arg in call.args if arg.keyword is None]
        options = {arg.keyword.value: arg for arg in call.args if arg.keyword is not None}
        name = self.name(made)
        if name in ("Head", "Head.from_schema") and not given:
            return self._with_options(self._head(owner), options)
        if len(given) == 1 and name in TASKS and isinstance(made, cst.Call):
            return self._with_options(Model(given[0], [made], taken=[made]), options)
        bodies = ("SequentialBlock", "TabularFeatures.from_schema", "MergeTabular")
        if len(given) == 1 and (name in bodies or isinstance(made, cst.BinaryOperation)):
            other = self.rule.origin(given[0])
            if self.name(other) in TASKS and isinstance(other, cst.Call):
                return self._with_options(Model(owner, [other], taken=[other]), options)
            return self._with_options(self._head(given[0]), options)
        return None

    def _head(self, node: cst.BaseExpression) -> Model:
        call = self.rule.origin(node)
        name = self.name(call)
        if not isinstance(call, cst.Call):
            raise ValueError(f"the head {code(node)} is not made in the same function")
        if name == "Head":
            return self._of_tasks(call)
        if name == "Head.from_schema":
            return self._of_schema(call)
        if isinstance(call.func, cst.Attribute) and call.func.attr.value == "to_head":
            task = self.rule.origin(call.func.value)
            if self.name(task) in TASKS and isinstance(task, cst.Call) and len(call.args) == 1:
                return Model(call.args[0].value, [task], taken=[task])
        raise ValueError(f"the head {code(node)} cannot be followed")

    def _of_tasks(self, call: cst.Call) -> Model:
        bound = bind(call, _HEAD)
        if bound is None or not {"body", "prediction_tasks"} <= set(bound):
            raise ValueError("the arguments of Head cannot be followed")
        display = self.rule.origin(bound["prediction_tasks"].value)
        nodes = [e.value for e in display.elements] if isinstance(display, cst.List) else [display]
        tasks = [self.rule.origin(node) for node in nodes]
        calls = [task for task in tasks if isinstance(task, cst.Call) and self.name(task) in TASKS]
        if len(calls) != len(tasks):
            raise ValueError("the tasks are not binary or regression tasks made in the same function")
        return self._finished(Model(bound["body"].value, calls, taken=[call, *calls]), bound, "task_weights")

    def _of_schema(self, call: cst.Call) -> Model:
        bound = bind(call, _OF_SCHEMA)
        if bound is None or not {"schema", "body"} <= set(bound):
            raise ValueError("the arguments of Head.from_schema cannot be followed")
        if not is_plain(bound["schema"].value):
            raise ValueError("the schema of Head.from_schema is computed in the call: give it a name before")
        made = Model(bound["body"].value, schema=bound["schema"].value, taken=[call])
        return self._finished(made, bound, "task_weight_dict")

    def _finished(self, made: Model, bound: Mapping[str, cst.Arg], weights: str) -> Model:
        given = {name: arg.value for name, arg in bound.items() if code(arg.value) != "None"}
        made.block = given.get("task_blocks")
        made.weights = given.get(weights)
        self._take_up(made)
        made.reduction = code(given["loss_reduction"]).strip("'\"") if "loss_reduction" in given else "mean"
        if made.reduction not in ("mean", "sum"):
            raise ValueError(f"loss_reduction={made.reduction} has no successor")
        return made

    def _take_up(self, made: Model) -> None:
        """Blocks by name that a variable holds are written into the model: the variable goes away."""
        display = self.rule.origin(made.block)
        if isinstance(display, cst.Dict) and isinstance(made.block, cst.Name):
            if len(self.rule.uses(made.block)) > 1:
                raise ValueError(f"the blocks of {made.block.value} are used elsewhere, too")
            made.taken.append(display)
