"""Specialisation keys: what of the arguments the compiled code depends on. One function is generated per kernel."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence, Set
from types import FunctionType
from typing import Any

import torch

from .captures import class_key, is_readable, object_key


class Unsupported(Exception):
    """An argument of a type that no key can hold; the type's name is the only argument."""


_TENSOR = "({0}.dtype, {0}.shape, {0}.stride(), {0}.device)"
_DYNAMIC = "({0}.dtype, {0}.dim(), {0}.device)"
_NUMBER = "type({0}) if type({0}) is int or type({0}) is float else "


def key_function(
    parameters: Sequence[str], constants: Set[str], names: Set[str], dynamic: bool = False
) -> Callable[..., tuple[Any, ...]]:
    """A function of the kernel's arguments that gives one part of the key for each; plain numbers count by type.

    `constants` names parameters whose numbers count by value. Of objects and their classes, only attributes among
    `names` count, which are those that the code of the kernel names. `dynamic`: of tensors only the number of
    dimensions counts, not sizes and strides. The function raises `Unsupported`.
    """
    arguments = [f"a{k}" for k in range(len(parameters))]
    parts = []
    for argument, name in zip(arguments, parameters, strict=True):
        number = "" if name in constants else _NUMBER.format(argument)
        tensor = (_DYNAMIC if dynamic else _TENSOR).format(argument)
        parts.append(f"{tensor} if isinstance({argument}, Tensor) else {number}nested({argument}),")
    text = f"def key({', '.join(arguments)}):\n    return ({' '.join(parts)})\n"
    space: dict[str, Any] = {"Tensor": torch.Tensor, "nested": lambda value: nested_key(value, names, dynamic)}
    exec(text, space)
    return space["key"]  # type: ignore[no-any-return]


def has_key(value: Any) -> bool:
    """Whether `value` may be an argument at all."""
    try:
        nested_key(value, frozenset())
    except (Unsupported, RuntimeError, NotImplementedError):
        return False
    return True


def nested_key(value: Any, names: Set[str], dynamic: bool = False) -> Hashable:
    """The part of a key that `value` contributes where it stands inside another, or is a constant.

    `dynamic`: sizes and strides of tensors in lists, tuples and dicts do not count.
    """
    if isinstance(value, torch.Tensor):
        if dynamic:
            return value.dtype, value.dim(), value.device
        return value.dtype, value.shape, value.stride(), value.device
    if value is None or isinstance(value, (bool, int, float, str, torch.dtype, torch.device)):
        return type(value), float.hex(value) if isinstance(value, float) else value  # -0.0 equals 0.0, NaN nothing
    if isinstance(value, (list, tuple)):
        return type(value), tuple([nested_key(v, names, dynamic) for v in value])
    if isinstance(value, Mapping):
        return type(value), tuple([(k, nested_key(v, names, dynamic)) for k, v in value.items()])
    if isinstance(value, FunctionType):
        cells = tuple([nested_key(c.cell_contents, names) for c in value.__closure__ or ()])
        defaults = tuple([nested_key(d, names) for d in value.__defaults__ or ()])
        return value.__code__, cells, defaults, tuple(_global_keys(value, names))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = tuple([(k, nested_key(v, names)) for k, v in vars(value).items()])
        return type(value), own, class_key(type(value), names)
    if is_readable(value):
        return id(value), object_key(value, names)
    if callable(value) or hasattr(value, "__dict__"):
        return type(value), id(value)
    raise Unsupported(type(value).__name__)


def _global_keys(function: FunctionType, names: Set[str]) -> Iterator[Hashable]:
    """Values of the plain globals that a function argument reads: they are baked into the code."""
    for used in function.__code__.co_names:
        value = function.__globals__.get(used)
        if isinstance(value, (bool, int, float, str, torch.Tensor)):
            yield used, nested_key(value, names)
