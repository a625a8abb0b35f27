"""A program's syntax without its layout: a quick way through it, and what is known of its nodes.

LibCST's own visitors call every space and comma. Rules look at none of them, so they go only where syntax is,
and what nobody has changed stays the same object.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, TypeVar

import libcst as cst
from libcst import metadata as meta
from libcst.metadata.scope_provider import ScopeVisitor

# Fields of nodes that hold layout, beside those with "whitespace" in their names.
_LAYOUT = frozenset(
    {
        *("asynchronous", "colon", "comma", "comment", "dot", "empty_lines", "equal", "first_colon"),
        *("first_line", "footer", "header", "last_line", "lbrace", "lbracket", "leading_lines"),
        *("lines_after_decorators", "lpar", "newline", "operator", "posonly_ind", "rbrace", "rbracket"),
        *("relative", "rpar", "second_colon", "semicolon", "separator", "trailing_comma"),
        "trailing_whitespace",
    }
)

_SEVERAL = (list, tuple)


@cache
def syntax_fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    """The fields of a class of nodes that may hold further syntax."""
    names = (field.name for field in dataclasses.fields(kind))
    return tuple(name for name in names if name not in _LAYOUT and "whitespace" not in name)


@cache
def _is_node(kind: type) -> bool:
    """Whether objects of a class are nodes; ``isinstance`` takes long for LibCST's abstract classes."""
    return issubclass(kind, cst.CSTNode)


