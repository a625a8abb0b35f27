"""What a program does with a trainer, use by use."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst
from libcst import metadata as meta

from merlin_migrate.codemod.layout import bind, code
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.training.plan import DATASETS
from merlin_migrate.codemod.tree import walk

TRAINER = "transformers4rec.torch.Trainer"
FIT_AND_EVALUATE = "transformers4rec.torch.utils.examples_utils.fit_and_evaluate"


class UsesOfTrainers:
    """Answers questions about trainers and their uses.

    Args:
        rule: that asks.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def written_to(self, folder: cst.BaseExpression) -> bool:
        """Whether the program itself seems to write to the trainer's folder, and does not make it."""
        if any(code(call.func).endswith(("makedirs", "mkdir")) for call in self.rule.calls()):
            return False
        below = folder
        if isinstance(folder, cst.Call) and code(folder.func) == "os.path.join" and folder.args:
            below = folder.args[0].value
        if isinstance(below, cst.SimpleString):
            text = str(below.evaluated_value)
            others = (n for n in self.rule.tree.all_of(cst.SimpleString) if n is not below)
            return any((str(n.evaluated_value) + "/").startswith(f"{text}/") for n in others)
        if not isinstance(below, (cst.Name, cst.Attribute)):
            return False
        given = (arg.value for call in self.rule.calls() for arg in call.args)
        return any(value is not below and code(value) == code(below) for value in given)

    def is_trainer(self, call: cst.Call) -> bool:
        """Whether a trainer is made: the old one, or one of the program's own that builds on it."""
        if self.rule.is_call_of(call, TRAINER):
            return True
        scope = self.rule.scope(call) if isinstance(call.func, cst.Name) else None
        bound = [b.node for b in scope[call.func.value] if isinstance(b, meta.Assignment)] if scope else []  # type: ignore[attr-defined]
        owner = bound[0] if len(bound) == 1 else None
        bases = owner.bases if isinstance(owner, cst.ClassDef) else []
        entries = [self.rule.entry(base.value) for base in bases]
        return any(entry is not None and entry.name == TRAINER for entry in entries)

    def of(self, variable: cst.Name | cst.Attribute) -> Sequence[cst.CSTNode]:
        """All uses of a trainer, in the order of the program."""
        if isinstance(variable, cst.Name):
            return self.rule.uses(variable)
        return [each for each in self._same(variable) if each is not variable and not self._is_none(each)]

    def only_in_its_method(self, variable: cst.Attribute) -> bool:
        """Whether ``self.name``, but for a None before, is made once and used in that method only."""
        scope = self.rule.scope(variable)
        others = [each for each in self._same(variable) if not self._is_none(each)]
        made = [each for each in others if isinstance(self.rule.parent(each), cst.AssignTarget)]
        return made == [variable] and all(self.rule.scope(each) is scope for each in others)

    def _same(self, variable: cst.Attribute) -> list[cst.Attribute]:
        """The attributes of this name in the program, whoever's they are; paths of modules are none."""
        imports = (*self.rule.tree.all_of(cst.ImportFrom), *self.rule.tree.all_of(cst.Import))
        paths = {node for each in imports for node in walk(each)}
        found = self.rule.tree.all_of(cst.Attribute)
        return [each for each in found if each.attr.value == variable.attr.value and each not in paths]

    def _is_none(self, node: cst.CSTNode) -> bool:
        """Whether a node is what ``node = None`` sets, or ``node: Kind = None``."""
        above = self.rule.parent(node)
        assign = self.rule.parent(above) if isinstance(above, cst.AssignTarget) else above
        if not isinstance(assign, (cst.Assign, cst.AnnAssign)) or assign.value is None:
            return False
        return assign.value is not node and code(assign.value) == "None"

    def train_again(self, uses: Sequence[cst.CSTNode]) -> bool:
        """Whether a trainer trains more than once, so that each training needs a new one."""
        training = [use for use in uses if self.method(use) == "train"]
        return (
            len(training) > 1
            or any(self.in_loop(use) for use in training)
            or any(self.windows(use) is not None for use in uses)
        )

    def set(self, use: cst.CSTNode) -> str | None:
        """The attribute of the trainer that is used."""
        attribute = self.attribute(use)
        return attribute.attr.value if attribute is not None else None

    def attribute(self, use: cst.CSTNode) -> cst.Attribute | None:
        """The attribute that a use of the trainer is the owner of."""
        parent = self.rule.parent(use)
        return parent if isinstance(parent, cst.Attribute) and parent.value is use else None

    def method(self, use: cst.CSTNode) -> str | None:
        """Name of the method that is called on the trainer here."""
        attribute = self.attribute(use)
        call = self.rule.parent(attribute) if attribute else None
        if attribute and isinstance(call, cst.Call) and call.func is attribute:
            return attribute.attr.value
        return None

    def in_loop(self, node: cst.CSTNode) -> bool:
        """Whether a node is in a loop of its function."""
        above = self.rule.parent(node)
        while above is not None and not isinstance(above, (cst.FunctionDef, cst.Lambda)):
            if isinstance(above, (cst.For, cst.While)):
                return True
            above = self.rule.parent(above)
        return False

    def needed_early(self, uses: Sequence[cst.CSTNode]) -> bool:
        """Whether the trainer is used for anything but training in time windows."""
        for use in uses:
            if self.is_deleted(use) or self.windows(use) is not None:
                continue
            attribute = self.attribute(use)
            known = attribute is not None and attribute.attr.value in (
                *DATASETS,
                "train",
                "evaluate",
                "reset_lr_scheduler",
                "state",
                "predict",
                "add_callback",
            )
            if not known:
                return True
        return not any(self.method(use) == "train" or self.windows(use) is not None for use in uses)

    def is_deleted(self, use: cst.CSTNode) -> bool:
        """Whether a use is in a ``del``."""
        above: cst.CSTNode | None = use
        while above is not None and not isinstance(above, cst.SimpleStatementLine):
            if isinstance(above, cst.Del):
                return True
            above = self.rule.parent(above)
        return False

    def windows(
        self, use: cst.CSTNode
    ) -> tuple[cst.SimpleStatementLine, dict[str, cst.BaseExpression], str | None] | None:
        """A call of ``fit_and_evaluate`` that gets the trainer, as a statement, with its arguments."""
        call = self.rule.parent(use)
        call = self.rule.parent(call) if isinstance(call, cst.Arg) else None
        if not isinstance(call, cst.Call) or not self.rule.is_call_of(call, FIT_AND_EVALUATE):
            return None
        small, line = self.rule.parent(call), self.rule.statement_of(call)
        bound = bind(call, ("trainer", "start_time_index", "end_time_index", "input_dir"))
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1 or bound is None:
            return None
        given = {name: arg.value for name, arg in bound.items()}
        folder = given.get("input_dir")
        if (
            len(given) != 4
            or not isinstance(folder, (cst.Name, cst.Attribute))
            or given["trainer"] is not use
        ):
            return None
        if isinstance(small, cst.Return):
            return line, given, None
        if isinstance(small, cst.Assign) and len(small.targets) == 1:
            target = small.targets[0].target
            return (line, given, target.value) if isinstance(target, cst.Name) else None
        return None

    @staticmethod
    def sets_data(attribute: cst.Attribute, small: cst.BaseSmallStatement) -> bool:
        """Whether a statement gives the trainer data."""
        if attribute.attr.value not in DATASETS or not isinstance(small, cst.Assign):
            return False
        return len(small.targets) == 1 and small.targets[0].target is attribute

    @staticmethod
    def counts_steps(attr: str, small: cst.BaseSmallStatement) -> bool:
        """Whether a statement counts the trainer's steps."""
        if attr != "state" or not isinstance(small, cst.AugAssign):
            return False
        return code(small.target).endswith(".global_step")
