"""What is known of a program's nodes is what LibCST itself finds, and rules go through syntax only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import libcst as cst
import pytest
from libcst import metadata as meta
from libcst.metadata.scope_provider import ScopeVisitor
from merlin_migrate.codemod import rewrite as rewrite_module
from merlin_migrate.codemod import rewrite_source
from merlin_migrate.codemod.rule import Program, Rule
from merlin_migrate.codemod.tree import Tree, walk, with_children

COMPAT = Path(__file__).parents[1] / "compat"
PROGRAMS = sorted([*(COMPAT / "programs").glob("*.py"), *(COMPAT / "programs_merlin").glob("v*.py")])
TARGETS = """
import a.b as c, d.e
from f import g
x, (y, *z) = g
c.k[x] = y = d.e.h
with c as (m, n), g as o.p: pass
for q in x: r: int = q; r += 1
s = [t for t in x if (u := t)]
del s
def v(w: "g" = c, *args): global x; return lambda k: k + w
class A(c.B): k = v
try: pass
except g as error: error.p
p = q if (q := f) else q
def w(a, /, b: "f.h" = c, *, k=d) -> "c.B": import a.b as k; return k.w, a
match f:
    case A(x=[1, *rest]) as got if got: rest
    case c.B | {"k": y}: y
"""


@pytest.mark.parametrize("text", [TARGETS, *(path.read_text() for path in PROGRAMS)])
def test_names_scopes_and_parents_are_those_of_libcst(text: str) -> None:
    wrapper = meta.MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    providers = (meta.QualifiedNameProvider, meta.ScopeProvider, meta.ParentNodeProvider)
    names, scopes, parents = (wrapper.resolve(provider) for provider in providers)
    tree = Tree(wrapper.module)
    assert tree.module is wrapper.module
    for node in tree.nodes:
        if isinstance(node, (cst.Name, cst.Attribute, cst.Call)):
            found = names.get(node, ())
            assert set(tree.qualified_names(node)) == set(found() if callable(found) else found)
            ours, theirs = tree.scopes.get(node), scopes.get(node)
            assert type(ours) is type(theirs)
            if isinstance(node, cst.Name) and ours is not None and theirs is not None:
                assert _uses(ours, node.value) == _uses(theirs, node.value)
        if not isinstance(node, cst.Module):
            assert tree.parents[node] is parents[node]


def _uses(scope: meta.Scope, name: str) -> set[tuple[int, frozenset[int]]]:
    bound = [found for found in scope[name] if isinstance(found, meta.Assignment)]
    return {(id(found.node), frozenset(id(use.node) for use in found.references)) for found in bound}


def test_what_is_not_changed_stays_the_same_object() -> None:
    module = cst.parse_module("a = f(1)\nb = g(2)\n")
    assert with_children(module, lambda node: node) is module

    def renamed(node: cst.CSTNode) -> cst.CSTNode:
        return (
            cst.Name("h")
            if isinstance(node, cst.Name) and node.value == "f"
            else with_children(node, renamed)
        )

    changed = with_children(module, renamed)
    assert isinstance(changed, cst.Module)
    assert changed.code == "a = h(1)\nb = g(2)\n"
    assert changed.body[1] is module.body[1]


def test_a_node_that_stands_twice_gets_a_place_of_its_own() -> None:
    line = cst.parse_statement("a = 1")
    tree = Tree(cst.Module([line, line]))
    assert tree.module.code == "a = 1\na = 1\n"
    assert len(set(map(id, tree.nodes))) == len(tree.nodes) == 11
    assert tree.module.body[0] is line


def test_nodes_of_one_class_are_found_in_the_order_of_the_walk() -> None:
    tree = Tree(cst.parse_module(TARGETS))
    for kind in {type(node) for node in tree.nodes}:
        assert list(tree.all_of(kind)) == [node for node in tree.nodes if type(node) is kind]
    assert not tree.all_of(cst.Await)


def test_no_layout_is_visited() -> None:
    kinds = {type(node).__name__ for node in walk(cst.parse_module(PROGRAMS[0].read_text()))}
    assert {"Call", "Name", "SimpleStatementLine"} <= kinds
    assert not {"Comma", "SimpleWhitespace", "EmptyLine", "Newline", "AssignEqual", "LeftParen"} & kinds


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often a program is parsed and its scopes are found."""
    counts = {"parsed": 0, "scoped": 0}
    parse, infer = cst.parse_module, ScopeVisitor.infer_accesses

    def parsing(*args: Any, **options: Any) -> cst.Module:
        counts["parsed"] += 1
        return parse(*args, **options)

    def scoping(self: ScopeVisitor) -> None:
        counts["scoped"] += 1
        infer(self)

    monkeypatch.setattr(cst, "parse_module", parsing)
    monkeypatch.setattr(ScopeVisitor, "infer_accesses", scoping)
    return counts


def test_a_program_without_legacy_names_is_not_even_parsed(counted: dict[str, int]) -> None:
    assert not rewrite_source(b"import torch\nprint(torch)\n").changed
    assert counted == {"parsed": 0, "scoped": 0}


class _Idle(Rule):
    number = "MM000"
    title = "asks and changes nothing"

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        self.entry(original_node)
        return updated_node


def test_rules_that_change_nothing_share_what_is_known(
    counted: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrite_module, "RULES", (_Idle,) * 5)
    assert not rewrite_source(PROGRAMS[0].read_bytes()).changed
    assert counted == {"parsed": 1, "scoped": 1}


def test_a_rule_that_asks_for_no_names_has_none_found(counted: dict[str, int]) -> None:
    class Counting(Rule):
        number = "MM000"
        title = "counts calls"

    module = cst.parse_module("f(g(1))\n")
    rule = Counting(Program())
    assert rule.apply(Tree(module)) is module
    assert len(rule.calls()) == 2
    assert counted["scoped"] == 0