def below(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The nodes right below a node."""
    for name in syntax_fields(type(node)):
        value = getattr(node, name)
        kind: Any = type(value)
        if _is_node(kind):
            yield value
        elif kind in _SEVERAL:
            yield from value


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A node and all below it, in the order of the program's fields."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(reversed(list(below(current))))


Left = cst.CSTNode | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNode]


def with_children(node: cst.CSTNode, change: Callable[[cst.CSTNode], Left]) -> cst.CSTNode:
    """The node with what becomes of its children; the node itself if all of them stay."""
    changes: dict[str, Any] = {}
    for name in syntax_fields(type(node)):
        value = getattr(node, name)
        kind: Any = type(value)
        if _is_node(kind):
            new = change(value)
            if new is not value:
                changes[name] = None if isinstance(new, cst.RemovalSentinel) else new
        elif kind in _SEVERAL and value:
            results = [change(item) for item in value]
            if any(new is not old for new, old in zip(results, value, strict=True)):
                changes[name] = list(_flat(results))
    return node.with_changes(**changes) if changes else node


def _flat(results: Sequence[Left]) -> Iterator[cst.CSTNode]:
    for result in results:
        if isinstance(result, cst.FlattenSentinel):
            yield from result.nodes
        elif not isinstance(result, cst.RemovalSentinel):
            yield result


Node = TypeVar("Node", bound=cst.CSTNode)

_WITH_TARGET: tuple[type[Any], ...] = (
    *(cst.AssignTarget, cst.AnnAssign, cst.AugAssign),
    *(cst.CompFor, cst.For, cst.NamedExpr),
)


def _stored(target: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The names that a target of an assignment sets; not those of which it sets an attribute or item."""
    if isinstance(target, cst.Name):
        yield target
    elif isinstance(target, (cst.Tuple, cst.List)):
        for element in target.elements:
            yield from _stored(element.value)


# Kinds whose fields do not stand in the order of the program.
_AS_WRITTEN = {
    **dict.fromkeys((cst.ExceptHandler, cst.ExceptStarHandler), ("type", "name", "body")),
    cst.IfExp: ("body", "test", "orelse"),
    cst.MatchCase: ("pattern", "guard", "body"),
    cst.Parameters: ("posonly_params", "params", "star_arg", "kwonly_params", "star_kwarg"),
}


class _SyntaxVisitor(ScopeVisitor):
    """LibCST's visitor, led through syntax only; by itself it builds all nodes anew, spaces included."""

    def on_visit(self, node: cst.CSTNode) -> bool:
        if super().on_visit(node):
            for name in _AS_WRITTEN.get(type(node)) or syntax_fields(type(node)):
                value = getattr(node, name)
                kind: Any = type(value)
                if _is_node(kind):
                    value.visit(self)
                elif kind in _SEVERAL:
                    for each in value:
                        each.visit(self)
        return False


class _Scopes(meta.ScopeProvider):
    """LibCST's scopes, told which names are set; to find that out is half of its work."""

    def __init__(self, stored: Collection[cst.CSTNode]) -> None:
        super().__init__()
        self.stored = stored
        self.found: dict[cst.CSTNode, meta.Scope | None] = {}

    def visit_Module(self, node: cst.Module) -> bool:
        visitor = _SyntaxVisitor(self)
        node.visit(visitor)
        visitor.infer_accesses()
        return False

    def set_metadata(self, node: cst.CSTNode, value: Any) -> None:
        self.found[node] = value

    def get_metadata(self, key: Any, node: cst.CSTNode, default: Any = None) -> Any:
        return meta.ExpressionContext.STORE if node in self.stored else meta.ExpressionContext.LOAD


class Tree:
    """A module with what rules ask of its nodes, each found when it is first asked for.

    Args:
        module: the program; a node that stands in it twice is copied, so that each has one place.
    """

    def __init__(self, module: cst.Module) -> None:
        self.module = cst.ensure_type(_each_once(module, set()), cst.Module)

    @cached_property
    def nodes(self) -> tuple[cst.CSTNode, ...]:
        """All nodes, outer ones first."""
        return tuple(walk(self.module))

    @cached_property
    def _of_kind(self) -> dict[type, list[Any]]:
        found: dict[type, list[Any]] = {}
        for node in self.nodes:
            found.setdefault(type(node), []).append(node)
        return found

    def all_of(self, kind: type[Node]) -> Sequence[Node]:
        """The nodes of one class of syntax, outer ones first."""
        return self._of_kind.get(kind, ())

    @cached_property
    def places(self) -> dict[cst.CSTNode, int]:
        """The number of each node among all."""
        return {node: place for place, node in enumerate(self.nodes)}

    @cached_property
    def parents(self) -> dict[cst.CSTNode, cst.CSTNode]:
        """The node around each node."""
        return {child: node for node in self.nodes for child in below(node)}

    @cached_property
    def scopes(self) -> Mapping[cst.CSTNode, meta.Scope | None]:
        """The scope of each node."""
        targets = [node.target for kind in _WITH_TARGET for node in self.all_of(kind)]
        targets += [node.name for node in self.all_of(cst.AsName)]
        scopes = _Scopes({name for target in targets for name in _stored(target)})
        scopes.visit_Module(self.module)
        return scopes.found

    @cached_property
    def _qualified(self) -> dict[cst.CSTNode, Collection[meta.QualifiedName]]:
        return {}

    def qualified_names(self, node: cst.CSTNode) -> Collection[meta.QualifiedName]:
        """What an expression may refer to."""
        found = self._qualified.get(node)
        if found is None:
            scope = self.scopes.get(node)
            found = scope.get_qualified_names_for(node) if scope is not None else ()
            self._qualified[node] = found
        return found


def bound_name(alias: cst.ImportAlias) -> str:
    """The name that an import binds."""
    return alias.evaluated_alias or alias.evaluated_name.partition(".")[0]


def is_used(tree: Tree, alias: cst.ImportAlias) -> bool:
    """Whether anything refers to what an import binds; True where that is not known."""
    scope = tree.scopes.get(alias)
    return scope is None or any(assigned.references for assigned in scope[bound_name(alias)])


def _each_once(node: cst.CSTNode, seen: set[int]) -> cst.CSTNode:
    """The node with a copy of whatever stands in it, or in what was seen before, for the second time."""
    if id(node) in seen:
        return node.deep_clone()
    seen.add(id(node))
    return with_children(node, lambda child: _each_once(child, seen))
