"""Edits of calls that keep the formatting of what stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import libcst as cst

WIDTH = 100
ROOM = 110
_BLANK = cst.Module([])


def code(node: cst.CSTNode) -> str:
    """The source text of a node."""
    return _BLANK.code_for_node(node)


def keyword(name: str, value: cst.BaseExpression) -> cst.Arg:
    """``name=value`` as an argument, without a comma."""
    return cst.Arg(
        value,
        keyword=cst.Name(name),
        equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
        comma=cst.MaybeSentinel.DEFAULT,
    )


def bind(call: cst.Call, parameters: Sequence[str]) -> dict[str, cst.Arg] | None:
    """The arguments of a call by parameter name.

    Args:
        call: the call.
        parameters: names of the positional parameters, in order.

    Returns:
        None if the call has ``*args``, ``**kwargs`` or more positional arguments than there are names.
    """
    bound: dict[str, cst.Arg] = {}
    positions = iter(parameters)
    for arg in call.args:
        if arg.star:
            return None
        name = arg.keyword.value if arg.keyword else next(positions, None)
        if name is None:
            return None
        bound[name] = arg
    return bound


def renamed(arg: cst.Arg, name: str | None, value: cst.BaseExpression | None = None) -> cst.Arg:
    """The same argument, with its comma and comments, under another name and with another value."""
    changed = keyword(name, value or arg.value) if name else cst.Arg(value or arg.value)
    return changed.with_changes(comma=arg.comma)


def _newline(indent: str) -> cst.ParenthesizedWhitespace:
    return cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace(indent))


def _separator(call: cst.Call) -> cst.Comma:
    for arg in call.args[:-1]:
        if isinstance(arg.comma, cst.Comma):
            return arg.comma.with_changes(whitespace_after=_uncommented(arg.comma.whitespace_after))
    before = call.whitespace_before_args
    if isinstance(before, cst.ParenthesizedWhitespace):
        return cst.Comma(whitespace_after=_uncommented(before))
    return cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))


def _uncommented(space: cst.BaseParenthesizableWhitespace) -> cst.BaseParenthesizableWhitespace:
    if not isinstance(space, cst.ParenthesizedWhitespace):
        return space
    line = cst.TrailingWhitespace(newline=space.first_line.newline)
    return space.with_changes(first_line=line, empty_lines=[])


def _with_comment_of(comma: cst.Comma, other: cst.Comma | cst.MaybeSentinel) -> cst.Comma:
    """``comma`` with the end-of-line comment of ``other``, if both end their line."""
    if not isinstance(other, cst.Comma):
        return comma
    mine, theirs = comma.whitespace_after, other.whitespace_after
    if isinstance(mine, cst.ParenthesizedWhitespace) and isinstance(theirs, cst.ParenthesizedWhitespace):
        return comma.with_changes(whitespace_after=mine.with_changes(first_line=theirs.first_line))
    return comma


def with_args(call: cst.Call, args: Sequence[cst.Arg]) -> cst.Call:
    """The call with these arguments, laid out as the old ones were.

    Arguments taken from the call (see :func:`renamed`) keep their comma and comments; new ones get the commas
    of their neighbours; a trailing comma stays one.
    """
    if not args:
        return call.with_changes(args=(), whitespace_before_args=cst.SimpleWhitespace(""))
    separator = _separator(call)
    last_comma = call.args[-1].comma if call.args else cst.MaybeSentinel.DEFAULT
    laid: list[cst.Arg] = []
    for arg in args[:-1]:
        own = arg.comma
        if not isinstance(own, cst.Comma) or own is last_comma:
            laid.append(arg.with_changes(comma=_with_comment_of(separator, own)))
        else:
            laid.append(arg)
    final: cst.Comma | cst.MaybeSentinel = last_comma
    if isinstance(last_comma, cst.Comma) and args[-1].comma is not last_comma:
        plain = last_comma.with_changes(whitespace_after=_uncommented(last_comma.whitespace_after))
        final = _with_comment_of(plain, args[-1].comma)
    laid.append(args[-1].with_changes(comma=final))
    changed = call.with_changes(args=laid)
    if not isinstance(last_comma, cst.Comma):
        return changed.with_changes(
            args=[*laid[:-1], laid[-1].with_changes(whitespace_after_arg=_closing(call))]
        )
    return changed


def _closing(call: cst.Call) -> cst.BaseParenthesizableWhitespace:
    return call.args[-1].whitespace_after_arg if call.args else cst.SimpleWhitespace("")


def fit(node: cst.BaseExpression, *, column: int, indent: str = "", block: int = 0) -> cst.BaseExpression:
    """A call or dict display over several lines, if it does not fit into one.

    Args:
        node: the expression; one that is spread over lines already stays.
        column: columns of the line before it.
        indent: spaces of the line it stands in, beyond those of its block.
        block: spaces of the block.
    """
    text = code(node)
    if "\n" in text or column + len(text) + 1 <= WIDTH:
        return node
    inner = indent + "    "
    used = block + len(inner)
    if isinstance(node, cst.Call) and node.args:
        if len(node.args) == 1 and node.args[0].keyword is None:
            value = node.args[0].value
            if not isinstance(value, (cst.List, cst.Dict)):
                return node
            shown = fit(value, column=WIDTH, indent=indent, block=block)
            return node.with_changes(args=[node.args[0].with_changes(value=shown)])
        args = [
            arg.with_changes(
                value=fit(arg.value, column=used + len(_head(arg)), indent=inner, block=block),
                comma=cst.Comma(whitespace_after=_newline(inner if i + 1 < len(node.args) else indent)),
                whitespace_after_arg=cst.SimpleWhitespace(""),
            )
            for i, arg in enumerate(node.args)
        ]
        return node.with_changes(args=args, whitespace_before_args=_newline(inner))
    if isinstance(node, cst.Dict):
        elements = [
            element.with_changes(
                value=fit(
                    element.value,
                    column=used + (len(code(element.key)) + 2 if isinstance(element, cst.DictElement) else 2),
                    indent=inner,
                    block=block,
                ),
                comma=cst.Comma(whitespace_after=_newline(inner if i + 1 < len(node.elements) else indent)),
            )
            for i, element in enumerate(node.elements)
        ]
        return node.with_changes(
            elements=elements, lbrace=cst.LeftCurlyBrace(whitespace_after=_newline(inner))
        )
    if isinstance(node, cst.List) and node.elements:
        listed = [
            element.with_changes(
                value=fit(element.value, column=used, indent=inner, block=block),
                comma=cst.Comma(whitespace_after=_newline(inner if i + 1 < len(node.elements) else indent)),
            )
            for i, element in enumerate(node.elements)
        ]
        return node.with_changes(
            elements=listed, lbracket=cst.LeftSquareBracket(whitespace_after=_newline(inner))
        )
    if isinstance(node, cst.Lambda):
        return node.with_changes(body=fit(node.body, column=WIDTH, indent=indent, block=block))
    if isinstance(node, cst.Subscript):
        return node.with_changes(value=fit(node.value, column=WIDTH, indent=indent, block=block))
    return node


def relaid(call: cst.Call, *, column: int, block: int) -> cst.BaseExpression:
    """The call, laid out anew if a line of it has become too long and nothing but layout would be lost.

    Args:
        call: the call.
        column: columns of the line before it.
        block: spaces of the block.
    """
    first, *rest = code(call).split("\n")
    short = column + len(first) <= ROOM and all(block + len(line) <= ROOM for line in rest)
    if short or "#" in code(call) or any("\n" in code(arg.value) for arg in call.args):
        return call
    none = cst.SimpleWhitespace("")
    args = [a.with_changes(comma=cst.MaybeSentinel.DEFAULT, whitespace_after_arg=none) for a in call.args]
    return fit(call.with_changes(args=args, whitespace_before_args=none), column=column, block=block)


def _head(arg: cst.Arg) -> str:
    return f"{arg.keyword.value}=" if arg.keyword else ""


def parse(text: str, parts: Mapping[str, cst.BaseExpression] | None = None) -> cst.BaseExpression:
    """An expression from its text, in which names written ``__like_this__`` stand for nodes.

    Args:
        text: the expression.
        parts: nodes by name, without the underscores.
    """
    tree = cst.parse_expression(text)
    if not parts:
        return tree
    filled = tree.visit(_Fill(parts))
    if not isinstance(filled, cst.BaseExpression):
        raise TypeError(f"{text!r} is not an expression any more after filling in its parts")
    return filled


class _Fill(cst.CSTTransformer):
    def __init__(self, parts: Mapping[str, cst.BaseExpression]) -> None:
        super().__init__()
        self.parts = parts

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        name = original_node.value
        if name.startswith("__") and name.endswith("__") and name[2:-2] in self.parts:
            return self.parts[name[2:-2]]
        return updated_node


def literal(node: cst.BaseExpression | None) -> object:
    """The value of a literal (number, string, True, None, list or tuple of them).

    Raises:
        ValueError: if it is no literal.
    """
    import ast

    if node is None:
        raise ValueError("there is no expression")
    try:
        return ast.literal_eval(code(node).strip())
    except (ValueError, SyntaxError, TypeError) as error:
        raise ValueError(f"{code(node)} is not a literal") from error


def is_plain(node: cst.BaseExpression) -> bool:
    """Whether the expression may be evaluated elsewhere or twice: literals, names, arithmetic of them."""
    if isinstance(node, (cst.Name, cst.Integer, cst.Float, cst.SimpleString)):
        return True
    if isinstance(node, cst.Attribute):
        return is_plain(node.value)
    if isinstance(node, cst.UnaryOperation):
        return is_plain(node.expression)
    if isinstance(node, cst.BinaryOperation):
        return is_plain(node.left) and is_plain(node.right)
    if isinstance(node, (cst.List, cst.Tuple)):
        return all(is_plain(element.value) for element in node.elements)
    if isinstance(node, cst.Subscript):
        indices = [element.slice for element in node.slice]
        return is_plain(node.value) and all(isinstance(i, cst.Index) and is_plain(i.value) for i in indices)
    return False


def operand(node: cst.BaseExpression) -> cst.BaseExpression:
    """The expression as part of a product or quotient, in parentheses where it needs them."""
    atoms = (cst.Name, cst.Integer, cst.Float, cst.Attribute, cst.Call, cst.Subscript)
    if isinstance(node, atoms) or node.lpar:
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
