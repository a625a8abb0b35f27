"""Where each training argument of the old trainer goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import libcst as cst

from merlin_migrate.codemod.layout import code, is_plain, keyword, literal, operand, parse, renamed
from merlin_migrate.codemod.metric_keys import new_key

TO_TRAINER = {
    "output_dir": "default_root_dir",
    "num_train_epochs": "max_epochs",
    "max_steps": "max_steps",
    "max_grad_norm": "gradient_clip_val",
    "gradient_accumulation_steps": "accumulate_grad_batches",
    "logging_steps": "log_every_n_steps",
}
TO_OPTIMIZER = {
    "learning_rate": "lr",
    "weight_decay": "weight_decay",
    "adam_epsilon": "eps",
    "warmup_steps": "warmup_steps",
}
TO_LOADERS = {
    "per_device_train_batch_size": "train_batch_size",
    "per_device_eval_batch_size": "eval_batch_size",
    "max_sequence_length": "max_sequence_length",
    "dataloader_drop_last": "drop_last",
}
SCHEDULES = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant",
    "constant_with_warmup": "constant",
    "cosine_with_restarts": "cosine_restarts",
    "polynomial": "polynomial",
}
PARSED = "as the command line says"
WITHOUT_EFFECT = {
    "data_loader_engine",
    "predict_top_k",
    "overwrite_output_dir",
    "do_train",
    "do_eval",
    "do_predict",
    "shuffle_buffer_size",
    "experiments_group",
    "compute_metrics_each_n_steps",
    "eval_steps_on_train_set",
    "eval_on_test_set",
    "evaluation_strategy",
    "eval_strategy",
    "eval_steps",
    "eval_accumulation_steps",
    "logging_strategy",
    "logging_dir",
    "log_level",
    "local_rank",
    "run_name",
    "remove_unused_columns",
    "dataloader_num_workers",
    "prediction_loss_only",
    "save_safetensors",
}
_FILES = {"save_steps", "save_total_limit"}
CHECKPOINTS = {
    "save_steps",
    "save_total_limit",
    "load_best_model_at_end",
    "metric_for_best_model",
    "greater_is_better",
}


@dataclass(frozen=True)
class Monitor:
    """By what a model is judged while it is trained.

    Args:
        key: name of the figure as Lightning logs it.
        mode: "min" or "max".
    """

    key: str
    mode: str


@dataclass
class Training:
    """The training arguments, sorted.

    Args:
        trainer: arguments of ``lightning.Trainer``.
        optimizer: arguments of ``OptimizerConfig``.
        loaders: values for the loaders, by the keys of :data:`TO_LOADERS`.
        seed: the seed, if given.
        checkpoints: arguments of Lightning's ``ModelCheckpoint``, where all of them were kept.
        monitor: the figure by which the best model is kept and training stops early, if there is one.
        reasons: what has to be done by hand.
    """

    trainer: list[cst.Arg] = field(default_factory=list)
    optimizer: list[cst.Arg] = field(default_factory=list)
    loaders: dict[str, cst.BaseExpression] = field(default_factory=dict)
    seed: cst.BaseExpression | None = None
    monitor: Monitor | None = None
    checkpoints: list[cst.Arg] | None = None
    reasons: list[str] = field(default_factory=list)


def sorted_arguments(bound: Mapping[str, cst.Arg], *, carry_over: bool) -> Training:
    """Sorts the arguments of ``T4RecTrainingArguments`` and writes its defaults out where ours differ.

    Args:
        bound: arguments by name.
        carry_over: whether the optimiser goes on over several trainings.
    """
    result = Training(monitor=_monitor(bound))
    best = CHECKPOINTS if result.monitor is not None else set()
    if result.monitor is None:
        result.checkpoints = _kept(bound)
    written = {"save_strategy", "save_steps", "save_total_limit"} if result.checkpoints else set()
    unknown = []
    for name, arg in bound.items():
        if name in TO_TRAINER:
            result.trainer.append(renamed(arg, TO_TRAINER[name]))
        elif name in TO_LOADERS:
            result.loaders[TO_LOADERS[name]] = arg.value
        elif name == "seed":
            result.seed = arg.value
        elif name in best or (name == "save_strategy" and best) or name in written:
            continue
        elif name == "save_steps" and code(arg.value) == "0":
            result.trainer.append(renamed(arg, "enable_checkpointing", cst.Name("False")))
        elif name in CHECKPOINTS:
            reason = "checkpoints are written by lightning.pytorch.callbacks.ModelCheckpoint"
            result.reasons += [] if reason in result.reasons else [reason]
        elif name in _SPECIAL:
            result.trainer += _special(name, arg, result.reasons)
        elif name in TO_OPTIMIZER or name in WITHOUT_EFFECT or name in _SCHEDULE:
            continue
        else:
            unknown.append(name)
    if unknown:
        result.reasons.append(f"left out, no successor: {', '.join(unknown)}")
    if not {"num_train_epochs", "max_steps"} & set(bound):
        result.trainer.append(keyword("max_epochs", cst.Integer("3")))
    if "max_grad_norm" not in bound:
        result.trainer.append(keyword("gradient_clip_val", cst.Float("1.0")))
    result.optimizer = _optimizer(bound, result.reasons, carry_over=carry_over)
    for name in ("train_batch_size", "eval_batch_size"):
        result.loaders.setdefault(name, cst.Integer("8"))
    return result


def _kept(bound: Mapping[str, cst.Arg]) -> list[cst.Arg] | None:
    """Arguments of ``ModelCheckpoint`` for ``checkpoint-<step>`` folders; None where none were asked for."""
    strategy = code(bound["save_strategy"].value).strip("'\"") if "save_strategy" in bound else ""
    folder = bound.get("output_dir")
    if strategy not in ("epoch", "steps") or folder is None or CHECKPOINTS & set(bound) - _FILES:
        return None
    if not is_plain(folder.value) and not code(folder.value).startswith("os.path.join("):
        return None
    args = [
        keyword("dirpath", folder.value),
        keyword("filename", cst.SimpleString('"checkpoint-{step}/pytorch_model"')),
        keyword("auto_insert_metric_name", cst.Name("False")),
    ]
    if strategy == "steps":
        steps = bound["save_steps"].value if "save_steps" in bound else cst.Integer("500")
        args.append(keyword("every_n_train_steps", steps))
    if "save_total_limit" in bound and code(bound["save_total_limit"].value) != "None":
        args += [keyword("monitor", cst.SimpleString('"step"')), keyword("mode", cst.SimpleString('"max"'))]
        return [*args, keyword("save_top_k", bound["save_total_limit"].value)]
    return [*args, keyword("save_top_k", cst.parse_expression("-1"))]


def parsed_fields(name: str, fields: Sequence[str], given: Mapping[str, cst.Arg]) -> dict[str, cst.Arg]:
    """The training arguments that a variable holds, of those that have a successor.

    Args:
        name: of the variable.
        fields: of its class.
        given: what the program itself gives them; literals that choose how to train stay.
    """
    known = {
        *TO_TRAINER,
        *TO_OPTIMIZER,
        *TO_LOADERS,
        *_SPECIAL,
        *_SCHEDULE,
        *CHECKPOINTS,
        "seed",
        "predict_top_k",
    }
    of = cst.Name(name)
    choices = {*_SPECIAL, *_SCHEDULE, *CHECKPOINTS, "evaluation_strategy", "eval_strategy"}
    found = {
        name: keyword(name, arg.value) for name, arg in given.items() if name in choices and _is_literal(arg)
    }
    rest = (field for field in fields if field in known and field not in found)
    return {**{field: keyword(field, cst.Attribute(of, cst.Name(field))) for field in rest}, **found}


def _is_literal(arg: cst.Arg) -> bool:
    try:
        literal(arg.value)
    except ValueError:
        return False
    return True


def _monitor(bound: Mapping[str, cst.Arg]) -> Monitor | None:
    """By what the model is judged, where it is judged and kept after each epoch and the best is loaded."""
    given: dict[str, object] = {}
    for name in (*CHECKPOINTS, "save_strategy", "evaluation_strategy", "eval_strategy"):
        if name in bound:
            try:
                given[name] = literal(bound[name].value)
            except ValueError:
                return None
    judged = given.get("evaluation_strategy", given.get("eval_strategy"))
    if not given.get("load_best_model_at_end") or {judged, given.get("save_strategy")} != {"epoch"}:
        return None
    figure = str(given.get("metric_for_best_model", "loss"))
    greater = given.get("greater_is_better")
    key = "val_loss" if figure in ("loss", "eval_loss") else new_key(figure)
    if key is None:
        return None
    rises = not key.endswith("loss") if greater is None else bool(greater)
    return Monitor(key, "max" if rises else "min")


_SPECIAL = {"no_cuda", "use_cpu", "report_to", "save_strategy", "disable_tqdm", "fp16", "bf16"}
_SCHEDULE = {"lr_scheduler_type", "learning_rate_num_cosine_cycles_by_epoch", "adam_beta1", "adam_beta2"}


def _special(name: str, arg: cst.Arg, reasons: list[str]) -> list[cst.Arg]:
    """Arguments whose values change, not only their names."""
    text = code(arg.value)
    if name in ("no_cuda", "use_cpu"):
        cpu = cst.SimpleString('"cpu"')
        if text == "True":
            return [renamed(arg, "accelerator", cpu)]
        return [] if text == "False" else [renamed(arg, "accelerator", _either(arg.value, cpu, '"auto"'))]
    if name == "disable_tqdm":
        opposite = {"True": "False", "False": "True"}.get(text)
        value = cst.Name(opposite) if opposite else cst.UnaryOperation(cst.Not(), arg.value)
        return [renamed(arg, "enable_progress_bar", value)]
    if name in ("fp16", "bf16"):
        precision = cst.SimpleString('"16-mixed"' if name == "fp16" else '"bf16-mixed"')
        if text == "True":
            return [renamed(arg, "precision", precision)]
        return (
            [] if text == "False" else [renamed(arg, "precision", _either(arg.value, precision, '"32-true"'))]
        )
    if name == "save_strategy":
        if isinstance(arg.value, cst.Attribute):
            kept = cst.parse_expression(f'{text} != "no"')
            return [renamed(arg, "enable_checkpointing", kept)]
        if text.strip("'\"") == "no":
            return [renamed(arg, "enable_checkpointing", cst.Name("False"))]
        reasons.append("checkpoints are written by lightning.pytorch.callbacks.ModelCheckpoint")
        return []
    if text in ("[]", '"none"', "'none'"):
        return [renamed(arg, "logger", cst.Name("False"))]
    if isinstance(arg.value, cst.Attribute):
        return [renamed(arg, "logger", cst.parse_expression(f'{text} not in ("none", [], ["none"])'))]
    reasons.append(f"report_to={text}: give lightning.Trainer a logger of lightning.pytorch.loggers")
    return []


def _either(condition: cst.BaseExpression, yes: cst.BaseExpression, no: str) -> cst.BaseExpression:
    return cst.IfExp(test=condition, body=yes, orelse=cst.SimpleString(no))


def _optimizer(bound: Mapping[str, cst.Arg], reasons: list[str], *, carry_over: bool) -> list[cst.Arg]:
    values = {new: bound[old].value for old, new in TO_OPTIMIZER.items() if old in bound}
    args = [keyword("lr", values.pop("lr", cst.Float("5e-5")))]
    warmup = _warmup(bound, values.pop("warmup_steps", None))
    args += [keyword(name, value) for name, value in values.items()]
    args += [keyword("warmup_steps", warmup)] if warmup is not None else []
    if "adam_beta1" in bound or "adam_beta2" in bound:
        betas = [
            bound[n].value if n in bound else cst.Float(d)
            for n, d in (("adam_beta1", "0.9"), ("adam_beta2", "0.999"))
        ]
        args.append(keyword("betas", cst.Tuple([cst.Element(beta) for beta in betas])))
    schedule = _schedule(bound, reasons)
    named = bound["lr_scheduler_type"].value if schedule == PARSED else None
    choice = parse(f"{SCHEDULES}[__name__]".replace("'", '"'), {"name": named}) if named is not None else None
    args.append(keyword("schedule", choice or cst.SimpleString(f'"{schedule}"')))
    if schedule in ("cosine", "cosine_restarts", PARSED):
        args.append(keyword("cycles", _cycles(bound)))
    if schedule in ("polynomial", PARSED):
        # Hugging Face's ends at the rate 1e-7.
        rate = next(arg.value for arg in args if arg.keyword and arg.keyword.value == "lr")
        args.append(keyword("end", cst.BinaryOperation(cst.Float("1e-7"), cst.Divide(), operand(rate))))
    if carry_over:
        args.append(keyword("carry_over", cst.Name("True")))
    return args


def _name_of_schedule(bound: Mapping[str, cst.Arg]) -> str:
    """The old name, :data:`PARSED` where only the running program knows it."""
    if "lr_scheduler_type" not in bound:
        return "linear"
    value = bound["lr_scheduler_type"].value
    if isinstance(value, cst.Attribute) and value.attr.value == "lr_scheduler_type":
        return PARSED
    try:
        return str(literal(value))
    except ValueError:
        return code(value).rpartition(".")[2].lower()


def _schedule(bound: Mapping[str, cst.Arg], reasons: list[str]) -> str:
    name = _name_of_schedule(bound)
    if name == PARSED or name in SCHEDULES:
        return SCHEDULES.get(name, PARSED)
    value = bound["lr_scheduler_type"].value
    reasons.append(f"the schedule {code(value)} has no successor, linear stands in its place")
    return "linear"


def _warmup(bound: Mapping[str, cst.Arg], steps: cst.BaseExpression | None) -> cst.BaseExpression | None:
    """Steps of warming up, if there are any: the schedule "constant" took no notice of them."""
    name = _name_of_schedule(bound)
    if name != PARSED or steps is None:
        return None if name == "constant" else steps
    named = code(bound["lr_scheduler_type"].value)
    condition = cst.parse_expression(f'{named} != "constant"')
    return cst.IfExp(test=condition, body=steps, orelse=cst.Integer("0"))


def _cycles(bound: Mapping[str, cst.Arg]) -> cst.BaseExpression:
    each, epochs = (
        operand(bound[name].value) if name in bound else cst.parse_expression(default)
        for name, default in (("learning_rate_num_cosine_cycles_by_epoch", "1.25"), ("num_train_epochs", "3"))
    )
    return cst.BinaryOperation(each, cst.Multiply(), epochs)
