"""What a kernel reads besides its arguments, and attributes of objects among them, as part of the specialisation key.

Plain numbers and strings are baked into the generated code, so their values count; of tensors dtype, sizes and strides
do.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensor

from ...location import is_user_file
from ...locks import Lock

_PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.device)
_PLAIN_TYPES = frozenset(_PLAIN)  # not of classes derived from these: their instances have attributes
_FOREIGN = {"torch", "triton", "helion", "numpy", "sympy", *sys.stdlib_module_names} - {"__main__"}
_DEEPEST = 4  # attributes of attributes of ...


class Captures:
    """Places of the captured values; `key()` is what the specialisation key holds of them.

    `names`: those that the code names at all; of an object's attributes only these are looked at.
    """

    def __init__(self) -> None:
        self._places: dict[Hashable, Place] = {}
        self._lock = Lock()
        self._again: Callable[[], tuple[Any, ...] | None] = _nothing
        self.names: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._places)

    def key(self) -> tuple[Any, ...]:
        found = self._again()
        return self._described() if found is None else found

    def _described(self) -> tuple[Any, ...]:
        places, count = list(self._places.values()), len(self.names)
        values = [place.read() for place in places]
        parts = [described(value, self.names) for value in values]
        again = _repeated(places, values, parts, self.names)
        with self._lock:
            if (len(self._places), len(self.names)) == (len(places), count):  # another thread may have added to them
                self._again = again
        return tuple(parts)

    def add(self, functions: Iterable[FunctionType]) -> bool:
        """Notes what `functions` read; returns whether anything is new."""
        with self._lock:
            before = len(self._places), len(self.names)
            for function in functions:
                self.names.update(_names(function.__code__))
                for where, place in _places(function):
                    self._places.setdefault(where, place)
            new = (len(self._places), len(self.names)) != before
            if new:
                self._again = _nothing
        return new


class Place(NamedTuple):
    """Where a value is found: a name in globals, or a cell of a closure."""

    space: Mapping[str, Any] | None
    name: str
    cell: Any = None

    def read(self) -> Any:
        return _content(self.cell) if self.space is None else self.space.get(self.name)


def _nothing() -> None:
    """The key is not known yet."""


def _repeated(
    places: Sequence[Place], values: Sequence[Any], parts: Sequence[Hashable], names: Set[str]
) -> Callable[[], tuple[Any, ...] | None]:
    """The key again, or None where something else stands in a place whose value alone, not what it holds, counts.

    What may change within is described again. This is asked at every call: a few comparisons of identity.
    """
    kinds = tuple([_kind(place, value) for place, value in zip(places, values, strict=True)])
    codes = [getattr(value, "__code__", None) for value in values]
    return _factory(kinds)(places, values, parts, codes, names, described)  # type: ignore[no-any-return]


def _kind(place: Place, value: Any) -> tuple[bool, str]:
    fixed = "value" if type(value) in _PLAIN_TYPES else "function" if type(value) is FunctionType else "contents"
    return place.space is None, fixed


_TESTS = {"value": "{read} is v{k}", "function": "{read} is v{k} and v{k}.__code__ is c{k}"}


@functools.lru_cache(maxsize=1024)
def _factory(kinds: tuple[tuple[bool, str], ...]) -> Callable[..., Any]:
    """Makes functions that repeat a key with parts of these kinds: (in a cell, what of the value counts)."""
    lines = ["def make(places, values, parts, codes, names, described):", "    whole = tuple(parts)"]
    tests, given = [], []
    for k, (in_cell, fixed) in enumerate(kinds):
        lines.append(f"    v{k}, c{k}, p{k} = values[{k}], codes[{k}], parts[{k}]")
        lines.append(
            f"    r{k} = places[{k}].read" if in_cell else f"    r{k}, n{k} = places[{k}].space.get, places[{k}].name"
        )
        read = f"r{k}()" if in_cell else f"r{k}(n{k})"
        if fixed in _TESTS:
            tests.append(_TESTS[fixed].format(read=read, k=k))
        given.append(f"p{k}" if fixed in _TESTS else f"described({read}, names)")
    key = f"({', '.join(given)},)" if any(fixed not in _TESTS for _, fixed in kinds) else "whole"
    space: dict[str, Any] = {}
    exec("\n".join([*lines, f"    return lambda: {key} if {' and '.join(tests) or 'True'} else None"]), space)
    return space["make"]  # type: ignore[no-any-return]


def described(value: Any, names: Set[str], depth: int = 0) -> Hashable:
    """What generated code may depend on in `value`; None where that is nothing."""
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.stride(), value.device
    if isinstance(value, _PLAIN):
        return type(value), float.hex(value) if isinstance(value, float) else value  # -0.0 equals 0.0, NaN nothing
    if depth > _DEEPEST:
        return None
    if isinstance(value, (list, tuple)):
        return type(value), tuple([described(v, names, depth + 1) for v in value])
    if isinstance(value, Mapping):
        return type(value), tuple([(k, described(v, names, depth + 1)) for k, v in value.items() if _is_key(k)])
    if isinstance(value, FunctionType):
        return value.__code__
    if isinstance(value, type):
        return value, class_key(value, names, depth)
    return object_key(value, names, depth) if is_readable(value) else None


def object_key(value: Any, names: Set[str], depth: int = 0) -> Hashable:
    """The type of an object and those of its attributes, its own or of its classes, that the code names."""
    space = vars(value)
    inner = [space.get(kind) for kind in ("_parameters", "_buffers", "_modules")]  # where torch.nn.Module keeps things
    spaces = [space, *(d for d in inner if isinstance(d, dict))]
    found = [(name, described(d[name], names, depth + 1)) for d in spaces for name in names if name in d]
    return type(value), frozenset(found), class_key(type(value), names, depth)


def class_key(kind: type, names: Set[str], depth: int = 0) -> Hashable:
    """What the code names of the attributes of a class, where it and the classes it derives from are the user's."""
    spaces = _class_spaces(kind)
    return tuple([(name, described(d[name], names, depth + 1)) for d in spaces for name in d if name in names])


