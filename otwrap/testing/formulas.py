"""Formulas and conditions as text, made into what the fake code computes; nothing of them is ever executed."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from .program import OPERATIONS

__all__ = ["formula_of", "where_of"]

_OPERATORS: Mapping[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
    ast.USub: "negative",
    ast.Not: "not",
    ast.And: "and",
    ast.Or: "or",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_COMPARISONS = ("<", "<=", ">", ">=")
_NO_FUNCTIONS = {"and", "or", "not", "negative"}
_FUNCTIONS = sorted(name for name in OPERATIONS if name.isalnum() and name not in _NO_FUNCTIONS)
_LOGICAL = {*_COMPARISONS, "and", "or", "not"}


def formula_of(text: str, names: Sequence[str]) -> Any:
    """Return a formula as a tree.

    Parameters
    ----------
    text : str
        Such as ``"F * L**3 / (3 * E * I)"``.
    names : sequence of str
        Of the inputs.

    Returns
    -------
    tree : float, str or tuple
        See :func:`otwrap.testing.program.value_of`.

    Raises
    ------
    ValueError
        If something else than numbers, inputs, operators and a few functions stands in it.

    Examples
    --------
    >>> formula_of("a + 2 * b", ["a", "b"])
    ('+', 'a', ('*', 2.0, 'b'))
    >>> formula_of("a ^ 2", ["a"])
    Traceback (most recent call last):
        ...
    ValueError: formula 'a ^ 2': 'a ^ 2' is not understood...
    """
    tree = _Reader("formula", text, names).tree()
    if _is_logical(tree):
        msg = f"formula {text!r}: it is true or false, where a number is needed"
        raise ValueError(msg)
    return tree


def where_of(where: str | tuple[str, str, float], names: Sequence[str]) -> Any:
    """Return a condition as a tree.

    Parameters
    ----------
    where : str or (str, str, float)
        Such as ``"x0 > 0.8 and x1 < 0.5"``, or an input, a comparison and a number.
    names : sequence of str
        Of the inputs.

    Returns
    -------
    tree : tuple

    Raises
    ------
    ValueError
        If it is no condition.

    Examples
    --------
    >>> where_of("x0 > 0.8 and x0 < 0.9", ["x0"])
    ('and', ('>', 'x0', 0.8), ('<', 'x0', 0.9))
    >>> where_of(("load (N)", "<", 3), ["load (N)"])
    ('<', 'load (N)', 3.0)
    """
    if isinstance(where, str):
        tree = _Reader("where", where, names).tree()
    else:
        name, comparison, number = where
        if name not in names or comparison not in _COMPARISONS:
            msg = f"where={where!r}: give one of the inputs {list(names)}, one of {', '.join(_COMPARISONS)}, and a number"
            raise ValueError(msg)
        tree = (comparison, name, float(number))
    if not _is_logical(tree):
        msg = f"where={where!r}: give a condition, such as {names[0]!r} > 0.8"
        raise ValueError(msg)
    return tree


def _is_logical(tree: Any) -> bool:
    """Whether a tree is true or false."""
    return isinstance(tree, tuple) and tree[0] in _LOGICAL


class _Reader:
    """Read one text."""

    def __init__(self, what: str, text: str, names: Sequence[str]) -> None:
        self.what, self.text, self.names = what, text, names

    def tree(self) -> Any:
        """Return it as a tree."""
        try:
            body = ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError) as error:
            msg = f"{self.what} {self.text!r} cannot be read: {error}"
            raise ValueError(msg) from None
        return self._read(body)

    def _read(self, node: ast.AST) -> Any:
        """Return a part of it as a tree."""
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return float(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return self._operation(_OPERATORS[type(node.op)], node.left, node.right)
        if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
            return self._operation(_OPERATORS[type(node.op)], node.operand)
        if isinstance(node, ast.BoolOp):
            return self._operation(_OPERATORS[type(node.op)], *node.values)
        if isinstance(node, ast.Compare) and all(type(operator) in _OPERATORS for operator in node.ops):
            return self._comparison(node)
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in _FUNCTIONS and not node.keywords:
            return self._operation(node.func.id, *node.args)  # type: ignore[attr-defined]
        part = ast.get_source_segment(self.text.strip(), node) or self.text
        msg = (
            f"{self.what} {self.text!r}: {part!r} is not understood; there are numbers, inputs, + - * / **, "
            f"< <= > >=, and or not, and {', '.join(_FUNCTIONS)}"
        )
        raise ValueError(msg)

    def _operation(self, name: str, *parts: ast.AST) -> tuple[Any, ...]:
        return (name, *map(self._read, parts))

    def _comparison(self, node: ast.Compare) -> Any:
        """Read ``a < b``, or ``a < b < c`` as two."""
        sides = [self._read(part) for part in (node.left, *node.comparators)]
        pairs = zip(node.ops, sides, sides[1:], strict=False)
        found = [(_OPERATORS[type(operator)], left, right) for operator, left, right in pairs]
        return found[0] if len(found) == 1 else ("and", *found)

    def _name(self, node: ast.Name) -> str:
        if node.id not in self.names:
            msg = (
                f"{self.what} {self.text!r}: there is no input {node.id!r}; the inputs are {list(self.names)}"
            )
            raise ValueError(msg)
        return node.id
