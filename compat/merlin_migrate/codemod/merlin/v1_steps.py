"""``Model.fit`` and ``Model.evaluate`` of V1 as the loops that they were."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import libcst as cst

from merlin_migrate.codemod.layout import bind, code
from merlin_migrate.codemod.rule import Rule

_FIT = ("dataloader", "optimizer", "eval_dataloader", "num_epochs", "amp", "train", "verbose")
_EVALUATE = ("dataloader", "verbose", "mode")
_ONLY = {"eval_dataloader": "None", "amp": "False", "train": "True"}


class StepsOfV1:
    """Writes loops.

    Args:
        rule: that asks for it.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def free(self, name: str) -> str:
        """The name, with underscores behind it where the program has a variable of that name."""
        while name in self._variables:
            name += "_"
        return name

    @cached_property
    def _variables(self) -> frozenset[str]:
        tree = self.rule.tree
        other = {id(node.attr) for node in tree.all_of(cst.Attribute)}
        other |= {id(node.keyword) for node in tree.all_of(cst.Arg) if node.keyword}
        return frozenset(node.value for node in tree.all_of(cst.Name) if id(node) not in other)

    def check(self, method: str, call: cst.Call) -> Mapping[str, cst.Arg]:
        """The arguments of ``fit`` or ``evaluate``.

        Raises:
            ValueError: if they cannot be followed.
        """
        bound = bind(call, _FIT if method == "fit" else _EVALUATE)
        allowed = {*_FIT, "compute_metric"} if method == "fit" else {*_EVALUATE}
        if bound is None or "dataloader" not in bound or set(bound) - allowed:
            raise ValueError(f"the arguments of {method} cannot be followed")
        for name, only in _ONLY.items():
            if name in bound and code(bound[name].value) != only:
                raise ValueError(f"the argument {name} of fit has no successor: write it into the loop")
        data = bound["dataloader"].value
        made = self.rule.origin(data)
        if isinstance(made, cst.Call) and code(made.func).rpartition(".")[2] == "DataLoader":
            raise ValueError(
                f"{method} went through the dataset of a torch DataLoader and left its batches out: "
                "give batches in another iterable, such as list(loader)"
            )
        if not isinstance(data, (cst.Name, cst.Attribute, cst.List, cst.Tuple)):
            raise ValueError(
                f"the data {code(data)} of {method} are made in the call: give them a name before"
            )
        return bound

    def fit(self, original: cst.Call, call: cst.Call, target: cst.Name | None) -> str:
        """The loop of a training.

        Args:
            original: the call of ``fit``, as it is in the program.
            call: with its parts in the new names.
            target: variable that takes the losses.
        """
        before, bound = self.check("fit", original), self.check("fit", call)
        model = code(call.func.value)  # type: ignore[attr-defined]
        free = self.free
        lines = []
        optimizer = "optimizer"
        given = before.get("optimizer")
        if given is None or (self.rule.qualified(given.value) or "").startswith("torch.optim."):
            self.rule.program.imports.add("torch")
            cls = "torch.optim.Adam" if given is None else code(bound["optimizer"].value)
            optimizer = free("optimizer")
            lines.append(f"{optimizer} = {cls}({model}.parameters())")
        else:
            optimizer = code(bound["optimizer"].value)
        epochs = code(bound["num_epochs"].value) if "num_epochs" in bound else "1"
        rows, loss, each = free("pair"), free("loss"), free("batch_losses")
        losses = code(target) if target is not None else None
        step = code(self.rule.new(f'mm.Step({model}, {rows}, "train").loss'))
        inner = [
            f"for {rows} in {code(bound['dataloader'].value)}:",
            f"    {loss} = {step}",
            f"    {optimizer}.zero_grad()",
            f"    {loss}.backward()",
            f"    {optimizer}.step()",
        ]
        if losses is not None:
            lines.append(f"{losses} = []")
            inner = [f"{each} = []", *inner, f"    {each}.append({loss}.item())"]
            inner.append(f"{losses}.append(sum({each}) / len({each}))")
        lines += [f"{model}.train()", f"for _ in range({epochs}):", *(f"    {line}" for line in inner)]
        if losses is not None and target is not None and self._is_array(original, target):
            self.rule.program.imports.add("torch")
            lines.append(f"{losses} = torch.tensor({losses}, dtype=torch.float64)")
        self.rule.api("Step")
        return "\n".join(lines) + "\n"

    def _is_array(self, call: cst.Call, target: cst.Name) -> bool:
        """Whether the losses are asked for what a list has not."""
        assign = self.rule.parent(call)
        named = assign.targets[0].target if isinstance(assign, cst.Assign) else target
        uses = self.rule.uses(named) if isinstance(named, cst.Name) else []
        return any(isinstance(self.rule.parent(use), cst.Attribute) for use in uses)

    def evaluate(self, original: cst.Call, call: cst.Call, target: cst.Name | None, *, several: bool) -> str:
        """The loop of an evaluation.

        Args:
            original: the call of ``evaluate``, as it is in the program.
            call: with its parts in the new names.
            target: variable that takes the metrics.
            several: whether they are by target.
        """
        self.check("evaluate", original)
        bound = self.check("evaluate", call)
        model = code(call.func.value)  # type: ignore[attr-defined]
        evaluation, rows = self.free("evaluation"), self.free("pair")
        step = code(self.rule.new(f'mm.Step({model}, {rows}, "evaluate").update({evaluation})'))
        self.rule.api("Step")
        self.rule.program.imports.add("torch")
        lines = [
            f'{evaluation} = {model}.evaluations["val"]',
            f"{evaluation}.reset()",
            "with torch.no_grad():",
            f"    for {rows} in {code(bound['dataloader'].value)}:",
            f"        {step}",
        ]
        if target is not None and not several:
            lines.append(f"{code(target)} = {evaluation}.metrics.compute()")
        elif target is not None:
            mode = code(bound["mode"].value).strip("'\"") if "mode" in bound else "eval"
            lines.append(
                f'{code(target)} = {{f"{mode}_{{name}}": {evaluation}.metrics.parts[name].compute() '
                f"for name in {model}.output.outputs}}"
            )
        return "\n".join(lines) + "\n"
