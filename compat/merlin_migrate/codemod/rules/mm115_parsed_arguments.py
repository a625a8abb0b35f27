"""Training arguments that ``HfArgumentParser`` reads from the command line: a dataclass of their fields."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import code
from merlin_migrate.codemod.rule import Program, Rule
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

    def visit_Module(self, node: cst.Module) -> None:
        """Finds subclasses of fields alone, and parsers that are given the old class itself."""
        for each in self.tree.nodes:
            if isinstance(each, cst.ClassDef) and self._is_fields(each):
                self._classes.add(each)
                self.program.arguments[each.name.value] = self._fields()
                self._own_fields[each.name.value] = _fields_of(each)
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
        decorated = any(code(each.decorator).split("(")[0].endswith("dataclass") for each in owner.decorators)
        lines = owner.body.body
        plain = all(
            isinstance(line, cst.SimpleStatementLine)
            and all(isinstance(small, (cst.AnnAssign, cst.Pass, cst.Expr)) for small in line.body)
            for line in lines
        )
        return entry is not None and entry.name == ARGUMENTS and decorated and plain

    @staticmethod
    def _given(call: cst.Call) -> list[cst.BaseExpression]:
        """The classes that a parser is given."""
        value = call.args[0].value
        if isinstance(value, (cst.Tuple, cst.List)):
            return [element.value for element in value.elements]
        return [value]

    def _find_parsed(self) -> None:
        """Variables that hold arguments which a parser has made."""
        for call in self.calls():
            func = call.func
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

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.BaseStatement:
        """A subclass: what it inherited is written out before its own fields."""
        if original_node not in self._classes:
            return updated_node
        self.done()
        own = self._own_fields[original_node.name.value]
        body = list(updated_node.body.body)
        at = int(updated_node.get_docstring() is not None)
        body[at:at] = [line for name, line in self._lines() if name not in own]
        empty = cst.MaybeSentinel.DEFAULT
        return updated_node.with_changes(
            bases=[], lpar=empty, rpar=empty, body=updated_node.body.with_changes(body=body)
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
            known = {*self.program.arguments[owner], *self._own_fields.get(owner, ())}
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


def _fields_of(owner: cst.ClassDef) -> set[str]:
    """Names of the fields that a dataclass defines itself."""
    return {
        small.target.value
        for line in owner.body.body
        if isinstance(line, cst.SimpleStatementLine)
        for small in line.body
        if isinstance(small, cst.AnnAssign) and isinstance(small.target, cst.Name)
    }
