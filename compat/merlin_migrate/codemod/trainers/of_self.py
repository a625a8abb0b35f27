"""What methods of a trainer say of the trainer itself, in the words of a model."""

from __future__ import annotations

from collections.abc import Collection

import libcst as cst

from merlin_migrate.codemod.layout import code
from merlin_migrate.codemod.trainers.events import OF_MODELS
from merlin_migrate.codemod.trainers.statements import Body, NotMoved, all_replaced, attributes_of
from merlin_migrate.codemod.tree import walk

NEW = {
    # Stands for the model where it is given away: it is the new one.
    "__self__": "self",
    "self.model": "self",
    "self.state.global_step": "self.global_step",
    "self.state.epoch": "self.global_step / self.trainer.num_training_batches",
    "self.state.max_steps": "self.trainer.estimated_stepping_batches",
    "self.state.num_train_epochs": "self.trainer.max_epochs",
    "self.args.device": "self.device",
    "self.is_world_process_zero()": "self.trainer.is_global_zero",
    "self.is_local_process_zero()": "self.trainer.is_global_zero",
}
OF_LIGHTNING = {"args", "global_step", "trainer", "device", "log"}


def is_super(node: cst.CSTNode | None, name: str) -> bool:
    """Whether a node is ``super().name(...)``."""
    if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Attribute):
        return False
    above = node.func.value
    return node.func.attr.value == name and isinstance(above, cst.Call) and code(above.func) == "super"


def as_model(method: cst.FunctionDef, lines: Body, own: Collection[str], model: str = "") -> Body:
    """Statements with the model's words for what was the trainer's.

    Args:
        method: whose statements they are.
        lines: statements.
        own: attributes and methods of the class itself.
        model: parameter that holds the model.

    Raises:
        NotMoved: if they need what a model does not have.
    """
    name = method.name.value
    if any(_whole(line, "self") for line in lines):
        raise NotMoved(f"{name} gives the trainer itself away")
    new = dict(NEW)
    if model:
        new[model] = "self"
    for text in ("self.model", model):
        if text and any(_whole(line, text) for line in lines):
            raise NotMoved(f"{name} gives the model away as a whole, which is another one now")
        for attribute in attributes_of(lines, text) if text else ():
            if attribute not in OF_MODELS:
                raise NotMoved(f"{name} uses {text}.{attribute}, which the new model may not have")
    _refuse_names(name, lines)
    made = all_replaced(lines, new)
    for attribute in attributes_of(made, "self"):
        if attribute not in {*own, *OF_MODELS, *OF_LIGHTNING}:
            raise NotMoved(f"{name} uses self.{attribute} of the old trainer")
    return made


def _whole(line: cst.CSTNode, text: str) -> bool:
    """Whether an expression stands anywhere but before a dot."""
    found = [
        node for node in walk(line) if isinstance(node, (cst.Name, cst.Attribute)) and code(node) == text
    ]
    before_dots = [
        node.value for node in walk(line) if isinstance(node, cst.Attribute) and code(node.value) == text
    ]
    parts: list[cst.CSTNode] = [node.attr for node in walk(line) if isinstance(node, cst.Attribute)]
    parts += [
        node.args[-1].value
        for node in walk(line)
        if isinstance(node, cst.Call) and code(node.func) == "super" and node.args
    ]
    return any(all(node is not other for other in (*before_dots, *parts)) for node in found)


IN_BOTH = {"bias", ".bias", "LayerNorm.weight", "LayerNorm.bias"}
"""Parts of names that mean the same parameters in old and new models, or none in either."""


def _refuse_names(name: str, lines: Body) -> None:
    """Refuses what tells parameters by a part of their names that may be another now."""
    if not any("named_parameters" in code(line) for line in lines):
        return
    for node in (each for line in lines for each in walk(line)):
        compared: list[cst.CSTNode] = []
        if isinstance(node, cst.Comparison):
            compared = [node.left, *(each.comparator for each in node.comparisons)]
        elif isinstance(node, cst.Call) and code(node.func).endswith((".startswith", ".endswith")):
            compared = [arg.value for arg in node.args]
        elif isinstance(node, (cst.List, cst.Tuple)):
            compared = [element.value for element in node.elements]
        for text in compared:
            if isinstance(text, cst.SimpleString) and text.evaluated_value not in IN_BOTH:
                raise NotMoved(f"{name} tells parameters by {text.value}, which may be another name now")


def own_names(owner: cst.ClassDef) -> set[str]:
    """Attributes that the class sets itself, and its methods."""
    names = {each.name.value for each in owner.body.body if isinstance(each, cst.FunctionDef)}
    for node in walk(owner):
        targets = [node.target] if isinstance(node, (cst.AnnAssign, cst.AugAssign)) else []
        targets += [each.target for each in node.targets] if isinstance(node, cst.Assign) else []
        for target in targets:
            if isinstance(target, cst.Attribute) and code(target.value) == "self":
                names.add(target.attr.value)
    for line in owner.body.body:
        for small in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            if isinstance(small, cst.Assign):
                names |= {code(each.target) for each in small.targets}
            elif isinstance(small, cst.AnnAssign):
                names.add(code(small.target))
    return names
