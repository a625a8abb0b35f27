"""``MerlinDataLoader.from_schema`` to ``ParquetLoader``, and loops over it."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.follow import is_loader, is_model
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

    def visit_For(self, node: cst.For) -> None:
        """Finds out whether the loop does anything with a batch but give it to a model."""
        names = self._names(node)
        if names is None:
            return
        batch = names[0]
        reads = [each for each in walk(node.body) if isinstance(each, cst.Name) and each.value == batch.value]
        if any(not self._to_model(each) for each in reads):
            self._opened.update(reads)

    def _to_model(self, node: cst.CSTNode) -> bool:
        arg = self.parent(node)
        call = self.parent(arg) if isinstance(arg, cst.Arg) else None
        return isinstance(call, cst.Call) and call.args[0] is arg and is_model(self, call.func)

    def _names(self, loop: cst.For) -> tuple[cst.Name, cst.Name] | None:
        """The variables of ``for batch, targets in loader``."""
        target = loop.target
        if is_loader(self, loop.iter) is None or not isinstance(target, cst.Tuple):
            return None
        names = [element.value for element in target.elements if isinstance(element.value, cst.Name)]
        if len(names) != 2 or len(target.elements) != 2:
            return None
        return names[0], names[1]

    def leave_For(self, original_node: cst.For, updated_node: cst.For) -> cst.BaseStatement:
        """One loop over a loader."""
        loader = is_loader(self, original_node.iter)
        names = self._names(original_node)
        if loader is None:
            return updated_node
        if names is None:
            self.mark("a loader gives one batch at a time, with its targets in it", ANCHOR)
            return updated_node
        batch, labels = names
        if any(not self._is_targets(each) for each in self._reads(original_node, labels)):
            self.mark(f"{code(labels)} is used: a batch has its targets in batch.targets", ANCHOR)
            return updated_node
        opened = any(each in self._opened for each in walk(original_node.body))
        length = self._length(loader)
        if opened and length is None:
            self.mark(
                "the loop looks into a batch: its columns are batch.padded(name), and it is not changed in "
                "place",
                ANCHOR,
            )
            return updated_node
        self.done()
        if not opened or length is None:
            return updated_node.with_changes(target=batch)
        rows = self.program.free("rows_read")
        matrices = cst.parse_statement(
            f"{batch.value} = {{name: {rows}.padded(name, {length}) for name in {rows}.features}}"
        )
        body = updated_node.body.with_changes(body=[matrices, *updated_node.body.body])
        return updated_node.with_changes(target=cst.Name(rows), body=body)

    def _reads(self, loop: cst.For, name: cst.BaseExpression) -> list[cst.CSTNode]:
        return [
            each
            for each in walk(loop.body)
            if isinstance(each, cst.Name) and isinstance(name, cst.Name) and each.value == name.value
        ]

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
