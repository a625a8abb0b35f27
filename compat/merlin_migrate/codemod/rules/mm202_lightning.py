"""``pytorch_lightning`` to ``lightning.pytorch``, which models of the new names are trained by."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import code
from merlin_migrate.codemod.rule import Rule

OLD, NEW = "pytorch_lightning", "lightning.pytorch"


class LightningRule(Rule):
    """Runs where the models have moved; the names in the package are the same."""

    number: ClassVar[str] = "MM202"
    title: ClassVar[str] = "lightning"
    guide: ClassVar[str] = "from-merlin-models-torch.md"

    def visit_Module(self, node: cst.Module) -> bool:
        """Only programs whose models have moved."""
        return bool({"MM201", "MM204"} & set(self.program.applied))

    def leave_ImportAlias(
        self, original_node: cst.ImportAlias, updated_node: cst.ImportAlias
    ) -> cst.ImportAlias:
        """``import pytorch_lightning as pl``; without ``as`` the name stays by one."""
        name = original_node.evaluated_name
        inside = isinstance(self.parent(original_node), cst.ImportFrom)
        if inside or not (name == OLD or (name.startswith(f"{OLD}.") and original_node.asname)):
            return updated_node
        self.done()
        asname = updated_node.asname or cst.AsName(cst.Name(OLD))
        return updated_node.with_changes(name=_dotted(NEW + name.removeprefix(OLD)), asname=asname)

    def leave_ImportFrom(self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom) -> cst.ImportFrom:
        """``from pytorch_lightning.callbacks import EarlyStopping``."""
        name = code(original_node.module) if original_node.module and not original_node.relative else ""
        if name != OLD and not name.startswith(f"{OLD}."):
            return updated_node
        self.done()
        return updated_node.with_changes(module=_dotted(NEW + name.removeprefix(OLD)))


def _dotted(name: str) -> cst.Attribute | cst.Name:
    parsed = cst.parse_expression(name)
    if not isinstance(parsed, (cst.Attribute, cst.Name)):
        raise TypeError(f"{name!r} is no dotted name")
    return parsed
