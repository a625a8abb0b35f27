"""Programs for V1 of ``merlin.models.torch`` (until 23.02): all of a program moves, or nothing."""

from __future__ import annotations

import re
from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.follow import made
from merlin_migrate.codemod.layout import bind, code, fit
from merlin_migrate.codemod.merlin.uses import moved_alias
from merlin_migrate.codemod.merlin.v1_models import Model
from merlin_migrate.codemod.merlin.v1_plan import PlanOfV1, chain

_METRICS = {
    "binary_accuracy": "accuracy",
    "binary_precision": "precision",
    "binary_recall": "recall",
    "binary_f1_score": "f1",
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
}
_KEY = re.compile(
    rf"(?P<target>\w+)/(binary_classification|regression)_task(/(?P<metric>{'|'.join(_METRICS)}))?"
)


class MerlinV1Rule(PlanOfV1):
    """Heads, tasks and features of V1, and what its models did themselves."""

    number: ClassVar[str] = "MM204"
    title: ClassVar[str] = "merlin.models.torch V1"
    guide: ClassVar[str] = "from-merlin-models-torch.md"

    def leave_ImportAlias(
        self, original_node: cst.ImportAlias, updated_node: cst.ImportAlias
    ) -> cst.ImportAlias:
        """``import merlin.models.torch as mm``."""
        return moved_alias(self, original_node, updated_node) if self._moves else updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """A block, a model, or what is asked of one."""
        if not self._moves or original_node in self._taken:
            return updated_node
        if original_node in self._made:
            self.done()
            call = self._writer.written(self._made[original_node], trained=self._trained)
            return fit(
                call,
                column=self.column(original_node),
                indent=self.within(original_node),
                block=self.depth(original_node),
            )
        func = original_node.func
        if isinstance(func, cst.Name) and func in self._of:
            return self._answered(updated_node, self._of[func])
        if isinstance(func, cst.Attribute) and func.value in self._of:
            return self._asked(func.attr.value, updated_node)
        if self._inputs.name(original_node) and not isinstance(self.parent(original_node), cst.Decorator):
            self.done()
            new = self._expressed(original_node, updated_node)
            if "\n" in code(updated_node):
                return new
            return fit(
                new,
                column=self.column(original_node),
                indent=self.within(original_node),
                block=self.depth(original_node),
            )
        return updated_node

    def _answered(self, call: cst.Call, model: Model) -> cst.BaseExpression:
        """``model(x)``: probabilities of a binary task, numbers of another."""
        self.done()
        bound = bind(call, ("inputs", "training")) or {}
        batch = cst.Call(self.api("Batch"), [cst.Arg(bound["inputs"].value)])
        asked = call.with_changes(args=[cst.Arg(batch)])
        if self._models.name(model.tasks[0]) != "BinaryClassificationTask":
            return asked
        return cst.Call(cst.Attribute(asked, cst.Name("sigmoid")))

    def _asked(self, method: str, call: cst.Call) -> cst.BaseExpression:
        owner = call.func.value  # type: ignore[attr-defined]
        if method == "to_lightning":
            self.done()
            return owner  # type: ignore[no-any-return]
        if method != "compute_loss":
            return call
        bound = bind(call, ("inputs", "targets", "compute_metrics")) or {}
        rows = cst.Tuple([cst.Element(bound[name].value) for name in ("inputs", "targets")])
        self.done()
        self.api("Step")
        return self.new('mm.Step(__model__, __rows__, "train").loss', model=owner, rows=rows)

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """``model.heads[0].body``, ``.prediction_task_dict`` and ``embeddings.embedding_tables``."""
        if not self._moves:
            return updated_node
        first = original_node.value
        heads = first.value if isinstance(first, cst.Subscript) else None
        if isinstance(heads, cst.Attribute) and heads.attr.value == "heads" and heads.value in self._of:
            self.done()
            model = self._of[heads.value]
            owner = code(heads.value)
            if original_node.attr.value == "body":
                return cst.parse_expression(f"{owner}.body")
            if not self._keys_stay_within(original_node):
                self.mark(
                    "the keys are the targets' names now: click, where they were "
                    "click/binary_classification_task",
                    "what-stays",
                )
            if model.several:
                return cst.parse_expression(f"{owner}.output.outputs")
            return cst.parse_expression(f"{{{owner}.output.target: {owner}.output}}")
        if original_node.attr.value == "embedding_tables" and isinstance(first, cst.Name):
            target = self._tables.get(made(self, first) or first)
            if target is not None:
                self.done()
                return cst.Attribute(cst.Name(target.value), cst.Name("tables"))
        return updated_node

    def _keys_stay_within(self, tasks: cst.Attribute) -> bool:
        """Whether no key of the tasks comes out of a dict of them, but into another look at it."""
        above = self.parent(tasks)
        if isinstance(above, cst.Subscript):
            return True
        if isinstance(above, cst.Attribute):
            return above.attr.value in ("values", "get")
        if isinstance(above, cst.For) and above.iter is tasks and isinstance(above.target, cst.Name):
            uses = [self.parent(use) for use in self.uses(above.target)]
            return all(isinstance(use, cst.Index) for use in uses)
        call = self.parent(above) if isinstance(above, cst.Arg) else None
        if isinstance(call, cst.Call):
            return code(call.func) in ("len", "bool")
        return isinstance(above, cst.ComparisonTarget)

    def leave_BinaryOperation(
        self, original_node: cst.BinaryOperation, updated_node: cst.BinaryOperation
    ) -> cst.BaseExpression:
        """``inputs >> block``."""
        if not self._moves or original_node not in self._arrows:
            return updated_node
        self.done()
        return cst.Call(self.api("Block"), [cst.Arg(part) for part in chain(updated_node)])

    def leave_SimpleString(
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.BaseExpression:
        """Names of metrics and tasks."""
        value = original_node.evaluated_value
        found = _KEY.fullmatch(value) if self._moves and isinstance(value, str) else None
        if found is None:
            return updated_node
        self.done()
        key = found["target"] + (f"_{_METRICS[found['metric']]}" if found["metric"] else "")
        return cst.SimpleString(f"{original_node.prefix}{original_node.quote}{key}{original_node.quote}")

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """Parts in variables and ``body.build(...)`` go away; trainings become loops; reasons are marked."""
        self._mark(original_node)
        if not self._moves or len(original_node.body) != 1:
            return updated_node
        small = original_node.body[0]
        value = small.value if isinstance(small, (cst.Assign, cst.Expr)) else None
        if value in self._blocks or self._is_part(small):
            self.done()
            return self.dropped(updated_node)
        new = updated_node.body[0]
        after = new.value if isinstance(new, (cst.Assign, cst.Expr)) else None
        if not isinstance(value, cst.Call) or not isinstance(after, cst.Call):
            return updated_node
        func = value.func
        if not isinstance(func, cst.Attribute) or func.value not in self._of:
            return updated_node
        target = self._target(value) if func.attr.value in ("fit", "evaluate") else None
        if func.attr.value == "fit":
            text = self._steps.fit(value, after, target)
        elif func.attr.value == "evaluate":
            text = self._steps.evaluate(value, after, target, several=self._of[func.value].nested)
        else:
            return updated_node
        self.done()
        lines = list(cst.parse_module(text).body)
        first = lines[0].with_changes(leading_lines=updated_node.leading_lines)
        return cst.FlattenSentinel([first, *lines[1:]])

    def _is_part(self, small: cst.BaseSmallStatement) -> bool:
        """Whether a statement gives a part of a model, or a list of these, a name."""
        value = small.value if isinstance(small, cst.Assign) else None
        if isinstance(value, (cst.Call, cst.Dict)):
            return value in self._taken
        if isinstance(value, cst.List) and value.elements:
            return all(self.origin(element.value) in self._taken for element in value.elements)
        return False

    def _mark(self, node: cst.CSTNode) -> None:
        for reason in filter(None, self._reasons.get(node, ())):
            self.mark(reason, "what-stays")

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.BaseStatement:
        """Marks of decorators and defaults."""
        self._mark(original_node)
        return updated_node

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.BaseStatement:
        """Marks of bases."""
        self._mark(original_node)
        return updated_node

    def leave_For(self, original_node: cst.For, updated_node: cst.For) -> cst.BaseStatement:
        """Marks of what is gone through."""
        self._mark(original_node)
        return updated_node

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> cst.BaseStatement:
        """Marks in the head."""
        self._mark(original_node)
        return updated_node

    def leave_If(self, original_node: cst.If, updated_node: cst.If) -> cst.BaseStatement:
        """Marks of the condition."""
        self._mark(original_node)
        return updated_node
