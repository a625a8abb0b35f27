"""Heads, tasks and models of V1: one ``mm.Model`` of a body, maybe a tower for each task, and an output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, is_plain, keyword, literal, parse
from merlin_migrate.codemod.merlin.uses import short
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.targets import TargetTask

TASKS = ("BinaryClassificationTask", "RegressionTask")
_KINDS = {
    "BinaryClassificationTask": "binary_classification_task",
    "RegressionTask": "regression_task",
}
"""Second parts of the names of tasks."""
_HEAD = ("body", "prediction_tasks", "task_blocks", "task_weights", "loss_reduction", "inputs")
_OF_SCHEMA = ("schema", "body", "task_blocks", "task_weight_dict", "loss_reduction", "inputs")
_TASK = ("target_name", "task_name", "task_block")


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
    """

    body: cst.BaseExpression
    tasks: list[cst.Call] = field(default_factory=list)
    schema: cst.BaseExpression | None = None
    block: cst.BaseExpression | None = None
    weights: cst.BaseExpression | None = None
    reduction: str = "mean"
    optimizer: cst.BaseExpression | None = None
    taken: list[cst.Call | cst.Dict] = field(default_factory=list)

    @property
    def several(self) -> bool:
        """Whether results are by target."""
        return self.schema is not None or len(self.tasks) > 1


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
        if len(heads) != 1 or heads[0].star:
            raise ValueError("a model of several heads has no successor: give all tasks to one head")
        made = self._head(heads[0].value)
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
        if len(given) == 1 and name in ("SequentialBlock", "TabularFeatures.from_schema", "MergeTabular"):
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


