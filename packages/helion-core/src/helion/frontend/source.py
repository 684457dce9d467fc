"""The syntax tree of a function, with the line and column numbers of its file."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from .. import exc
from ..location import Location, from_bytes
from ..syntax import parse


@dataclass(frozen=True)
class FunctionSource:
    """A function, its definition (decorators kept) and the file it stands in."""

    function: Any  # a FunctionType, which in a field checkers take for a method
    node: ast.FunctionDef
    filename: str
    text: str


def parameter_place(function: FunctionType, name: str) -> Location:
    """Where `function` declares its parameter `name`; its first line where there is no source."""
    code = function.__code__
    try:
        arguments = function_source(function).node.args
    except exc.Base:
        return Location(code.co_filename, code.co_firstlineno)
    found = next(a for a in ast.walk(arguments) if isinstance(a, ast.arg) and a.arg == name)
    end = found.end_col_offset if found.end_lineno == found.lineno else -1
    return from_bytes(code.co_filename, found.lineno, found.col_offset, -1 if end is None else end)


def function_source(function: FunctionType) -> FunctionSource:
    """Reads and parses `function`. Raises `SourceUnavailable` where there is no source to read."""
    name = function.__qualname__
    if function.__name__ == "<lambda>":
        raise exc.SourceUnavailable(name=name, reason="it is a lambda")
    try:
        lines, start = inspect.getsourcelines(function)
    except (OSError, TypeError, IndentationError) as error:
        raise exc.SourceUnavailable(name=name, reason=str(error) or "there is no source") from None
    text = "".join(lines)
    # An indented definition is put under `if 1:`, which keeps columns and strings that a dedent would change.
    nested = text[:1].isspace()
    try:
        tree = parse(("if 1:\n" if nested else "") + text)
    except SyntaxError:
        tree, nested = parse(textwrap.dedent(text)), False
    body = tree.body[0].body if nested else tree.body  # type: ignore[attr-defined]
    node = body[0]
    if isinstance(node, ast.AsyncFunctionDef):
        where = from_bytes(
            function.__code__.co_filename, start + node.lineno - (2 if nested else 1), node.col_offset, -1
        )
        raise exc.UnsupportedSyntax(what="`async def`", instead="write a plain `def`", location=where)
    if not isinstance(node, ast.FunctionDef):
        raise exc.SourceUnavailable(name=name, reason="its source is not a `def` statement")
    ast.increment_lineno(node, start - (2 if nested else 1))
    return FunctionSource(function, node, function.__code__.co_filename, text)
