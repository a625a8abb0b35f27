"""Programs for V1 of ``merlin.models.torch`` (until 23.02): all of a program moves, or nothing."""

from __future__ import annotations

import re
from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.follow import made
from merlin_migrate.codemod.layout import bind, code, fit, with_args
from merlin_migrate.codemod.merlin.towers import tower
from merlin_migrate.codemod.merlin.uses import V2, alias_of, imports, is_v1, moved_alias, short, uses
from merlin_migrate.codemod.merlin.v1_inputs import InputsOfV1
from merlin_migrate.codemod.merlin.v1_models import Model, ModelsOfV1, WriterOfV1
from merlin_migrate.codemod.merlin.v1_steps import StepsOfV1
from merlin_migrate.codemod.rule import Program, Rule

_MLP = ("dimensions", "activation", "use_bias", "dropout", "normalization", "filter_features")
_INPUTS = ("TabularFeatures.from_schema", "MergeTabular")
_BODIES = (*_INPUTS, "SequentialBlock")
_KEPT = frozenset(
    {
        *("eval", "train", "training", "zero_grad", "requires_grad_", "to", "cpu", "cuda", "apply"),
        *("parameters", "named_parameters", "buffers", "modules", "named_modules", "children"),
        *("state_dict", "load_state_dict"),
    }
)
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


