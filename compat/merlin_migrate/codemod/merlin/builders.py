"""``DLRMModel`` and ``DCNModel`` of ``merlin.models``, whose towers were blocks and are lists of units."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import libcst as cst

from merlin_migrate.codemod.layout import code, keyword, literal
from merlin_migrate.codemod.merlin.towers import Tower, plain_units

TowerOf = Callable[[cst.BaseExpression], Tower]
ADAM = 'mm.OptimizerConfig("adam", lr=0.001)'


def dlrm(bound: Mapping[str, cst.Arg], tower_of: TowerOf, *, width: str) -> list[cst.Arg]:
    """Arguments of ``mm.DLRMModel`` but for schema, output and optimiser.

    Args:
        bound: the old ones by name.
        tower_of: what a block's expression is made of.
        width: the old name of the embeddings' width.

    Raises:
        ValueError: if something has no successor.
    """
    if width not in bound:
        raise ValueError(f"DLRMModel is called without {width}")
    args = [keyword("embedding_dim", bound[width].value)]
    if "bottom_block" in bound and code(bound["bottom_block"].value) != "None":
        units, dropout = plain_units(tower_of(bound["bottom_block"].value), "the bottom tower")
        if dropout is not None:
            raise ValueError("the bottom tower has dropout, which the builder's has not: write the blocks")
        args.append(keyword("bottom", _but_last(units, bound[width].value)))
    if "top_block" not in bound or code(bound["top_block"].value) == "None":
        return [*args, keyword("top", cst.List([]))]
    units, dropout = plain_units(tower_of(bound["top_block"].value), "the top tower")
    args.append(keyword("top", units))
    return args if dropout is None else [*args, keyword("dropout", dropout)]


def _but_last(units: cst.BaseExpression, width: cst.BaseExpression) -> cst.BaseExpression:
    """The units of the bottom tower before its last layer, which has the embeddings' width."""
    if not isinstance(units, (cst.List, cst.Tuple)) or not units.elements:
        raise ValueError("the units of the bottom tower are not written as a list")
    *first, last = units.elements
    if code(last.value) != code(width):
        raise ValueError(
            f"the bottom tower ends with {code(last.value)} units, but embeddings are {code(width)} wide: "
            "make them the same"
        )
    kept = [element.with_changes(comma=cst.MaybeSentinel.DEFAULT) for element in first]
    return units.with_changes(elements=kept) if kept else cst.List([])


def dcn(bound: Mapping[str, cst.Arg], tower_of: TowerOf) -> list[cst.Arg]:
    """Arguments of ``mm.DCNModel`` but for schema, output and optimiser; old defaults are written out.

    Raises:
        ValueError: if something has no successor.
    """
    args = [keyword("depth", bound["depth"].value if "depth" in bound else cst.Integer("1"))]
    deep, dropout = cst.parse_expression("[512, 256]"), None
    if "deep_block" in bound and code(bound["deep_block"].value) != "None":
        deep, dropout = plain_units(tower_of(bound["deep_block"].value), "the deep tower")
    args.append(keyword("deep", deep))
    if dropout is not None:
        args.append(keyword("dropout", dropout))
    if "stacked" in bound and not _truth(bound["stacked"].value):
        args.append(keyword("structure", cst.SimpleString('"parallel"')))
    return args


def _truth(node: cst.BaseExpression) -> bool:
    try:
        return bool(literal(node))
    except ValueError as error:
        raise ValueError(f"stacked={code(node)} is not written as True or False") from error
