"""Parsing and compiling of syntax trees, one at a time.

CPython 3.11 counts the depth of trees that it converts in one place for all threads, and raises SystemError where two
conversions meet.
"""

from __future__ import annotations

import ast
from types import CodeType
from typing import Any

from .locks import Lock

CONVERTING = Lock()


def parse(text: str) -> ast.Module:
    """`ast.parse`. Raises SyntaxError."""
    with CONVERTING:
        return ast.parse(text)


def compiled(tree: ast.AST, filename: str, mode: str, **options: Any) -> CodeType:
    """`compile` of a tree."""
    with CONVERTING:
        return compile(tree, filename, mode, **options)  # type: ignore[call-overload,no-any-return]
