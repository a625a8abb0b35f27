"""What is known of a trainer before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import libcst as cst

from merlin_migrate.codemod.arguments import Training
from merlin_migrate.codemod.trainers.callbacks import MovedClass
from merlin_migrate.codemod.trainers.models import MovedTrainer

DATASETS = {
    "train_dataset_or_path": "train_loader",
    "eval_dataset_or_path": "eval_loader",
    "test_dataset_or_path": "test_loader",
}


@dataclass(frozen=True)
class GivenArguments:
    """The training arguments that a trainer is given.

    Args:
        node: as the trainer gets them.
        source: the call that makes them; an empty dict where a command line gives them.
        fields: what is given, by name.
        made_at: where the new trainer's options are made.
    """

    node: cst.BaseExpression
    source: cst.Call
    fields: Mapping[str, cst.Arg]
    made_at: cst.Call

    @property
    def parsed(self) -> bool:
        """Whether a command line gives them."""
        return self.made_at is not self.source

    @property
    def inline(self) -> bool:
        """Whether the options are made in the trainer's own statement."""
        return self.parsed or self.source is self.node


@dataclass
class Plan:
    """One trainer: its variable, what it was made of, and how it is used.

    Args:
        name: its variable.
        statement: where it is made.
        model: the model it was given.
        schema: the schema it was given.
        options: variable with the options of ``lightning.Trainer``.
        training: the training arguments, sorted.
        made: what makes the model, where the trainer was given that instead of a variable.
        renew: a new trainer is needed for each training.
        data: data sets it was given, by attribute.
        fed: attributes of it that the program sets or reads, and those of ``data``.
        late: the callbacks, where they are made behind the training arguments.
        answers: how many items it predicts.
        trained: what the program's own trainer has become, if the model is one.
        arguments: what the methods of that model, or of callbacks, read training arguments of.
        folder: its ``output_dir``, where the program itself writes to it: the old trainer made that folder.
    """

    name: str
    statement: cst.SimpleStatementLine
    model: cst.BaseExpression
    schema: cst.BaseExpression
    options: str
    training: Training
    renew: bool
    made: cst.BaseExpression | None = None
    data: dict[str, cst.BaseExpression] = field(default_factory=dict)
    fed: set[str] = field(default_factory=set)
    folder: cst.BaseExpression | None = None
    late: cst.BaseExpression | None = None
    answers: cst.BaseExpression = field(default_factory=lambda: cst.Integer("100"))
    trained: MovedTrainer | None = None
    arguments: cst.BaseExpression | None = None


@dataclass
class Callbacks:
    """The callbacks that a program gives its trainer.

    Args:
        elements: of the list, those of the program's own classes.
        classes: what has become of their classes.
        patience: of the one that stops early, if there is one.
        whole: the variable that holds the list, if there is one and it may stay.
    """

    elements: list[cst.BaseElement] = field(default_factory=list)
    classes: list[MovedClass] = field(default_factory=list)
    patience: cst.BaseExpression | None = None
    whole: cst.BaseExpression | None = None
