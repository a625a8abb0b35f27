"""Callbacks of the new trainer: those of the program, and what writes the files that the old one wrote."""

from __future__ import annotations

import libcst as cst

from merlin_migrate.codemod.arguments import Training
from merlin_migrate.codemod.layout import fit, keyword
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.training.plan import Callbacks


class CallbackWriter:
    """Writes ``callbacks=[...]``.

    Args:
        rule: that asks for it.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def written(self, training: Training, own: Callbacks, at: cst.CSTNode) -> list[cst.Arg]:
        """``callbacks=[...]``: those of the program, and what writes the files that the old trainer wrote.

        Args:
            training: the training arguments.
            own: what the program gave the trainer.
            at: where they are to stand.
        """
        made = self._checkpoints(training) + self._best(training, own.patience)
        block = self.rule.depth(at)
        if made:
            elements = [cst.Element(call) for call in made]
            elements += [cst.Element(each.value) for each in own.elements]
            listed = fit(cst.List(elements), column=block + 14, indent="    ", block=block)
            return [keyword("callbacks", listed)]
        if not own.elements:
            return []
        return [
            keyword("callbacks", own.whole or cst.List([cst.Element(each.value) for each in own.elements]))
        ]

    def _checkpoints(self, training: Training) -> list[cst.Call]:
        """What writes the files that the old trainer wrote, as Lightning's."""
        if training.checkpoints is None:
            return []
        self.rule.program.imports.add("lightning")
        self.rule.program.checkpoints = True
        home = cst.parse_expression("lightning.pytorch.callbacks.ModelCheckpoint")
        return [cst.Call(home, training.checkpoints)]

    def _best(self, training: Training, patience: cst.BaseExpression | None) -> list[cst.Call]:
        """What keeps the best model, and stops when it has not got better for a while."""
        if training.monitor is None:
            return []
        self.rule.program.imports.add("lightning")
        judged = [
            keyword("monitor", cst.SimpleString(f'"{training.monitor.key}"')),
            keyword("mode", cst.SimpleString(f'"{training.monitor.mode}"')),
        ]
        home = "lightning.pytorch.callbacks"
        made = [cst.Call(cst.parse_expression(f"{home}.ModelCheckpoint"), judged)]
        if patience is not None:
            stop = cst.parse_expression(f"{home}.EarlyStopping")
            made.append(cst.Call(stop, [*judged, keyword("patience", patience)]))
        return made
