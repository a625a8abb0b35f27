"""A trainer of a program's own as a subclass of ``mm.Model``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import libcst as cst

from merlin_migrate.codemod.layout import code
from merlin_migrate.codemod.trainers.callbacks import MovedClass
from merlin_migrate.codemod.trainers.figures import Figures, moved_evaluation, moved_logging
from merlin_migrate.codemod.trainers.losses import moved_loss, moved_step
from merlin_migrate.codemod.trainers.of_self import as_model, is_super, own_names
from merlin_migrate.codemod.trainers.optimisers import moved_optimizer, moved_scheduler
from merlin_migrate.codemod.trainers.statements import NotMoved, attributes_of, body_of, method, statement
from merlin_migrate.codemod.trainers.taken import OF_MODELS, OF_TRAINERS

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
OF_THE_TRAINER = {
    "model",
    "args",
    "schema",
    "compute_metrics",
    "callbacks",
    "optimizers",
    "incremental_logging",
}


@dataclass
class MovedTrainer(MovedClass):
    """What becomes of a trainer.

    Args:
        optimizer: "once" or "anew" where the class makes the optimiser, for all trainings or for each.
        scheduler: whether it makes the schedule.
        figures: what it logs besides.
        scores: whether it looks at the scores of a batch in training.
        given: its own arguments, which the model takes.
    """

    optimizer: str = ""
    scheduler: bool = False
    figures: Figures = field(default_factory=Figures)
    scores: bool = False
    given: list[str] = field(default_factory=list)


def moved_trainer(
    owner: cst.ClassDef, *, mm: str, accumulates: bool
) -> tuple[MovedTrainer | None, dict[cst.CSTNode, str]]:
    """The members of a trainer's class as those of a model's.

    Args:
        owner: the class.
        mm: name of the new library.
        accumulates: whether the program accumulates gradients, so that a step is several batches.

    Returns:
        What becomes of the class, or None and why, by method; the class itself where it is none of them.
    """
    moved, reasons = MovedTrainer(), dict[cst.CSTNode, str]()
    methods = [each for each in owner.body.body if isinstance(each, cst.FunctionDef)]
    own = own_names(owner) - set(METHODS) - {"optimizer", "lr_scheduler"}
    if both := sorted((own - {"__init__"}) & OF_MODELS):
        reasons[owner] = f"its {both[0]} is the name of something else in mm.Model"
    for each in methods:
        try:
            _METHODS.get(each.name.value, _other)(each, own, moved, mm)
            if accumulates and each.name.value in ("compute_loss", "training_step", "log"):
                raise NotMoved(f"{each.name.value} is called for each batch that gradients add up of")
        except NotMoved as error:
            known = METHODS.get(each.name.value)
            reasons[each] = f"{error}; {each.name.value} {known}" if known else str(error)
    if reasons:
        return None, reasons
    _joined(moved)
    for lines in moved.methods.values():
        moved.arguments |= set(attributes_of(lines, "self.args"))
    return moved, {}


def _loss(old: cst.FunctionDef, own: set[str], moved: MovedTrainer, mm: str) -> None:
    made = moved_loss(old, own, mm)
    moved.scores = made.scores
    moved.methods[old] = [made.step]


def _step(old: cst.FunctionDef, own: set[str], moved: MovedTrainer, mm: str) -> None:
    moved.methods[old] = [*moved_step(old, own)]


def _optimizer(old: cst.FunctionDef, own: set[str], moved: MovedTrainer, mm: str) -> None:
    made, once = moved_optimizer(old, own)
    moved.optimizer = "once" if once else "anew"
    moved.methods[old] = [made]


def _scheduler(old: cst.FunctionDef, own: set[str], moved: MovedTrainer, mm: str) -> None:
    moved.scheduler = True
    moved.methods[old] = [moved_scheduler(old, own)]


def _log(old: cst.FunctionDef, own: set[str], moved: MovedTrainer, mm: str) -> None:
    _take(old, moved_logging(old, own), moved)


def _evaluate(old: cst.FunctionDef, own: set[str], moved: MovedTrainer, mm: str) -> None:
    _take(old, moved_evaluation(old, own), moved)


def _take(old: cst.FunctionDef, figures: Figures, moved: MovedTrainer) -> None:
    moved.methods[old] = [*figures.methods(old)]
    moved.figures.keys |= figures.keys
    moved.figures.logged += [name for name in figures.logged if name not in moved.figures.logged]
    moved.evaluates = True


def _init(old: cst.FunctionDef, own: set[str], moved: MovedTrainer, mm: str) -> None:
    """Its own arguments become the model's, by keyword."""
    params = old.params
    lines = body_of(old)
    small = lines[0].body[0] if lines and isinstance(lines[0], cst.SimpleStatementLine) else None
    if not isinstance(small, cst.Expr) or not is_super(small.value, "__init__"):
        raise NotMoved("__init__ does something before it calls that of the trainer")
    if params.star_kwarg is None or old.decorators:
        raise NotMoved("__init__ takes other arguments than its own and those of the trainer, as **kwargs")
    rest = params.star_kwarg.name.value
    passed = {code(arg).strip().rstrip(",") for arg in small.value.args}  # type: ignore[attr-defined]
    positional = f"*{params.star_arg.name.value}" if isinstance(params.star_arg, cst.Param) else "*"
    mine = [*params.params[1:], *params.kwonly_params]
    names = [each.name.value for each in mine]
    if not passed <= {positional, f"**{rest}"} or set(names) & OF_THE_TRAINER:
        raise NotMoved("__init__ changes the arguments of the trainer")
    blocks = positional[1:] or "blocks"
    signature = "".join(f", {code(each).strip().rstrip(',')}" for each in mine)
    head = f"__init__(self, *{blocks}{signature}, **{rest})"
    first = statement(f"super().__init__(*{blocks}, **{rest})")
    moved.given = names
    moved.methods[old] = [method(head, [first, *as_model(old, lines[1:], own)], old)]