class MerlinV1Rule(Rule):
    """Heads, tasks and features of V1, and what its models did themselves."""

    number: ClassVar[str] = "MM204"
    title: ClassVar[str] = "merlin.models.torch V1"
    guide: ClassVar[str] = "from-merlin-models-torch.md"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._inputs = InputsOfV1(self)
        self._models = ModelsOfV1(self)
        self._steps = StepsOfV1(self)
        self._writer = WriterOfV1(self)
        self._reasons: dict[cst.CSTNode, list[str]] = {}
        self._made: dict[cst.CSTNode, Model] = {}
        self._taken: set[cst.CSTNode] = set()
        # Expressions that are models, and the calls that made them.
        self._of: dict[cst.CSTNode, Model] = {}
        self._blocks: set[cst.CSTNode] = set()
        self._tables: dict[cst.CSTNode, cst.Name] = {}
        self._trained = False
        self._moves = False

    # What can be done

    def visit_Module(self, node: cst.Module) -> bool:
        """Finds out whether all names can follow."""
        found = list(uses(self, node)) if imports(node) else []
        if not any(is_v1(self, use) for use, _ in found):
            return False
        asked = set(self.program.imports)
        self._plan()
        for use, name in found:
            self._tried(use, lambda use=use, name=name: self._try(use, name))  # type: ignore[misc]
        self._moves = not self._reasons
        self.program.stays = not self._moves
        # What was tried has asked for imports; what is done asks again.
        self.program.imports = asked
        if self._moves:
            self.program.alias = alias_of(node) or self.program.alias
        return True

    def _tried(self, at: cst.CSTNode, step: object) -> None:
        try:
            step()  # type: ignore[operator]
        except ValueError as error:
            statement = self.statement_of(at)
            if statement is not None:
                self._reasons.setdefault(statement, []).append(str(error))

    def _plan(self) -> None:
        """Finds models, bodies and parts, and what is done with them."""
        for call in self.calls():
            self._tried(call, lambda call=call: self._plan_call(call))  # type: ignore[misc]
        for node in self.tree.nodes:
            if isinstance(node, cst.Name):
                self._tried(node, lambda node=node: self._plan_name(node))  # type: ignore[misc]

    def _plan_call(self, call: cst.Call) -> None:
        model = self._models.model(call)
        if model is not None:
            self._made[call] = model
            self._taken.update(model.taken)
        if self._inputs.name(call) == "MergeTabular":
            _, taken = self._inputs.merged(call)
            self._taken.update(taken)
            self._plan_tables(call, taken)

    def _plan_tables(self, call: cst.Call, taken: list[cst.Call]) -> None:
        """``embeddings.embedding_tables`` is asked of the new input block."""
        assign = self.parent(call)
        target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
        for part in taken:
            if self._inputs.name(part) == "EmbeddingFeatures" and isinstance(target, cst.Name):
                self._tables[part] = target

    def _plan_name(self, name: cst.Name) -> None:
        """One use of a variable: of a model, of a body, or of a part that a model takes up."""
        above = self.parent(name)
        if isinstance(above, cst.AssignTarget) or (isinstance(above, cst.Attribute) and above.attr is name):
            return
        if (
            isinstance(above, (cst.Arg, cst.Param)) and above.keyword is name
            if isinstance(above, cst.Arg)
            else False
        ):
            return
        scope = self.scope(name)
        if scope is None or name.value not in scope:
            return
        call = made(self, name)
        if call is None:
            return
        if call in self._made:
            self._of[name] = self._made[call]
            self._check_use(name, above, call)
        elif self._inputs.name(call) in _BODIES:
            self._check_body(name, above)
        elif call in self._taken and isinstance(above, cst.Attribute):
            self._check_part(name, above, call)

    def _check_use(self, name: cst.Name, above: cst.CSTNode | None, call: cst.Call) -> None:
        model = self._made[call]
        if isinstance(above, cst.Attribute):
            self._check_method(name, above, model)
        elif isinstance(above, cst.Call) and above.func is name:
            bound = bind(above, ("inputs", "training"))
            plain = bound is not None and "inputs" in bound and set(bound) <= {"inputs", "training"}
            if not plain or (bound and "training" in bound and code(bound["training"].value) != "False"):
                raise ValueError(
                    "a model is called with columns only: mm.Step(model, rows, mode) has its loss"
                )
            if model.several:
                raise ValueError(
                    "what a model of several tasks answers has other names: mm.Step(model, rows, "
                    '"predict").scores has logits by target'
                )
        elif not isinstance(above, (cst.Arg, cst.Return)):
            raise ValueError(f"the model {name.value} is used in a way that cannot be followed")

    def _check_method(self, name: cst.Name, above: cst.Attribute, model: Model) -> None:
        method = above.attr.value
        call = self.parent(above)
        called = call if isinstance(call, cst.Call) and call.func is above else None
        if method in _KEPT:
            return
        if method == "to_lightning" and called is not None:
            self._trained = True
        elif method in ("fit", "evaluate") and called is not None:
            self._steps.check(method, called)
            self._target(called)
        elif method == "compute_loss" and called is not None:
            bound = bind(called, ("inputs", "targets", "compute_metrics"))
            if bound is None or not {"inputs", "targets"} <= set(bound) <= {
                "inputs",
                "targets",
                "compute_metrics",
            }:
                raise ValueError("the arguments of compute_loss cannot be followed")
        elif method == "heads" and self._of_head(above) in ("body", "prediction_task_dict"):
            if self._of_head(above) == "body" and (model.block is not None or len(model.tasks) != 1):
                raise ValueError("the body of the new model holds the blocks before the tasks too")
        else:
            raise ValueError(f"{code(above)} has no successor that can be written by itself")

    def _of_head(self, heads: cst.Attribute) -> str:
        """What is asked of ``model.heads[0]``."""
        first = self.parent(heads)
        asked = (
            self.parent(first) if isinstance(first, cst.Subscript) and code(first.slice[0]) == "0" else None
        )
        return asked.attr.value if isinstance(asked, cst.Attribute) else ""

    def _target(self, call: cst.Call) -> cst.Name | None:
        """The variable that a statement assigns a call to; None for a statement of the call alone.

        Raises:
            ValueError: if it stands elsewhere.
        """
        above = self.parent(call)
        line = self.parent(above) if above is not None else None
        if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
            if isinstance(above, cst.Expr):
                return None
            if isinstance(above, cst.Assign) and len(above.targets) == 1:
                target = above.targets[0].target
                if isinstance(target, cst.Name):
                    return target
        raise ValueError(f"what {code(call.func)} gives is followed through a variable of its own only")

    def _check_body(self, name: cst.Name, above: cst.CSTNode | None) -> None:
        if isinstance(above, cst.Attribute):
            method = above.attr.value
            call = self.parent(above)
            if method == "build" and isinstance(self.parent(call) if call else None, cst.Expr):
                self._blocks.add(call)  # type: ignore[arg-type]
            elif method != "to_model" and method not in _KEPT:
                raise ValueError(f"{code(above)} has no successor that can be written by itself")
        elif isinstance(above, cst.Call) and above.func is name:
            raise ValueError(
                f"the block {name.value} is called with columns: the new one takes mm.Batch(columns)"
            )

    def _check_part(self, name: cst.Name, above: cst.Attribute, call: cst.Call) -> None:
        if above.attr.value == "embedding_tables" and call in self._tables:
            return
        if above.attr.value in ("to_model", "to_head"):
            return
        raise ValueError(f"{code(above)} has no successor that can be written by itself")

    def _try(self, use: cst.BaseExpression, name: str) -> None:
        call = self.parent(use)
        if name.startswith("merlin.io.") and name != "merlin.io.Dataset":
            raise ValueError("")
        if name == "merlin.io.Dataset":
            above = self.parent(call) if call is not None else None
            if isinstance(above, cst.Attribute) and above.attr.value == "schema":
                return
            raise ValueError("a Dataset is followed for its schema only: batches of pairs train the model")
        if not name.startswith(f"{V2}."):
            raise ValueError("batches of the old loader are followed for programs of V2 only")
        if not isinstance(call, cst.Call) or call.func is not use:
            if short(name) in ("Schema", "Tag"):
                return
            raise ValueError("")
        if call in self._taken or call in self._made:
            if call in self._made:
                self._writer.written(self._made[call], trained=False)
            return
        self._expressed(call, call)

    def _expressed(self, original: cst.Call, call: cst.Call) -> cst.Call | cst.BaseExpression:
        """A block in the new names.

        Raises:
            ValueError: if that cannot be done.
        """
        name = self._inputs.name(original)
        if name == "TabularFeatures.from_schema":
            return with_args(
                call.with_changes(func=self.api("TabularInputBlock")), self._inputs.from_schema(call)
            )
        if name == "MergeTabular":
            made_of, _ = self._inputs.merged(original)
            return cst.Call(self.api("TabularInputBlock"), made_of)
        if name == "SequentialBlock":
            args = [arg for arg in call.args if not (arg.keyword and arg.keyword.value == "output_size")]
            if any(arg.keyword or arg.star == "**" for arg in args):
                raise ValueError("SequentialBlock has an argument without successor")
            return with_args(call.with_changes(func=self.api("Block")), args)
        if name == "Block":
            bound = bind(call, ("module", "output_size"))
            if bound is None or "module" not in bound:
                raise ValueError("the arguments of Block cannot be followed")
            return bound["module"].value
        if name == "MLPBlock":
            plain = [a for a in call.args if not (a.keyword and a.keyword.value == "filter_features")]
            layers = tower(call.with_changes(args=plain), _MLP)
            return with_args(
                call.with_changes(func=self.api("MLPBlock")),
                [cst.Arg(layers.units), *layers.options.values()],
            )
        raise ValueError("")

    # Doing it

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
            if model.several:
                return cst.parse_expression(f"{owner}.output.outputs")
            return cst.parse_expression(f"{{{owner}.output.target: {owner}.output}}")
        if original_node.attr.value == "embedding_tables" and isinstance(first, cst.Name):
            target = self._tables.get(made(self, first) or first)
            if target is not None:
                self.done()
                return cst.Attribute(cst.Name(target.value), cst.Name("tables"))
        return updated_node

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
            text = self._steps.evaluate(value, after, target, several=self._of[func.value].several)
        else:
            return updated_node
        self.done()
        lines = list(cst.parse_module(text).body)
        first = lines[0].with_changes(leading_lines=updated_node.leading_lines)
        return cst.FlattenSentinel([first, *lines[1:]])  # type: ignore[list-item]

    def _is_part(self, small: cst.BaseSmallStatement) -> bool:
        """Whether a statement gives a part of a model, or a list of these, a name."""
        value = small.value if isinstance(small, cst.Assign) else None
        if isinstance(value, cst.Call):
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
