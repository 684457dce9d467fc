"""What a call is told about arguments that a kernel cannot take."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from ... import exc

_ACCEPTED = "tensors, numbers, strings, dtypes, devices, functions, or lists, tuples, dicts and dataclasses of them"
_INSTEAD = {
    "numpy.ndarray": "torch.from_numpy(array)",
    "complex": "its real and imaginary part as two floats",
    "set": "a list or a tuple",
    "frozenset": "a list or a tuple",
    "generator": "a list: list(generator)",
}


def check_arguments(name: str, args: Sequence[Any]) -> None:
    """Raises `WrongArguments` unless `args` is a sequence of arguments, as `Kernel.bind` takes them."""
    if isinstance(args, torch.Tensor) or not isinstance(args, Sequence):
        raise exc.WrongArguments(
            name=name,
            problem=f"the arguments are a {type(args).__name__}, not a tuple",
            instead=f"write {name}.bind((x, y))",
        )


def check_tensors(names: Sequence[str], args: Sequence[Any]) -> None:
    """Raises `UnsupportedTensor` at the first tensor whose elements cannot be addressed by strides."""
    for name, arg in zip(names, args, strict=True):
        for tensor in leaves(arg):
            if isinstance(tensor, torch.Tensor):
                _check_tensor(name, tensor)


def _check_tensor(name: str, tensor: torch.Tensor) -> None:
    if tensor.is_nested:
        raise exc.UnsupportedTensor(name=name, what="nested", instead="its values and offsets as two tensors")
    if tensor.layout is not torch.strided:
        kind = str(tensor.layout).removeprefix("torch.").removeprefix("_")
        raise exc.UnsupportedTensor(name=name, what=kind, instead="x.to_dense(), or its indices and values as tensors")
    if tensor.is_quantized:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise exc.UnsupportedTensor(name=name, what=kind, instead="x.int_repr() and its scale, or x.dequantize()")


def refusal(names: Sequence[str], args: Sequence[Any], supported: Any) -> exc.Base | None:
    """The error for the first of `args` that holds something which is not `supported`."""
    try:
        check_tensors(names, args)
    except exc.UnsupportedTensor as error:
        return error
    for name, arg in zip(names, args, strict=True):
        for leaf in leaves(arg):
            if not supported(leaf):
                kind = type(leaf)
                shown = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
                return exc.UnsupportedArgument(name=name, type=shown, instead=_INSTEAD.get(shown, _ACCEPTED))
    return None


def leaves(value: Any) -> Iterator[Any]:
    """What `value` holds, containers and dataclasses taken apart."""
    if isinstance(value, (list, tuple)):
        inner: Any = value
    elif isinstance(value, Mapping):
        inner = value.values()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = vars(value).values()
    else:
        yield value
        return
    for item in inner:
        yield from leaves(item)
