"""The callbacks that a program gives its trainer, and what it does with the trainer's answers."""

from __future__ import annotations

import libcst as cst

from merlin_migrate.codemod.arguments import Training
from merlin_migrate.codemod.layout import bind, code
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.trainers.callbacks import MovedClass
from merlin_migrate.codemod.trainers.statements import names_in
from merlin_migrate.codemod.training.plan import Callbacks


def callbacks_of(rule: Rule, given: cst.Arg | None, training: Training) -> Callbacks | None:
    """The callbacks of a trainer, if what becomes of each is known: Lightning's, or early stopping."""
    listed = rule.origin(given.value) if given is not None else None
    if given is None or not isinstance(listed, cst.List):
        return None
    made = Callbacks()
    for element in listed.elements:
        call = rule.origin(element.value)
        name = code(call.func) if isinstance(call, cst.Call) else ""
        patience = _patience(rule, call)
        if name in rule.program.callbacks:
            made.elements.append(element)
            made.classes.append(rule.program.callbacks[name])
        elif patience is not None and training.monitor is not None and made.patience is None:
            made.patience = patience
        else:
            return None
    if listed is not given.value and made.patience is None:
        made.whole = given.value
    return made


def added(rule: Rule, call: cst.Call) -> MovedClass | None:
    """The class of a callback that a trainer is given later, if it is one that has moved."""
    if code(call.func).rpartition(".")[2] != "add_callback" or len(call.args) != 1:
        return None
    made = rule.origin(call.args[0].value)
    name = code(made.func) if isinstance(made, cst.Call) else code(call.args[0].value)
    return rule.program.callbacks.get(name)


def _patience(rule: Rule, call: cst.BaseExpression | None) -> cst.BaseExpression | None:
    """How long an ``EarlyStoppingCallback`` waits."""
    if not isinstance(call, cst.Call):
        return None
    if rule.qualified(call.func) != "transformers.EarlyStoppingCallback":
        return None
    given = bind(call, ("early_stopping_patience",))
    if given is None or set(given) - {"early_stopping_patience"}:
        return None
    return given["early_stopping_patience"].value if given else cst.Integer("1")


def is_made_before(rule: Rule, value: cst.BaseExpression, place: cst.CSTNode) -> bool:
    """Whether an expression can stand at a place: what it names has its value there."""
    places = rule.tree.places
    for name in names_in([value]):
        made = rule.assignment(name)
        if made is not None and places[made] > places[place]:
            return False
    return True


def places_of_predictions(rule: Rule, call: cst.Call) -> list[cst.Attribute]:
    """The places that take ``predictions`` of an answer; none if others take something else."""
    above = rule.parent(call)
    if isinstance(above, cst.Attribute):
        return [above] if above.attr.value == "predictions" else []
    target = above.targets[0].target if isinstance(above, cst.Assign) and len(above.targets) == 1 else None
    if not isinstance(target, cst.Name) or rule.assignment(target) is not above:
        return []
    found = [rule.parent(each) for each in rule.uses(target)]
    looked_at = [
        node for node in found if isinstance(node, cst.Attribute) and node.attr.value == "predictions"
    ]
    return looked_at if len(looked_at) == len(found) else []


def answers_items(rule: Rule, model: cst.BaseExpression) -> bool:
    """Whether a model answers with items."""
    made = rule.origin(model)
    output = rule.origin(made.args[1].value) if isinstance(made, cst.Call) and len(made.args) > 1 else None
    return isinstance(output, cst.Call) and code(output.func).endswith(".CategoricalOutput")