def _other(old: cst.FunctionDef, own: set[str], moved: MovedTrainer, mm: str) -> None:
    """A method that nothing but the class itself calls."""
    name = old.name.value
    if name in METHODS:
        raise NotMoved("it changes what Lightning does by itself")
    if name in OF_TRAINERS or old.decorators or not isinstance(old.body, cst.IndentedBlock):
        raise NotMoved(f"{name} has no successor: lightning.Trainer calls the hooks")
    lines = [*old.body.body]
    changed = as_model(old, lines, own)
    moved.methods[old] = [old.with_changes(body=old.body.with_changes(body=changed))]


_METHODS: dict[str, Callable[[cst.FunctionDef, set[str], MovedTrainer, str], None]] = {
    "__init__": _init,
    "compute_loss": _loss,
    "training_step": _step,
    "create_optimizer": _optimizer,
    "create_scheduler": _scheduler,
    "log": _log,
    "evaluate": _evaluate,
}


def _joined(moved: MovedTrainer) -> None:
    """Methods that have become the same hook stand in one."""
    first: dict[str, tuple[cst.CSTNode, int]] = {}
    for old, lines in moved.methods.items():
        kept: list[cst.BaseStatement] = []
        for line in lines:
            name = line.name.value if isinstance(line, cst.FunctionDef) else ""
            if name not in first:
                first[name] = (old, len(kept))
                kept.append(line)
                continue
            where, place = first[name]
            target = kept if where is old else moved.methods[where]
            whole = target[place]
            more = [each for each in line.body.body if not code(each).strip().startswith("super().on_")]  # type: ignore[attr-defined]
            body = [*whole.body.body, *more]  # type: ignore[attr-defined]
            target[place] = whole.with_changes(body=cst.IndentedBlock(body))
        moved.methods[old] = kept
