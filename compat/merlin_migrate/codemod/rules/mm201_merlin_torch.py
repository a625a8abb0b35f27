"""Programs for ``merlin.models.torch`` V2: models, data and training move together, or not at all."""

from __future__ import annotations

import contextlib
from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import code, fit
from merlin_migrate.codemod.merlin.data import Data
from merlin_migrate.codemod.merlin.models import V2, ModelsOfTorch
from merlin_migrate.codemod.merlin.uses import alias_of, imports, is_v1, moved_alias, short, uses
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import Rule

_MODELS = {f"{V2}.{name}" for name in ("Model", "DLRMModel", "DCNModel")}


class MerlinTorchRule(Rule):
    """A model of the old names takes no batch of the new loader, so one name that cannot follow keeps all."""

    number: ClassVar[str] = "MM201"
    title: ClassVar[str] = "merlin.models.torch"
    guide: ClassVar[str] = "from-merlin-models-torch.md"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._data = Data(self)
        self._models = ModelsOfTorch(self, self._data)
        self._routes, self._steps = self._models.routes, self._models.steps
        self._reasons: dict[cst.CSTNode, list[str]] = {}
        self._moves = False

    def visit_Module(self, node: cst.Module) -> bool:
        """Finds out whether all names can follow."""
        found = list(uses(self, node)) if imports(node) else []
        if not any(name.startswith(f"{V2}.") for _, name in found):
            return False
        if any(is_v1(self, use) for use, _ in found):
            # The rule of V1 takes the whole program.
            return False
        asked = set(self.program.imports)
        for filled in self.calls():
            # First, as they tell which statements go away.
            if self._routes.name(filled) in ("RouterBlock", "TabularInputBlock"):
                with contextlib.suppress(ValueError):
                    self._models.new(filled, filled)
        for use, name in found:
            try:
                self._try(use, name)
            except ValueError as error:
                statement = self.statement_of(use)
                if statement is not None:
                    self._reasons.setdefault(statement, []).append(str(error))
        for loop in self.tree.all_of(cst.For):
            try:
                self._steps.loop(loop)
            except ValueError as error:
                self._reasons.setdefault(loop, []).append(str(error))
        self._moves = not self._reasons
        self.program.stays = not self._moves
        # What was tried has asked for imports; what is done asks again.
        self.program.imports = asked
        if self._moves:
            self.program.alias = alias_of(node) or self.program.alias
        return True

    def leave_ImportAlias(
        self, original_node: cst.ImportAlias, updated_node: cst.ImportAlias
    ) -> cst.ImportAlias:
        """``import merlin.models.torch as mm``."""
        return moved_alias(self, original_node, updated_node) if self._moves else updated_node

    def _try(self, use: cst.BaseExpression, name: str) -> None:
        call = self.parent(use)
        if name == f"{V2}.TabularInputBlock.register_init":
            return  # in the way of the block that is filled
        in_route = short(name) in ("EmbeddingTables", "MLPBlock", "Concat")
        if in_route and any(self._inside(use, line) for line in self._routes.dropped):
            return
        if not isinstance(call, cst.Call) or call.func is not use:
            raise ValueError("")
        if not name.startswith(f"{V2}.") or self._data.takes(call):
            self._data.plan(call)
            return
        self._models.new(call, call)
        assign = self.parent(call)
        target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
        if self._models.name(call) in _MODELS and isinstance(target, cst.Name):
            self._check_model(target)

    def _check_model(self, variable: cst.Name) -> None:
        """A model may be trained, asked and initialised; what else is done to it has to be looked at."""
        for use in self.uses(variable):
            above = self.parent(use)
            if not isinstance(above, cst.Attribute):
                if isinstance(above, cst.Call) and above.func is use:
                    if not self._is_measured(above):
                        self._steps.answered(above, above)
                    continue
                if isinstance(above, cst.Arg):
                    continue
                raise ValueError(f"the model {variable.value} is used in a way that cannot be followed")
            if above.attr.value not in (
                "initialize",
                "eval",
                "train",
                "parameters",
                "state_dict",
                "zero_grad",
            ):
                if above.attr.value == "model_outputs" and self._is_measured(self.parent(above)):
                    continue
                raise ValueError(f"{code(above)} has no successor that can be written by itself")

    def _is_measured(self, node: cst.CSTNode | None) -> bool:
        """Whether a call is an argument of ``compute_loss``."""
        arg = self.parent(node) if node is not None else None
        call = self.parent(arg) if isinstance(arg, cst.Arg) else None
        return self._routes.name(call) == "compute_loss"

    def _inside(self, node: cst.CSTNode, outer: cst.CSTNode) -> bool:
        above: cst.CSTNode | None = node
        while above is not None and above is not outer:
            above = self.parent(above)
        return above is outer

    def visit_SimpleStatementLine(self, node: cst.SimpleStatementLine) -> bool:
        """Stays out of what goes away."""
        return not self._moves or node not in self._routes.dropped

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        """The same."""
        return not self._moves or node not in self._routes.dropped

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """One call of an old name."""
        if not self._moves:
            return updated_node
        if (loader := self._data.loader(original_node)) is not None:
            self.done()
            return fit(
                loader,
                column=self.column(original_node),
                indent=self.within(original_node),
                block=self.depth(original_node),
            )
        if (trained := self._data.trained(original_node, updated_node)) is not None:
            self.done()
            return trained
        if self._steps.is_model(original_node.func):
            if self._is_measured(original_node) or not self._steps.output(original_node.func):
                return updated_node
            self.done()
            return self._steps.answered(original_node, updated_node)
        counted = original_node.args[0].value if code(original_node.func) == "len" else None
        if self._steps.is_model(counted):
            self.done()
            # The output was one of the blocks.
            return cst.parse_expression(f"(len({code(original_node.args[0].value)}.body) + 1)")
        name = self.qualified(original_node.func)
        if self._data.takes(original_node) or name is None or not name.startswith(f"{V2}."):
            return updated_node
        self.done()
        made = self._models.new(original_node, updated_node)
        return fit(
            made,
            column=self.column(original_node),
            indent=self.within(original_node),
            block=self.depth(original_node),
        )

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """``dataset.schema``."""
        schema = self._data.schema(original_node) if self._moves else None
        return updated_node if schema is None else schema

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """Data sets in variables and ``model.initialize(...)`` go away; reasons are marked."""
        self._mark(original_node)
        if not self._moves or len(original_node.body) != 1:
            return updated_node
        if self._initializes(original_node.body[0]):
            self.done()
            return self.dropped(updated_node)
        if original_node in self._routes.dropped:
            self.done()
            return self.dropped(updated_node)
        grown = self._routes.grows(original_node.body[0])
        small = updated_node.body[0]
        if grown is not None and isinstance(small, cst.Expr):
            self.done()
            target = cst.AssignTarget(cst.Name(grown))
            return updated_node.with_changes(body=[cst.Assign([target], small.value)])
        lines = self._data.statement(original_node, updated_node)
        if lines is None:
            return updated_node
        self.done()
        if not lines:
            return self.dropped(updated_node)
        return cst.FlattenSentinel(lines) if len(lines) > 1 else lines[0]

    def _initializes(self, small: cst.BaseSmallStatement) -> bool:
        call = small.value if isinstance(small, cst.Expr) else None
        func = call.func if isinstance(call, cst.Call) else None
        if not isinstance(func, cst.Attribute) or func.attr.value != "initialize":
            return False
        model = self.origin(func.value)
        return isinstance(model, cst.Call) and self._models.name(model) in _MODELS

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.BaseStatement:
        """Functions that filled a block go away; marks of decorators and defaults."""
        if self._moves and original_node in self._routes.dropped:
            self.done()
            return self.dropped(cst.SimpleStatementLine([], leading_lines=updated_node.leading_lines))
        return self._marked(original_node, updated_node)

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.BaseStatement:
        """Marks of bases."""
        return self._marked(original_node, updated_node)

    def leave_For(self, original_node: cst.For, updated_node: cst.For) -> cst.BaseStatement:
        """Loops over a loader; marks of what is gone through."""
        looped = self._steps.looped(original_node, updated_node) if self._moves else updated_node
        return self._marked(original_node, looped)

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> cst.BaseStatement:
        """Marks in the head."""
        return self._marked(original_node, updated_node)

    def leave_If(self, original_node: cst.If, updated_node: cst.If) -> cst.BaseStatement:
        """Marks of the condition."""
        return self._marked(original_node, updated_node)

    def _marked(self, original: cst.CSTNode, updated: cst.BaseStatement) -> cst.BaseStatement:
        self._mark(original)
        return updated

    def _mark(self, node: cst.CSTNode) -> None:
        """What keeps the program; that of a name without a way is in the mark of the last rule."""
        for reason in filter(None, self._reasons.get(node, ())):
            self.mark(reason, "what-stays")
