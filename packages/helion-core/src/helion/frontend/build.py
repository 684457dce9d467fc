"""From a changed definition back to a function: compiled over the globals and closure cells of the original."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from types import CellType, CodeType, FunctionType
from typing import Any

from .source import FunctionSource

_FACTORY = "__helion_factory"


def compile_like(node: ast.FunctionDef, source: FunctionSource, extra: Mapping[str, Any]) -> FunctionType:
    """`node` as a function with the globals, defaults and closure of `source`, plus `extra` names as closure cells.

    Line and column numbers stay those of the user's file.
    """
    original = source.function
    names = [*original.__code__.co_freevars, *extra]
    arguments = ast.arguments(
        posonlyargs=[], args=[ast.arg(n) for n in names], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    factory = ast.FunctionDef(name=_FACTORY, args=arguments, body=[node], decorator_list=[])
    factory.type_params = []  # type: ignore[attr-defined] # a field since Python 3.12
    ast.copy_location(factory, node)
    module = ast.fix_missing_locations(ast.Module(body=[factory], type_ignores=[]))
    code = compile(module, source.filename, "exec", dont_inherit=True)
    code = _nested_code(_nested_code(code, _FACTORY), node.name)
    cells = dict(zip(original.__code__.co_freevars, original.__closure__ or (), strict=True))
    cells |= {name: CellType(value) for name, value in extra.items()}
    closure = tuple(cells[name] for name in code.co_freevars)
    function = FunctionType(code, original.__globals__, original.__name__, original.__defaults__, closure)
    function.__kwdefaults__ = original.__kwdefaults__
    function.__qualname__ = original.__qualname__
    function.__annotations__ = original.__annotations__
    return function


def _nested_code(code: CodeType, name: str) -> CodeType:
    return next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)
