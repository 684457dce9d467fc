"""What a trace was specialised on, argument by argument, as plain data that JSON can hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch


def describe(
    parameters: Sequence[str], stand_ins: Sequence[Any], args: Sequence[Any], constants: Collection[str]
) -> tuple[dict[str, Any], ...]:
    """One entry per parameter.

    Kinds: `tensor` (dtype, shape and strides, None where any number will do), `int`, `float`, `device`, `constant` (its
    text), `list` and `dict` of further entries, and `other`, with the name of its type, for what plain data cannot say.
    """
    together = zip(parameters, stand_ins, args, strict=True)
    return tuple(_describe(name, stand_in, arg, name in constants) for name, stand_in, arg in together)


def _describe(name: str, stand_in: Any, arg: Any, constant: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"argument": name}
    if isinstance(arg, torch.Tensor):
        shape, strides = _numbers(stand_in.shape), _numbers(stand_in.stride())
        return found | {"kind": "tensor", "dtype": str(arg.dtype), "shape": shape, "strides": strides}
    if type(arg) in (int, float) and not constant:
        return found | {"kind": type(arg).__name__}
    if isinstance(arg, torch.device):
        return found | {"kind": "device"}
    if isinstance(arg, torch.dtype):
        return found | {"kind": "constant", "value": str(arg)}
    if arg is None or type(arg) in (bool, int, float, str):
        return found | {"kind": "constant", "value": repr(arg)}
    if type(arg) in (list, tuple):
        items = [_describe(f"{name}[{k}]", s, a, True) for k, (s, a) in enumerate(zip(stand_in, arg, strict=True))]
        return found | {"kind": "list", "type": type(arg).__name__, "items": items}
    if isinstance(arg, Mapping) and all(isinstance(key, str) for key in arg):
        items = {key: _describe(f"{name}[{key!r}]", stand_in[key], a, True) for key, a in arg.items()}
        return found | {"kind": "dict", "items": items}
    return found | {"kind": "other", "type": type(arg).__name__}


def _numbers(sizes: Sequence[Any]) -> list[int | None]:
    return [int(size) if isinstance(size, int) else None for size in sizes]


def shown(arguments: Sequence[Mapping[str, Any]]) -> str:
    """The entries in one line: `x: bfloat16[64, ?], n: int, causal = True`; a question mark where any size will do."""
    return ", ".join(map(_shown, arguments))


def _shown(spec: Mapping[str, Any]) -> str:
    kind, name = spec["kind"], spec["argument"]
    if kind == "tensor":
        sizes = ", ".join("?" if size is None else str(size) for size in spec["shape"])
        return f"{name}: {spec['dtype'].removeprefix('torch.')}[{sizes}]"
    if kind in ("list", "dict"):
        items = spec["items"].values() if kind == "dict" else spec["items"]
        return shown(list(items)) or f"{name}: empty"
    return f"{name} = {spec['value']}" if kind == "constant" else f"{name}: {spec.get('type', kind)}"
