"""What the text of a function needs around it to stand in a file of its own: definitions of the names that it reads.

Numbers, strings, dtypes and devices are written out, modules and their functions imported, the user's own functions
copied with all that they need in turn. What has no text is told by name.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import dis
import linecache
import sys
import sysconfig
from collections.abc import Collection, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch

from .. import exc
from ..syntax import compiled, parse
from .source import function_source

_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


class Definitions:
    """Collects definitions. `banned`: packages that the file must not import; `missing`: name → why it has no text."""

    def __init__(self, banned: Collection[str] = ()) -> None:
        self._banned = frozenset(banned)
        self._values: dict[str, Any] = {}
        self._lines: dict[str, str] = {}
        self._functions: dict[str, str] = {}
        self.missing: dict[str, str] = {}

    def text(self) -> str:
        """Imports and constants, then functions."""
        lines = sorted(self._lines.values(), key=lambda line: not line.startswith(("import", "from")))
        return "".join(lines) + "".join(f"\n\n{text}\n" for text in self._functions.values())

    def add_names(self, names: Collection[str], function: FunctionType) -> None:
        """Defines those of `names` that mean something where `function` was defined."""
        scope = visible(function)
        for name in sorted(names):
            if name in scope:
                self.add(name, scope[name])
            elif not hasattr(builtins, name):
                self.missing[name] = "it has no value where the kernel is defined"

    def add(self, name: str, value: Any) -> None:
        """Defines `name` as `value`, or notes in `missing` why that cannot be."""
        if name in self._values:
            known = self._values[name]
            if known is not value and (isinstance(value, (ModuleType, FunctionType)) or known != value):
                self.missing[name] = "two functions mean different things by it"
            return
        self._values[name] = value
        text = literal(value)
        if text is not None:
            self._lines[name] = f"{name} = {text}\n"
        elif isinstance(value, ModuleType):
            self._add_import(name, value.__name__, None)
        elif self._is_installed(getattr(value, "__module__", None)) and _found(value):
            self._add_import(name, value.__module__, value.__qualname__)
        elif isinstance(value, FunctionType):
            self._add_function(name, value)
        else:
            self.missing[name] = f"it is a {type(value).__name__}, which has no text"

    def value(self, name: str) -> Any:
        """What a name that was added stands for; None for others."""
        return self._values.get(name)

    def _is_installed(self, module: str | None) -> bool:
        if module is None or module not in sys.modules:
            return False
        if module.partition(".")[0] in (*sys.stdlib_module_names, "helion"):
            return module != "__main__"
        file = getattr(sys.modules[module], "__file__", None)
        return file is None or any(Path(file).is_relative_to(folder) for folder in _INSTALLED)

    def _add_import(self, name: str, module: str, attribute: str | None) -> None:
        if module.partition(".")[0] in self._banned:
            self.missing[name] = f"it belongs to {module}, which is not to be imported"
        elif not self._is_installed(module):
            self.missing[name] = f"it is the module {module}, which is not installed: import what is used of it by name"
        elif attribute is None:
            head, _, last = module.rpartition(".")
            plain = f"from {head} import {last} as {name}" if head else f"import {module} as {name}"
            self._lines[name] = f"import {name}\n" if name == module else f"{plain}\n"
        else:
            self._lines[name] = f"from {module} import {attribute} as {name}\n"

    def _add_function(self, name: str, function: FunctionType) -> None:
        node = _lambda(function, name) if function.__name__ == "<lambda>" else None
        try:
            node = node or function_source(function).node
        except exc.Base as error:
            self.missing[name] = f"its source cannot be read: {error.fields.get('reason', error)}"
            return
        node.name, node.decorator_list = name, []
        self.add_names(free_names(node), function)
        self._functions[name] = ast.unparse(node)


def visible(function: FunctionType) -> dict[str, Any]:
    """The global and closure names of `function` with their values."""
    closure = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            closure[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return {**function.__globals__, **closure}


def _lambda(function: FunctionType, name: str) -> ast.FunctionDef | None:
    """A lambda as a definition, where its line holds no other that could be it."""
    code = function.__code__
    try:
        tree = parse("".join(linecache.getlines(code.co_filename)))
    except SyntaxError:  # a file that changed since
        return None
    lambdas = [n for n in ast.walk(tree) if isinstance(n, ast.Lambda) and n.lineno == code.co_firstlineno]
    found = [n for n in lambdas if _fingerprint(_compiled(n)) == _fingerprint(code)]
    if len({ast.dump(n) for n in found}) != 1:
        return None
    body: list[ast.stmt] = [ast.Return(found[0].body)]
    node = ast.FunctionDef(name=name, args=found[0].args, body=body, decorator_list=[], lineno=1, col_offset=0)
    node.type_params = []  # type: ignore[attr-defined] # a field since Python 3.12
    return ast.fix_missing_locations(node)


def _compiled(node: ast.Lambda) -> CodeType:
    module = compiled(ast.Expression(node), "<lambda>", "eval", dont_inherit=True)
    return next(c for c in module.co_consts if isinstance(c, CodeType))


def _fingerprint(code: CodeType) -> tuple[Any, ...]:
    """What tells lambdas of one line apart: their variables, the names and constants that they use."""
    constants = [c for c in code.co_consts if not isinstance(c, CodeType)]
    return code.co_varnames, sorted({*code.co_names, *code.co_freevars}), constants


def free_names(node: ast.FunctionDef) -> set[str]:
    """Names that a definition reads from outside, in its defaults and its body; annotations do not count."""
    module = ast.fix_missing_locations(ast.Module([node], []))
    code = compiled(module, "<definition>", "exec", flags=__future__.annotations.compiler_flag, dont_inherit=True)
    return set(_reads(code)) - {node.name}


def _reads(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _reads(constant)


def literal(value: Any) -> str | None:
    """`value` as an expression over `torch`, or None where it has no such text."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f'float("{value}")'
    if value is None or type(value) in (bool, int, float, str):
        return repr(value)
    if isinstance(value, torch.dtype):
        return str(value)
    if isinstance(value, torch.device):
        return f"torch.{value!r}"
    if type(value) in (tuple, list):
        parts = [literal(v) for v in value]
        if any(p is None for p in parts):
            return None
        body = ", ".join(map(str, parts))
        return f"[{body}]" if type(value) is list else f"({body}{',' if len(parts) == 1 else ''})"
    if type(value) is dict and all(isinstance(k, (str, int)) for k in value):
        items = {k: literal(v) for k, v in value.items()}
        return None if None in items.values() else f"{{{', '.join(f'{k!r}: {v}' for k, v in items.items())}}}"
    return None


def _found(value: Any) -> bool:
    """Whether importing by module and name gives `value`."""
    name = getattr(value, "__qualname__", "")
    return name.isidentifier() and getattr(sys.modules[value.__module__], name, None) is value
