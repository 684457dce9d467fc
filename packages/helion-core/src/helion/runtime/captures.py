"""Plain numbers and strings that a kernel reads from globals and closures: they are baked in, so they are part of the key."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

_PLAIN = (bool, int, float, str)


class Captures:
    """Readers of the captured values; `key()` is what the specialisation key holds of them."""

    def __init__(self) -> None:
        self._readers: dict[Hashable, Callable[[], Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._readers)

    def key(self) -> tuple[Any, ...]:
        return tuple([read() for read in self._readers.values()])

    def add(self, functions: Iterable[FunctionType]) -> bool:
        """Notes what `functions` read; returns whether anything is new."""
        before = len(self._readers)
        for function in functions:
            for where, read in _plain_values(function):
                self._readers.setdefault(where, read)
        return len(self._readers) > before


def _plain_values(function: FunctionType) -> Iterator[tuple[Hashable, Callable[[], Any]]]:
    space = function.__globals__
    for name in _names(function.__code__):
        if isinstance(space.get(name), _PLAIN):
            yield (id(space), name), lambda n=name, s=space: s.get(n)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if isinstance(_content(cell), _PLAIN):
            yield (id(cell), name), lambda c=cell: _content(c)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