@functools.lru_cache(maxsize=256)
def _class_spaces(kind: type) -> tuple[Mapping[str, Any], ...]:
    return tuple([vars(c) for c in kind.__mro__ if c.__module__.split(".")[0] not in _FOREIGN])


def _is_key(key: object) -> bool:
    return isinstance(key, (str, int, bool))


def is_readable(value: Any) -> bool:
    """Whether `value` is an object or a module of the user's, whose attributes may matter."""
    kind = value.__name__ if isinstance(value, ModuleType) else type(value).__module__
    return hasattr(value, "__dict__") and not isinstance(value, type) and kind.split(".")[0] not in _FOREIGN


def _is_captured(value: Any) -> bool:
    """Whether a global or closure variable holding `value` is worth reading at every call."""
    if isinstance(value, FunctionType):
        return is_user_file(value.__code__.co_filename)
    if isinstance(value, torch.Tensor):
        return not _stands_in(value)
    if isinstance(value, type):
        return bool(_class_spaces(value))
    return isinstance(value, (*_PLAIN, list, tuple, Mapping)) or is_readable(value)


def _stands_in(value: torch.Tensor) -> bool:
    """Whether a tensor exists for one trace only: functions that the kernel itself defines hold such."""
    return isinstance(value, FakeTensor) or type(value).__module__.split(".")[0] == __name__.split(".")[0]


def _places(function: FunctionType) -> Iterator[tuple[Hashable, Place]]:
    space = function.__globals__
    for name in _names(function.__code__):
        if name in space and _is_captured(space[name]):
            yield (id(space), name), Place(space, name)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if _is_captured(_content(cell)):
            yield (id(cell), name), Place(None, name, cell)


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
