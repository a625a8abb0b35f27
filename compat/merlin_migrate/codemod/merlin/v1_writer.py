"""Models of V1 in the new names: one ``mm.Model`` of a body, maybe a tower for each task, and an output."""

from __future__ import annotations

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, keyword, literal, parse
from merlin_migrate.codemod.merlin.v1_heads import HeadsOfV1
from merlin_migrate.codemod.merlin.v1_models import Model
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.targets import TargetTask

_KINDS = {
    "BinaryClassificationTask": "binary_classification_task",
    "RegressionTask": "regression_task",
}
"""Second parts of the names of tasks."""
_TASK = ("target_name", "task_name", "task_block")


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
        args = [cst.Arg(part) for part in self._parts(made)]
        if trained:
            args.append(keyword("optimizer", self._optimizer(made.optimizer)))
        return cst.Call(self.rule.api("Model"), args)

    def _parts(self, made: Model) -> list[cst.BaseExpression]:
        """Body, towers and output."""
        if made.heads:
            return HeadsOfV1(self).parts(made)
        tower = self._tower(made)
        parts = [self.rule.rewritten(made.body), *([] if tower is None else [tower])]
        return [*parts, self._output(made)]

    def _optimizer(self, given: cst.BaseExpression | None) -> cst.BaseExpression:
        name = self.rule.qualified(given) if given is not None else "torch.optim.Adam"
        if name == "torch.optim.Adam":
            return self.rule.new('mm.OptimizerConfig("adam", lr=0.001)')
        if given is None or name is None:
            raise ValueError("the optimizer of the model is not a class of torch.optim")
        return self.rule.new("mm.OptimizerConfig(__cls__, lr=0.001)", cls=given)

    def block_of(self, made: Model, task: cst.Call) -> cst.BaseExpression | None:
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
        return f"{literal(self.target(task))}/{_KINDS[self._kind(task)]}"

    def _kind(self, task: cst.Call) -> str:
        return code(task.func).rpartition(".")[2]

    def target(self, task: cst.Call) -> cst.BaseExpression:
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
        blocks = [self.block_of(made, task) for task in made.tasks]
        if len(blocks) == 1:
            return None if blocks[0] is None else self.rule.rewritten(blocks[0])
        return self.towers(made.tasks, blocks)

    def towers(
        self, tasks: list[cst.Call], blocks: list[cst.BaseExpression | None]
    ) -> cst.BaseExpression | None:
        """What stands before each of several tasks, by target; None where nothing does."""
        if all(block is None for block in blocks):
            return None
        if any(block is None for block in blocks):
            raise ValueError("some tasks have a block before them and some have not: write mm.ParallelBlock")
        items = [
            cst.DictElement(self.target(task), self.rule.rewritten(block))
            for task, block in zip(tasks, blocks, strict=True)
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
        outputs = self.outputs(made.tasks)
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
            weights = cst.Dict([cst.DictElement(self.target(task), e.value) for task, e in pairs])
            args.append(keyword("loss_weights", weights))
        return self._joined(args, made)

    def outputs(self, tasks: list[cst.Call]) -> list[cst.Call]:
        """The output of each task."""
        return [TargetTask(self.rule, task, of_rows=True).written(task) for task in tasks]

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
