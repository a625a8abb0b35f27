"""What all rules share: names of the table, the origin of variables, marks, imports to add."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, ClassVar

import libcst as cst
from libcst import metadata as meta

from merlin_migrate.codemod.dropping import dropped, left_of
from merlin_migrate.codemod.layout import code, parse
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.tree import Left, Tree, walk, with_children
from merlin_migrate.table import Entry, nearest
from merlin_migrate.table.entry import GUIDES

MARK = "# merlin-migrate:"
LEGACY_ROOTS = ("transformers4rec", "merlin_standard_lib", "merlin")

Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement


class Rule:
    """One numbered rewriting: a pass over the tree.

    Subclasses have methods ``visit_X(node)``, which may return False to stay out of a node, and
    ``leave_X(node, updated)``, as transformers of LibCST have, for nodes of a class ``X`` of syntax. They
    change what they know, call :meth:`done` for it, and :meth:`mark` what they cannot do.
    """

    number: ClassVar[str]
    title: ClassVar[str]
    guide: ClassVar[str] = "from-transformers4rec.md"

    def __init__(self, program: Program) -> None:
        self.program = program
        self._marks: list[list[str]] = []
        self._tree: Tree | None = None

    # The pass

    @property
    def tree(self) -> Tree:
        """The program that the rule goes through."""
        if self._tree is None:
            raise RuntimeError(f"{self.number} is asked outside of its pass: call apply(tree)")
        return self._tree

    def apply(self, tree: Tree) -> cst.Module:
        """What the rule makes of a program; the very same module if it has nothing to change."""
        self._tree = tree
        changed = self._changed(tree.module)
        if not isinstance(changed, cst.Module):
            raise TypeError(f"{self.number} made something else of a module")
        return changed

    def _changed(self, node: cst.CSTNode) -> Left:
        own: Any = type(self)
        visit, leave, states = _methods(own, type(node))
        if states:
            self._marks.append([])
        enter = visit is None or visit(self, node) is not False
        updated = with_children(node, self._changed) if enter else node
        result: Left = updated if leave is None else leave(self, node, updated)
        return _marked(result, self._new_marks(node)) if states else result

    def _new_marks(self, statement: cst.CSTNode) -> list[str]:
        """The marks that a statement does not have yet; the module has what stands before its first one."""
        texts, module = self._marks.pop(), self.tree.module
        if not texts or statement is not module.body[0]:
            return texts
        present = {line.comment.value for line in module.header if line.comment}
        return [text for text in texts if text not in present]

    def rewritten(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """What the pass makes of an expression of the program that is to stand elsewhere."""
        made = self._changed(node)
        if not isinstance(made, cst.BaseExpression):
            raise TypeError(f"{code(node)} is no expression any more")
        return made

    def calls(self) -> Sequence[cst.Call]:
        """All calls of the program."""
        return self.tree.all_of(cst.Call)

    # Names

    def qualified(self, node: cst.CSTNode) -> str | None:
        """The dotted name that an expression refers to through imports, if it is one."""
        for name in self.tree.qualified_names(node):
            if name.source is meta.QualifiedNameSource.IMPORT:
                return str(name.name)
        return None

    def entry(self, node: cst.CSTNode) -> Entry | None:
        """The table's entry of a legacy name."""
        name = self.qualified(node)
        if name is None or name.partition(".")[0] not in LEGACY_ROOTS:
            return None
        return nearest(name)

    def is_call_of(self, node: cst.CSTNode | None, *names: str) -> bool:
        """Whether the node is a call of one of these table names."""
        if not isinstance(node, cst.Call):
            return False
        name = self.qualified(node.func)
        if name is None:
            return False
        found = nearest(name)
        return found is not None and found.name in names and name in (found.name, *found.also)

    def new(self, text: str, **parts: cst.BaseExpression) -> cst.BaseExpression:
        """An expression of the new API: ``mm`` in it stands for the alias the program uses."""
        if self.program.alias != "mm":
            parts = {**parts, "mm": cst.Name(self.program.alias)}
            text = text.replace("mm.", "__mm__.")
        return parse(text, parts)

    def api(self, name: str) -> cst.BaseExpression:
        """``mm.name``; asks for the import."""
        self.program.imports.add("merlin_models_torch")
        return cst.Attribute(cst.Name(self.program.alias), cst.Name(name))

    # Variables

    def assignment(self, node: cst.BaseExpression | None) -> cst.Assign | None:
        """The statement that gave a variable its value: the only one, or the last before in straight line."""
        if not isinstance(node, cst.Name):
            return None
        scope = self.scope(node)
        if scope is None:
            return None
        bindings = [bound.node for bound in scope[node.value] if isinstance(bound, meta.Assignment)]
        if len(bindings) == 1:
            return self._plain(bindings[0])
        return self._latest(node, bindings)

    def _plain(self, target: cst.CSTNode) -> cst.Assign | None:
        """The statement ``name = value`` around a name, if it is of that form."""
        above = self.parent(target)
        statement = self.parent(above) if isinstance(above, cst.AssignTarget) else None
        if isinstance(statement, cst.Assign) and len(statement.targets) == 1:
            return statement
        return None

    def _latest(self, node: cst.CSTNode, bindings: Sequence[cst.CSTNode]) -> cst.Assign | None:
        """The last of several bindings before a node; None where branches or loops leave it open."""
        statement = self.statement_of(node)
        while statement is not None:
            block = self.parent(statement)
            if not isinstance(block, (cst.IndentedBlock, cst.Module)):
                return None
            for earlier in reversed(block.body[: block.body.index(statement)]):
                inside = [bound for bound in bindings if self._is_within(bound, earlier)]
                if inside:
                    found = self._plain(inside[-1])
                    direct = found is not None and self.parent(found) is earlier
                    return found if direct and len(inside) == 1 else None
            owner = self.parent(block)
            if owner is None or isinstance(owner, (cst.FunctionDef, cst.ClassDef)):
                return None
            statement = self.statement_of(owner)
            if isinstance(statement, (cst.For, cst.While)) and any(
                self._is_within(bound, statement) for bound in bindings
            ):
                return None
        return None

    def _is_within(self, node: cst.CSTNode, outer: cst.CSTNode) -> bool:
        above: cst.CSTNode | None = node
        while above is not None and above is not outer:
            above = self.parent(above)
        return above is outer

    def origin(self, node: cst.BaseExpression | None) -> cst.BaseExpression | None:
        """What a variable holds: the expression assigned to it, or the node itself if it is no variable."""
        if not isinstance(node, cst.Name):
            return node
        statement = self.assignment(node)
        return statement.value if statement else None

    def function(self, name: cst.BaseExpression) -> cst.FunctionDef | None:
        """The function of the program that a name is bound to, if to nothing else; or the method."""
        if isinstance(name, cst.Attribute):
            return self._method_of(name)
        if not isinstance(name, cst.Name):
            return None
        scope = self.scope(name)
        if scope is None:
            return None
        bindings = [bound.node for bound in scope[name.value] if isinstance(bound, meta.Assignment)]
        found = bindings[0] if len(bindings) == 1 else None
        return found if isinstance(found, cst.FunctionDef) else None

    def _method_of(self, name: cst.Attribute) -> cst.FunctionDef | None:
        """The method that ``self.name`` is, where the program has but one function of that name."""
        if code(name.value) != "self":
            return None
        found = [each for each in self.tree.all_of(cst.FunctionDef) if each.name.value == name.attr.value]
        owner = self.class_of(name)
        return (
            found[0] if len(found) == 1 and owner is not None and self.class_of(found[0]) is owner else None
        )

    def class_of(self, node: cst.CSTNode) -> cst.ClassDef | None:
        """The class that a node is in."""
        above = self.parent(node)
        while above is not None and not isinstance(above, cst.ClassDef):
            above = self.parent(above)
        return above

    def uses(self, node: cst.Name) -> list[cst.CSTNode]:
        """All nodes that read the variable, in the order of the program."""
        scope = self.scope(node)
        if scope is None:
            return []
        found = {access.node for assigned in scope[node.value] for access in assigned.references}
        return sorted(found, key=self.tree.places.__getitem__)

    def assignments_of(self, node: cst.Name) -> int:
        """How often the variable is set in its scope."""
        scope = self.scope(node)
        return sum(isinstance(bound, meta.Assignment) for bound in scope[node.value]) if scope else 0

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node around a node."""
        return self.tree.parents.get(node)

    def scope(self, node: cst.CSTNode) -> meta.Scope | None:
        """The scope that a node is in."""
        return self.tree.scopes.get(node)

    def depth(self, node: cst.CSTNode) -> int:
        """Columns of indentation of the block a node is in, at four a level."""
        columns, above = 0, self.parent(node)
        while above is not None:
            columns += 4 * isinstance(above, cst.IndentedBlock)
            above = self.parent(above)
        return columns

    def within(self, node: cst.CSTNode) -> str:
        """Spaces of the line a node begins, beyond those of its block."""
        spread, above = 0, self.parent(node)
        while above is not None and not isinstance(above, Statement):
            if isinstance(above, (cst.Call, cst.List, cst.Dict)) and isinstance(
                _opening(above), cst.ParenthesizedWhitespace
            ):
                spread += 1
            above = self.parent(above)
        return "    " * spread

    def statement_of(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The statement a node is in."""
        above: cst.CSTNode | None = node
        while above is not None and not isinstance(above, Statement):
            above = self.parent(above)
        return above

    def column(self, node: cst.CSTNode) -> int:
        """Columns before an expression in its line, where it is the value of an assignment."""
        before = self.depth(node)
        above = self.parent(node)
        if isinstance(above, cst.Assign):
            before += sum(len(code(target)) for target in above.targets)
        if isinstance(above, cst.Return):
            before += len("return ")
        return before

    # Marks and counts

    def done(self) -> None:
        """Counts one change of this rule."""
        self.program.applied[self.number] = self.program.applied.get(self.number, 0) + 1

    def mark(self, reason: str, anchor: str = "", *, link: str = "") -> None:
        """Leaves a comment before the current statement: what is to be done by hand, where to read on."""
        link = link or f"{GUIDES}/{self.guide}#{anchor}"
        text = f"{MARK} {self.number} {' '.join(reason.split())} {link}"
        if self._marks and text not in self._marks[-1]:
            self._marks[-1].append(text)

    def quirks(self, args: Sequence[cst.Arg]) -> list[cst.Arg]:
        """Arguments that keep the old behaviour; none of them, and a mark, where the new one is wanted."""
        if not self.program.modern:
            return list(args)
        names = ", ".join(f"{arg.keyword.value}={code(arg.value)}" for arg in args if arg.keyword)
        if names:
            self.mark(f"left out, so numbers change: {names}", link=f"{GUIDES}/what-differs.md")
        return []

    # Statements that go away

    @staticmethod
    def dropped(line: cst.SimpleStatementLine) -> cst.SimpleStatementLine:
        """The statement without its code; its comments move to the next one when the block is left."""
        return dropped(line)

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.BaseSuite:
        """Takes dropped statements out of the block."""
        body, rest = left_of(updated_node.body)
        if body is None:
            return updated_node
        body = body or [cst.SimpleStatementLine([cst.Pass()], leading_lines=rest)]
        footer = updated_node.footer if not rest or len(body) == 1 else [*rest, *updated_node.footer]
        return updated_node.with_changes(body=body, footer=footer)

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        """Takes dropped statements out of the module."""
        body, rest = left_of(updated_node.body, blank_first=bool(updated_node.header))
        if body is None:
            return updated_node
        return updated_node.with_changes(body=body, footer=[*rest, *updated_node.footer])


