"""``MerlinDataLoader.from_schema`` to ``ParquetLoader``, and loops over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeGuard

import libcst as cst

from merlin_migrate.codemod.follow import first_of_loader, is_loader, is_model, over_loader
from merlin_migrate.codemod.layout import bind, code, fit, keyword, relaid, renamed, with_args
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.tree import walk

PARAMETERS = ("schema", "paths_or_dataset", "batch_size", "max_sequence_length")
SAME = ("batch_size", "max_sequence_length", "shuffle", "drop_last")
WITHOUT_EFFECT = {
    "buffer_size",
    "parts_per_chunk",
    "row_groups_per_part",
    "reader_kwargs",
    "engine",
    "device",
}
ANCHOR = "loaders-and-loops"


class LoadersRule(Rule):
    """A loader gives batches, not pairs of inputs and targets."""

    number: ClassVar[str] = "MM110"
    title: ClassVar[str] = "loaders"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        # Names of the batch in loops whose batches are opened into a dict of matrices.
        self._opened: set[cst.CSTNode] = set()
        # Statements that take the first pair of a loader.
        self._firsts: dict[cst.CSTNode | None, _First] = {}

    def visit_Module(self, node: cst.Module) -> None:
        """Finds the first batches, and those that the program looks into."""
        for call in self.calls():
            loader = first_of_loader(self, call)
            if loader is not None:
                first = self._first(call, loader)
                self._firsts[self.statement_of(call)] = first
                if first.batch is not None:
                    self._look(self.uses(first.batch))

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """One loader, or a model that gets an opened batch."""
        if is_loader(self, original_node) is original_node:
            try:
                loader = self._loader(updated_node)
            except ValueError as error:
                self.mark(str(error), ANCHOR)
                return updated_node
            self.done()
            column, block = self.column(original_node), self.depth(original_node)
            return relaid(fit(loader, column=column, block=block), column=column, block=block)  # type: ignore[arg-type]
        first = original_node.args[0].value if original_node.args else None
        if first in self._opened and is_model(self, original_node.func):
            wrapped = cst.Call(self.api("Batch"), [cst.Arg(updated_node.args[0].value)])
            args = [updated_node.args[0].with_changes(value=wrapped), *updated_node.args[1:]]
            return updated_node.with_changes(args=args)
        return updated_node

    def _loader(self, call: cst.Call) -> cst.Call:
        bound = bind(call, PARAMETERS)
        if bound is None or not {"schema", "paths_or_dataset", "batch_size"} <= set(bound):
            raise ValueError("the arguments of from_schema cannot be followed")
        args = [renamed(bound["paths_or_dataset"], None), renamed(bound["schema"], None)]
        for name, arg in bound.items():
            if name in SAME and code(arg.value) != "None":
                args.append(renamed(arg, name))
                if name == "max_sequence_length":
                    args += self.quirks([keyword("keep", cst.SimpleString('"oldest"'))])
            elif name not in (*PARAMETERS, *SAME) and name not in WITHOUT_EFFECT:
                raise ValueError(f"the argument {name} of from_schema has no successor")
        if "shuffle" not in bound:
            args.append(keyword("shuffle", cst.Name("True")))
        return with_args(call.with_changes(func=self.api("ParquetLoader")), args)

    # Loops and first batches

    def visit_For(self, node: cst.For) -> None:
        """Finds out whether the loop does anything with a batch but give it to a model."""
        names = self._pair(node)
        if names is not None:
            self._look(self._reads(node, names[0]))

    def _look(self, reads: Sequence[cst.CSTNode]) -> None:
        if any(not self._to_model(each) for each in reads):
            self._opened.update(reads)

    def _to_model(self, node: cst.CSTNode) -> bool:
        arg = self.parent(node)
        call = self.parent(arg) if isinstance(arg, cst.Arg) else None
        return isinstance(call, cst.Call) and call.args[0] is arg and is_model(self, call.func)

    def _pair(self, loop: cst.For) -> tuple[cst.Name, cst.Name] | None:
        """The variables of ``for batch, targets in loader``, counted or not."""
        loader, counted = over_loader(self, loop.iter)
        target: cst.BaseExpression = loop.target
        if counted:
            target = target.elements[1].value if _holds_two(target) else target
        return _two_names(target) if loader is not None else None

    def leave_For(self, original_node: cst.For, updated_node: cst.For) -> cst.BaseStatement:
        """One loop over a loader."""
        loader, counted = over_loader(self, original_node.iter)
        if loader is None:
            return updated_node
        names = self._pair(original_node)
        if names is None:
            self.mark("a loader gives one batch at a time, with its targets in it", ANCHOR)
            return updated_node
        batch, labels = names
        opened = any(each in self._opened for each in walk(original_node.body))
        if not self._may_go(labels, self._reads(original_node, labels), opened=opened, loader=loader):
            return updated_node
        self.done()
        held = cst.Name(self.program.free("rows_read")) if opened else batch
        target: cst.BaseAssignTargetExpression = held
        if counted and isinstance(updated_node.target, cst.Tuple):
            number, pair = updated_node.target.elements
            target = updated_node.target.with_changes(elements=[number, pair.with_changes(value=held)])
        if not opened:
            return updated_node.with_changes(target=target)
        matrices = self._matrices(batch.value, held.value, loader)
        body = updated_node.body.with_changes(body=[matrices, *updated_node.body.body])
        return updated_node.with_changes(target=target, body=body)

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """``batch, targets = next(iter(loader))``, and what else takes batches of a loader."""
        first = self._firsts.get(original_node)
        if first is None:
            return updated_node
        small = updated_node.body[0]
        if first.batch is None or not isinstance(small, cst.Assign):
            self.mark("a loader gives one batch at a time, with its targets in it", ANCHOR)
            return updated_node
        opened = any(each in self._opened for each in self.uses(first.batch))
        labels = first.labels
        if not self._may_go(labels, self.uses(labels) if labels else [], opened=opened, loader=first.loader):
            return updated_node
        self.done()
        held = self.program.free("rows_read") if opened else first.batch.value
        value = small.value.value if isinstance(small.value, cst.Subscript) else small.value
        assign = cst.Assign([cst.AssignTarget(cst.Name(held))], value)
        line = updated_node.with_changes(body=[assign])
        return (
            cst.FlattenSentinel([line, self._matrices(first.batch.value, held, first.loader)])
            if opened
            else line
        )

    def _first(self, taken: cst.Call, loader: cst.Call) -> _First:
        """The variables that a statement puts the first pair of a loader in, or its first half."""
        value: cst.CSTNode | None = taken
        above = self.parent(taken)
        half = isinstance(above, cst.Subscript) and code(above.slice[0]) == "0"
        if half:
            value, above = above, self.parent(above)  # type: ignore[arg-type]
        line = self.statement_of(taken)
        alone = isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
        if (
            not alone
            or not isinstance(above, cst.Assign)
            or above.value is not value
            or len(above.targets) != 1
        ):
            return _First(loader)
        target = above.targets[0].target
        batch, labels = (target, None) if half else _two_names(target) or (None, None)
        if not isinstance(batch, cst.Name) or self.assignments_of(batch) != 1:
            return _First(loader)
        return _First(loader, batch, labels)

    def _may_go(
        self,
        labels: cst.Name | None,
        reads: Sequence[cst.CSTNode],
        *,
        opened: bool,
        loader: cst.Call,
    ) -> bool:
        """Whether a pair becomes a batch; else it is marked why not."""
        if labels is not None and any(not self._is_targets(each) for each in reads):
            self.mark(f"{code(labels)} is used: a batch has its targets in batch.targets", ANCHOR)
            return False
        if opened and self._length(loader) is None:
            self.mark(
                "the loop looks into a batch: its columns are batch.padded(name), and it is not changed in "
                "place",
                ANCHOR,
            )
            return False
        return True

    def _matrices(self, batch: str, rows: str, loader: cst.Call) -> cst.SimpleStatementLine:
        """The batch as the old loader gave it."""
        length = self._length(loader)
        made = cst.parse_statement(
            f"{batch} = {{name: {rows}.padded(name, {length}) for name in {rows}.features}}"
        )
        return cst.ensure_type(made, cst.SimpleStatementLine)

    def leave_CompFor(self, original_node: cst.CompFor, updated_node: cst.CompFor) -> cst.CompFor:
        """A loop within an expression is marked."""
        if over_loader(self, original_node.iter)[0] is not None:
            self.mark("a loader gives one batch at a time, with its targets in it", ANCHOR)
        return updated_node

    @staticmethod
    def _reads(loop: cst.For, name: cst.Name) -> list[cst.CSTNode]:
        return [each for each in walk(loop.body) if isinstance(each, cst.Name) and each.value == name.value]

    def _is_targets(self, node: cst.CSTNode) -> bool:
        """Whether labels are only given back to the model that they came for."""
        arg = self.parent(node)
        named = isinstance(arg, cst.Arg) and arg.keyword is not None and arg.keyword.value == "targets"
        return named or (isinstance(arg, cst.Arg) and arg.keyword is not None and arg.keyword is node)

    @staticmethod
    def _length(loader: cst.Call) -> str | None:
        """Positions of the old loader's matrices, where that may be written elsewhere in the program."""
        bound = bind(loader, PARAMETERS) or {}
        value = bound["max_sequence_length"].value if "max_sequence_length" in bound else None
        if isinstance(value, cst.Integer) or (isinstance(value, cst.Name) and value.value.isupper()):
            return code(value)
        return None


@dataclass(frozen=True)
class _First:
    """What a statement takes of the first pair of a loader; no names where that cannot be followed."""

    loader: cst.Call
    batch: cst.Name | None = None
    labels: cst.Name | None = None


def _holds_two(target: cst.BaseExpression) -> TypeGuard[cst.Tuple]:
    return isinstance(target, cst.Tuple) and len(target.elements) == 2


def _two_names(target: cst.BaseExpression) -> tuple[cst.Name, cst.Name] | None:
    """The names of ``batch, targets``."""
    if not _holds_two(target):
        return None
    batch, labels = (element.value for element in target.elements)
    return (batch, labels) if isinstance(batch, cst.Name) and isinstance(labels, cst.Name) else None
