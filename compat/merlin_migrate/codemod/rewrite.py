"""One program through all rules."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import libcst as cst

from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import MARK, Rule
from merlin_migrate.codemod.rules import RULES
from merlin_migrate.codemod.split import SplitRule
from merlin_migrate.codemod.star import StarRule
from merlin_migrate.codemod.tree import Tree, bound_name, is_used

LEGACY = re.compile(
    rb"\b(transformers4rec|merlin_standard_lib|merlin\s*\.\s*"
    rb"(core|dag|dataloader|datasets|dtypes|io|loader|models|schema|table))\b|from\s+merlin\s+import"
)
_MARK = re.compile(rf"^\s*{MARK} (?P<rule>\w+) (?P<reason>.*) (?P<link>\S+)$")


class DoesNotParse(ValueError):
    """A file is no Python program that can be read, or not one that can be written again."""


@dataclass(frozen=True)
class Mark:
    """A place that needs a hand, as its comment says.

    Args:
        line: line of the comment, counted from 1.
        rule: number of the rule.
        reason: what to do or why nothing was done.
        link: guide and anchor.
        cell: cell of a notebook, counted from 1; None in a program.
    """

    line: int
    rule: str
    reason: str
    link: str
    cell: int | None = None


@dataclass(frozen=True)
class Result:
    """A program before and after.

    Args:
        before: as it was.
        after: rewritten; the same bytes if there was nothing to do.
        applied: how often each rule changed something, by number.
        marks: all marks in the rewritten program, older ones included.
    """

    before: bytes
    after: bytes
    applied: dict[str, int] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything is different."""
        return self.before != self.after

    @property
    def touches_legacy(self) -> bool:
        """Whether the program mentions a legacy package."""
        return LEGACY.search(self.before) is not None


def rewrite_source(source: bytes, *, rules: Collection[str] | None = None, modern: bool = False) -> Result:
    """Rewrites one program.

    Args:
        source: the file's bytes; encoding and line ends are kept.
        rules: numbers of the rules to run, and that of imports after them; all if not given.
        modern: whether options that keep the old behaviour are left out, and each place is marked.

    Returns:
        The result. Rewriting ``result.after`` again changes nothing.

    Raises:
        DoesNotParse: if it is not Python, or its layout would not stay.
    """
    if not LEGACY.search(source):
        return Result(source, source, marks=tuple(marks_of(source)))
    try:
        module = cst.parse_module(source)
    except (cst.ParserSyntaxError, UnicodeDecodeError, SyntaxError, LookupError) as error:
        first = str(error).strip().splitlines()[0]
        raise DoesNotParse(f"not rewritten, it does not parse: {first}") from error
    if module.bytes != source:
        raise DoesNotParse("not rewritten, its layout cannot be kept: look for form feeds or odd line ends")
    tree = Tree(module)
    program = _program(tree)
    program.modern = modern
    every: tuple[type[Rule], ...] = (StarRule, SplitRule, *RULES)
    chosen = [rule for rule in every if rules is None or rule.number in {*rules, "MM109"}]
    for rule in chosen:
        try:
            changed = rule(program).apply(tree)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            # Better a file that stays, and is told of, than a run that ends in the middle of a folder.
            raise DoesNotParse(f"not rewritten, rule {rule.number} fails on it: {error!r}") from error
        # What is known of the names stays true where a rule has changed nothing, and is dear to find.
        if changed is not tree.module:
            tree = Tree(changed)
    after = tree.module.bytes
    if after == source:
        return Result(source, source, marks=tuple(marks_of(source)))
    return Result(source, after, dict(program.applied), tuple(marks_of(after)))


def marks_of(source: bytes) -> Iterator[Mark]:
    """The marks that a program has."""
    for number, line in enumerate(source.decode("utf-8", "replace").splitlines(), 1):
        if found := _MARK.match(line):
            yield Mark(number, found["rule"], found["reason"], found["link"])


def _program(tree: Tree) -> Program:
    strings, bound, used, alias = set(), set(), set(), None
    for node in tree.nodes:
        if isinstance(node, cst.Name):
            bound.add(node.value)
        elif isinstance(node, cst.SimpleString) and isinstance(node.evaluated_value, str):
            strings.add(node.evaluated_value)
        elif isinstance(node, cst.ImportAlias):
            if node.evaluated_name == "merlin_models_torch":
                alias = bound_name(node)
            if is_used(tree, node):
                used.add(bound_name(node))
    alias = alias or ("mm" if "mm" not in bound else "merlin_models_torch")
    return Program(alias=alias, strings=frozenset(strings), bound=frozenset(bound), used=frozenset(used))
