"""``TabularSequenceFeatures`` put together by hand, to ``TabularInputBlock``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, fit, keyword
from merlin_migrate.codemod.maskings import ARGUMENTS, CLASSES, masking
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.tree import walk

TR = "transformers4rec.torch"
BLOCK = f"{TR}.TabularSequenceFeatures"
PARTS = (
    "continuous_module",
    "categorical_module",
    "pretrained_embedding_module",
    "projection_module",
    "masking",
    "pre",
    "post",
    "aggregation",
    "schema",
)
KINDS = {
    "continuous_module": ("ContinuousFeatures", "CONTINUOUS"),
    "categorical_module": ("SequenceEmbeddingFeatures", "CATEGORICAL"),
}
WIDTHS = {"embedding_dim_default", "embedding_dims"}


@dataclass
class _Block:
    """One input block: the call that makes it, the statements that finish it, what they say."""

    call: cst.Call
    name: str
    arguments: list[cst.Arg] = field(default_factory=list)
    finished: list[cst.CSTNode] = field(default_factory=list)
    length: cst.BaseExpression | None = None
    projection: cst.BaseExpression | None = None
    masking: cst.BaseExpression | None = None


class InputsByHandRule(Rule):
    """Parts that are put together, built and given a masking become the arguments of one block."""

    number: ClassVar[str] = "MM112"
    title: ClassVar[str] = "inputs by hand"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._blocks: dict[cst.CSTNode, _Block] = {}
        self._finished: set[cst.CSTNode] = set()
        self._reasons: dict[cst.CSTNode, str] = {}

    def visit_Module(self, node: cst.Module) -> None:
        """Plans every block before anything changes."""
        for call in self.calls():
            if not self.is_call_of(call, BLOCK):
                continue
            try:
                block = self._planned(call)
            except ValueError as error:
                self._reasons[call] = str(error)
                continue
            self._blocks[call] = block
            self._finished.update(block.finished)

    def _planned(self, call: cst.Call) -> _Block:
        assign = self.parent(call)
        line = self.statement_of(call)
        target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
        bound = bind(call, PARTS)
        if not isinstance(target, cst.Name) or bound is None or not isinstance(line, cst.SimpleStatementLine):
            raise ValueError("an input block is followed only through a variable of its own")
        odd = sorted(name for name in bound if name not in PARTS or name in ("pre", "post"))
        if odd or "pretrained_embedding_module" in bound:
            raise ValueError(f"the argument {(odd or ['pretrained_embedding_module'])[0]} has no successor")
        block = _Block(call, target.value)
        if "projection_module" in bound and code(bound["projection_module"].value) != "None":
            block.projection = bound["projection_module"].value
        if "masking" in bound and code(bound["masking"].value) != "None":
            block.masking = bound["masking"].value
        self._finish(block, line)
        schema, widths = self._columns(bound)
        block.arguments = [cst.Arg(schema), *widths]
        if block.length is not None:
            block.arguments += self.quirks([keyword("pad_to", block.length)])
        elif block.masking is not None:
            raise ValueError("the length of the sequences is not known: the block's build() has to say it")
        aggregation = self._aggregation(bound)
        block.arguments += aggregation
        if block.projection is not None:
            block.arguments.append(keyword("projection", block.projection))
        block.arguments += self._masking(block.masking)
        return block

    def _columns(self, bound: dict[str, cst.Arg]) -> tuple[cst.BaseExpression, list[cst.Arg]]:
        """The schema of the block and the widths of its tables."""
        schemas: list[str] = []
        widths: list[cst.Arg] = []
        found = []
        for part, (kind, tag) in KINDS.items():
            if part not in bound or code(bound[part].value) == "None":
                continue
            made = self.origin(bound[part].value)
            func = made.func if isinstance(made, cst.Call) else None
            owner = self.entry(func.value) if isinstance(func, cst.Attribute) else None
            if owner is None or owner.name.rpartition(".")[2] != kind or func.attr.value != "from_schema":  # type: ignore[union-attr]
                raise ValueError(f"the {part} is followed only as {kind}.from_schema(...)")
            given = bind(made, ("schema",)) or {}  # type: ignore[arg-type]
            tags = code(given["tags"].value).strip("[](), ").rpartition(".")[2] if "tags" in given else ""
            if tags != tag or set(given) - {"schema", "tags", "max_sequence_length", *WIDTHS}:
                raise ValueError(f"the {part} is followed only with tags=[Tags.{tag}]")
            if len(WIDTHS & set(given)) == 2:
                raise ValueError("tables have embedding_dims or embedding_dim_default, not both")
            schemas.append(code(given["schema"].value))
            widths += [keyword("embedding_dim", given[name].value) for name in sorted(WIDTHS & set(given))]
            found.append(tag)
        if len(set(schemas)) != 1:
            raise ValueError("the parts of an input block are followed only where they have one schema")
        schema = cst.parse_expression(schemas[0])
        if len(found) == 1:
            tag_node = cst.Attribute(self.api("Tags"), cst.Name(found[0]))
            schema = cst.Call(cst.Attribute(schema, cst.Name("select")), [cst.Arg(tag_node)])
        return schema, widths

    def _aggregation(self, bound: dict[str, cst.Arg]) -> list[cst.Arg]:
        value = bound["aggregation"].value if "aggregation" in bound else None
        entry = self.entry(value.func) if isinstance(value, cst.Call) and not value.args else None
        joined = entry is not None and entry.name.rpartition(".")[2] == "ConcatFeatures"
        if not joined and (value is None or code(value).strip("'\"") != "concat"):
            raise ValueError("the aggregation has no successor yet, only 'concat' and ConcatFeatures()")
        return [keyword("aggregation", cst.SimpleString('"concat"'))]

    def _masking(self, value: cst.BaseExpression | None) -> list[cst.Arg]:
        if value is None:
            return self.quirks([keyword("attend_to_padding", cst.Name("True"))])
        made = self.origin(value)
        entry = self.entry(made.func) if isinstance(made, cst.Call) else None
        given = bind(made, ("hidden_size", "padding_idx", "eval_on_last_item_seq_only")) or {}  # type: ignore[arg-type]
        if entry is None or entry.name not in CLASSES or set(given) - {"hidden_size", *ARGUMENTS}:
            raise ValueError(f"the masking {code(value)} has no successor")
        options = {name: arg.value for name, arg in given.items() if name in ARGUMENTS}
        return [keyword("masking", masking(self, CLASSES[entry.name], options))]

    def _finish(self, block: _Block, line: cst.SimpleStatementLine) -> None:
        """Reads the statements after the block's own that finish it."""
        around = self.parent(line)
        body = list(around.body) if isinstance(around, (cst.IndentedBlock, cst.Module)) else []
        for statement in body[body.index(line) + 1 :]:
            if not self._mentions(statement, block.name):
                continue
            if not isinstance(statement, cst.SimpleStatementLine) or len(statement.body) != 1:
                return
            if not self._read(block, statement.body[0]):
                return
            block.finished.append(statement)

    @staticmethod
    def _mentions(node: cst.CSTNode, name: str) -> bool:
        return any(isinstance(each, cst.Name) and each.value == name for each in walk(node))

    def _read(self, block: _Block, small: cst.BaseSmallStatement) -> bool:
        """Whether a statement finishes the block, and then what it says."""
        if isinstance(small, cst.Assign) and len(small.targets) == 1:
            target = code(small.targets[0].target)
            value = small.value
            if target == f"{block.name}.masking":
                block.masking = value
                return True
            func = value.func if isinstance(value, cst.Call) else None
            if target != f"{block.name}.projection_module":
                return False
            built = isinstance(func, cst.Attribute) and func.attr.value == "build"
            block.projection = func.value if built else value  # type: ignore[union-attr]
            return True
        call = small.value if isinstance(small, cst.Expr) else None
        if not isinstance(call, cst.Call) or not call.args:
            return False
        if code(call.func) == f"{block.name}.set_masking":
            block.masking = call.args[0].value
            return True
        if code(call.func) == f"{block.name}.build":
            block.length = self._length(call.args[0].value)
            return True
        return False

    @staticmethod
    def _length(sizes: cst.BaseExpression) -> cst.BaseExpression:
        """The positions in ``{name: [-1, length] for name in names}``."""
        size = sizes.value if isinstance(sizes, cst.DictComp) else None
        if isinstance(sizes, cst.Dict) and sizes.elements:
            size = sizes.elements[0].value
        listed = [e.value for e in size.elements] if isinstance(size, (cst.List, cst.Tuple)) else []
        if len(listed) != 2:
            raise ValueError("the sizes that the block is built for cannot be followed")
        return listed[1]

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """One block."""
        reason = self._reasons.get(original_node)
        if reason is not None:
            self.mark(reason, "inputs")
        if original_node not in self._blocks:
            return updated_node
        self.done()
        # Once more, now that what is left out can be marked.
        block = self._planned(original_node)
        made = cst.Call(self.api("TabularInputBlock"), block.arguments)
        return fit(made, column=self.column(original_node), block=self.depth(original_node))

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement:
        """Statements that finished a block go away."""
        return self.dropped(updated_node) if original_node in self._finished else updated_node
