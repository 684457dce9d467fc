"""From a changed definition back to a function: compiled over the globals and closure cells of the original."""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Mapping
from types import CellType, CodeType, FunctionType
from typing import Any

from ..syntax import compiled
from .source import FunctionSource

_FACTORY = "__helion_factory"
_INNER = "__helion_inner"


def compile_like(node: ast.FunctionDef, source: FunctionSource, extra: Mapping[str, Any]) -> FunctionType:
    """`node` as a function with the globals, defaults and closure of `source`, plus `extra` names as closure cells.

    Line and column numbers stay those of the user's file.
    """
    original = source.function
    # under a name of its own, or a function that calls itself would find the factory's variable instead of the global
    name, node = node.name, copy.copy(node)
    node.name = _INNER
    names = [*original.__code__.co_freevars, *extra]
    arguments = ast.arguments(
        posonlyargs=[], args=[ast.arg(n) for n in names], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    factory = ast.FunctionDef(name=_FACTORY, args=arguments, body=[node], decorator_list=[])
    factory.type_params = []  # type: ignore[attr-defined] # a field since Python 3.12
    ast.copy_location(factory, node)
    module = ast.fix_missing_locations(ast.Module(body=[factory], type_ignores=[]))
    code = compiled(module, source.filename, "exec", dont_inherit=True)
    code = _named(_nested_code(_nested_code(code, _FACTORY), _INNER), name, original.__qualname__)
    cells = dict(zip(original.__code__.co_freevars, original.__closure__ or (), strict=True))
    cells |= {name: CellType(value) for name, value in extra.items()}
    closure = tuple(cells[name] for name in code.co_freevars)
    function = FunctionType(code, original.__globals__, original.__name__, original.__defaults__, closure)
    function.__kwdefaults__ = original.__kwdefaults__
    function.__qualname__ = original.__qualname__
    function.__annotations__ = original.__annotations__
    return function


def _named(code: CodeType, name: str, qualified: str) -> CodeType:
    if sys.version_info >= (3, 11):
        return code.replace(co_name=name, co_qualname=qualified)
    return code.replace(co_name=name)


def _nested_code(code: CodeType, name: str) -> CodeType:
    return next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)
