"""Torch functions that must be seen whole, before torch takes them apart or reads a value; and arithmetic on tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from ... import exc, location
from ..host_tensors import direct_usage
from ..values import Tile, TileTensor
from . import lookup, movement, products, random
from .einsum import einsum

if TYPE_CHECKING:
    from ..tracer import Tracer

_TENSOR = torch.Tensor
HANDLERS: dict[Any, Callable[..., Any]] = {
    torch.matmul: products.matmul,
    _TENSOR.matmul: products.matmul,
    _TENSOR.__matmul__: products.matmul,
    _TENSOR.__rmatmul__: lambda tracer, a, b: products.matmul(tracer, b, a),
    torch.nn.functional.linear: products.linear,
    torch.einsum: einsum,
    torch.rand: random.torch_rand,
    torch.randn: random.torch_randn,
    torch.randint: random.torch_randint,
    torch.nn.functional.dropout: random.dropout,
    torch.dropout: random.dropout,
    torch.take_along_dim: movement.take_along_dim,
    _TENSOR.take_along_dim: movement.take_along_dim,
    **lookup.FUNCTIONS,
}


def _python_value(wanted: str, how: str) -> Callable[..., Any]:
    def refuse(tracer: Tracer, tensor: Any, *args: Any, **kwargs: Any) -> Any:
        hint = "keep it a 0-d device value; use it directly in expressions, indices, loop bounds and conditions"
        if wanted == "string":
            hint = 'print("text", value) prints it on the device'
        elif isinstance(tensor, TileTensor) and tensor.dim() > 0 and wanted in ("float", "int"):
            hint = "functions of math take one number: use that of torch, mostly of the same name, for a whole tile"
        if isinstance(tensor, (TileTensor, Tile)):
            raise exc.DeviceValueAsPython(wanted=wanted, how=how, instead=hint, location=location.here())
        raise direct_usage(tracer, tensor, how)

    return refuse


for _name, _wanted, _how in (
    ("item", "number", ".item()"), ("tolist", "list", ".tolist()"), ("numpy", "array", ".numpy()"),
    ("__bool__", "bool", "its truth is tested outside of `if`, `while` and `and/or/not`"),
    ("__int__", "int", "int()"), ("__float__", "float", "float()"), ("__index__", "int", "used as a Python index"),
    ("__iter__", "iterable", "it is iterated or unpacked"), ("__len__", "int", "len()"),
    ("__contains__", "bool", "`in`"), ("__format__", "string", "it is formatted into a text"),
):  # fmt: skip
    HANDLERS[getattr(_TENSOR, _name)] = _python_value(_wanted, _how)


def _unavailable(name: str, instead: str) -> Callable[..., Any]:
    def refuse(tracer: Tracer, *args: Any, **kwargs: Any) -> Any:
        op = "a numpy function on a device value" if name == "__array__" else f"`.{name}()`"
        raise exc.UnsupportedOperation(op=op, reason="", instead=instead)

    return refuse


_ONE_DEVICE = "drop the call: device values live where the kernel runs"
_NO_GRADIENT = "write the backward pass as a kernel of its own and call both from a torch.autograd.Function"
for _name, _instead in {
    "cuda": _ONE_DEVICE, "cpu": _ONE_DEVICE, "pin_memory": _ONE_DEVICE, "backward": _NO_GRADIENT,
    "requires_grad_": _NO_GRADIENT, "register_hook": _NO_GRADIENT,
    "data_ptr": "pass the address of a host tensor as an argument",
    "__array__": "use the function of torch, mostly of the same name",
}.items():  # fmt: skip
    HANDLERS[getattr(_TENSOR, _name)] = _unavailable(_name, _instead)


def _tensor(tracer: Tracer, data: Any, *, dtype: Any = None, **_: Any) -> Any:
    """`torch.tensor(number)` as a device scalar."""
    if isinstance(data, (list, tuple)):
        raise exc.UnsupportedOperation(
            op="torch.tensor of a list", reason="", location=location.here(),
            instead="make the tensor on the host before the tile loop",
        )  # fmt: skip
    if dtype is None:
        dtype = torch.bool if isinstance(data, bool) else torch.int64 if isinstance(data, int) else torch.float32
        if isinstance(data, torch.SymInt):
            dtype = torch.int64
    return tracer.full((), data, dtype)


HANDLERS[torch.tensor] = _tensor

_SHIFTS = {"add": 1, "__add__": 1, "__radd__": 1, "sub": -1, "__sub__": -1}
_TAKES_SIZES = {
    "zeros", "ones", "empty", "full", "rand", "randn", "randint", "arange", "reshape", "view", "expand", "new_zeros",
    "new_ones", "new_empty", "new_full", "broadcast_to", "unflatten", "repeat", "tile", "view_as", "eye", "sym_max",
    "sym_min", "narrow", "split", "chunk", "flatten",
}  # fmt: skip


def tile_arithmetic(tracer: Tracer, func: Any, args: Any) -> Tile | None:
    """`tile + k` and `tile - k` as a shifted tile; None for functions in which a tile stands for its block size."""
    name = getattr(func, "__name__", str(func))
    if name in _SHIFTS and len(args) == 2:
        tile, other = (args[1], args[0]) if name == "__radd__" or not isinstance(args[0], Tile) else args
        scalar = isinstance(other, (int, torch.SymInt)) or (isinstance(other, TileTensor) and other.dim() == 0)
        if isinstance(tile, Tile) and scalar and not isinstance(other, Tile):
            offset = tile.offset + _SHIFTS[name] * tracer.size_of(other)
            return Tile.make(tile.range, tile.block, tracer.env, offset)
    if name in _TAKES_SIZES:
        return None
    raise exc.InvalidArgument(
        what=f"a tile in `{name.strip('_')}`", location=location.here(),
        instead="write tile.index for its vector of indices, tile.begin for its first index, "
        "tile.block_size for its size",
    )  # fmt: skip
