"""Training arguments of one's own class, or that ``HfArgumentParser`` reads: a dataclass of their fields."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.arguments import WITHOUT_EFFECT
from merlin_migrate.codemod.layout import bind, code, with_args
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.trainers.of_self import is_super, own_names
from merlin_migrate.codemod.trainers.statements import attributes_of
from merlin_migrate.codemod.tree import walk

ARGUMENTS = "transformers4rec.config.trainer.T4RecTrainingArguments"
PARSER = "transformers.HfArgumentParser"
# Annotation and default of 23.12.0; those of the first group are always there.
ALWAYS = {
    "output_dir": ("str", '"trainer_output"'),
    "num_train_epochs": ("int", "3"),
    "max_sequence_length": ("int | None", "None"),
    "per_device_train_batch_size": ("int", "8"),
    "per_device_eval_batch_size": ("int", "8"),
    "learning_rate": ("float", "5e-5"),
    "seed": ("int", "42"),
}
WHERE_MENTIONED = {
    **dict.fromkeys(
        (
            *(
                "overwrite_output_dir",
                "do_train",
                "do_eval",
                "do_predict",
                "no_cuda",
                "use_cpu",
                "fp16",
                "bf16",
            ),
            *("disable_tqdm", "dataloader_drop_last", "group_by_length", "load_best_model_at_end"),
            *("log_predictions", "prediction_loss_only", "save_safetensors"),
        ),
        ("bool", "False"),
    ),
    **dict.fromkeys(("weight_decay", "warmup_ratio"), ("float", "0.0")),
    **dict.fromkeys(("warmup_steps", "eval_steps_on_train_set", "shuffle_buffer_size"), ("int", "0")),
    **dict.fromkeys(("save_steps", "logging_steps", "eval_steps"), ("int", "500")),
    **dict.fromkeys(("logging_dir", "experiments_group", "run_name", "metric_for_best_model"), ("str", '""')),
    **dict.fromkeys(("evaluation_strategy", "eval_strategy"), ("str", '"no"')),
    "max_steps": ("int", "-1"),
    "max_grad_norm": ("float", "1.0"),
    "gradient_accumulation_steps": ("int", "1"),
    "adam_beta1": ("float", "0.9"),
    "adam_beta2": ("float", "0.999"),
    "adam_epsilon": ("float", "1e-8"),
    "lr_scheduler_type": ("str", '"linear"'),
    "learning_rate_num_cosine_cycles_by_epoch": ("float", "1.25"),
    "data_loader_engine": ("str", '"merlin"'),
    "predict_top_k": ("int", "100"),
    "save_strategy": ("str", '"steps"'),
    "report_to": ("str", '"none"'),
    "dataloader_num_workers": ("int", "0"),
}
DEFAULT_NAME = "TrainingArguments"


class ParsedArgumentsRule(Rule):
    """The fields of the old class that the program names, and a few more, stand in a dataclass of its own."""

    number: ClassVar[str] = "MM115"
    title: ClassVar[str] = "parsed arguments"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._classes: set[cst.CSTNode] = set()
        self._direct: set[cst.CSTNode] = set()
        self._before: cst.CSTNode | None = None
        self._own_fields: dict[str, set[str]] = {}
        self._own_names: dict[str, set[str]] = {}
        self._made: dict[cst.CSTNode, set[str]] = {}

    def visit_Module(self, node: cst.Module) -> None:
        """Finds subclasses of fields alone, and parsers that are given the old class itself."""
        for each in self.tree.all_of(cst.ClassDef):
            if self._is_fields(each):
                self._classes.add(each)
                self.program.arguments[each.name.value] = self._fields()
                self._own_fields[each.name.value] = _fields_of(each)
                self._own_names[each.name.value] = own_names(each) | _fields_of(each)
        for call in self.calls():
            if self.qualified(call.func) != PARSER or not call.args:
                continue
            for given in self._given(call):
                entry = self.entry(given)
                if entry is not None and entry.name == ARGUMENTS:
                    self._direct.add(given)
        if self._direct:
            name = self.program.free(DEFAULT_NAME)
            self.program.arguments[name] = self._fields()
            self._before = next(
                line for line in node.body if any(each in self._direct for each in walk(line))
            )
        self._find_parsed()

    def _fields(self) -> tuple[str, ...]:
        mentioned = {
            word.removeprefix("--").replace("-", "_")
            for word in self.program.strings
            if word.startswith("--")
        } | self.program.bound
        return (*ALWAYS, *(name for name in WHERE_MENTIONED if name in mentioned))

    def _is_fields(self, owner: cst.ClassDef) -> bool:
        """Whether a class adds fields to the arguments and nothing else."""
        entry = self.entry(owner.bases[0].value) if len(owner.bases) == 1 else None
        if entry is None or entry.name != ARGUMENTS or any(not _is_dataclass(d) for d in owner.decorators):
            return False
        own = own_names(owner) | _fields_of(owner)
        for line in owner.body.body:
            if isinstance(line, cst.SimpleStatementLine):
                if not all(isinstance(small, (cst.AnnAssign, cst.Pass, cst.Expr)) for small in line.body):
                    return False
            elif not isinstance(line, cst.FunctionDef) or not self._reads_fields(line, own):
                return False
        return True

    def _reads_fields(self, method: cst.FunctionDef, own: set[str]) -> bool:
        """Whether a method reads nothing but fields that stay."""
        calls = [node for node in walk(method) if isinstance(node, cst.Call) and code(node.func) == "super"]
        after_init = [node for node in walk(method) if is_super(node, "__post_init__")]
        names = set(attributes_of([method], "self"))
        return len(calls) == len(after_init) and names <= {*own, *self._fields()}

    @staticmethod
    def _given(call: cst.Call) -> list[cst.BaseExpression]:
        """The classes that a parser is given."""
        value = call.args[0].value
        if isinstance(value, (cst.Tuple, cst.List)):
            return [element.value for element in value.elements]
        return [value]

    def _find_parsed(self) -> None:
        """Variables that hold arguments which a parser has made, or the program itself."""
        for call in self.calls():
            func = call.func
            if isinstance(func, cst.Name) and func.value in self._own_fields:
                self._find_made(call, func.value)
            if not isinstance(func, cst.Attribute) or func.attr.value != "parse_args_into_dataclasses":
                continue
            parser = self.origin(func.value)
            above = self.parent(call)
            if (
                not isinstance(parser, cst.Call)
                or not isinstance(above, cst.Assign)
                or len(above.targets) != 1
            ):
                continue
            if self.qualified(parser.func) != PARSER or not parser.args:
                continue
            target = above.targets[0].target
            names = (
                [e.value for e in target.elements] if isinstance(target, (cst.Tuple, cst.List)) else [target]
            )
            for name, given in zip(names, self._given(parser), strict=False):
                owner = self.program.free(DEFAULT_NAME) if given in self._direct else code(given)
                if isinstance(name, cst.Name) and owner in self.program.arguments:
                    self.program.parsed[name.value] = owner

    def _find_made(self, call: cst.Call, owner: str) -> None:
        """One call of a class of one's own."""
        above = self.parent(call)
        target = (
            above.targets[0].target if isinstance(above, cst.Assign) and len(above.targets) == 1 else None
        )
        bound = bind(call, ("output_dir",))
        if bound is None:
            return
        self._made[call] = {*self.program.arguments[owner], *self._own_fields[owner]}
        if isinstance(target, cst.Name) and self.assignment(target) is above:
            self.program.parsed[target.value] = owner
            changed = {n.attr.value for n in self.tree.all_of(cst.Attribute) if self._is_set(n)}
            self.program.given[target.value] = {n: a for n, a in bound.items() if n not in changed}

    def _is_set(self, node: cst.Attribute) -> bool:
        above = self.parent(node)
        return isinstance(above, (cst.AssignTarget, cst.AugAssign, cst.AnnAssign)) and above.target is node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """A class of one's own is made: what has no field any more is left out."""
        known = self._made.get(original_node)
        if known is None:
            return updated_node
        kept = [arg for arg in updated_node.args if arg.keyword is None or arg.keyword.value in known]
        gone = {arg.keyword.value for arg in updated_node.args if arg.keyword is not None} - known
        if gone - WITHOUT_EFFECT:
            self.mark(f"left out, no successor: {', '.join(sorted(gone - WITHOUT_EFFECT))}", "training")
        return with_args(updated_node, kept) if gone else updated_node

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.BaseStatement:
        """A subclass: what it inherited is written out before its own fields."""
        if original_node not in self._classes:
            return updated_node
        self.done()
        own = self._own_fields[original_node.name.value]
        body = [made for line in updated_node.body.body if (made := _without_super(line)) is not None]
        at = int(updated_node.get_docstring() is not None)
        body[at:at] = [line for name, line in self._lines() if name not in own]
        empty = cst.MaybeSentinel.DEFAULT
        decorators = list(updated_node.decorators)
        if not decorators:
            self.program.imports.add("dataclasses")
            decorators = [cst.Decorator(cst.parse_expression("dataclasses.dataclass"))]
        return updated_node.with_changes(
            bases=[],
            lpar=empty,
            rpar=empty,
            decorators=decorators,
            body=updated_node.body.with_changes(body=body),
        )

    def _lines(self) -> list[tuple[str, cst.BaseStatement]]:
        known = {**ALWAYS, **WHERE_MENTIONED}
        return [
            (name, cst.parse_statement(f"{name}: {known[name][0]} = {known[name][1]}"))
            for name in self._fields()
        ]

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        """The old class in a parser."""
        return self._own() if original_node in self._direct else updated_node

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """The old class in a parser, below a module; a field that is not known."""
        name, attribute = original_node.value, original_node.attr.value
        owner = self.program.parsed.get(name.value) if isinstance(name, cst.Name) else None
        if owner is not None:
            known = {*self.program.arguments[owner], *self._own_names.get(owner, ())}
            if attribute not in known:
                self.mark(f"the arguments have no {attribute} any more: add it to the dataclass", "training")
        return self._own() if original_node in self._direct else updated_node

    def _own(self) -> cst.Name:
        self.done()
        return cst.Name(self.program.free(DEFAULT_NAME))

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        """Puts the class before the statement whose parser takes it."""
        updated = super().leave_Module(original_node, updated_node)
        if self._before is None:
            return updated
        self.program.imports.add("dataclasses")
        made = cst.parse_statement(
            f"@dataclasses.dataclass\nclass {self.program.free(DEFAULT_NAME)}:\n    pass\n"
        )
        lines = [line for _, line in self._lines()]
        blank = [cst.EmptyLine(indent=False), cst.EmptyLine(indent=False)]
        made = made.with_changes(leading_lines=blank, body=cst.IndentedBlock(lines))
        at = original_node.body.index(self._before)
        following = updated.body[at]
        if not getattr(following, "leading_lines", ()):
            following = following.with_changes(leading_lines=blank)
        return updated.with_changes(body=[*updated.body[:at], made, following, *updated.body[at + 1 :]])


def _is_dataclass(decorator: cst.Decorator) -> bool:
    return code(decorator.decorator).split("(")[0].endswith("dataclass")


def _without_super(line: cst.CSTNode) -> cst.CSTNode | None:
    """A member without the call of the old class's ``__post_init__``; None where nothing is left."""
    if not isinstance(line, cst.FunctionDef) or line.name.value != "__post_init__":
        return line
    kept = [
        each for each in line.body.body if not any(is_super(node, "__post_init__") for node in walk(each))
    ]
    return line.with_changes(body=line.body.with_changes(body=kept)) if kept else None


def _fields_of(owner: cst.ClassDef) -> set[str]:
    """Names of the fields that a dataclass defines itself."""
    return {
        small.target.value
        for line in owner.body.body
        if isinstance(line, cst.SimpleStatementLine)
        for small in line.body
        if isinstance(small, cst.AnnAssign) and isinstance(small.target, cst.Name)
    }
