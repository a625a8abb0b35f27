"""What rules know of a program, and tell each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from merlin_migrate.codemod.trainers.callbacks import MovedClass
    from merlin_migrate.codemod.trainers.models import MovedTrainer


@dataclass
class Program:
    """What rules know of the program beyond its syntax tree.

    Args:
        alias: name under which the new library is (to be) imported.
        strings: values of all string literals.
        bound: all names that the program binds anywhere.
        lightning: name under which lightning is (to be) imported.
        imports: names of ``import`` statements that rules ask for, such as ``lightning``.
        applied: how often each rule changed something, by rule number.
        modern: whether options that keep the old behaviour are left out.
        stays: whether models of Merlin's old names stay, and with them the schemas that they take.
        maskings: the program's own classes of maskings, by the names it registers them under.
        checkpoints: whether checkpoints of the trainer are written by Lightning now.
        arguments: fields of the program's own classes of training arguments, by name of the class.
        parsed: such classes by the variables that hold what a command line gave.
        given: what the program itself gives such classes, by variable and field, where it never changes.
        models: the program's own trainers, which are models now, by their new names.
        callbacks: the program's own callbacks, which are Lightning's now.
        metric_keys: new names of what own trainers log, by the old ones.
        used: imported names that the program used before; their imports may go with the last use.
    """

    alias: str = "mm"
    strings: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()
    imports: set[str] = field(default_factory=set)
    applied: dict[str, int] = field(default_factory=dict)
    modern: bool = False
    stays: bool = False
    maskings: dict[str, str] = field(default_factory=dict)
    checkpoints: bool = False
    arguments: dict[str, tuple[str, ...]] = field(default_factory=dict)
    parsed: dict[str, str] = field(default_factory=dict)
    given: dict[str, dict[str, cst.Arg]] = field(default_factory=dict)
    models: dict[str, MovedTrainer] = field(default_factory=dict)
    callbacks: dict[str, MovedClass] = field(default_factory=dict)
    metric_keys: dict[str, str] = field(default_factory=dict)
    used: frozenset[str] = frozenset()

    def free(self, name: str) -> str:
        """The name, with underscores behind it where the program uses it already."""
        while name in self.bound:
            name += "_"
        return name
