"""Several heads of V1 as one model: bodies by target, and one weight for each task's loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from merlin_migrate.codemod.layout import code, keyword, operand
from merlin_migrate.codemod.merlin.v1_models import Model

if TYPE_CHECKING:
    from merlin_migrate.codemod.merlin.v1_writer import WriterOfV1


class HeadsOfV1:
    """Writes the parts of a model of several heads.

    Args:
        writer: of models, which writes tasks and towers.
    """

    def __init__(self, writer: WriterOfV1) -> None:
        self.writer = writer
        self.rule = writer.rule

    def parts(self, made: Model) -> list[cst.BaseExpression]:
        """Body, towers and output.

        Raises:
            ValueError: if something has no successor.
        """
        blocks = [self.writer.block_of(head, task) for head in made.heads for task in head.tasks]
        if len({code(head.body) for head in made.heads}) > 1:
            return [self._bodies(made, blocks), self._output(made)]
        tower = self.writer.towers(made.tasks, blocks)
        body = self.rule.rewritten(made.body)
        return [body, *([] if tower is None else [tower]), self._output(made)]

    def _bodies(self, made: Model, blocks: list[cst.BaseExpression | None]) -> cst.BaseExpression:
        """Each head's body, and what stands before its one task, by target."""
        items = []
        for head, block in zip(made.heads, blocks, strict=True):
            body = self.rule.rewritten(head.body)
            if block is not None:
                body = cst.Call(self.rule.api("Block"), [cst.Arg(body), cst.Arg(self.rule.rewritten(block))])
            items.append(cst.DictElement(self.writer.target(head.tasks[0]), body))
        return cst.Call(self.rule.api("ParallelBlock"), [cst.Arg(cst.Dict(items))])

    def _output(self, made: Model) -> cst.BaseExpression:
        listed = cst.List([cst.Element(output) for output in self.writer.outputs(made.tasks)])
        targets = [code(self.writer.target(task)) for task in made.tasks]
        if len(set(targets)) < len(targets):
            raise ValueError("two tasks have the same target: give it once")
        args = [cst.Arg(listed)]
        weights = self._weights(made)
        if any(code(weight) != "1.0" for weight in weights):
            pairs = zip(made.tasks, weights, strict=True)
            items = [cst.DictElement(self.writer.target(task), weight) for task, weight in pairs]
            args.append(keyword("loss_weights", cst.Dict(items)))
        return cst.Call(self.rule.api("TabularOutputBlock"), args)

    def _weights(self, made: Model) -> list[cst.BaseExpression]:
        """Of each task's loss in the sum: its own, its head's, and what both means divide by."""
        of_heads = self._listed(made.weights, len(made.heads))
        found = []
        for head, outer in zip(made.heads, of_heads, strict=True):
            means = [len(made.heads)] if made.reduction == "mean" else []
            means += [len(head.tasks)] if head.reduction == "mean" else []
            for inner in self._listed(head.weights, len(head.tasks)):
                found.append(self._product(inner, outer, means))
        return found

    def _product(
        self, inner: cst.BaseExpression | None, outer: cst.BaseExpression | None, means: list[int]
    ) -> cst.BaseExpression:
        divisor = 1
        for count in means:
            divisor *= count
        if divisor > 1 and not self.rule.quirks([keyword("reduction", cst.SimpleString('"mean"'))]):
            divisor = 1
        factors = [code(operand(factor)) for factor in (inner, outer) if factor is not None] or ["1.0"]
        text = " * ".join(factors) + (f" / {divisor}" if divisor > 1 else "")
        return cst.parse_expression(text)

    def _listed(self, given: cst.BaseExpression | None, count: int) -> list[cst.BaseExpression | None]:
        """Weights that are written one by one; None for each where there are none."""
        if given is None:
            return [None] * count
        display = self.rule.origin(given)
        if not isinstance(display, cst.List) or len(display.elements) != count:
            raise ValueError("the weights of heads and tasks are not lists written in the same function")
        return [element.value for element in display.elements]
