"""Where host values come from: the Python expression by which the wrapper can reach a tensor that device code used."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import torch

from ..frontend.control import Undefined

_LEAVES = (int, float, bool, complex, str, bytes, type(None), type, ModuleType, BuiltinFunctionType, torch.dtype,
           torch.device, torch.SymInt, torch.SymFloat, torch.SymBool)  # fmt: skip


_LIBRARIES = frozenset({"torch", "sympy", "triton", "helion", "builtins", "numpy", "math"})


class HostNames:
    """Finds objects by identity among what a loop body can see: its free variables and the globals it names.

    The search is lazy and breadth first, so that the shortest expression wins.
    """

    def __init__(self, function: FunctionType, variables: Mapping[str, Any]) -> None:
        self._found: dict[int, str] = {}
        self._kept: list[Any] = []  # keeps what was found alive, since identities are compared
        self._queue: deque[tuple[Any, str]] = deque()
        self._seen: set[int] = set()
        for name, value in (*_free_variables(function), *variables.items()):
            self._push(value, name)
        self._push_globals(function, lambda name: name)

    def find(self, target: Any) -> str | None:
        """The expression whose value is the object `target`, or None."""
        while id(target) not in self._found and self._queue:
            self._expand(*self._queue.popleft())
        return self._found.get(id(target))

    def _push(self, value: Any, source: str) -> None:
        if isinstance(value, _LEAVES) or id(value) in self._seen:
            return
        self._seen.add(id(value))
        self._kept.append(value)
        self._found[id(value)] = source
        if not isinstance(value, torch.Tensor):
            self._queue.append((value, source))

    def _push_globals(self, function: FunctionType, render: Callable[[str], str]) -> None:
        """Globals that the function names, and the attributes it may read of modules among them."""
        names = list(_global_names(function.__code__))
        for name in names:
            value = function.__globals__.get(name)
            if isinstance(value, ModuleType) and value.__name__.split(".")[0] not in _LIBRARIES:
                for attribute in names:
                    if attribute in vars(value):
                        self._push(vars(value)[attribute], f"{render(name)}.{attribute}")
            elif name in function.__globals__:
                self._push(value, render(name))

    def _expand(self, value: Any, source: str) -> None:
        if isinstance(value, FunctionType):
            for k, cell in enumerate(value.__closure__ or ()):
                if value.__code__.co_freevars[k] != "__helion_rt" and _filled(cell):
                    self._push(cell.cell_contents, f"{source}.__closure__[{k}].cell_contents")
            self._push_globals(value, lambda name: f"{source}.__globals__[{name!r}]")
        elif isinstance(value, tuple) and hasattr(value, "_fields"):
            for name in value._fields:
                self._push(getattr(value, name), f"{source}.{name}")
        elif isinstance(value, Mapping):
            for key, item in value.items():
                if isinstance(key, (str, int, bool)):
                    self._push(item, f"{source}[{key!r}]")
        elif isinstance(value, Sequence):
            for k, item in enumerate(value):
                self._push(item, f"{source}[{k}]")
        elif dataclasses.is_dataclass(value) or _is_user_object(value):
            for name, item in vars(value).items():
                self._push(item, f"{source}.{name}")


def _is_user_object(value: Any) -> bool:
    module = type(value).__module__.split(".")[0]
    return hasattr(value, "__dict__") and module not in _LIBRARIES


def _filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _free_variables(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if not name.startswith("__helion") and _filled(cell):
            yield name, cell.cell_contents


class HostContainers:
    """The lists and dicts of the host that a loop body sees, as they are before its trace."""

    def __init__(self, function: FunctionType, variables: Mapping[str, Any]) -> None:
        named = {**dict(_free_variables(function)), **variables}
        self._found = [(n, v, _items(v)) for n, v in named.items() if type(v) in (list, dict)]

    def leave_loop(self) -> None:
        """What the trace put into them has no value behind the loop: a call launches a kernel, which fills no list."""
        for name, container, before in self._found:
            for key, item in _items(container).items():
                if key not in before or before[key] is not item:
                    container[key] = Undefined(name, behind=True)


def _items(container: Any) -> dict[Any, Any]:
    return dict(container if isinstance(container, dict) else enumerate(container))


def _global_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)