class WriterOfV1:
    """Writes a model in the new names.

    Args:
        rule: that asks for it.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def written(self, made: Model, *, trained: bool) -> cst.Call:
        """``mm.Model(body, tower, output)``.

        Args:
            made: the model.
            trained: whether Lightning trains it, by the optimiser that it has.

        Raises:
            ValueError: if something has no successor.
        """
        args = [cst.Arg(self.rule.rewritten(made.body))]
        tower = self._tower(made)
        args += [] if tower is None else [cst.Arg(tower)]
        args.append(cst.Arg(self._output(made)))
        if trained:
            args.append(keyword("optimizer", self._optimizer(made.optimizer)))
        return cst.Call(self.rule.api("Model"), args)

    def _optimizer(self, given: cst.BaseExpression | None) -> cst.BaseExpression:
        name = self.rule.qualified(given) if given is not None else "torch.optim.Adam"
        if name == "torch.optim.Adam":
            return self.rule.new('mm.OptimizerConfig("adam", lr=0.001)')
        if given is None or name is None:
            raise ValueError("the optimizer of the model is not a class of torch.optim")
        return self.rule.new("mm.OptimizerConfig(__cls__, lr=0.001)", cls=given)

    def _block_of(self, made: Model, task: cst.Call) -> cst.BaseExpression | None:
        """What stands before a task: the head's block, of this task or of all, or else the task's own."""
        bound = bind(task, _TASK) or {}
        own = bound["task_block"].value if "task_block" in bound else None
        display = self.rule.origin(made.block) if made.block is not None else None
        if isinstance(display, cst.Dict):
            blocks = _by_name(display)
            name = self._name_of(task)
            if name not in blocks:
                raise ValueError(f"task_blocks has no block of the task {name}, only of {', '.join(blocks)}")
            return blocks[name]
        chosen = made.block if made.block is not None else own
        return None if chosen is None or code(chosen) == "None" else chosen

    def _name_of(self, task: cst.Call) -> str:
        """By which a block is found: its own name, or that of its target and class."""
        bound = bind(task, _TASK) or {}
        given = bound.get("task_name")
        if given is not None and code(given.value) != "None":
            return str(literal(given.value))
        return f"{literal(self._target(task))}/{_KINDS[self._kind(task)]}"

    def _kind(self, task: cst.Call) -> str:
        return code(task.func).rpartition(".")[2]

    def _target(self, task: cst.Call) -> cst.BaseExpression:
        bound = bind(task, _TASK)
        if bound is None or "target_name" not in bound:
            raise ValueError("a task is rewritten with its target_name given only")
        return bound["target_name"].value

    def _tower(self, made: Model) -> cst.BaseExpression | None:
        """What stands between body and output."""
        if made.schema is not None:
            if made.block is None:
                return None
            display = self.rule.origin(made.block)
            if isinstance(display, cst.Dict):
                return self._towers_by_name(display)
            return self.rule.new(
                "mm.ParallelBlock({name: __block__ for name in "
                "__schema__.select([mm.Tags.BINARY_CLASSIFICATION, mm.Tags.REGRESSION]).column_names})",
                block=self.rule.rewritten(made.block),
                schema=self.rule.rewritten(made.schema),
            )
        blocks = [self._block_of(made, task) for task in made.tasks]
        if len(blocks) == 1:
            return None if blocks[0] is None else self.rule.rewritten(blocks[0])
        if all(block is None for block in blocks):
            return None
        if any(block is None for block in blocks):
            raise ValueError("some tasks have a block before them and some have not: write mm.ParallelBlock")
        items = [
            cst.DictElement(self._target(task), self.rule.rewritten(block))
            for task, block in zip(made.tasks, blocks, strict=True)
            if block is not None
        ]
        return cst.Call(self.rule.api("ParallelBlock"), [cst.Arg(cst.Dict(items))])

    def _towers_by_name(self, display: cst.Dict) -> cst.BaseExpression:
        """Blocks by name of the task as those of its target; the old head had one for each, or failed."""
        items = []
        for name, block in _by_name(display).items():
            target, _, kind = name.partition("/")
            if kind not in _KINDS.values():
                raise ValueError(f"task_blocks has the key {name}, which is not that of a task of the schema")
            items.append(cst.DictElement(cst.SimpleString(f'"{target}"'), self.rule.rewritten(block)))
        return cst.Call(self.rule.api("ParallelBlock"), [cst.Arg(cst.Dict(items))])

    def _output(self, made: Model) -> cst.BaseExpression:
        if made.schema is not None:
            return self._of_schema(made, self.rule.rewritten(made.schema))
        outputs = [TargetTask(self.rule, task, of_rows=True).written(task) for task in made.tasks]
        if len(outputs) == 1:
            if made.weights is not None:
                raise ValueError("the weight of a single task has no successor")
            return outputs[0]
        args = [cst.Arg(cst.List([cst.Element(output) for output in outputs]))]
        if made.weights is not None:
            given = self.rule.origin(made.weights)
            if not isinstance(given, cst.List) or len(given.elements) != len(outputs):
                raise ValueError("task_weights is not a list written in the same function, one a task")
            pairs = zip(made.tasks, given.elements, strict=True)
            weights = cst.Dict([cst.DictElement(self._target(task), e.value) for task, e in pairs])
            args.append(keyword("loss_weights", weights))
        return self._joined(args, made)

    def _of_schema(self, made: Model, schema: cst.BaseExpression) -> cst.BaseExpression:
        outputs = [
            (
                "BINARY_CLASSIFICATION",
                'mm.BinaryOutput(column, metrics=["precision", "recall", "accuracy"], bias=False)',
            ),
            ("REGRESSION", 'mm.RegressionOutput(column, metrics=["mse"])'),
        ]
        if self.rule.program.modern:
            self.rule.quirks([keyword("bias", cst.Name("False"))])
            outputs[0] = outputs[0][0], outputs[0][1].replace(", bias=False", "")
        listed = [
            self.rule.new(f"[{output} for column in __schema__.select(mm.Tags.{tag})]", schema=schema)
            for tag, output in outputs
        ]
        both = parse("[*__a__, *__b__]", {"a": _generator(listed[0]), "b": _generator(listed[1])})
        args = [cst.Arg(both)]
        if made.weights is not None:
            args.append(keyword("loss_weights", self.rule.rewritten(made.weights)))
        return self._joined(args, made)

    def _joined(self, args: list[cst.Arg], made: Model) -> cst.BaseExpression:
        if made.reduction == "mean":
            args = [*args, *self.rule.quirks([keyword("reduction", cst.SimpleString('"mean"'))])]
        return cst.Call(self.rule.api("TabularOutputBlock"), args)


def _by_name(display: cst.Dict) -> dict[str, cst.BaseExpression]:
    """Blocks by name of the task.

    Raises:
        ValueError: if a name is no literal, or a block stands for two.
    """
    blocks: dict[str, cst.BaseExpression] = {}
    for element in display.elements:
        if not isinstance(element, cst.DictElement):
            raise ValueError("task_blocks is put together of other dicts: write mm.ParallelBlock by hand")
        blocks[str(literal(element.key))] = element.value
    names = [code(block) for block in blocks.values() if isinstance(block, cst.Name)]
    if len(set(names)) != len(names):
        raise ValueError("task_blocks has one block for two tasks: give each its own")
    return blocks


def _generator(listed: cst.BaseExpression) -> cst.BaseExpression:
    """A list comprehension as a generator in parentheses."""
    if not isinstance(listed, cst.ListComp):
        raise TypeError(f"{code(listed)} is no list comprehension")
    return cst.GeneratorExp(listed.elt, listed.for_in)
