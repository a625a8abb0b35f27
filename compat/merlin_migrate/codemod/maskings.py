"""Maskings by their old names, as objects, with the quirks of old maskings written out."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst

from merlin_migrate.codemod.layout import code, fit, keyword, literal
from merlin_migrate.codemod.rule import Rule

REGISTRY = "transformers4rec.torch.masking.masking_registry"
RANDOM = ("mlm", "masked")
CAUSAL = ("causal", "clm")
PERMUTED = ("plm", "permutation")
REPLACED = ("rtd", "replacement")
NAMES = (*RANDOM, *CAUSAL, *PERMUTED, *REPLACED)
CLASSES = {
    "transformers4rec.torch.masking.MaskedLanguageModeling": "mlm",
    "transformers4rec.torch.masking.CausalLanguageModeling": "causal",
    "transformers4rec.torch.masking.PermutationLanguageModeling": "plm",
    "transformers4rec.torch.masking.ReplacementLanguageModeling": "rtd",
}
ARGUMENTS = (
    "mlm_probability",
    "plm_probability",
    "max_span_length",
    "permute_all",
    "train_on_last_item_seq_only",
    "eval_on_last_item_seq_only",
    "padding_idx",
)
Options = Mapping[str, cst.BaseExpression]


def masking_of(
    rule: Rule, value: cst.BaseExpression, options: Options, *, multiline: bool
) -> cst.BaseExpression | None:
    """The masking object for the old argument ``masking``.

    Args:
        rule: that writes it.
        value: a name, or a variable that holds one.
        options: arguments of the masking by name, among :data:`ARGUMENTS`.
        multiline: whether the call around it is spread over lines.

    Returns:
        None where there was no masking.

    Raises:
        ValueError: if it cannot be followed.
    """
    if code(value) == "None":
        return None
    if isinstance(value, cst.Call):
        raise ValueError("the masking is an object: it is followed only as a name, such as 'mlm'")
    try:
        return masking(rule, str(literal(value)), options)
    except ValueError:
        if isinstance(value, cst.SimpleString):
            raise
    return _choice(rule, value, options, multiline=multiline)


def masking(rule: Rule, name: str, options: Options) -> cst.BaseExpression:
    """The masking object of an old name.

    Raises:
        ValueError: for an option that has no successor, or an unknown name.
    """
    if code(options.get("padding_idx", cst.Integer("0"))) != "0":
        raise ValueError("padding has the id 0 and no other")
    if name in rule.program.maskings:
        return cst.Call(cst.Name(rule.program.maskings[name]))
    if name not in CAUSAL and code(options.get("eval_on_last_item_seq_only", cst.Name("True"))) != "True":
        raise ValueError("evaluation on random items has no successor, only on the last item")
    if name in RANDOM or name in REPLACED:
        # What "rtd" did: it hid items as "mlm" does, with its default probability.
        args = [keyword("probability", options["mlm_probability"])] if "mlm_probability" in options else []
        kept = args if name in RANDOM else []
        quirks = rule.quirks(_true("evaluate_single", "attend_to_padding"))
        return cst.Call(rule.api("RandomMasking"), [*kept, *quirks])
    if name in CAUSAL:
        args = [
            *_last(options, "train_on_last_item_seq_only", "targets", "False"),
            *_last(options, "eval_on_last_item_seq_only", "evaluate_on", "True"),
        ]
        attention = keyword("attention", cst.SimpleString('"full"'))
        quirks = rule.quirks([attention, *_true("replace_padding", "blank_last", "attend_to_padding")])
        return cst.Call(rule.api("CausalMasking"), [*args, *quirks])
    if name in PERMUTED:
        return _permuted(rule, options)
    raise ValueError(f"the masking {name!r} has no successor yet")


def _true(*names: str) -> list[cst.Arg]:
    return [keyword(name, cst.Name("True")) for name in names]


def _last(options: Options, old: str, new: str, default: str) -> list[cst.Arg]:
    text = code(options.get(old, cst.Name(default)))
    if text not in ("True", "False"):
        raise ValueError(f"{old} is not written as True or False")
    return (
        [] if text == default else [keyword(new, cst.SimpleString('"last"' if text == "True" else '"all"'))]
    )


def _permuted(rule: Rule, options: Options) -> cst.BaseExpression:
    if code(options.get("permute_all", cst.Name("False"))) != "False":
        raise ValueError(
            "permute_all=True gave the transformer nothing of the session to learn from: "
            'mm.PermutedMasking(targets="all") does what was meant, with other numbers'
        )
    renamed = {"plm_probability": "probability", "max_span_length": "max_span_length"}
    args = [keyword(new, options[old]) for old, new in renamed.items() if old in options]
    quirks = _true("attend_to_padding", "hide_targets", "look_back", "predict_last", "evaluate_single")
    return cst.Call(rule.api("PermutedMasking"), [*args, *rule.quirks(quirks)])


def _choice(
    rule: Rule, value: cst.BaseExpression, options: Options, *, multiline: bool
) -> cst.BaseExpression:
    """A dict of maskings by old name, looked up by the variable that held the name."""
    known = (*NAMES, *rule.program.maskings)
    written = [name for name in known if name in rule.program.strings]
    elements = [
        cst.DictElement(cst.SimpleString(f'"{name}"'), masking(rule, name, options))
        for name in written or (*RANDOM, *CAUSAL)
    ]
    choice = cst.Subscript(cst.Dict(elements), [cst.SubscriptElement(cst.Index(value))])
    return fit(choice, column=200, indent="    ", block=8) if multiline else choice
