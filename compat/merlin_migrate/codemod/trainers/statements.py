"""Bodies of methods: names replaced by expressions, what is known to be true or false taken out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import libcst as cst

from merlin_migrate.codemod.layout import code, operand
from merlin_migrate.codemod.tree import Left, walk, with_children

Truth = Callable[[str], bool | None]
"""Whether an expression, given as text, is true; None where that is not known."""
Body = list[cst.BaseStatement]


class NotMoved(ValueError):
    """A class or method that has no faithful successor; the text says why."""


def body_of(method: cst.FunctionDef) -> Body:
    """The statements of a method, without its docstring.

    Raises:
        NotMoved: if they stand in the line of its head.
    """
    if not isinstance(method.body, cst.IndentedBlock):
        raise NotMoved(f"{method.name.value} is written in one line")
    lines = list(method.body.body)
    return lines[1:] if method.get_docstring() is not None else lines


def replaced(node: cst.CSTNode, new: Mapping[str, str]) -> cst.CSTNode:
    """The node with expressions, given as text, in the place of others; attributes and keywords stay."""

    def change(inner: cst.CSTNode) -> Left:
        if isinstance(inner, (cst.Name, cst.Attribute, cst.Subscript, cst.Call)):
            text = new.get(code(inner))
            if text is not None:
                return cst.parse_expression(text)
        if isinstance(inner, cst.Attribute):
            return _with(inner, "value", tight)
        if isinstance(inner, cst.Arg):
            return _with(inner, "value", change)
        if isinstance(inner, cst.Param):
            return inner
        within = (cst.BinaryOperation, cst.UnaryOperation, cst.Subscript)
        return with_children(inner, tight if isinstance(inner, within) else change)

    def tight(inner: cst.CSTNode) -> Left:
        made = change(inner)
        return operand(made) if made is not inner and isinstance(made, cst.BinaryOperation) else made

    made = change(node)
    if not isinstance(made, cst.CSTNode):
        raise TypeError("an expression takes the place of another")
    return made


def _with(node: cst.CSTNode, field: str, change: Callable[[cst.CSTNode], Left]) -> cst.CSTNode:
    old = getattr(node, field)
    made = change(old)
    return node if made is old else node.with_changes(**{field: made})


def all_replaced(lines: Sequence[cst.BaseStatement], new: Mapping[str, str]) -> Body:
    """:func:`replaced` for statements."""
    return [made for made in (replaced(line, new) for line in lines) if isinstance(made, cst.BaseStatement)]


def names_in(lines: Sequence[cst.CSTNode]) -> Iterator[cst.Name]:
    """The names that statements read or bind; neither attributes nor keywords."""
    for line in lines:
        apart: set[cst.CSTNode] = set()
        for node in walk(line):
            if isinstance(node, cst.Attribute):
                apart.add(node.attr)
            elif isinstance(node, cst.Arg) and node.keyword is not None:
                apart.add(node.keyword)
            elif isinstance(node, cst.Name) and node not in apart:
                yield node


def attributes_of(lines: Sequence[cst.CSTNode], name: str) -> Iterator[str]:
    """The attributes of a variable that statements name, such as ``epoch`` of ``state``."""
    for line in lines:
        for node in walk(line):
            if isinstance(node, cst.Attribute) and code(node.value) == name:
                yield node.attr.value


def known(node: cst.BaseExpression, truth: Truth) -> bool | None:
    """Whether a condition is true, as far as its parts tell."""
    told = truth(code(node))
    if told is not None:
        return told
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not):
        inner = known(node.expression, truth)
        return None if inner is None else not inner
    if isinstance(node, cst.BooleanOperation):
        sides = known(node.left, truth), known(node.right, truth)
        decides = isinstance(node.operator, cst.Or)
        if decides in sides:
            return decides
        return None if None in sides else not decides
    return None


def _left_of(node: cst.BaseExpression, truth: Truth) -> cst.BaseExpression:
    """The condition without its parts that are known to be true."""
    if isinstance(node, cst.BooleanOperation) and isinstance(node.operator, cst.And):
        if known(node.left, truth):
            return _left_of(node.right, truth)
        if known(node.right, truth):
            return _left_of(node.left, truth)
    return node


def settled(lines: Sequence[cst.BaseStatement], truth: Truth) -> Body:
    """The statements that can run, where some conditions are known; none behind one that returns.

    Args:
        lines: statements of a method, or of a block in it.
        truth: what is known.
    """
    made: Body = []
    for line in lines:
        for kept in _settled(line, truth):
            made.append(kept)
            if returns(kept):
                return made
    return made


def _settled(line: cst.BaseStatement, truth: Truth) -> Body:
    if isinstance(line, cst.If):
        told = known(line.test, truth)
        if told is not None:
            return _with_lines_of(line, settled(_branch(line, truth, taken=told), truth))
        test = _choices(_left_of(line.test, truth), truth)
        body = settled(_lines(line.body), truth) or [statement("pass")]
        return [line.with_changes(test=test, body=cst.IndentedBlock(body))]
    return [line if isinstance(line, cst.BaseCompoundStatement) else _choices(line, truth)]


def _branch(line: cst.If, truth: Truth, *, taken: bool) -> Sequence[cst.BaseStatement]:
    if taken:
        return _lines(line.body)
    if isinstance(line.orelse, cst.If):
        return [line.orelse]
    return _lines(line.orelse.body) if line.orelse is not None else []


def _lines(block: cst.BaseSuite) -> Sequence[cst.BaseStatement]:
    if isinstance(block, cst.IndentedBlock):
        return block.body
    return [cst.SimpleStatementLine(block.body)]  # type: ignore[arg-type]


def _with_lines_of(line: cst.If, body: Body) -> Body:
    """The statements with the comments before the condition that they stood under."""
    if not body or not line.leading_lines:
        return body
    first = body[0]
    own = [*line.leading_lines, *getattr(first, "leading_lines", ())]
    return [first.with_changes(leading_lines=own), *body[1:]]


def _choices(node: Any, truth: Truth) -> Any:
    """``a if known else b``, decided."""
    if isinstance(node, cst.IfExp):
        told = known(node.test, truth)
        if told is not None:
            return _choices(node.body if told else node.orelse, truth)
    return with_children(node, lambda inner: _choices(inner, truth))


def returns(line: cst.BaseStatement) -> bool:
    """Whether nothing can run behind a statement."""
    return isinstance(line, cst.SimpleStatementLine) and any(isinstance(s, cst.Return) for s in line.body)


def returned(lines: Sequence[cst.BaseStatement]) -> list[cst.Return]:
    """All return statements, but those of functions within."""
    found: list[cst.Return] = []
    waiting: list[cst.CSTNode] = list(lines)
    while waiting:
        node = waiting.pop()
        if isinstance(node, cst.Return):
            found.append(node)
        elif not isinstance(node, (cst.FunctionDef, cst.Lambda, cst.ClassDef)):
            waiting += [child for child in node.children if isinstance(child, cst.CSTNode)]
    return found


def without_last_return(lines: Sequence[cst.BaseStatement]) -> Body:
    """The statements without a return at their end.

    Raises:
        NotMoved: if another return is left, behind which further statements of a hook would be skipped.
    """
    kept = list(lines)
    last = kept[-1] if kept else None
    if isinstance(last, cst.SimpleStatementLine) and returns(last):
        kept.pop()
        before = [small for small in last.body if not isinstance(small, cst.Return)]
        if before:
            kept.append(last.with_changes(body=before))
    return kept


def statement(text: str) -> cst.BaseStatement:
    """One statement from its text."""
    made = cst.parse_statement(text)
    if isinstance(made, cst.BaseStatement):
        return made
    raise TypeError(f"{text!r} is no statement")


def method(
    head: str, body: Sequence[cst.BaseStatement], like: cst.FunctionDef | None = None
) -> cst.FunctionDef:
    """``def name(self, ...):`` with a body, and the comments and docstring of another.

    Args:
        head: name and parameters, such as ``log(self)``.
        body: statements.
        like: the method in whose place it stands.
    """
    made = cst.parse_statement(f"def {head}:\n    pass\n")
    lines = list(body) or [statement("pass")]
    if like is not None and like.get_docstring() is not None:
        lines = [like.body.body[0], *lines]  # type: ignore[list-item]
    before = like.leading_lines if like is not None else [cst.EmptyLine(indent=False)]
    lines[0] = lines[0].with_changes(leading_lines=[e for e in lines[0].leading_lines if e.comment])  # type: ignore[attr-defined]
    found = made.with_changes(leading_lines=before, body=cst.IndentedBlock(lines))
    if not isinstance(found, cst.FunctionDef):
        raise TypeError(f"{head!r} is not the head of a function")
    return found