@cache
def _methods(rule: type[Rule], kind: type[cst.CSTNode]) -> tuple[Any, Any, bool]:
    """What a rule has for a class of nodes: methods on the way in and out; whether marks stand before it."""
    name = kind.__name__
    states = issubclass(kind, Statement)
    return getattr(rule, f"visit_{name}", None), getattr(rule, f"leave_{name}", None), states


def _opening(node: cst.Call | cst.List | cst.Dict) -> cst.BaseParenthesizableWhitespace:
    """What stands behind the first bracket of a node."""
    if isinstance(node, cst.Call):
        return node.whitespace_before_args
    return node.lbracket.whitespace_after if isinstance(node, cst.List) else node.lbrace.whitespace_after


def _marked(result: Left, texts: Collection[str]) -> Left:
    if not texts or isinstance(result, cst.RemovalSentinel):
        return result
    if isinstance(result, cst.FlattenSentinel):
        first, *rest = result.nodes
        marked = _marked(first, texts)
        return cst.FlattenSentinel([marked, *rest]) if isinstance(marked, cst.CSTNode) else result
    lines = list(getattr(result, "leading_lines", ()))
    present = {line.comment.value for line in lines if line.comment}
    new = [cst.EmptyLine(comment=cst.Comment(text)) for text in texts if text not in present]
    return result.with_changes(leading_lines=[*lines, *new]) if new else result


def count_returns(function: cst.FunctionDef) -> int:
    """How many return statements a function has."""
    return sum(isinstance(node, cst.Return) for node in walk(function))
