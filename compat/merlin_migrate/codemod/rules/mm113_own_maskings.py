"""Subclasses of ``MaskSequence`` to subclasses of ``OwnMasking``."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import bind, code
from merlin_migrate.codemod.maskings import REGISTRY
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.tree import walk

BASE = "transformers4rec.torch.masking.MaskSequence"
INFO = "transformers4rec.torch.masking.MaskingInfo"
METHOD = "_compute_masked_targets"
MODES = {"training": "train", "testing": "evaluate"}
_TIGHT = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
TAKEN = ("lengths", "mode", "generator")


class OwnMaskingsRule(Rule):
    """The one method that says what is hidden stays; it is told the mode instead of flags."""

    number: ClassVar[str] = "MM113"
    title: ClassVar[str] = "own maskings"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._classes: dict[cst.CSTNode, cst.FunctionDef] = {}
        self._methods: dict[cst.CSTNode, str] = {}
        self._reasons: dict[cst.CSTNode, str] = {}
        self._inside: list[cst.FunctionDef] = []

    def visit_Module(self, node: cst.Module) -> None:
        """Finds the classes and the names that they are registered under."""
        classes = self.tree.all_of(cst.ClassDef)
        for each in classes:
            if not any(self._is(base.value, BASE) for base in each.bases):
                continue
            try:
                method = self._checked(each)
            except ValueError as error:
                self._reasons[each] = str(error)
                continue
            self._classes[each] = method
            self._methods[method] = each.name.value
        known = set(self._methods.values())
        for each in classes:
            for decorator in each.decorators:
                if each in self._classes:
                    self._register(decorator.decorator, each.name.value)
        for call in self.calls():
            if len(call.args) == 1 and code(call.args[0].value) in known:
                self._register(call.func, code(call.args[0].value))

    def _is(self, node: cst.CSTNode, name: str) -> bool:
        entry = self.entry(node)
        return entry is not None and entry.name == name

    def _checked(self, owner: cst.ClassDef) -> cst.FunctionDef:
        """The method of a class that has no other."""
        if len(owner.bases) != 1:
            raise ValueError("a masking of several base classes has no successor: mm.OwnMasking is one")
        methods = [each for each in owner.body.body if isinstance(each, cst.FunctionDef)]
        others = [each.name.value for each in methods if each.name.value != METHOD]
        if others or len(methods) != 1:
            named = f"the method {others[0]}" if others else f"no {METHOD}"
            raise ValueError(f"a masking with {named} has no successor: mm.OwnMasking has hidden() alone")
        params = methods[0].params
        names = [each.name.value for each in params.params]
        if len(names) < 2 or set(names[2:]) - set(MODES) or params.star_kwarg or params.kwonly_params:
            raise ValueError(f"the arguments of {METHOD} cannot be followed")
        for each in walk(methods[0].body):
            if isinstance(each, cst.Name) and each.value in TAKEN:
                raise ValueError(f"{METHOD} has a variable {each.value}, which hidden() is given: rename it")
            if isinstance(each, cst.Name) and each.value == "super":
                raise ValueError(f"{METHOD} asks its base class, and mm.OwnMasking.hidden has nothing")
            if self._is_own(each) and each.attr.value != "padding_idx":  # type: ignore[attr-defined]
                raise ValueError(f"self.{each.attr.value} of a masking has no successor")  # type: ignore[attr-defined]
            value = each.value if isinstance(each, cst.Return) else None
            if isinstance(each, cst.Return) and self._pair(value) is None:
                raise ValueError(f"{METHOD} returns something else than MaskingInfo(schema, targets)")
        return methods[0]

    @staticmethod
    def _is_own(node: cst.CSTNode) -> bool:
        return (
            isinstance(node, cst.Attribute)
            and isinstance(node.value, cst.Name)
            and node.value.value == "self"
        )

    def _pair(self, node: cst.BaseExpression | None) -> list[cst.BaseExpression] | None:
        if not isinstance(node, cst.Call) or not self._is(node.func, INFO):
            return None
        bound = bind(node, ("schema", "targets"))
        return [bound["schema"].value, bound["targets"].value] if bound and len(bound) == 2 else None

    def _registers(self, node: cst.CSTNode) -> list[str] | None:
        """The names in ``masking_registry.register("name")``."""
        func = node.func if isinstance(node, cst.Call) else None
        if not isinstance(func, cst.Attribute) or not self._is(func.value, REGISTRY):
            return None
        if func.attr.value not in ("register", "register_with_multiple_names"):
            return None
        values = [each.value for each in node.args]  # type: ignore[attr-defined]
        return [str(v.evaluated_value) for v in values if isinstance(v, cst.SimpleString)]

    def _register(self, node: cst.CSTNode, owner: str) -> None:
        for name in self._registers(node) or ():
            self.program.maskings[name] = owner

    # Doing

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.BaseStatement:
        """One masking."""
        reason = self._reasons.get(original_node)
        if reason is not None:
            self.mark(reason, "masking")
        if original_node not in self._classes:
            return updated_node
        self.done()
        decorators = [
            new
            for old, new in zip(original_node.decorators, updated_node.decorators, strict=True)
            if self._registers(old.decorator) is None
        ]
        base = updated_node.bases[0].with_changes(value=self.api("OwnMasking"))
        body = list(updated_node.body.body)
        documented = updated_node.get_docstring() is not None
        settings = [cst.parse_statement(text) for text in ("appends = False", "attend_to_padding = True")]
        if self.program.modern:
            self.mark(
                "left out, so numbers change: appends = False, attend_to_padding = True",
                link="migration_guides/what-differs.md",
            )
            settings = []
        elif documented:
            settings[0] = settings[0].with_changes(leading_lines=[cst.EmptyLine(indent=False)])
        at = int(documented)
        if settings and not getattr(body[at], "leading_lines", ()):
            body[at] = body[at].with_changes(leading_lines=[cst.EmptyLine(indent=False)])
        body[at:at] = settings
        return updated_node.with_changes(
            bases=[base], decorators=decorators, body=updated_node.body.with_changes(body=body)
        )

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        """Notes whether the method of a masking is being changed."""
        self._inside.append(node)

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.BaseStatement:
        """The method: its name, its arguments, and what it is told."""
        self._inside.pop()
        if original_node not in self._methods:
            return updated_node
        old = updated_node.params.params
        parameters = cst.Parameters(
            params=[old[0], old[1], cst.Param(cst.Name("lengths")), cst.Param(cst.Name("mode"))],
            kwonly_params=[cst.Param(cst.Name("generator"), default=cst.Name("None"), equal=_TIGHT)],
        )
        read = {each.value for each in walk(original_node.body) if isinstance(each, cst.Name)}
        told = [
            cst.parse_statement(f'{flag} = mode == "{mode}"') for flag, mode in MODES.items() if flag in read
        ]
        body = list(updated_node.body.body)
        at = int(updated_node.get_docstring() is not None)
        body[at:at] = told
        return updated_node.with_changes(
            name=cst.Name("hidden"),
            params=parameters,
            returns=None,
            body=updated_node.body.with_changes(body=body),
        )

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """``self.padding_idx`` of a masking is 0."""
        if self._in_method() and self._is_own(original_node):
            return cst.Integer("0")
        return updated_node

    def leave_Return(self, original_node: cst.Return, updated_node: cst.Return) -> cst.BaseSmallStatement:
        """``MaskingInfo(schema, targets)`` is a pair."""
        if not self._in_method() or self._pair(original_node.value) is None:
            return updated_node
        bound = bind(updated_node.value, ("schema", "targets")) or {}  # type: ignore[arg-type]
        pair = [cst.Element(bound[name].value) for name in ("schema", "targets")]
        return updated_node.with_changes(value=cst.Tuple(pair, lpar=[], rpar=[]))

    def _in_method(self) -> bool:
        return bool(self._inside) and self._inside[-1] in self._methods

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement:
        """``masking_registry.register("name")(Class)`` goes away."""
        return self.dropped(updated_node) if self._is_registration(original_node) else updated_node

    def _is_registration(self, line: cst.CSTNode) -> bool:
        small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
        call = small.value if isinstance(small, cst.Expr) else None
        return (
            isinstance(call, cst.Call)
            and len(call.args) == 1
            and code(call.args[0].value) in self._methods.values()
            and self._registers(call.func) is not None
        )

    def leave_If(self, original_node: cst.If, updated_node: cst.If) -> cst.BaseStatement:
        """``if "name" not in masking_registry:`` around nothing but that."""
        test = original_node.test
        asks = isinstance(test, cst.Comparison) and self._is(test.comparisons[0].comparator, REGISTRY)
        if not asks or original_node.orelse or not all(map(self._is_registration, original_node.body.body)):
            return updated_node
        return self.dropped(cst.SimpleStatementLine([cst.Pass()], leading_lines=updated_node.leading_lines))
