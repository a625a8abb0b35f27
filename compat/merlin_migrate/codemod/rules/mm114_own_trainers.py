"""Subclasses of the trainer, its arguments and callbacks: marks say what each method becomes."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import code
from merlin_migrate.codemod.rule import Program, Rule

TRAINER = "transformers4rec.torch.Trainer"
ARGUMENTS = "transformers4rec.config.trainer.T4RecTrainingArguments"
CALLBACK = "transformers.TrainerCallback"
ANCHOR = "own-trainers"
_STEPS = "is training_step(self, batch, batch_idx) of a subclass of mm.Model"
METHODS = {
    "compute_loss": f"{_STEPS}, whose super().training_step gives the loss",
    "training_step": _STEPS,
    "prediction_step": "is validation_step(self, batch, batch_idx) of a subclass of mm.Model",
    "create_optimizer": "is model.optimizer = a function of the parameters, or mm.OptimizerConfig",
    "create_scheduler": "is mm.OptimizerConfig(schedule=mm.ScheduleConfig(...))",
    "create_optimizer_and_scheduler": "is mm.OptimizerConfig(..., schedule=...)",
    "log": "is self.log(name, value) in a hook of a subclass of mm.Model",
    "evaluate": "is lightning.Trainer.validate, and on_validation_epoch_end of a subclass of mm.Model",
    "predict": "is model.predict(data, k=...)",
    "get_train_dataloader": "is the loader that lightning.Trainer.fit is given",
    "get_eval_dataloader": "is the loader that lightning.Trainer.validate is given",
    "get_test_dataloader": "is the loader that lightning.Trainer.test is given",
}
EVENTS = {
    "on_init_end": "setup",
    "on_train_begin": "on_train_start",
    "on_train_end": "on_train_end",
    "on_epoch_begin": "on_train_epoch_start",
    "on_epoch_end": "on_train_epoch_end",
    "on_step_begin": "on_train_batch_start",
    "on_step_end": "on_train_batch_end",
    "on_evaluate": "on_validation_end",
    "on_save": "on_save_checkpoint",
    "on_log": (
        'on_train_epoch_end, with trainer.callback_metrics, or on_train_batch_end, with outputs["loss"]'
    ),
}


class OwnTrainersRule(Rule):
    """Marks: a method that changes how training goes can mean anything."""

    number: ClassVar[str] = "MM114"
    title: ClassVar[str] = "own trainers"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._methods: dict[cst.CSTNode, str] = {}
        self._owners: dict[cst.CSTNode, str] = {}
        self._trainers: set[str] = set()

    def visit_Module(self, node: cst.Module) -> None:
        """Finds the classes."""
        legacy = any(
            "transformers4rec" in code(each)
            for each in self.tree.nodes
            if isinstance(each, (cst.Import, cst.ImportFrom))
        )
        if not legacy:
            return
        for each in self.tree.nodes:
            if isinstance(each, cst.ClassDef):
                for base in each.bases:
                    self._class(each, base.value)

    def _class(self, owner: cst.ClassDef, base: cst.BaseExpression) -> None:
        entry = self.entry(base)
        name = entry.name if entry is not None else self.qualified(base)
        methods = [each for each in owner.body.body if isinstance(each, cst.FunctionDef)]
        if name == TRAINER:
            self._trainers.add(owner.name.value)
            self._owners[owner] = "a trainer of one's own becomes a subclass of mm.Model, method by method"
            for method in methods:
                what = METHODS.get(method.name.value, "has no successor: lightning.Trainer calls the hooks")
                self._methods[method] = f"{method.name.value} {what}"
        elif name == ARGUMENTS:
            self._owners[owner] = (
                "the arguments become a dataclass without a base class, with the fields that the program "
                "reads"
            )
        elif name == CALLBACK:
            self._owners[owner] = "the base class of a callback is lightning.Callback"
            for method in methods:
                if event := EVENTS.get(method.name.value):
                    self._methods[method] = f"{method.name.value} of a callback is {event}"

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.BaseStatement:
        """One class."""
        if original_node in self._owners:
            self.mark(self._owners[original_node], ANCHOR)
        return updated_node

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.BaseStatement:
        """One method."""
        if original_node in self._methods:
            self.mark(self._methods[original_node], ANCHOR)
        return updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """A trainer of such a class is made."""
        func = original_node.func
        if isinstance(func, cst.Name) and func.value in self._trainers:
            self.mark(
                "its options go to lightning.Trainer, mm.ParquetLoader and model.optimizer, callbacks are "
                "Lightning's; train is fit, evaluate is validate, predict is model.predict",
                ANCHOR,
            )
        return updated_node
